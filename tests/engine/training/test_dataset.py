"""Chips in memory, or read as needed."""

import numpy as np
import pytest
import rasterio

from imagerydl.errors import CancelledError, DataError, TrainingError
from imagerydl.training.batches import ChipBatches
from imagerydl.training.channels import IGNORED
from imagerydl.training.chips import collect_chips
from imagerydl.training.dataset import load_chips, split

PLENTY = 10**9


def load(folder, listener, budget=PLENTY, ignored=()):
    return load_chips(collect_chips([folder]), ignored, budget, listener.reporter)


def test_chips_and_channels_are_what_lies_on_disk(toy_folder, listener):
    data = load(toy_folder, listener)
    assert len(data) == 12
    with rasterio.open(data.pairs[3].image) as image, rasterio.open(data.pairs[3].label) as label:
        assert np.array_equal(data.images[3], image.read())
        assert np.array_equal(data.labels[3] + 1, label.read(1))


def test_reading_as_needed_gives_the_same_batches(toy_folder, listener):
    """Where chips do not fit in memory."""
    kept, streamed = load(toy_folder, listener), load(toy_folder, listener, budget=0)
    assert streamed.images is None
    assert "do not fit in memory" in listener.texts()[-1]
    batches = [list(ChipBatches(data, np.arange(12), 5, seed=1)) for data in (kept, streamed)]
    assert [len(images) for images, _ in batches[0]] == [5, 5, 2]
    for (images, labels), (same_images, same_labels) in zip(*batches):
        assert np.array_equal(images, same_images)
        assert np.array_equal(labels, same_labels)


def test_a_corrupt_chip_is_skipped_and_listed(toy_folder, listener):
    damaged = toy_folder / "images" / "000000000005.tif"
    damaged.write_bytes(damaged.read_bytes()[:300])
    (toy_folder / "labels" / "000000000007.tif").unlink()
    data = load(toy_folder, listener)
    assert len(data) == 10
    (warning,) = listener.texts("warning")
    assert warning.startswith("2 chips were skipped")
    assert "000000000005.tif" in warning
    assert "000000000007.tif: it has no label" in warning


def test_a_chip_of_another_size_or_type_is_skipped_and_listed(tmp_path, export, toy_chips, listener):
    folder = export(tmp_path / "odd", toy_chips(4))
    other = export(tmp_path / "other", toy_chips(2, size=16))
    words = export(tmp_path / "words", toy_chips(2, dtype=np.uint16))
    (other / "images" / "000000000000.tif").replace(folder / "images" / "000000000001.tif")
    (words / "images" / "000000000001.tif").replace(folder / "images" / "000000000002.tif")
    assert len(load(folder, listener)) == 2
    (warning,) = listener.texts("warning")
    assert "16 x 16 pixels with 3 bands, not 32 x 32 with 3" in warning
    assert "uint16" in warning


def test_no_usable_chip_is_an_error(toy_folder, listener):
    for chip in (toy_folder / "images").iterdir():
        chip.write_bytes(b"not an image")
    with pytest.raises((TrainingError, DataError), match="chip"):
        load(toy_folder, listener)


def test_one_class_only_is_an_error(tmp_path, export, toy_chips, listener):
    chips = [(image, np.ones_like(label)) for image, label in toy_chips(3)]
    with pytest.raises(TrainingError, match="one class only"):
        load(export(tmp_path / "one", chips), listener)


@pytest.mark.parametrize(("dtype", "nodata"), [(np.int16, -9999), (np.float32, float("nan"))])
def test_pixels_without_data_are_not_learnt_and_do_not_swamp_their_neighbours(
    tmp_path, export, toy_chips, listener, dtype, nodata
):
    chips = list(toy_chips(3, dtype=dtype))
    for image, _ in chips:
        image[:, :4] = nodata
    data = load(export(tmp_path / "nodata", chips, nodata=nodata), listener)
    assert (data.labels[:, :4] == IGNORED).all()
    assert (data.labels[:, 4:] != IGNORED).all()
    assert (data.images[:, :, :4] == 125).all(), "the mean that the folder states"


def test_reading_can_be_cancelled(toy_folder, listener):
    listener.cancel_when = lambda event: event["event"] == "progress"
    with pytest.raises(CancelledError):
        load(toy_folder, listener)


def test_the_split_is_random_and_repeatable():
    """U9: 90 % to learn from, 10 % to validate with."""
    train, valid = split(3483, 0.1, seed=42)
    assert (len(train), len(valid)) == (3135, 348)
    assert sorted([*train, *valid]) == list(range(3483))
    assert np.array_equal(valid, split(3483, 0.1, seed=42)[1])
    assert not np.array_equal(valid, split(3483, 0.1, seed=43)[1])
    assert [len(part) for part in split(2, 0.1, seed=0)] == [1, 1]


def test_each_epoch_has_its_own_order(toy_folder, listener):
    data, epoch = load(toy_folder, listener), 0
    batches = ChipBatches(data, np.arange(12), 3, seed=1, epoch=lambda: epoch)
    first, again = next(iter(batches))[0], next(iter(batches))[0]
    epoch = 1
    other = next(iter(batches))[0]
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_last_batch_is_left_out_only_where_it_costs_little(toy_folder, listener):
    data = load(toy_folder, listener)
    sizes = {
        count: [len(images) for images, _ in ChipBatches(data, np.arange(count), 2, drop_last=True)]
        for count in (3, 5, 9)
    }
    assert sizes == {3: [2], 5: [2, 2], 9: [2, 2, 2, 2]}
    assert len(ChipBatches(data, np.arange(11), 4, drop_last=True)) == 3
