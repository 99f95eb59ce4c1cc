"""What ``SPLIT_PERCENTAGES`` says. Standard library only."""

from __future__ import annotations

from ..errors import ParameterError


def split_shares(text: str) -> tuple[float, float, float]:
    """Shares of training, validation and test that sum to 1.

    Raises:
        ParameterError: Where they are none.
    """
    try:
        numbers = [
            float(part) for part in str(text).replace("/", ";").replace(",", ";").split(";") if part.strip()
        ]
        numbers += [0.0] * (3 - len(numbers))
        training, validation, test = numbers
        if min(numbers) < 0 or training <= 0 or sum(numbers) <= 0:
            raise ValueError
    except ValueError:
        raise ParameterError(
            f"SPLIT_PERCENTAGES cannot be {text!r}.",
            "Give the shares of training, validation and test, as in 80;10;10.",
        ) from None
    total = sum(numbers)
    return training / total, validation / total, test / total
