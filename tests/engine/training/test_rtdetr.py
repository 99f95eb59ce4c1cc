"""Whole trainings of a tiny RT-DETR, and what is said where transformers is missing."""

import json

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from safetensors.torch import save

from imagerydl.errors import CancelledError, ParameterError, RuntimeMissingError
from imagerydl.events import Reporter
from imagerydl.jobs import make_job, run_job
from imagerydl.models.architectures import registry
from imagerydl.models.architectures.encoders import build_encoder
from imagerydl.models.definition import OWN_CONFIGURATION, load_definition
from imagerydl.models.runtimes.detection_opening import DETECTORS, open_detection_model
from imagerydl.training.queries import check_tile, fit_queries
from imagerydl.training.settings import LossSettings


def train(values, listener, **changes):
    values = {**values, "MODEL_TYPE": "RTDETR", **changes}
    return run_job(make_job("trainmodel", values), listener.reporter)


def write_raster(path, data):
    options = {"crs": "EPSG:32633", "transform": Affine(0.5, 0, 500000, 0, -0.5, 5000000)}
    count, height, width = data.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=data.dtype, **options
    ) as dataset:
        dataset.write(data)


@pytest.fixture
def without_transformers(monkeypatch):
    there = registry.find_spec
    monkeypatch.setattr(registry, "find_spec", lambda name: None if name == "transformers" else there(name))
    return monkeypatch


