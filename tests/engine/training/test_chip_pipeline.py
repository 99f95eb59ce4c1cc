"""Whole trainings of tiny classifiers of chips."""

import csv

import numpy as np
import pytest
import torch

from imagerydl.errors import TrainingError
from imagerydl.jobs import make_job, run_job
from imagerydl.models.definition import load_definition
from imagerydl.models.runtimes import own_chip_classification
from imagerydl.models.runtimes.devices import choose_device
from imagerydl.models.runtimes.options import RunOptions
from imagerydl.training.chip_data import split_by_class
from imagerydl.training.chip_task import ChipLoss, ChipScores
from imagerydl.training.settings import LossSettings


def blobs(count=24, size=32, bands=3, both=False, seed=0):
    """Chips with a red or a blue blob in the middle; every fifth has both where ``both``."""
    random = np.random.default_rng(seed)
    disc = np.hypot(*np.mgrid[-size // 2 : size // 2, -size // 2 : size // 2]) < size / 3
    for number in range(count):
        values = [1, 2] if both and number % 5 == 0 else [number % 2 + 1]
        image = random.normal(60, 8, (bands, size, size))
        for value in values:
            image[0 if value == 1 else bands - 1] += 110 * disc
        yield image.clip(0, 255).astype(np.uint8), [(value, 0, 0, size, size) for value in values]


def train(values, listener, **changes):
    return run_job(make_job("trainmodel", {**values, **changes}), listener.reporter)


def open_classifier(result):
    definition = load_definition(result["OUT_MODEL_PACKAGE"])
    model = own_chip_classification.open_chip_classifier(definition, RunOptions(choose_device("CPU")))

    def classify(*images):
        batch = definition.normalisation.apply(np.stack(images))
        return model.probabilities(batch, np.ones((len(images), *images[0].shape[1:]), bool))

    return definition, model, classify


@pytest.fixture
def chip_values(tmp_path, object_values, export_squares):
    def make(metadata_format, chips, **changes):
        folder = export_squares(tmp_path / metadata_format, chips, metadata_format, **changes)
        return {**object_values, "IN_FOLDER": [str(folder)], "MAX_EPOCHS": 4}

    return make


@pytest.mark.parametrize("metadata_format", ["Labeled_Tiles", "Imagenet"])
def test_one_class_a_chip(chip_values, listener, metadata_format):
    """Trained, saved with its ONNX form, opened from its package."""
    result = train(chip_values(metadata_format, blobs()), listener)
    definition, model, classify = open_classifier(result)
    assert definition.model_type == "ObjectClassification"
    assert definition.onnx_file is not None
    assert definition.raw["CropSizeFixed"] == 1
    assert not model.is_multi_label
    assert model.chip_size == (32, 32)
    images, objects = zip(*blobs(8, seed=9))
    given = classify(*images)
    assert given.shape == (8, 2)
    assert np.allclose(given.sum(axis=1), 1, atol=1e-5)
    assert (given.argmax(axis=1) + 1).tolist() == [own[0][0] for own in objects]
    assert result["ACCURACY"] == 1


def test_several_classes_a_chip(chip_values, listener):
    values = chip_values("MultiLabeled_Tiles", blobs(32, both=True))
    _, model, classify = open_classifier(train(values, listener, MAX_EPOCHS=6))
    assert model.is_multi_label
    images, objects = zip(*blobs(10, both=True, seed=9))
    said = classify(*images) >= 0.5
    truth = np.array([[value in {own[0] for own in one} for value in (1, 2)] for one in objects])
    assert (said == truth).mean() >= 0.9


def test_what_is_said_of_a_chip_does_not_depend_on_the_batch(chip_values, listener):
    _, _, classify = open_classifier(train(chip_values("Labeled_Tiles", blobs()), listener, MAX_EPOCHS=1))
    images = [image for image, _ in blobs(3)]
    assert np.allclose(classify(*images)[1], classify(images[1])[0], atol=1e-6)


def test_chips_cropped_to_their_objects_are_brought_to_one_size(chip_values, listener):
    chips = [chip for pair in zip(blobs(8, size=24), blobs(8, size=32, seed=1)) for chip in pair]
    values = chip_values("Labeled_Tiles", chips, CropTileMode="Variable_Size")
    definition, _, _ = open_classifier(train(values, listener, MAX_EPOCHS=1))
    assert definition.raw["CropSizeFixed"] == 0
    assert listener.texts("warning") == []


def test_balancing_focus_and_mixup_together(chip_values, listener):
    given = {"class_balancing": "True", "focal_loss": "True", "mixup": "True"}
    result = train(chip_values("Labeled_Tiles", blobs()), listener, ARGUMENTS=given)
    with open(f"{result['OUT_FOLDER']}/training_log.csv", newline="") as log:
        rows = list(csv.DictReader(log))
    assert float(rows[-1]["valid_loss"]) < float(rows[0]["valid_loss"])
    assert "f1_Red" in rows[0]


def test_a_class_with_one_sample_is_warned_of(chip_values, listener):
    chips = [chip for chip in blobs(20) if chip[1][0][0] == 1]
    chips.append(next(chip for chip in blobs(2) if chip[1][0][0] == 2))
    train(chip_values("Labeled_Tiles", chips), listener, MAX_EPOCHS=1)
    assert any("one chip only of Blue" in text for text in listener.texts("warning"))


def test_chips_of_one_class_teach_nothing(chip_values, listener):
    chips = [chip for chip in blobs(12) if chip[1][0][0] == 1]
    with pytest.raises(TrainingError, match="Red"):
        train(chip_values("Labeled_Tiles", chips), listener)


def test_each_class_is_validated_with():
    positions = [np.array([0])] * 40 + [np.array([1])] * 8
    train_chips, valid = split_by_class(positions, 0.25, seed=3)
    assert sorted([*train_chips, *valid]) == list(range(48))
    assert sum(index >= 40 for index in valid) == 2
    assert len(valid) == 12


def test_scores_of_one_class_a_chip_by_hand():
    given = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])
    scores = ChipScores.of(given, np.array([0, 0, 1, 1]))
    assert scores.confusion.tolist() == [[2, 0], [1, 1]]
    assert scores.accuracy == 0.75
    assert scores.f1.tolist() == pytest.approx([0.8, 2 / 3])


def test_scores_of_several_classes_a_chip_by_hand():
    given = np.array([[0.9, 0.9], [0.6, 0.4]])
    scores = ChipScores.of(given, np.array([[1, 1], [0, 1]], np.float32))
    assert scores.confusion is None
    assert scores.accuracy == 0.5
    assert scores.precision.tolist() == [0.5, 1.0]
    assert scores.recall.tolist() == [1.0, 0.5]


def test_the_loss_is_cross_entropy_unless_asked_otherwise():
    logits, labels = torch.tensor([[2.0, -1.0], [0.5, 0.0]]), torch.tensor([0, 1])
    plain = ChipLoss(LossSettings(), multi_label=False)(logits, labels)
    assert plain == pytest.approx(torch.nn.functional.cross_entropy(logits, labels))
    assert ChipLoss(LossSettings(focal_loss=True), False)(logits, labels) < plain
