"""Whole trainings of tiny detectors on tiny chips."""

import csv
import json
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from imagerydl.errors import CancelledError, ModelError, ParameterError
from imagerydl.jobs import make_job, run_job
from imagerydl.models.definition import load_definition
from imagerydl.models.runtimes import own_detection
from imagerydl.models.runtimes.devices import choose_device
from imagerydl.models.runtimes.options import RunOptions
from imagerydl.training.detection_metrics import overlaps


def train(values, listener, **changes):
    return run_job(make_job("trainmodel", {**values, **changes}), listener.reporter)


def epochs_of(folder):
    with (folder / "training_log.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [{name: cell for name, cell in row.items() if name != "seconds"} for row in rows]


def open_detector(result, **arguments):
    definition = load_definition(result["OUT_MODEL_PACKAGE"])
    return definition, own_detection.open_detection_model(
        definition, RunOptions(choose_device("CPU"), arguments=arguments)
    )


def detect(definition, model, image):
    batch = definition.normalisation.apply(image[None])
    return model.detect(batch, np.ones((1, *image.shape[1:]), bool))[0]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, module_listener, module_squares):
    root = tmp_path_factory.mktemp("trained")
    values = {
        "IN_FOLDER": [str(module_squares(root / "chips", "PASCAL_VOC_rectangles", 40))],
        "OUT_FOLDER": str(root / "squares"),
        "MAX_EPOCHS": 8,
        "BATCH_SIZE": 4,
        "VALIDATION_PERCENTAGE": 20,
        "DEVICE": "CPU",
    }
    return train(values, module_listener), root, module_listener


