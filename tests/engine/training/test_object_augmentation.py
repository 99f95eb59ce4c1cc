"""Boxes and outlines go where the pixels go."""

import numpy as np
import pytest
import torch

from imagerydl.training.augmentation import InputRange, turned
from imagerydl.training.augmentation_settings import AugmentationSettings, Crop, Variation
from imagerydl.training.object_augmentation import (
    ChipObjects,
    ObjectInput,
    boxes_of_masks,
    turned_boxes,
    visible,
)

HEIGHT, WIDTH = 40, 60
BOX = (12, 5, 27, 17)


def picture_of(box, height=HEIGHT, width=WIDTH):
    image = torch.zeros(1, height, width, dtype=torch.uint8)
    left, top, right, bottom = box
    image[0, top:bottom, left:right] = 255
    return image


def one_object(box=BOX, masks=None):
    return ChipObjects(torch.tensor([box], dtype=torch.float32), torch.tensor([0]), masks)


def varied(image, objects, seed=0, **settings):
    """One chip after its variations: network input 0 to 1, and its objects."""
    make = ObjectInput(InputRange.of_bytes(1), AugmentationSettings(**settings), seed)
    batch, found = make(image[None], [objects])
    return batch[0], found[0]


@pytest.mark.parametrize("choice", range(8))
def test_a_box_turns_with_its_image(choice):
    image = turned(picture_of(BOX), choice)
    moved = turned_boxes(one_object().boxes, choice, HEIGHT, WIDTH)
    assert torch.equal(moved, boxes_of_masks(image))


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_drawn_the_box_lies_on_the_pixels(seed):
    """In map space and in pixel space; the chip is not square."""
    image, found = varied(picture_of(BOX), one_object(), seed, dihedral=1.0, mirror=0.5)
    assert torch.equal(found.boxes, boxes_of_masks(image > 0.5))


@pytest.mark.parametrize("seed", range(4))
def test_a_box_follows_turns_by_any_angle_and_zooms(seed):
    settings = {"rotate": Variation(-40, 40), "zoom": Variation(0.8, 1.3)}
    box = (24, 14, 38, 26)
    image, found = varied(picture_of(box), one_object(box), seed, **settings)
    assert (found.boxes - boxes_of_masks(image > 0.3)).abs().max() <= 1.5


def test_a_mask_follows_and_its_box_is_tight():
    mask = picture_of(BOX)
    settings = {"rotate": Variation(30, 30), "zoom": Variation(1.2, 1.2)}
    image, found = varied(mask, one_object(masks=(mask > 0).to(torch.uint8)), **settings)
    agreement = ((image > 0.5) == (found.masks > 0)).float().mean()
    assert agreement > 0.98
    assert torch.equal(found.boxes, boxes_of_masks(found.masks))


def test_a_crop_cuts_boxes_and_drops_those_that_are_hardly_there():
    objects = ChipObjects(
        torch.tensor([[0.0, 0, 10, 10], [18, 18, 28, 28], [19, 0, 39, 10]]), torch.tensor([0, 1, 2])
    )
    crop = Crop(20, rows=(0, 0), columns=(0, 0))
    image, found = varied(torch.zeros(1, 40, 40, dtype=torch.uint8), objects, crop=crop)
    assert image.shape == (1, 20, 20)
    assert found.boxes.tolist() == [[0, 0, 10, 10]]
    assert found.labels.tolist() == [0]


def test_objects_that_left_the_chip_are_dropped():
    objects = ChipObjects(torch.tensor([[-8.0, 0, 12, 10], [-15, 0, 5, 10]]), torch.tensor([3, 4]))
    kept = visible(objects, (40, 40))
    assert (kept.boxes.tolist(), kept.labels.tolist()) == ([[0, 0, 12, 10]], [3])


def test_an_epoch_is_varied_alike_whenever_it_is_run():
    settings = AugmentationSettings(dihedral=1.0, brightness=Variation(0.3, 0.7), zoom=Variation(0.7, 1.4))
    images = torch.randint(0, 255, (3, 2, 32, 32), dtype=torch.uint8)
    objects = [one_object() for _ in range(3)]
    make = ObjectInput(InputRange.of_bytes(2), settings, 5)
    make.restart(4)
    first, boxes = make(images, objects)
    make.restart(4)
    again, same = make(images, objects)
    assert torch.equal(first, again)
    assert all(torch.equal(a.boxes, b.boxes) for a, b in zip(boxes, same))
    assert not np.allclose(first, images / 255)
