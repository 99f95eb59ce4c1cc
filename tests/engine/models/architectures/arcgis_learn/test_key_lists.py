"""Every network has the names, shapes and types of weights that arcgis.learn saves."""

import ast
import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the networks are PyTorch's")

from imagerydl.models.architectures.arcgis_learn.building import build_network  # noqa: E402
from imagerydl.models.architectures.arcgis_learn.facts import NetworkFacts  # noqa: E402

LISTS = Path(__file__).parents[6] / "shared" / "reference" / "arcgis-learn-keys"

# Grids that the list of the default grids does not state: a 64 px tile gets 4 x 4 cells.
ANCHORS = [[10, 13], [16, 30], [33, 23], [30, 61], [62, 45], [59, 119], [116, 90], [156, 198], [373, 326]]


def listed(path):
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    model_name, settings = re.match(r"# \S+ (\w+) (\{.*\}) ", head).groups()
    weights = {}
    for line in lines:
        name, shape, kind = line.split("\t")
        weights[name] = torch.empty(
            ast.literal_eval(shape), dtype=getattr(torch, kind.removeprefix("torch.")), device="meta"
        )
    return model_name, ast.literal_eval(settings), weights


def facts(model_name, settings, bands):
    known = {"grids": "Grids", "zooms": "Zooms", "ratios": "Ratios"} if "Single" in model_name else {}
    settings = {known.get(key, key): value for key, value in settings.items()}
    if model_name == "SingleShotDetector":
        settings = {"Grids": [4], "Zooms": [1.0], "Ratios": [[1.0, 1.0]], "SSDVersion": 2, **settings}
    if model_name == "YOLOv3":
        settings["anchors"] = ANCHORS
    return NetworkFacts("listed", model_name, settings.get("backbone", ""), bands, 2, 64, settings)


@pytest.mark.skipif(not LISTS.is_dir(), reason="the lists of arcgis.learn's weights are not there")
@pytest.mark.parametrize("name", sorted(path.stem for path in LISTS.glob("*.txt")) or ["absent"])
def test_a_network_takes_exactly_the_weights_that_are_listed(name):
    model_name, settings, weights = listed(LISTS / f"{name}.txt")
    if name == "fc_r18_multi":
        settings["MetaDataMode"] = "MultiLabeled_Tiles"
    network = build_network(facts(model_name, settings, 4 if "ms4" in name else 3), weights)
    state = network.state_dict()
    assert {key: (value.shape, value.dtype) for key, value in state.items()} == {
        key: (value.shape, value.dtype) for key, value in weights.items()
    }
