"""DEVICE."""

import pytest
import torch

from imagerydl.errors import ParameterError
from imagerydl.training.devices import choose_device


def test_the_cpu_is_always_there():
    device = choose_device("cpu")
    assert device.is_cpu
    assert device.description.startswith("CPU")


def test_auto_takes_a_gpu_where_there_is_one():
    assert choose_device("AUTO").torch.type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["CUDA:99", "TPU", "CUDA:x"])
def test_a_device_that_is_not_there_is_named(name):
    with pytest.raises(ParameterError, match=name):
        choose_device(name)
