"""Packages saved by arcgis.learn: against that tool's own predictions, and made by the tests."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import shapely

torch = pytest.importorskip("torch", reason="the networks are PyTorch's")

from imagerydl.errors import ModelDefinitionError, ModelError, ParameterError  # noqa: E402
from imagerydl.models.architectures.arcgis_learn import building, facts  # noqa: E402
from imagerydl.models.definition import load_definition  # noqa: E402
from imagerydl.models.runtimes import arcgis_learn, open_pixel_model  # noqa: E402
from imagerydl.models.runtimes.devices import choose_device  # noqa: E402
from imagerydl.models.runtimes.options import RunOptions  # noqa: E402
from imagerydl.models.runtimes.protocol import Gives  # noqa: E402

SAMPLES = Path(__file__).parents[5] / "shared" / "data" / "models" / "arcgis_learn"
PIXEL_SAMPLES = ("unet_r18_rgb", "deeplab_r18_rgb", "psp_r18_nounet_rgb")


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """Unpack a sample; gives its definition and the reference."""

    def unpack(name):
        package = SAMPLES / name / f"{name}.dlpk"
        if not package.is_file():
            pytest.skip(f"the package {name} is not there")
        folder = tmp_path_factory.getbasetemp() / name
        if not folder.exists():
            with zipfile.ZipFile(package) as archive:
                archive.extractall(folder)
        return load_definition(str(folder / f"{name}.emd")), np.load(SAMPLES / name / "reference.npz")

    return unpack


def opened(definition, **arguments):
    texts = {name: str(value) for name, value in arguments.items()}
    return open_pixel_model(definition, "CPU", 1, arguments=texts)


def scores(model, raw):
    batch = np.asarray(raw)
    fed = model.input.normalisation.apply(batch) if model.input.normalisation else batch.astype(np.float32)
    return model.scores(fed, np.ones((len(batch), *batch.shape[2:]), bool))


def classes(model, raw):
    result = scores(model, raw)
    result[:, sorted(model.never)] = -np.inf
    return np.asarray(model.class_values)[result.argmax(axis=1)]


@pytest.mark.parametrize("name", PIXEL_SAMPLES)
def test_a_pixel_classifier_gives_what_arcgis_learn_gave(sample, name):
    definition, reference = sample(name)
    model = opened(definition, predict_background=True)
    without = opened(definition, predict_background=False)
    assert model.gives is Gives.LOGITS
    assert not model.blends
    assert model.tile_size == (64, 64)
    for k in range(3):
        raw = reference["raw"][k : k + 1]
        np.testing.assert_array_equal(model.input.normalisation.apply(raw), reference[f"input{k}"])
        np.testing.assert_allclose(scores(model, raw), reference[f"output{k}"], atol=1e-4)
        np.testing.assert_array_equal(classes(model, raw), reference[f"post{k}"])
        np.testing.assert_array_equal(classes(without, raw), reference[f"post_nobg{k}"])


@pytest.mark.parametrize("name", PIXEL_SAMPLES)
def test_a_block_is_classified_tile_by_tile_or_blended_over_eight_turns(sample, name):
    definition, reference = sample(name)
    block = reference["block_raw"]
    model = opened(definition, predict_background=True)
    tiles = np.stack([block[:, r : r + 64, c : c + 64] for r in (0, 32) for c in (0, 32)])
    alone = classes(model, tiles)
    np.testing.assert_array_equal(
        np.block([[alone[0], alone[1]], [alone[2], alone[3]]]), reference["block_post"][0]
    )

    blended = opened(definition, predict_background=True, test_time_augmentation=True)
    assert blended.tile_size == (96, 96)
    assert blended.margin == 16
    assert blended.fitting_batch(64) == 1
    assert blended.gives is Gives.PROBABILITIES
    np.testing.assert_allclose(scores(blended, block[None]).sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(classes(blended, block[None]), reference["block_post_tta"])


@pytest.fixture
def make_package(tmp_path):
    """Write a package with random weights: its folder's definition."""

    def make(
        model_name, bands=3, tile=64, container=None, parameters=None, values=(1,), directions=19, **keys
    ):
        raw = {
            "Framework": "arcgis.learn.models._inferencing",
            "InferenceFunction": "[Functions]System\\DeepLearning\\ArcGISLearn\\ArcGISImageClassifier.py",
            "ModelType": "ImageClassification",
            "ModelName": model_name,
            "ModelFile": "m.pth",
            "ModelParameters": {"backbone": "resnet18", **(parameters or {})},
            "ExtractBands": list(range(bands)),
            "ImageHeight": tile,
            "ImageWidth": tile,
            "ImageSpaceUsed": "MAP_SPACE",
            "Classes": [{"Value": v, "Name": f"c{v}", "Color": [v, 0, 0]} for v in values],
            **keys,
        }
        path = tmp_path / "m.emd"
        path.write_text(json.dumps(raw), encoding="utf-8")
        (tmp_path / "m.pth").touch()
        definition = load_definition(str(path))
        torch.manual_seed(0)
        module = building._module(facts.facts_of(definition))
        # What the structure is read from, where the definition does not say it.
        hints = {n: torch.zeros(directions) for n in ("o_finalconv3.weight", "angle_finalconv3.weight")}
        state = module.build(facts.facts_of(definition), hints).state_dict()
        torch.save({container: state, "opt": {}} if container else state, tmp_path / "m.pth")
        return definition

    return make