@pytest.fixture(scope="module")
def smaller():
    """Replaces what is too large for a test, to the end of the module."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def trained(tmp_path_factory, module_listener, module_squares, smaller):
    for package in registry.traits("RTDETR").packages:
        pytest.importorskip(package, reason=f"{package} is an extra of the runtime (TRANSFORMERS)")
    from imagerydl.models.architectures import rtdetr

    small = {"CHANNELS": 64, "_DECODER_LAYERS": 2, "_DENOISING": 20}
    for name, value in small.items():
        smaller.setattr(rtdetr, name, value)
    root = tmp_path_factory.mktemp("trained")
    values = {
        "IN_FOLDER": [str(module_squares(root / "chips", "PASCAL_VOC_rectangles", 24))],
        "OUT_FOLDER": str(root / "squares"),
        "MAX_EPOCHS": 3,
        "BATCH_SIZE": 4,
        "VALIDATION_PERCENTAGE": 20,
        "DEVICE": "CPU",
    }
    return train(values, module_listener), values, module_listener


class TestTraining:
    def test_the_package_is_that_of_a_detector(self, trained):
        result, _, heard = trained
        definition = load_definition(result["OUT_MODEL_PACKAGE"])
        assert (definition.model_name, definition.model_type) == ("RTDETR", "ObjectDetection")
        assert definition.model_parameters["tile"] == [64, 64]
        assert definition.raw["SupportsVariableTileSize"] is False
        assert definition.model_file.suffix == ".safetensors"
        assert definition.onnx_file is not None, heard.texts()
        assert set(definition.raw["average_precision_score"]) == {"Red", "Blue"}

    def test_the_log_has_the_parts_of_the_loss_and_they_fall(self, trained):
        rows = trained[2].metrics()
        assert rows[-1]["train_loss"] < rows[0]["train_loss"]

    def test_its_onnx_form_finds_the_same(self, trained, make_squares, without_transformers):
        """Without transformers it takes the place of the network."""
        definition = load_definition(trained[0]["OUT_MODEL_PACKAGE"])
        arguments = {"threshold": "0.02", "nms_overlap": "0.7"}
        assert DETECTORS.runtime_name(definition) == "onnx_detection"
        onnx = open_detection_model(definition, "CPU", arguments=arguments)
        without_transformers.undo()
        assert DETECTORS.runtime_name(definition) == "own_detection"
        own = open_detection_model(definition, "CPU", arguments=arguments)
        assert own.tile_size == onnx.tile_size == (64, 64)
        images = np.stack([image for image, _ in make_squares(3, seed=5)])
        batch, valid = definition.normalisation.apply(images), np.ones((3, 64, 64), bool)
        total = 0
        for one, same in zip(own.detect(batch, valid), onnx.detect(batch, valid)):
            assert len(one) == len(same)
            # Those that are equally sure may come in another order.
            for box, score, label in zip(one.boxes, one.scores, one.classes):
                apart = np.abs(same.boxes - box).max(axis=1) + np.abs(same.scores - score)
                assert apart[same.classes == label].min() < 1e-2
            total += len(one)
        assert total > 0

    def test_detect_objects_runs_it_over_a_raster_in_both_forms(
        self, trained, make_squares, tmp_path, without_transformers
    ):
        """Tiles have the size of its chips, also beyond the border of the raster."""
        model, raster = trained[0]["OUT_MODEL_PACKAGE"], tmp_path / "field.tif"
        (image, _) = next(iter(make_squares(1, size=150, seed=8)))
        write_raster(raster, image[:, :90])

        def detect(name, **arguments):
            out = tmp_path / f"{name}.gpkg"
            values = {"IN_RASTER": str(raster), "IN_MODEL_DEFINITION": model, "DEVICE": "CPU"}
            values |= {
                "OUT_DETECTED_OBJECTS": str(out),
                "MODEL_ARGUMENTS": {"threshold": "0.03", **arguments},
            }
            run_job(make_job("detectobjects", values), Reporter())
            meta, _, shapes, columns = pyogrio.raw.read(out, layer="objects")
            fields = dict(zip(meta["fields"], columns))
            # In one row a feature: class, confidence in per cent, sides in metres.
            value = (fields["ClassName"] == "Red").astype(float)
            return np.column_stack([value, fields["Confidence"], shapely.bounds(shapely.from_wkb(shapes))])

        onnx = detect("onnx")
        without_transformers.undo()
        own = detect("own")
        assert len(own) == len(onnx) > 0
        apart = np.abs(own[:, None] - onnx[None]).max(axis=2)
        assert max(apart.min(axis=0).max(), apart.min(axis=1).max()) < 1e-2
        with pytest.raises(ParameterError, match=r"tile_size is 128.*64 x 64"):
            detect("other", tile_size="128")

    def test_a_cancelled_run_goes_on_as_if_it_had_never_stopped(self, trained, listener, tmp_path):
        _, values, heard = trained
        listener.cancel_when = lambda event: len(listener.metrics()) == 1
        values = {**values, "OUT_FOLDER": str(tmp_path / "again")}
        with pytest.raises(CancelledError):
            train(values, listener)
        listener.resume()
        train(values, listener)
        assert any("going on after its last finished epoch" in text for text in listener.texts())
        last, unbroken = listener.metrics()[-1], heard.metrics()[-1]
        assert last["valid_loss"] == unbroken["valid_loss"]

    def test_weights_of_a_backbone_come_from_a_local_file_and_learn_slowly(
        self, trained, listener, tmp_path, monkeypatch
    ):
        from imagerydl.models.architectures import rtdetr

        built = []
        slow = rtdetr.QueryDetector.slow_parameters
        monkeypatch.setattr(
            rtdetr.QueryDetector, "slow_parameters", lambda self: built.append(self) or slow(self)
        )
        weights = tmp_path / "resnet18.safetensors"
        encoder = build_encoder("resnet18", 3)
        weights.write_bytes(save({name: value.contiguous() for name, value in encoder.state_dict().items()}))
        values = {**trained[1], "OUT_FOLDER": str(tmp_path / "net"), "MAX_EPOCHS": 1}
        result = train(values, listener, BACKBONE_MODEL="RESNET18", BACKBONE_WEIGHTS=str(weights))
        assert any("weights of resnet18 come from resnet18.safetensors" in text for text in listener.texts())
        assert built[0].encoder_rate == built[0].trained_encoder_rate < 1
        assert load_definition(result["OUT_MODEL_DEFINITION"]).model_parameters["backbone"] == "resnet18"

    def test_chips_larger_than_those_it_was_trained_on_are_refused(
        self, trained, listener, tmp_path, make_squares, export_squares
    ):
        folder = export_squares(tmp_path / "larger", make_squares(8, size=96))
        values = {**trained[1], "IN_FOLDER": [str(folder)], "OUT_FOLDER": str(tmp_path / "more")}
        with pytest.raises(ParameterError, match=r"96 x 96 pixels.*at most 64 x 64"):
            train(values, listener, PRETRAINED_MODEL=trained[0]["OUT_MODEL_PACKAGE"])


class TestWithoutTransformers:
    def test_the_model_type_is_refused_before_chips_are_looked_at(
        self, object_values, listener, without_transformers, tmp_path
    ):
        """P4, O5: the missing package is named, with the way to install it."""
        (tmp_path / "empty").mkdir()
        values = {**object_values, "IN_FOLDER": [str(tmp_path / "empty")]}
        with pytest.raises(
            RuntimeMissingError, match=r"RTDETR needs transformers.*EXTRAS set to TRANSFORMERS"
        ):
            train(values, listener)
        assert not listener.events

    def test_a_model_without_an_onnx_form_is_refused_when_it_is_opened(
        self, tmp_path, without_transformers, write_own
    ):
        with pytest.raises(RuntimeMissingError, match=r"cells\.emd needs transformers.*TRANSFORMERS"):
            open_detection_model(load_definition(str(write_own(tmp_path / "cells.emd"))), "CPU")


@pytest.fixture
def write_own():
    def write(path):
        path.with_suffix(".safetensors").touch()
        definition = {
            "Framework": "PyTorch",
            "ModelConfiguration": OWN_CONFIGURATION,
            "ModelName": "RTDETR",
            "ModelType": "ObjectDetection",
            "ModelFile": path.with_suffix(".safetensors").name,
            "ImageHeight": 64,
            "ImageWidth": 64,
            "ExtractBands": [0, 1, 2],
            "Classes": [{"Value": 1, "Name": "Cell", "Color": [1, 2, 3]}],
        }
        path.write_text(json.dumps(definition))
        return path

    return write


def test_a_crop_size_is_refused(object_values, listener):
    with pytest.raises(ParameterError, match=r"CHIP_SIZE is 48.*RTDETR"):
        train(object_values, listener, CHIP_SIZE=48)


@pytest.mark.parametrize("argument", ["ratios", "zooms"])
def test_anchors_mean_nothing_to_queries(object_values, listener, argument):
    with pytest.raises(ParameterError, match=f"{argument} means nothing to RTDETR"):
        train(object_values, listener, ARGUMENTS={argument: "1"})


def boxes_of(side, count):
    return [np.tile(np.array([[0, 0, side, side]], np.float32), (count, 1))]


@pytest.mark.parametrize(
    ("side", "count", "size", "wanted"),
    [
        (30, 3, (256, 256), {"shrink": 1, "strides": [8, 16, 32], "queries": 100}),
        (30, 90, (256, 256), {"queries": 180}),
        (30, 900, (512, 512), {"queries": 500}),
        (8, 3, (256, 256), {"strides": [4, 8, 16]}),
        (90, 3, (400, 500), {"shrink": 4, "tile": [400, 500]}),
        (20, 3, (64, 64), {"queries": 64 + 16 + 4}),
    ],
)
def test_queries_and_levels_follow_from_the_objects(side, count, size, wanted):
    labels = [np.zeros(count, np.int64)]
    fitted = fit_queries(boxes_of(side, count), labels, LossSettings(), size)
    assert {name: fitted[name] for name in wanted} == wanted


def test_chips_up_to_the_size_of_the_tile_fit():
    check_tile(None, (9999, 9999))
    check_tile((64, 96), (64, 96))
    with pytest.raises(ParameterError, match=r"97 x 64"):
        check_tile((64, 96), (64, 97))
