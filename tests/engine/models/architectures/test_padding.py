"""Images of any size for networks that halve them."""

import pytest
import torch

from imagerydl.models.architectures.padding import pad_to_multiple


def test_the_image_is_mirrored_to_the_right_and_below():
    image = torch.arange(15.0).reshape(1, 1, 3, 5)
    padded = pad_to_multiple(image, 4)
    assert padded.shape == (1, 1, 4, 8)
    assert padded[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 3, 2, 1]
    assert padded[0, 0, 3].tolist() == padded[0, 0, 1].tolist()


def test_a_thin_image_repeats_its_edge():
    padded = pad_to_multiple(torch.tensor([[[[1.0, 2.0]]]]), 8)
    assert padded.shape == (1, 1, 8, 8)
    assert padded[0, 0, 5].tolist() == [1, 2, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("size", [16, 48])
def test_nothing_is_copied_where_nothing_is_to_add(size):
    image = torch.zeros(1, 3, size, 16)
    assert pad_to_multiple(image, 16) is image
