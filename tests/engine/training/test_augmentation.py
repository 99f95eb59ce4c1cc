"""From raw batches to varied network input."""

import numpy as np
import pytest
import torch

from imagerydl.models.normalisation import Normalisation
from imagerydl.training.augmentation import BatchInput, InputRange
from imagerydl.training.augmentation_settings import AugmentationSettings, Crop, Variation

BYTES = InputRange.of_bytes(3)


def batch(count=64, height=8, width=8, bands=3):
    """Random chips; each label pixel repeats the first band, so that both can be compared."""
    images = torch.from_numpy(
        np.random.default_rng(0).integers(0, 200, (count, bands, height, width), np.uint8)
    )
    return images, images[:, 0].clone()


def test_scaling_from_bytes_to_the_unit_range():
    """U8: 0 to 255 becomes 0 to 1."""
    images, labels = batch(2)
    inputs, target = BatchInput(BYTES, AugmentationSettings(), 0)(images, labels)
    assert torch.equal(inputs, images.float() / 255)
    assert torch.equal(target, labels.long())
    assert inputs.is_contiguous(memory_format=torch.channels_last)


def test_scaling_is_that_of_inference():
    """The same numbers as the normalisation in the definition gives."""
    scale = Normalisation((100.0, 200.0), (30.0, 40.0))
    images = torch.from_numpy(np.random.default_rng(1).integers(0, 4000, (2, 2, 5, 5)).astype(np.float32))
    inputs, _ = BatchInput(InputRange.of_statistics(scale), AugmentationSettings(), 0)(
        images, torch.zeros(2, 5, 5, dtype=torch.uint8)
    )
    assert np.array_equal(inputs.numpy(), scale.apply(images.numpy()))


@pytest.mark.parametrize("width", [8, 12])
def test_symmetries_move_image_and_label_together(width):
    images, labels = batch(width=width)
    inputs, target = BatchInput(BYTES, AugmentationSettings(dihedral=1.0), 3)(images, labels)
    assert torch.equal((inputs[:, 0] * 255).round().long(), target)
    found = set()
    for before, after in zip(labels.long(), target):
        for choice in range(8):
            turned = torch.rot90(before.flip(-1) if choice & 4 else before, choice & 3, (0, 1))
            if turned.shape == after.shape and torch.equal(turned, after):
                found.add(choice)
    assert found == (set(range(8)) if width == 8 else {0, 2, 4, 6})


def test_mirroring():
    images, labels = batch()
    inputs, target = BatchInput(BYTES, AugmentationSettings(mirror=0.5), 3)(images, labels)
    assert torch.equal((inputs[:, 0] * 255).round().long(), target)
    mirrored = (target == labels.long().flip(-1)).all(dim=(1, 2))
    assert 16 < mirrored.sum() < 48


def test_brightness_shifts_every_chip_by_its_own_amount():
    """U21: bright images are seen in training."""
    images = torch.full((500, 3, 4, 4), 128, dtype=torch.uint8)
    settings = AugmentationSettings(brightness=Variation(0.4, 0.6))
    inputs, _ = BatchInput(BYTES, settings, 0)(images, torch.zeros(500, 4, 4, dtype=torch.uint8))
    means = inputs.mean(dim=(1, 2, 3)) - 128 / 255
    assert -0.1 <= means.min() < -0.09
    assert 0.09 < means.max() <= 0.1001


def test_contrast_stretches_around_the_mean_and_stays_in_range():
    images, labels = batch()
    settings = AugmentationSettings(contrast=Variation(1.5, 1.5))
    inputs, _ = BatchInput(BYTES, settings, 0)(images, labels)
    plain = images.float() / 255
    middle = plain.mean(dim=(1, 2, 3), keepdim=True)
    assert torch.allclose(inputs, ((plain - middle) * 1.5 + middle).clamp(0, 1), atol=1e-6)


@pytest.mark.parametrize("degrees", [90, 180])
def test_turning_moves_image_and_label_together(degrees):
    images, labels = batch(4)
    settings = AugmentationSettings(rotate=Variation(degrees, degrees))
    inputs, target = BatchInput(BYTES, settings, 0)(images, labels)
    assert torch.allclose(inputs[:, 0] * 255, target.float(), atol=0.01)
    assert torch.equal(target, torch.rot90(labels.long(), -degrees // 90, (1, 2))) or torch.equal(
        target, torch.rot90(labels.long(), degrees // 90, (1, 2))
    )


def test_zooming_shows_the_middle():
    labels = torch.zeros(1, 8, 8, dtype=torch.uint8)
    labels[:, 2:6, 2:6] = 1
    images = (labels * 100)[:, None].repeat(1, 3, 1, 1)
    _, target = BatchInput(BYTES, AugmentationSettings(zoom=Variation(2, 2)), 0)(images, labels)
    assert target.sum() == 64


def test_crops_of_image_and_label_match():
    images, labels = batch(16, 20, 30)
    inputs, target = BatchInput(BYTES, AugmentationSettings(crop=Crop(8)), 0)(images, labels)
    assert inputs.shape == (16, 3, 8, 8)
    assert torch.equal((inputs[:, 0] * 255).round().long(), target)
    centre = Crop(8, 1.0, (0.5, 0.5), (0.5, 0.5))
    _, target = BatchInput(BYTES, AugmentationSettings(crop=centre), 0)(images, labels)
    assert torch.equal(target, labels[:, 6:14, 11:19].long())


def test_a_variation_with_probability_0_never_happens():
    images, labels = batch()
    settings = AugmentationSettings(brightness=Variation(0.9, 0.9, 0.0), rotate=Variation(45, 45, 0.0))
    inputs, target = BatchInput(BYTES, settings, 0)(images, labels)
    assert torch.allclose(inputs, images.float() / 255, atol=1e-5)
    assert torch.equal(target, labels.long())


def test_the_last_epochs_are_only_cropped():
    images, labels = batch()
    varied = BatchInput(BYTES, AugmentationSettings(dihedral=1, brightness=Variation(0.4, 0.6)), 5, 2)
    plain = BatchInput(BYTES, AugmentationSettings(), 5)
    for epoch, same in ((0, False), (1, False), (2, True), (3, True), (1, False)):
        varied.restart(epoch)
        assert torch.equal(varied(images, labels)[0], plain(images, labels)[0]) == same
    cropped = BatchInput(BYTES, AugmentationSettings(dihedral=1, crop=Crop(4)), 5, 0)
    assert cropped(images, labels)[1].shape[1:] == (4, 4)


def test_an_epoch_varies_the_same_way_whenever_it_is_run():
    images, labels = batch()
    varied = BatchInput(BYTES, AugmentationSettings(dihedral=1, brightness=Variation(0.4, 0.6)), 5)
    varied.restart(3)
    first, _ = varied(images, labels)
    second, _ = varied(images, labels)
    varied.restart(3)
    again, _ = varied(images, labels)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
