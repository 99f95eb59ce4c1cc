"""A QGIS without a window, with a fresh profile, and the plugin loaded the way QGIS loads it."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

PLUGIN = Path(__file__).resolve().parents[2]

# Before anything imports qgis: a scratch profile and no display.
_SCRATCH = Path(tempfile.mkdtemp(prefix="imagerydl-tests-"))
for _folder in ("run", "profile", "plugins", "tmp"):
    (_SCRATCH / _folder).mkdir(mode=0o700)
(_SCRATCH / "plugins" / "imagerydl").symlink_to(PLUGIN, target_is_directory=True)
ENVIRONMENT = {
    "QT_QPA_PLATFORM": "offscreen",
    "XDG_RUNTIME_DIR": str(_SCRATCH / "run"),
    "QGIS_CUSTOM_CONFIG_PATH": str(_SCRATCH / "profile"),
    "QGIS_PLUGINPATH": str(_SCRATCH / "plugins"),
    "TMPDIR": str(_SCRATCH / "tmp"),
    "PYTHONDONTWRITEBYTECODE": "1",
}
# The real environment, for the tests that run the real engine; the others choose their own.
ENGINE_PYTHON = os.environ.pop("IMAGERYDL_PYTHON", None) or str(
    PLUGIN / "build" / "runtime" / "bin" / "python"
)
os.environ.update(ENVIRONMENT)
tempfile.tempdir = str(_SCRATCH / "tmp")
sys.dont_write_bytecode = True
sys.path[:0] = [str(_SCRATCH / "plugins"), str(Path(__file__).parent)]

try:
    from qgis.core import QgsApplication, QgsProject
except ImportError:  # the engine's own environment: these tests run with QGIS's Python
    collect_ignore_glob = ["*"]
else:
    # Started here, so that test modules can import "processing", which QGIS keeps in its data folder.
    _APPLICATION = QgsApplication([], True)
    _APPLICATION.initQgis()
    sys.path.append(str(Path(QgsApplication.pkgDataPath()) / "python" / "plugins"))


@pytest.fixture(scope="session")
def scratch() -> Path:
    """The folder of this test session; ``plugins/imagerydl`` in it is the plugin."""
    return _SCRATCH


@pytest.fixture(scope="session", autouse=True)
def qgis_app():
    """QGIS with Processing, for the whole session."""
    from processing.core.Processing import Processing

    Processing.initialize()
    yield _APPLICATION
    QgsProject.instance().clear()
    gc.collect()  # layers in Python's hands must go before QGIS does
    _APPLICATION.exitQgis()
    shutil.rmtree(_SCRATCH, ignore_errors=True)


@pytest.fixture
def provider(qgis_app):
    """The plugin's provider, registered as QGIS does it."""
    from imagerydl import classFactory

    plugin = classFactory(None)
    plugin.initProcessing()
    yield qgis_app.processingRegistry().providerById("imagerydl")
    plugin.unload()


@pytest.fixture(scope="session")
def toys(qgis_app):
    """A provider ``toys`` with the toy tool, once for the worker and once in process."""
    from toy_algorithms import QuickToy, Toy

    from imagerydl.processing_provider.provider import ImageryProvider

    class ToyProvider(ImageryProvider):
        def id(self):
            return "toys"

        def name(self):
            return "Toys"

        def loadAlgorithms(self):  # noqa: N802
            self.addAlgorithm(Toy())
            self.addAlgorithm(QuickToy())

    provider = ToyProvider()
    qgis_app.processingRegistry().addProvider(provider)
    yield provider
    qgis_app.processingRegistry().removeProvider(provider)


@pytest.fixture
def worker(monkeypatch, tmp_path):
    """The engine's worker, run by the Python at hand and knowing the toy tool."""
    from imagerydl.processing_provider import runtime

    script = Path(__file__).with_name("toy_worker.py")
    monkeypatch.setenv(runtime.ENVIRONMENT_VARIABLE, str(Path(sys.executable).absolute()))
    monkeypatch.setattr(
        runtime,
        "worker_command",
        lambda python, job_file: [str(python), "-I", "-u", str(script), str(job_file)],
    )
    return script


@pytest.fixture
def engine(monkeypatch):
    """The real engine: its Python, which the plugin finds too."""
    if not os.access(ENGINE_PYTHON, os.X_OK):
        pytest.skip(f"no deep-learning environment at {ENGINE_PYTHON}: run 'make setup'")
    monkeypatch.setenv("IMAGERYDL_PYTHON", ENGINE_PYTHON)
    return ENGINE_PYTHON


@pytest.fixture
def feedback():
    """A feedback that remembers what it was told."""
    from recording import Recording

    return Recording()


@pytest.fixture
def project():
    """The project, empty before and after."""
    from qgis.core import QgsProject

    QgsProject.instance().clear()
    yield QgsProject.instance()
    QgsProject.instance().clear()


@pytest.fixture
def raised(monkeypatch):
    """What was raised in slots, which must be nothing: Qt swallows it, or QGIS shows a traceback."""
    errors = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: errors.append(error))
    yield errors
    assert errors == []


@pytest.fixture
def raster(project, tmp_path):
    """Imagery to draw on, in the project."""
    from mouse import SIZE
    from qgis.core import QgsRasterLayer
    from samples import write_raster

    layer = QgsRasterLayer(write_raster(tmp_path / "town.tif", SIZE, SIZE), "town")
    project.addMapLayer(layer)
    return layer


@pytest.fixture
def canvas(raster):
    """A map that shows it."""
    from mouse import make_canvas

    canvas = make_canvas(raster)
    yield canvas
    canvas.deleteLater()