class TestModelFolder:
    """One training, looked at from all sides."""

    def test_the_format_chose_the_model_type(self, trained):
        assert "The chips are PASCAL_VOC_rectangles: training a FCOS." in trained[2].texts()

    def test_the_folder_is_complete_and_nothing_else_is_left(self, trained):
        _, root, _ = trained
        names = {path.name for path in (root / "squares").iterdir()}
        assert {"squares.emd", "squares.safetensors", "squares.onnx", "squares.dlpk"} <= names
        assert {path.name for path in root.iterdir()} == {"chips", "squares"}

    def test_it_learns_what_squares_are(self, trained):
        result, root, _ = trained
        rows = epochs_of(root / "squares")
        assert float(rows[-1]["train_loss"]) < 0.7 * float(rows[0]["train_loss"])
        assert result["AVERAGE_PRECISION"] > 0.6

    def test_the_log_has_the_losses_and_each_class(self, trained):
        rows = epochs_of(trained[1] / "squares")
        assert [row["epoch"] for row in rows] == [str(n) for n in range(1, 9)]
        wanted = {"train_bbox_regression", "valid_loss", "valid_map50", "valid_map", "ap50_Red", "ap50_Blue"}
        assert wanted <= set(rows[0])

    def test_the_best_epoch_is_kept(self, trained):
        result, root, _ = trained
        best = max(epochs_of(root / "squares"), key=lambda row: float(row["valid_map"]))
        assert result["AVERAGE_PRECISION"] == pytest.approx(float(best["valid_map50"]), abs=1e-3)
        assert load_definition(result["OUT_MODEL_DEFINITION"]).raw["BestEpoch"] == int(best["epoch"])

    def test_the_definition_says_what_inference_must_know(self, trained):
        definition = load_definition(trained[0]["OUT_MODEL_DEFINITION"])
        assert definition.is_own
        assert (definition.model_type, definition.model_name) == ("ObjectDetection", "FCOS")
        assert [(entry.value, entry.name) for entry in definition.classes] == [(1, "Red"), (2, "Blue")]
        assert definition.image_size == (64, 64)
        assert set(definition.raw["average_precision_score"]) == {"Red", "Blue"}
        assert set(json.loads(definition.raw["per_class_metrics"])["Red"]) == {"precision", "recall", "f1"}
        assert 0.1 <= definition.raw["Threshold"] <= 0.9

    def test_the_saved_model_finds_squares_it_has_never_seen(self, trained, make_squares):
        """O3: reloaded from its package, with boxes in pixels of the tile."""
        definition, model = open_detector(trained[0], threshold="0.2")
        found, wanted = 0, 0
        for image, objects in make_squares(6, seed=99):
            seen = detect(definition, model, image)
            assert seen.boxes.dtype == np.float32
            for value, *box in objects:
                same = seen.boxes[seen.classes == value - 1]
                found += bool(len(same)) and overlaps(np.array([box]), same).max() > 0.5
                wanted += 1
        assert found >= 0.6 * wanted

    def test_a_tile_of_another_size_is_no_trouble(self, trained, make_squares):
        definition, model = open_detector(trained[0])
        image, _ = next(iter(make_squares(1, size=101, seed=5)))
        seen = detect(definition, model, image)
        assert (seen.boxes >= 0).all()
        assert (seen.boxes <= 101).all()

    def test_what_is_found_does_not_depend_on_the_batch(self, trained, make_squares):
        definition, model = open_detector(trained[0], threshold="0.05")
        images = np.stack([image for image, _ in make_squares(3, seed=7)])
        batch = definition.normalisation.apply(images)
        valid = np.ones((3, 64, 64), bool)
        together = model.detect(batch, valid)
        for number, one in enumerate(together):
            (alone,) = model.detect(batch[number : number + 1], valid[:1])
            assert np.allclose(alone.boxes, one.boxes, atol=1e-3)
            assert alone.classes.tolist() == one.classes.tolist()

    def test_a_lower_threshold_gives_more_and_nothing_below_it(self, trained, make_squares):
        image, _ = next(iter(make_squares(1, seed=3)))
        definition, low = open_detector(trained[0], threshold="0.05")
        _, high = open_detector(trained[0], threshold="0.95")
        seen = detect(definition, low, image)
        assert len(seen) >= len(detect(definition, high, image))
        assert (seen.scores >= 0.05).all()

    @pytest.mark.parametrize("text", ["1.5", "-0.1", "high"])
    def test_a_threshold_outside_0_to_1_is_refused(self, trained, text):
        with pytest.raises(ParameterError, match=f"threshold.*{text}"):
            open_detector(trained[0], threshold=text)

    def test_the_default_threshold_is_the_best_one_of_the_validation(self, trained):
        definition, model = open_detector(trained[0])
        assert float(model.arguments[0].default) == definition.raw["Threshold"]

    def test_the_onnx_form_finds_the_same(self, trained, make_squares):
        onnxruntime = pytest.importorskip("onnxruntime")
        definition, model = open_detector(trained[0])
        session = onnxruntime.InferenceSession(str(definition.onnx_file))
        image, _ = next(iter(make_squares(1, seed=21)))
        boxes, labels, scores = session.run(None, {"image": definition.normalisation.apply(image[None])})
        seen = detect(definition, model, image)
        assert labels.tolist() == seen.classes.tolist()
        assert np.allclose(scores, seen.scores, atol=1e-4)
        assert np.allclose(boxes, seen.boxes, atol=1e-2)

    def test_the_report_stands_alone(self, trained):
        root = trained[1] / "squares"
        page = (root / "model_metrics.html").read_text(encoding="utf-8")
        assert "http" not in page
        figures = ("average_precision_graph", "precision_recall", "confusion_matrix", "show_results")
        for name in figures:
            assert f'alt="{name}" src="data:image/png;base64,' in page
            assert (root / "ModelCharacteristics" / f"{name}.png").stat().st_size > 5000
        with zipfile.ZipFile(trained[0]["OUT_MODEL_PACKAGE"]) as package:
            names = set(package.namelist())
        assert {"squares.emd", "squares.safetensors", "model_metrics.html"} <= names