STATS = {
    "band_min_values": [9, 10, 0, 100, 50],
    "band_max_values": [9, 1010, 4000, 1100, 2050],
    "scaled_mean_values": [0.9, 0.5, 0.25, 0.3, 0.4],
    "scaled_std_values": [0.9, 0.2, 0.1, 0.3, 0.4],
}


def test_statistics_of_the_definition_are_indexed_by_the_bands_taken(make_package):
    definition = make_package(
        "PSPNetClassifier", bands=4, parameters={"use_unet": False}, values=(3, 7),
        ExtractBands=[1, 2, 3, 4], NormalizationStats=STATS,
    )  # fmt: skip
    model = opened(definition)
    raw = np.full((1, 4, 64, 64), 700, np.uint16)
    expected = [(0.69 - 0.5) / 0.2, (0.175 - 0.25) / 0.1, (0.6 - 0.3) / 0.3, (0.325 - 0.4) / 0.4]
    np.testing.assert_array_equal(
        model.input.normalisation.apply(raw)[0, :, 0, 0], np.float32(np.round(expected, 12))
    )
    assert model.class_values == (0, 3, 7)
    assert scores(model, raw).shape == (1, 3, 64, 64)


def test_background_may_win_only_where_it_is_a_class_or_there_is_one_class(make_package):
    two = make_package("PSPNetClassifier", parameters={"use_unet": False}, values=(3, 7))
    assert opened(two).never == {0}
    assert opened(two, predict_background="true").never == frozenset()
    one = make_package(
        "PSPNetClassifier", parameters={"use_unet": False}, values=(3,), ignore_mapped_class=[1]
    )
    assert opened(one).never == {1}


def test_a_checkpoint_with_the_optimiser_is_read_too(make_package):
    definition = make_package("PSPNetClassifier", container="model", parameters={"use_unet": False})
    assert opened(definition).outputs == 2


@pytest.mark.parametrize("tile", [64, 75])
def test_an_odd_tile_of_a_unet_comes_out_whole(make_package, tile):
    definition = make_package("UnetClassifier", tile=tile, bands=4, NormalizationStats=STATS)
    raw = np.random.default_rng(0).integers(0, 900, (1, 4, tile, tile))
    assert scores(opened(definition), raw).shape == (1, 2, tile, tile)


@pytest.mark.parametrize("kind", ["linknet", "hourglass"])
def test_roads_take_raw_values_and_have_a_threshold(make_package, kind):
    definition = make_package("MultiTaskRoadExtractor", parameters={"mtl_model": kind}, values=(5,))
    raw = np.random.default_rng(0).integers(0, 255, (1, 3, 96, 96), np.uint8)
    plain = opened(definition)
    assert plain.input.normalisation is None
    assert plain.class_values == (0, 5)
    assert plain.tile_size == (96, 96)
    assert plain.margin == 16
    road = scores(plain, raw)[:, 1:]
    probability = opened(definition, return_probability_raster=True)
    assert (probability.gives, probability.pixel_type) == (Gives.VALUES, "float32")
    np.testing.assert_array_equal(scores(probability, raw), road)
    middle = float(np.median(road))
    strict = opened(definition, threshold=middle)
    np.testing.assert_array_equal(scores(strict, raw), np.where(road > np.float32(middle), 5, 0))


def test_the_turns_of_roads_are_merged_as_asked(make_package):
    definition = make_package("ConnectNet", values=(1,))
    raw = np.random.default_rng(0).integers(0, 255, (1, 3, 96, 96), np.uint8)
    low, mean, high = (
        scores(opened(definition, test_time_augmentation=True, merge_policy=policy), raw)[:, 1]
        for policy in ("min", "mean", "max")
    )
    assert (low <= mean).all()
    assert (mean <= high).all()
    assert (low < high).any()


