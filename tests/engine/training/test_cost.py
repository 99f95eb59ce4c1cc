"""Batch size and the work of a sweep."""

import pytest
import torch

from imagerydl.models.architectures.registry import build_network, describe_network
from imagerydl.training import cost as cost_module
from imagerydl.training.cost import NetworkCost, choose_batch_size, measure_cost
from imagerydl.training.devices import Device
from imagerydl.training.learning_rate import plan_sweep

CPU = Device(torch.device("cpu"), "CPU", "32-true")


def unet():
    return build_network("UNET", describe_network("UNET", "NONE", 0.5), 3, 6)


def test_cost_is_known_without_computing():
    network = unet()
    small, large = measure_cost(network, (3, 32, 32)), measure_cost(network, (3, 64, 64))
    assert large.activations == 4 * small.activations
    assert large.operations == 4 * small.operations
    # The first convolution alone: 16 filters of 3 x 3 x 3 in every pixel.
    assert small.operations > 16 * 27 * 32 * 32


@pytest.mark.parametrize(
    ("gigabytes", "chips", "normalised", "expected"),
    [(64, 3000, False, 4), (64, 3000, True, 8), (64, 40, True, 4), (64, 3, True, 2), (0.2, 3000, False, 2)],
)
def test_the_batch_fits_the_memory_and_the_chips(monkeypatch, gigabytes, chips, normalised, expected):
    """BATCH_SIZE empty: chosen from memory."""
    monkeypatch.setattr(cost_module, "available_memory", lambda: int(gigabytes * 1024**3))
    network = unet()
    if normalised:
        network.normal = torch.nn.BatchNorm2d(16)
    cost = measure_cost(network, (3, 160, 160))
    assert choose_batch_size(cost, chips, CPU) == expected


def test_a_sweep_is_shorter_for_a_heavier_network():
    assert plan_sweep(NetworkCost(1, 10**8), 16, CPU) == (40, 16)
    steps, chips = plan_sweep(NetworkCost(1, 10**11), 16, CPU)
    assert chips == 2
    assert steps == 15