class TestKinds:
    """Each kind of detector is trained, saved and opened; one epoch says nothing about how good it is."""

    @pytest.mark.parametrize("model_type", ["RETINANET", "SSD", "FASTERRCNN"])
    def test_boxes(self, object_values, listener, make_squares, model_type):
        result = train(object_values, listener, MODEL_TYPE=model_type)
        definition, model = open_detector(result, threshold="0.02")
        assert definition.model_name == model_type
        assert definition.onnx_file is not None
        image, _ = next(iter(make_squares(1)))
        seen = detect(definition, model, image)
        assert set(seen.classes.tolist()) <= {0, 1}
        assert seen.shapes is None

    def test_outlines(self, tmp_path, object_values, listener, make_squares, export_squares):
        folder = export_squares(tmp_path / "masks", make_squares(10), "RCNN_Masks")
        values = {**object_values, "IN_FOLDER": [str(folder)], "MAX_EPOCHS": 3}
        definition, model = open_detector(train(values, listener), threshold="0.02")
        assert (definition.model_name, definition.model_type) == ("MASKRCNN", "InstanceDetection")
        image, _ = next(iter(make_squares(1)))
        seen = detect(definition, model, image)
        assert len(seen) > 0
        assert len(seen.shapes) == len(seen)
        for shape, box in zip(seen.shapes, seen.boxes):
            left, top, right, bottom = shape.bounds
            assert left >= box[0] - 2
            assert top >= box[1] - 2
            assert right <= box[2] + 2
            assert bottom <= box[3] + 2
        boxes_only = own_detection.open_detection_model(
            definition, RunOptions(choose_device("CPU"), arguments={"return_bboxes": "True"})
        )
        assert detect(definition, boxes_only, image).shapes is None

    def test_any_number_of_bands_and_a_backbone(
        self, tmp_path, object_values, listener, make_squares, export_squares
    ):
        folder = export_squares(tmp_path / "five", make_squares(8, bands=5))
        values = {**object_values, "IN_FOLDER": [str(folder)], "BACKBONE_MODEL": "RESNET18"}
        values["MONITOR"] = "AVERAGE_PRECISION"
        definition, model = open_detector(train(values, listener))
        assert definition.model_parameters["backbone"] == "resnet18"
        assert definition.normalisation.bands == 5
        assert model.detect(np.zeros((2, 5, 64, 64), np.float32), np.ones((2, 64, 64), bool))


class TestInterruption:
    def test_a_cancelled_run_goes_on_as_if_it_had_never_stopped(self, object_values, listener, tmp_path):
        """With chips cut at random and rare classes more often: both are drawn by seed and epoch alone."""
        arguments = {"class_balancing": "True"}
        values = {**object_values, "MAX_EPOCHS": 2, "ARGUMENTS": arguments, "CHIP_SIZE": 48}
        unbroken = train(values, listener, OUT_FOLDER=str(tmp_path / "unbroken"))
        listener.events.clear()
        listener.cancel_when = lambda event: len(listener.metrics()) == 1
        with pytest.raises(CancelledError):
            train(values, listener)
        listener.resume()
        resumed = train(values, listener)
        assert any("going on after its last finished epoch" in text for text in listener.texts())
        first, second = (
            load_file(str(load_definition(result["OUT_MODEL_DEFINITION"]).model_file))
            for result in (unbroken, resumed)
        )
        assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())


class TestPretrained:
    def test_a_model_goes_on_with_other_classes(
        self, trained, tmp_path, object_values, listener, make_squares, export_squares
    ):
        folder = export_squares(
            tmp_path / "other", make_squares(8, classes=(1,)), classes=[(1, "Red"), (5, "Green"), (6, "Grey")]
        )
        values = {**object_values, "IN_FOLDER": [str(folder)]}
        result = train(values, listener, PRETRAINED_MODEL=trained[0]["OUT_MODEL_PACKAGE"])
        assert any("weights come from squares" in text for text in listener.texts())
        assert [e.name for e in load_definition(result["OUT_MODEL_DEFINITION"]).classes] == [
            "Red",
            "Green",
            "Grey",
        ]

    def test_the_model_type_is_that_of_the_model_to_go_on_from(self, tmp_path, object_values, listener):
        first = train(object_values, listener, MODEL_TYPE="SSD", OUT_FOLDER=str(tmp_path / "first"))
        values = {**object_values, "FREEZE": True, "PRETRAINED_MODEL": first["OUT_MODEL_DEFINITION"]}
        second = train(values, listener)
        weights = [
            load_file(str(load_definition(result["OUT_MODEL_DEFINITION"]).model_file))
            for result in (first, second)
        ]
        encoder = [name for name in weights[0] if ".encoder." in name]
        assert encoder
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in encoder), "it was frozen"

    def test_a_model_of_another_kind_is_refused(self, trained, object_values, listener):
        with pytest.raises(ModelError, match="FCOS, not a SSD"):
            train(object_values, listener, MODEL_TYPE="SSD", PRETRAINED_MODEL=trained[0]["OUT_MODEL_PACKAGE"])