@pytest.mark.parametrize("kind", ["PAM", "BAM"])
def test_change_is_where_the_distance_of_the_dates_is_above_one(make_package, kind):
    definition = make_package("ChangeDetector", parameters={"attention_type": kind}, values=(0, 255))
    model = arcgis_learn.open_change_model(definition, RunOptions(choose_device("CPU"), 1))
    raw = np.random.default_rng(0).integers(0, 255, (1, 6, 64, 64), np.uint8)
    logits = scores(model, raw)
    assert logits.shape == (1, 2, 64, 64)
    assert (logits[:, 0] == 1).all()
    assert model.class_values == (0, 255)
    np.testing.assert_allclose(model.input.normalisation.apply(raw), raw / 127.5 - 1, atol=1e-6)
    same = scores(model, np.concatenate([raw[:, :3]] * 2, axis=1))
    if kind == "BAM":
        assert same[:, 1].max() < 1e-3


@pytest.mark.parametrize(
    ("model_name", "parameters", "said"),
    [
        ("DeepLab", {"pointrend": True}, "PointRend"),
        ("PSPNetClassifier", {"unet_aux_loss": True}, "unet_aux_loss"),
        ("UnetClassifier", {"backbone": "vgg16"}, "vgg16"),
        ("UnetClassifier", {"backbone": "timm:efficientnet_b0"}, "timm:efficientnet_b0"),
        ("DeepLab", {"backbone": "densenet121"}, "densenet121"),
        ("MMSegmentation", {}, "MMSegmentation"),
        ("SamLoRA", {"backbone": "vit_b"}, "SamLoRA"),
    ],
)
def test_what_is_not_rebuilt_is_refused_by_name(make_package, model_name, parameters, said):
    with pytest.raises(ModelDefinitionError, match=said):
        make_package(model_name, parameters=parameters)


@pytest.mark.parametrize(
    ("model_name", "tool"),
    [
        ("RetinaNet", "Detect Objects"),
        ("FeatureClassifier", "Classify Objects"),
        ("ChangeDetector", "Change"),
    ],
)
def test_a_model_of_another_tool_is_refused(sample, make_package, model_name, tool):
    definition = make_package("ChangeDetector", values=(255,))
    definition.values["ModelName"] = definition.raw["ModelName"] = model_name
    with pytest.raises(ModelDefinitionError, match=tool):
        opened(definition)


def test_weights_of_another_model_are_refused(make_package):
    definition = make_package("PSPNetClassifier", parameters={"use_unet": False}, values=(3, 7))
    definition.raw["Classes"].append({"Value": 9, "Name": "c9"})
    with pytest.raises(ModelError, match=r"do not fit a PSPNetClassifier with 3 bands, 3 classes"):
        opened(definition)


def test_arguments_are_declared_and_checked(make_package):
    definition = make_package(
        "PSPNetClassifier", parameters={"use_unet": False}, values=(3, 7), SupportsVariableTileSize=True
    )
    declared = {a.name: a.default for a in arcgis_learn.model_arguments(definition, False)}
    assert declared == {
        "padding": "16",
        "batch_size": "4",
        "predict_background": "False",
        "test_time_augmentation": "False",
        "tile_size": "64",
    }
    assert opened(definition, tile_size=96).tile_size == (96, 96)
    assert opened(definition).fitting_batch(6) == 4
    for arguments in ({"padding": 32}, {"tile_size": 8}, {"batch_size": "few"}, {"predict_background": "hm"}):
        with pytest.raises(ParameterError, match=next(iter(arguments))):
            opened(definition, **arguments)


def detector(definition, **arguments):
    texts = {name: str(value) for name, value in arguments.items()}
    return arcgis_learn.open_detection_model(definition, RunOptions(choose_device("CPU"), 1, arguments=texts))


def detections(model, raw):
    batch = model.input.normalisation.apply(np.asarray(raw))
    return model.detect(batch, np.ones((len(batch), *batch.shape[2:]), bool))


@pytest.mark.parametrize("name", ["ssd_r18_rgb", "retina_r18_rgb"])
def test_a_detector_finds_what_arcgis_learn_found(sample, name):
    definition, reference = sample(name)
    model = detector(definition, threshold=0.05, nms_overlap=0.1)
    assert [(item.value, item.name) for item in model.classes] == [(2, "Pool"), (1, "Tree")]
    for k, found in enumerate(detections(model, reference["raw"])):
        polygons, scores_, positions = json.loads(str(reference[f"post{k}"]))
        corners = np.asarray(polygons)[..., ::-1]
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        np.testing.assert_allclose(found.boxes, boxes, atol=1e-3)
        np.testing.assert_allclose(100 * found.scores, scores_, atol=1e-3)
        np.testing.assert_array_equal(found.classes + 1, positions)
        outputs = model._network.run(model.input.normalisation.apply(reference["raw"][k : k + 1]))
        for i, output in enumerate(outputs):
            np.testing.assert_allclose(output, reference[f"output{k}.{i}"], atol=1e-4)


