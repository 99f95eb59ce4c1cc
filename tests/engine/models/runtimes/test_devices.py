"""What DEVICE means here."""

import pytest

from imagerydl.errors import ParameterError
from imagerydl.models.runtimes import devices
from imagerydl.models.runtimes.devices import Device, choose_device


@pytest.fixture
def with_cards(monkeypatch):
    return lambda count: monkeypatch.setattr(devices, "cuda_device_count", lambda: count)


def test_auto_takes_what_is_there(with_cards):
    with_cards(0)
    assert choose_device("auto") == Device("cpu", is_demanded=False)
    with_cards(2)
    assert choose_device("") == Device("cuda", 0, is_demanded=False)


def test_a_named_device_is_taken_or_refused(with_cards):
    with_cards(2)
    assert choose_device("cuda") == Device("cuda", 0)
    assert choose_device("CUDA:1").name == "CUDA:1"
    assert choose_device("cpu").name == "CPU"
    with pytest.raises(ParameterError, match=r"CUDA:2, but this machine has 2 CUDA device"):
        choose_device("CUDA:2")
    with_cards(0)
    with pytest.raises(ParameterError, match="has no CUDA device"):
        choose_device("CUDA")


@pytest.mark.parametrize("text", ["GPU", "CUDA:", "CUDA:x", "CUDA:-1", "CPU:0"])
def test_anything_else_is_refused(text):
    with pytest.raises(ParameterError, match="DEVICE cannot be"):
        choose_device(text)


def test_counting_cards_needs_no_library():
    assert devices.cuda_device_count() >= 0
