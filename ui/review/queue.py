"""The objects of a layer in the order they are reviewed in, and which of them it is now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

from ...engine.imagerydl.assessment.review import LEAST_SURE, Finding, Summary, choose, ordered, summarise
from .verdicts import Verdicts


@dataclass(frozen=True)
class Filters:
    """Which objects are reviewed, and in which order.

    Attributes:
        label: Their class; None for all.
        at_least: Least confidence; None for any.
        at_most: Largest confidence; None for any.
        order: One of the engine's orders.
        only_pending: Whether those with a verdict are left out.
    """

    label: Optional[str] = None
    at_least: Optional[float] = None
    at_most: Optional[float] = None
    order: str = LEAST_SURE
    only_pending: bool = False


class ReviewQueue:
    """The queue. An object that gets its verdict stays in it, so that one may go back.

    Args:
        verdicts: The layer.

    Attributes:
        findings: All objects of the layer by feature id.
        numbers: Ids of those in the queue.
        place: Position of the present one; behind the last one at the end.
    """

    def __init__(self, verdicts: Verdicts) -> None:
        self._verdicts = verdicts
        self._filters = Filters()
        self._edited: set[int] = set()
        self.findings: dict[int, Finding] = {finding.number: finding for finding in verdicts.findings()}
        self.numbers: list[int] = []
        self.place = 0

    def line_up(self, filters: Filters) -> None:
        """Begin anew, at the first object without a verdict."""
        self._filters = filters
        queue = ordered(self.chosen(), filters.order)
        if filters.only_pending:
            queue = [finding for finding in queue if not finding.is_reviewed]
        self.numbers = [finding.number for finding in queue]
        self.place = next((place for place, finding in enumerate(queue) if not finding.is_reviewed), 0)

    def chosen(self) -> list[Finding]:
        """All objects that pass the filters, with and without a verdict."""
        filters = self._filters
        labels = None if filters.label is None else {filters.label}
        return choose(list(self.findings.values()), labels, filters.at_least, filters.at_most)

    def summary(self) -> Summary:
        """What the verdicts on those amount to."""
        return summarise(self.chosen())

    @property
    def current(self) -> Optional[Finding]:
        """The present object; None behind the last one."""
        return self.findings[self.numbers[self.place]] if self.place < len(self.numbers) else None

    def step(self, by: int) -> None:
        """Go on, or back."""
        self.place = max(0, min(self.place + by, len(self.numbers)))

    def go_to(self, numbers: Iterable[int]) -> bool:
        """Go to the first of these objects that is in the queue; whether there was one."""
        found = next((number for number in numbers if number in self.numbers), None)
        if found is not None:
            self.place = self.numbers.index(found)
        return found is not None

    def note(self, numbers: Iterable[int]) -> None:
        """Remember that objects were edited, here or elsewhere, or are gone."""
        self._edited.update(numbers)

    def catch_up(self) -> list[int]:
        """Look again at what was edited; its ids. The queue stays, without what is gone."""
        edited, here = sorted(self._edited), self.current
        self._edited.clear()
        found = {finding.number: finding for finding in self._verdicts.findings(edited)} if edited else {}
        self.findings.update(found)
        gone = set(edited) - set(found)
        for number in gone:
            self.findings.pop(number, None)
        if gone:
            self.numbers = [number for number in self.numbers if number in self.findings]
            if here is None or not self.go_to([here.number]):
                self.place = min(self.place, len(self.numbers))
        return edited