def classified(model, raw):
    batch = model.input.normalisation.apply(np.asarray(raw))
    return model.probabilities(batch, np.ones((len(batch), *batch.shape[2:]), bool))


def test_a_feature_classifier_names_what_arcgis_learn_named(sample):
    definition, reference = sample("fc_r18_rgb")
    model = arcgis_learn.open_chip_classifier(definition, RunOptions(choose_device("CPU"), 1))
    given = classified(model, reference["raw"])
    names = [item.name for item in model.classes]
    assert [names[k] for k in given.argmax(axis=1)] == [str(reference[f"label{k}"][0]) for k in range(3)]
    np.testing.assert_allclose(given.max(axis=1), [reference[f"conf{k}"][0] for k in range(3)], atol=1e-5)


def test_a_feature_classifier_may_give_several_labels(make_package):
    definition = make_package("FeatureClassifier", values=(4, 6, 9), MetaDataMode="MultiLabeled_Tiles")
    options = RunOptions(choose_device("CPU"), 1, arguments={"test_time_augmentation": "True"})
    model = arcgis_learn.open_chip_classifier(definition, options)
    raw = np.random.default_rng(0).integers(0, 255, (2, 3, 64, 64), np.uint8)
    given = classified(model, raw)
    turned = classified(model, np.rot90(raw, 1, (2, 3)))
    np.testing.assert_allclose(given, turned, atol=1e-5)
    assert model.is_multi_label
    assert not np.allclose(given.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("model_name", "backbone", "bands"),
    [("FasterRCNN", "resnet18", 4), ("FasterRCNN", "resnet18", 3), ("MaskRCNN", "resnet18", 4)],
)
def test_detectors_of_torchvision_run_on_any_bands(make_package, model_name, backbone, bands):
    stats = {"NormalizationStats": STATS} if bands != 3 else {}
    definition = make_package(
        model_name, bands=bands, parameters={"backbone": backbone}, values=(3, 7), tile=64, **stats
    )
    model = detector(definition, threshold=0.0, nms_overlap=0.3)
    raw = np.random.default_rng(0).integers(0, 255, (2, bands, 64, 64))
    for found in detections(model, raw):
        assert len(found.boxes)
        assert set(found.classes) <= {0, 1}
        assert found.boxes.min() >= 0
        assert found.boxes.max() <= 64
        assert (found.shapes is not None) == (model_name == "MaskRCNN")
        if found.shapes is not None:
            assert len(found.shapes) == len(found.boxes)
            assert shapely.is_valid(found.shapes).all()


def test_yolo_decodes_anchors_at_three_strides(make_package):
    from imagerydl.models.architectures.arcgis_learn.yolo import decode

    anchors = [[10, 13], [16, 30], [33, 23], [30, 61], [62, 45], [59, 119], [116, 90], [156, 198], [373, 326]]
    definition = make_package(
        "YOLOv3", parameters={"backbone": "DarkNet53", "anchors": anchors}, values=(3, 7)
    )
    model = detector(definition)
    assert (model.threshold, model.nms_overlap) == (0.1, 0.1)
    raw = np.full((1, 3, 64, 64), 255, np.uint8)
    assert (model.input.normalisation.apply(raw) == 1).all()
    output = model._network.run(model.input.normalisation.apply(raw))
    assert output.shape == (1, 3 * (4 + 16 + 64), 7)
    rows = torch.tensor([[[20, 20, 10, 10, 0.5, 0.2, 0.9], [21, 20, 10, 10, 0.5, 0.4, 0.1]]])
    (found,) = decode(rows, facts.facts_of(definition), 0.1, 0.1)
    assert found.positions.tolist() == [0, 1]
    np.testing.assert_allclose(found.scores, [0.2, 0.45])
    np.testing.assert_allclose(found.corners[1], np.array([15, 15, 25, 25]) / 63 * 64, rtol=1e-6)


def test_an_older_single_shot_detector_is_refused_by_its_version(make_package):
    with pytest.raises(ModelDefinitionError, match="SSDVersion 1"):
        make_package("SingleShotDetector", Grids=[4], Zooms=[1.0], Ratios=[[1.0, 1.0]])


def test_a_detector_declares_the_arguments_of_its_class(sample, make_package):
    definition = make_package("RetinaNet", values=(1, 2))
    declared = {a.name: a.default for a in arcgis_learn.model_arguments(definition, False)}
    assert declared == {"padding": "16", "threshold": "0.5", "nms_overlap": "0.1", "batch_size": "64"}
    with pytest.raises(ModelDefinitionError, match="no detector"):
        detector(make_package("FeatureClassifier"))
