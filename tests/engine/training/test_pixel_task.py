"""The learning rate over a training."""

import pytest
import torch

from imagerydl.training.pixel_task import PLAIN_RATE, OneCycle, Optimisation

STEPS, PEAK = 100, 1e-3


def schedule(plain_from, state=None):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.AdamW([parameter], lr=PEAK)
    cycle = OneCycle(optimiser, Optimisation(PEAK, 0.0, STEPS, plain_from))
    if state:
        cycle.load_state_dict(state)
    return optimiser, cycle


def walk(optimiser, cycle, steps):
    """The rate of each step made."""
    rates = []
    for _ in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        cycle.step()
    return rates


def test_one_cycle_rises_and_falls_to_nothing():
    rates = walk(*schedule(None), STEPS)
    assert max(rates) == pytest.approx(PEAK, rel=1e-3)
    assert 10 < rates.index(max(rates)) < 20
    assert rates[-1] < PEAK / 100


def test_where_chips_are_no_longer_varied_the_rate_starts_anew():
    whole, ends_plain = walk(*schedule(None), STEPS), walk(*schedule(85), STEPS)
    assert ends_plain[:85] == whole[:85]
    assert ends_plain[85] == pytest.approx(PLAIN_RATE * PEAK)
    falls = [later - earlier for earlier, later in zip(ends_plain[85:], ends_plain[86:])]
    assert falls == pytest.approx([-PLAIN_RATE * PEAK / 15] * 14)


@pytest.mark.parametrize("at", [40, 84, 85, 90])
def test_a_resumed_schedule_goes_on_where_it_was(at):
    unbroken = walk(*schedule(85), STEPS)
    optimiser, cycle = schedule(85)
    walk(optimiser, cycle, at)
    resumed, rest = schedule(85, cycle.state_dict())
    resumed.load_state_dict(optimiser.state_dict())
    assert walk(resumed, rest, STEPS - at) == unbroken[at:]
