"""What a person's verdicts amount to."""

import random

import pytest

from imagerydl.assessment.review import (
    APPROVED,
    AS_STORED,
    AT_RANDOM,
    LEAST_SURE,
    MOST_SURE,
    REJECTED,
    Finding,
    choose,
    ordered,
    summarise,
    wilson_interval,
)

FOUND = [
    Finding(1, "car", 90.0),
    Finding(2, "bus", 40.0),
    Finding(3, "car", None),
    Finding(4, "car", 60.0),
    Finding(5, "bus", 40.0),
]


@pytest.mark.parametrize(
    ("order", "numbers"),
    [(LEAST_SURE, [3, 2, 5, 4, 1]), (MOST_SURE, [3, 1, 4, 2, 5]), (AS_STORED, [1, 2, 3, 4, 5])],
)
def test_orders(order, numbers):
    """W6: the doubtful ones first; what has no confidence is the most doubtful."""
    assert [finding.number for finding in ordered(FOUND, order)] == numbers


def test_the_random_order_is_the_same_each_time_and_survives_deletions():
    many = [Finding(number) for number in range(200)]
    order = [finding.number for finding in ordered(many, AT_RANDOM)]
    assert order != sorted(order)
    assert sorted(order) == list(range(200))
    left = [finding for finding in reversed(many) if finding.number % 3]
    assert [finding.number for finding in ordered(left, AT_RANDOM)] == [n for n in order if n % 3]


def test_classes_and_confidences_are_chosen():
    assert [finding.number for finding in choose(FOUND, {"car"})] == [1, 3, 4]
    assert [finding.number for finding in choose(FOUND, at_least=40, at_most=60)] == [2, 4, 5]
    assert len(choose(FOUND)) == 5


def test_verdicts_are_counted():
    found = [
        Finding(1, status=APPROVED), Finding(2, status=APPROVED, is_corrected=True),
        Finding(3, status=REJECTED), Finding(4),
    ]  # fmt: skip
    told = summarise(found)
    assert (told.total, told.reviewed, told.approved, told.rejected, told.corrected) == (4, 3, 2, 1, 1)


def test_a_precision_of_all_is_no_estimate_and_corrected_ones_were_not_right():
    found = [Finding(n, status=APPROVED if n < 8 else REJECTED, is_corrected=n == 0) for n in range(10)]
    precision = summarise(found).precision
    assert precision.is_exact
    assert precision.share == precision.low == precision.high == pytest.approx(0.7)


def test_doubtful_ones_reviewed_first_do_not_spoil_the_estimate():
    """Only the head of the random order counts, so the worst objects cannot come in before their turn."""
    wrong = set(range(20))
    found = [Finding(number, "", float(number)) for number in range(400)]
    head = {finding.number for finding in ordered(found, AT_RANDOM)[:100]}

    def judged(number):
        return Finding(number, "", float(number), REJECTED if number in wrong else APPROVED)

    random_only = [judged(f.number) if f.number in head else f for f in found]
    with_doubtful = [judged(f.number) if f.number in head | wrong else f for f in found]
    assert summarise(with_doubtful).rejected == 20
    assert summarise(random_only).precision.share == summarise(with_doubtful).precision.share
    assert summarise(with_doubtful).precision.low < 0.95 < summarise(with_doubtful).precision.high


def test_no_verdict_at_the_head_of_the_random_order_no_estimate():
    found = [Finding(number) for number in range(10)]
    last = ordered(found, AT_RANDOM)[-1].number
    assert (
        summarise([Finding(n, status=APPROVED if n == last else "Pending") for n in range(10)]).precision
        is None
    )


def test_the_interval_is_wilsons():
    """Its ends are the shares p from which 8 of 10 lies 1.96 standard errors of p away."""
    for end in wilson_interval(8, 10):
        assert abs(0.8 - end) / (end * (1 - end) / 10) ** 0.5 == pytest.approx(1.959964, abs=1e-6)
    assert wilson_interval(10, 10)[1] == pytest.approx(1)
    assert wilson_interval(0, 10)[0] == pytest.approx(0)


def test_the_interval_holds_the_true_share_as_often_as_it_says():
    draw = random.Random(7)
    held = 0
    for _ in range(2000):
        right = sum(draw.random() < 0.9 for _ in range(60))
        low, high = wilson_interval(right, 60)
        held += low <= 0.9 <= high
    assert 0.93 <= held / 2000 <= 0.975
