"""A person's verdicts on detected or classified objects: what to look at next, and what they amount to.

Standard library only: the QGIS side uses it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Optional

PENDING, APPROVED, REJECTED = "Pending", "Approved", "Rejected"

#: Orders in which objects are looked at.
LEAST_SURE, MOST_SURE, AT_RANDOM, AS_STORED = "LEAST_SURE", "MOST_SURE", "AT_RANDOM", "AS_STORED"
ORDERS = (LEAST_SURE, AT_RANDOM, MOST_SURE, AS_STORED)

#: Standard deviations on either side that hold 95 % of a normal distribution.
_NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Finding:
    """An object under review.

    Attributes:
        number: Its feature id.
        label: The class it was found as, as text: what filters and precision are about.
        confidence: As the layer has it; None where it has none.
        status: One of PENDING, APPROVED and REJECTED.
        is_corrected: Whether its class or outline was corrected.
        true_label: The class it was corrected to; "" where that is the one it was found as.
    """

    number: int
    label: str = ""
    confidence: Optional[float] = None
    status: str = PENDING
    is_corrected: bool = False
    true_label: str = ""

    @property
    def is_reviewed(self) -> bool:
        """Whether there is a verdict."""
        return self.status != PENDING

    @property
    def present_label(self) -> str:
        """The class it has now."""
        return self.true_label or self.label

    @property
    def is_right(self) -> bool:
        """Whether it was approved as it was found."""
        return self.status == APPROVED and not self.is_corrected


@dataclass(frozen=True)
class Precision:
    """The share of objects that are right.

    Attributes:
        share: The estimate, 0 to 1.
        low: Lower end of its 95 % interval.
        high: Upper end.
        count: Objects it rests on.
        is_exact: Whether those are all: then there is nothing to estimate.
    """

    share: float
    low: float
    high: float
    count: int
    is_exact: bool


@dataclass(frozen=True)
class Summary:
    """What the verdicts amount to.

    Attributes:
        total: Objects.
        approved: Approved ones, corrected ones included.
        rejected: Rejected ones.
        corrected: Approved ones whose class or outline was corrected.
        precision: None until one object drawn at random has its verdict.
    """

    total: int
    approved: int
    rejected: int
    corrected: int
    precision: Optional[Precision]

    @property
    def reviewed(self) -> int:
        """Objects with a verdict."""
        return self.approved + self.rejected


def choose(
    findings: Iterable[Finding],
    labels: Optional[Collection[str]] = None,
    at_least: Optional[float] = None,
    at_most: Optional[float] = None,
) -> list[Finding]:
    """The objects of some classes and confidences; those without a confidence pass where no limit is set.

    Args:
        findings: All objects.
        labels: Classes; None for all.
        at_least: Least confidence.
        at_most: Largest confidence.
    """
    low = -math.inf if at_least is None else at_least
    high = math.inf if at_most is None else at_most
    limited = at_least is not None or at_most is not None
    return [
        finding
        for finding in findings
        if (labels is None or finding.label in labels)
        and (not limited if finding.confidence is None else low <= finding.confidence <= high)
    ]


def ordered(findings: Sequence[Finding], order: str) -> list[Finding]:
    """The objects in one of :data:`ORDERS`; those without a confidence come first, as nobody is sure of them.

    Raises:
        ValueError: For another order.
    """
    if order == AS_STORED:
        return list(findings)
    if order == AT_RANDOM:
        return sorted(findings, key=lambda finding: _place(finding.number))
    if order not in ORDERS:
        raise ValueError(f"{order!r} is none of {', '.join(ORDERS)}")
    sign = 1 if order == LEAST_SURE else -1
    return sorted(
        findings,
        key=lambda finding: (
            finding.confidence is not None,
            sign * (finding.confidence or 0.0),
            finding.number,
        ),
    )


def summarise(findings: Sequence[Finding]) -> Summary:
    """Count verdicts and estimate the precision.

    Objects reviewed because they looked doubtful say nothing about the others. The estimate therefore rests
    on those at the head of the random order up to the first one without a verdict: whatever else was
    reviewed, they are a random sample.
    """
    reviewed = [finding for finding in findings if finding.is_reviewed]
    approved = [finding for finding in reviewed if finding.status == APPROVED]
    drawn: list[Finding] = []
    for finding in ordered(findings, AT_RANDOM):
        if not finding.is_reviewed:
            break
        drawn.append(finding)
    return Summary(
        total=len(findings),
        approved=len(approved),
        rejected=len(reviewed) - len(approved),
        corrected=sum(finding.is_corrected for finding in approved),
        precision=_precision(sum(finding.is_right for finding in drawn), len(drawn), len(findings)),
    )


def wilson_interval(successes: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share: Wilson (1927), which holds for few trials and shares near 0 and 1."""
    share, square = successes / count, _NORMAL_95**2
    middle = share + square / (2 * count)
    half = _NORMAL_95 * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    low, high = (middle - half) / (1 + square / count), (middle + half) / (1 + square / count)
    return max(0.0, low), min(1.0, high)


def _precision(right: int, count: int, total: int) -> Optional[Precision]:
    if not count:
        return None
    share = right / count
    if count == total:
        return Precision(share, share, share, count, True)
    return Precision(share, *wilson_interval(right, count), count, False)


@lru_cache(maxsize=1_000_000)
def _place(number: int) -> bytes:
    # By a hash of its number, an object keeps its place when others come or go.
    return hashlib.sha256(f"review {number}".encode()).digest()
