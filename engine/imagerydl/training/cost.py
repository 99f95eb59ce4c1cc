"""What a network costs per chip, found without computing anything, and the batch that fits."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from .devices import Device
from .memory import available_memory

#: Chips a step at most: beyond that 20 epochs have too few steps to learn well. A CPU takes as long
#: for two batches of 8 as for one of 16, and the network is clearly better after the same time.
LARGEST_BATCH = {"cpu": 8, "cuda": 32}

#: The same where no layer is normalised by its batch, which small batches would make unsteady: two
#: batches of 4 take a CPU a tenth longer than one of 8, and in 20 epochs that is still worth it.
LARGEST_PLAIN_BATCH = {"cpu": 4, "cuda": 32}

#: Steps an epoch has at least, so that few chips are learnt well, too.
_FEWEST_STEPS = 8

#: Share of the free memory that a step may fill.
_MEMORY_SHARE = 0.5

#: A training step keeps every activation, its gradient, and about as much for work in between.
_COPIES = 3


@dataclass(frozen=True)
class NetworkCost:
    """Cost of one chip through a network.

    Attributes:
        activations: Numbers that all layers put out.
        operations: Multiplications of all convolutions.
        batch_normalised: Whether what a chip gives in training depends on the others in its batch.
    """

    activations: int
    operations: int
    batch_normalised: bool = False


def measure_cost(network: nn.Module, shape: tuple[int, int, int]) -> NetworkCost:
    """Run a chip of ``shape`` (bands, height, width) through a copy of the network without numbers."""
    activations, operations = [0], [0]

    def count(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if isinstance(output, torch.Tensor):
            activations[0] += output.numel()
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                per_pixel = module.weight[0].numel()
                pixels = output if isinstance(module, nn.Conv2d) else inputs[0]
                operations[0] += per_pixel * pixels.numel()

    hollow = copy.deepcopy(network).to("meta").eval()
    for module in hollow.modules():
        if not any(module.children()):
            module.register_forward_hook(count)
    with torch.no_grad():
        hollow(torch.empty((1, *shape), device="meta"))
    normalised = any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    return NetworkCost(activations[0], operations[0], normalised)


def choose_batch_size(cost: NetworkCost, chips: int, device: Device) -> int:
    """The largest power of 2 that fits in memory, up to an eighth of the chips and :data:`LARGEST_BATCH`.

    Without batch normalisation :data:`LARGEST_PLAIN_BATCH` counts. At least 2 where there are two
    chips: batch normalisation needs them.
    """
    free = available_memory() if device.is_cpu else torch.cuda.mem_get_info(device.torch)[0]
    fitting = free * _MEMORY_SHARE / (_COPIES * 4 * max(1, cost.activations))
    allowed = (LARGEST_BATCH if cost.batch_normalised else LARGEST_PLAIN_BATCH)[device.torch.type]
    largest = max(2, min(allowed, chips // _FEWEST_STEPS, int(fitting)))
    return min(chips, 2 ** (largest.bit_length() - 1))
