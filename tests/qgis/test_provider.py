"""The plugin as QGIS sees it: metadata, registration, identity of every algorithm."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
from qgis.core import QgsApplication
from samples import PLUGIN


@pytest.fixture(scope="module")
def metadata():
    parser = configparser.ConfigParser()
    parser.read(PLUGIN / "metadata.txt", encoding="utf-8")
    return parser["general"]


def test_metadata_has_what_the_plugin_repository_asks_for(metadata):
    for key in (
        "name",
        "description",
        "about",
        "version",
        "author",
        "email",
        "tracker",
        "repository",
        "homepage",
    ):
        assert metadata[key].strip(), key
    assert metadata["name"] == "Imagery Deep Learning"
    assert (metadata["qgisMinimumVersion"], metadata["qgisMaximumVersion"]) == ("3.22", "4.99")
    assert metadata["hasProcessingProvider"] == "yes"
    assert "/" not in metadata["author"]
    assert (PLUGIN / metadata["icon"]).is_file()
    assert (PLUGIN / "LICENSE").is_file()


def test_the_plugin_and_the_engine_are_one_version(metadata):
    from imagerydl.engine.imagerydl import __version__

    assert metadata["version"] == __version__


def test_the_provider_registers_every_tool_once(provider):
    from imagerydl.engine.imagerydl import tools

    assert (provider.id(), provider.name()) == ("imagerydl", "Imagery Deep Learning")
    assert sorted(a.name() for a in provider.algorithms()) == sorted(tools.TOOL_IDS)
    assert not provider.icon().isNull()
    assert Path(provider.svgIconPath()).is_file()


def test_starting_twice_registers_once():
    """QGIS calls initGui, initProcessing, or both."""
    from imagerydl import classFactory

    plugin = classFactory(None)
    plugin.initProcessing()
    plugin.initGui()
    ids = [p.id() for p in QgsApplication.processingRegistry().providers()]
    assert ids.count("imagerydl") == 1
    plugin.unload()
    plugin.unload()
    assert QgsApplication.processingRegistry().providerById("imagerydl") is None
    again = classFactory(None)
    again.initProcessing()
    assert QgsApplication.processingRegistry().algorithmById("imagerydl:classifypixels") is not None
    again.unload()


def test_outputs_are_geotiff(qgis_app):
    from imagerydl.processing_provider.provider import ImageryProvider

    provider = ImageryProvider()
    assert provider.defaultRasterFileExtension() == "tif"
    assert provider.supportedOutputRasterLayerExtensions() == ["tif", "tiff"]


def test_the_side_that_runs_in_qgis_imports_no_third_party_package():
    """Standard library and PyQGIS only, and of the engine what is standard library itself."""
    allowed = re.compile(r"^(from|import) (qgis|processing\.gui|\.|__future__)")  # "processing" is QGIS's own
    import sys

    for folder in ("processing_provider", "algorithms"):
        for path in sorted((PLUGIN / folder).glob("*.py")):
            for line in path.read_text(encoding="utf-8").splitlines():
                if re.match(r"^\s*(from|import) \S", line) and not allowed.match(line.strip()):
                    module = line.split()[1].split(".")[0]
                    assert module in sys.stdlib_module_names, f"{path.name}: {line}"


def test_no_version_difference_outside_compat():
    for folder in ("processing_provider", "algorithms"):
        for path in (PLUGIN / folder).glob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert path.name == "compat.py" or "QGIS_VERSION" not in text, path
            assert "PyQt5" not in text, path
            assert "exec_(" not in text, path
