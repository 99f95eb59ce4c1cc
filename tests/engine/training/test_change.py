"""From chips of two dates to a map of change."""

import numpy as np
import pytest
import rasterio
from affine import Affine

from imagerydl.errors import DataError, ModelDefinitionError
from imagerydl.jobs import make_job, run_job
from imagerydl.models.definition import load_definition
from imagerydl.training.chips import collect_chips
from imagerydl.training.dataset import load_chips

CLASSES = ((0, "NoChange"), (1, "Change"))


def two_dates(count, size=32, bands=2, seed=0):
    """Quarters that are dark or bright at each date; change is where they are not the same."""
    random = np.random.default_rng(seed)
    block = np.ones((size // 2, size // 2))
    for _ in range(count):
        states = random.integers(0, 2, (2, 2, 2))
        pictures = [
            np.kron(state, block) * 130 + 60 + random.normal(0, 8, (bands, size, size)) for state in states
        ]
        before, after = (picture.clip(0, 255).astype(np.uint8) for picture in pictures)
        yield before, after, np.kron(states[0] != states[1], block).astype(np.uint8)


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", "GTiff", count=len(data), height=data.shape[1], width=data.shape[2], dtype=data.dtype,
        crs="EPSG:32633", transform=Affine(0.5, 0, 500000, 0, -0.5, 5000000),
    ) as file:  # fmt: skip
        file.write(data)
    return str(path)


@pytest.fixture
def change_folder(export, tmp_path):
    """An exported folder of Classified_Tiles with images2; ``lacking`` chips have no second date."""

    def make(count=4, lacking=0):
        chips = list(two_dates(count))
        folder = export(tmp_path / "chips", [(before, label) for before, _, label in chips], CLASSES)
        for number, (_, after, _) in enumerate(chips[lacking:], start=lacking):
            write(folder / "images2" / f"{number:012d}.tif", after)
        return folder

    return make


def test_a_chip_of_two_dates_has_the_bands_of_the_first_and_then_those_of_the_second(change_folder, listener):
    """E28: images, images2, labels."""
    folder, chips = change_folder(4, lacking=1), list(two_dates(4))
    data = load_chips(collect_chips([folder], two_dates=True), (), 10**9, listener.reporter)
    assert data.shape == (4, 32, 32)
    images, labels = data.take(np.arange(3))
    for number, (before, after, label) in enumerate(chips[1:]):
        np.testing.assert_array_equal(images[number], np.concatenate([before, after]))
        np.testing.assert_array_equal(np.array(data.channels.values)[labels[number]], label)
    assert any("000000000000.tif: it has no second date" in text for text in listener.texts("warning"))


def test_a_second_date_is_left_aside_where_one_is_asked_for(change_folder, listener):
    data = load_chips(collect_chips([change_folder()]), (), 10**9, listener.reporter)
    assert data.shape == (2, 32, 32)


def test_chips_of_one_date_teach_no_change(toy_folder):
    with pytest.raises(DataError, match="second date") as caught:
        collect_chips([toy_folder], two_dates=True)
    assert "IN_RASTER2" in caught.value.fix


def test_a_damaged_second_date_is_listed_and_left_out(change_folder, listener):
    folder = change_folder()
    write(folder / "images2" / "000000000002.tif", np.zeros((3, 32, 32), np.uint8))
    data = load_chips(collect_chips([folder], two_dates=True), (), 10**9, listener.reporter)
    assert len(data) == 3
    assert any(
        "its second date: it is 32 x 32 pixels with 3 bands" in text for text in listener.texts("warning")
    )


def test_a_trained_change_detector_finds_the_change_in_rasters(
    change_folder, train_values, listener, tmp_path
):
    """Chips of two dates choose CHANGEDETECTOR by themselves; Detect Change runs what it learnt."""
    values = {**train_values, "IN_FOLDER": [str(change_folder(48))], "MAX_EPOCHS": 10}
    trained = run_job(make_job("trainmodel", values), listener.reporter)
    definition = load_definition(trained["OUT_MODEL_DEFINITION"])
    assert definition.model_name == "CHANGEDETECTOR"
    assert definition.extract_bands == (0, 1, 2, 3)

    before, after, label = (np.concatenate(rows, axis=-1) for rows in zip(*two_dates(4, seed=9)))
    first, second = write(tmp_path / "a.tif", before), write(tmp_path / "b.tif", after)
    job = {
        "FROM_RASTER": first,
        "TO_RASTER": second,
        "IN_MODEL_DEFINITION": trained["OUT_MODEL_PACKAGE"],
        "OUT_CLASSIFIED_RASTER": str(tmp_path / "change.tif"),
        "DEVICE": "CPU",
    }
    listener.resume()
    run_job(make_job("detectchange", job), listener.reporter)
    assert not listener.texts("warning")
    with rasterio.open(job["OUT_CLASSIFIED_RASTER"]) as file:
        assert (file.read(1) == label).mean() > 0.9

    wrong = {"IN_RASTER": [first], "OUT_CLASSIFIED_RASTER": str(tmp_path / "c.tif"), "DEVICE": "CPU"}
    classify = make_job("classifypixels", {**wrong, "IN_MODEL_DEFINITION": trained["OUT_MODEL_PACKAGE"]})
    with pytest.raises(ModelDefinitionError, match="compares two dates"):
        run_job(classify, listener.reporter)
