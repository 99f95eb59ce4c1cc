"""The learning-rate finder."""

import math
from itertools import repeat

import pytest
import torch
from torch import nn

from imagerydl.training.augmentation import BatchInput, InputRange
from imagerydl.training.augmentation_settings import AugmentationSettings
from imagerydl.training.devices import Device
from imagerydl.training.learning_rate import BOUNDS, _turned, find_learning_rate, suggest
from imagerydl.training.losses import PixelLoss
from imagerydl.training.settings import LossSettings

RATES = [10 ** (-5 + 4 * i / 39) for i in range(40)]


def test_where_the_loss_never_turns_the_answer_lies_well_below_the_lowest():
    lowest = [1 + (math.log10(rate) + 3) ** 2 for rate in RATES]  # lowest at 0.001
    assert 1e-4 < suggest(RATES, lowest) < 9e-4


def test_where_the_loss_turned_the_answer_lies_below_that():
    steps = next(i for i, rate in enumerate(RATES) if rate > 2e-3) + 1
    assert 7e-4 < suggest(RATES, [2.0] * steps) < 1e-3


def test_the_answer_is_sane_whatever_the_sweep_saw():
    assert suggest(RATES, [math.nan]) == BOUNDS[0]
    assert suggest(RATES, [1.0 + i for i in range(40)]) == BOUNDS[0]
    assert suggest(RATES, [100.0 - i for i in range(40)]) == BOUNDS[1]


@pytest.mark.parametrize(
    ("losses", "turned"),
    [
        ([2.5, 2.4, 2.6, 2.5, 2.4, 2.6], False),  # nothing learnt yet: it trembles
        ([2.5, 2.4, 2.2, 2.0, 1.8, 1.6, 1.4, 1.6], False),
        ([2.5, 2.4, 2.2, 2.0, 1.8, 1.6, 1.8, 2.4, 3.0], True),
        ([2.5, 2.4, 2.4, 544.0], True),
        ([2.5, math.nan], True),
    ],
)
def test_a_sweep_ends_where_the_loss_turns(losses, turned):
    assert _turned(losses) is turned


def test_the_network_is_left_as_it_was(listener):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    labels = torch.randint(2, (4, 16, 16), dtype=torch.uint8)
    rate = find_learning_rate(
        network,
        PixelLoss(LossSettings()),
        repeat(((labels * 200)[:, None], labels)),
        BatchInput(InputRange.of_bytes(1), AugmentationSettings(), 0),
        Device(torch.device("cpu"), "CPU", "32-true"),
        30,
        listener.reporter,
    )
    assert BOUNDS[0] <= rate <= BOUNDS[1]
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert listener.stages() == ["Finding a learning rate"]
