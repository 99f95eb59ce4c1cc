"""What surrounds a raster function while it runs, and is gone when it does not."""

from __future__ import annotations

import builtins
import importlib.util
import os
import py_compile
import sys

import numpy as np
import pytest

from imagerydl.errors import ModelError
from imagerydl.events import Reporter
from imagerydl.models.raster_functions.arcpy_stand_in import ArcpyStandIn
from imagerydl.models.raster_functions.function import RasterFunction
from imagerydl.models.raster_functions.host import Host
from imagerydl.models.raster_functions.old_names import distutils_modules


def load(folder, source, gpu=-1, reporter=None, name="Mine", **modules):
    """The function of a file ``Mine.py``, with other modules beside it."""
    folder.mkdir(exist_ok=True)
    for module, text in {name: source, **modules}.items():
        (folder / f"{module}.py").write_text(text)
    return RasterFunction(folder / f"{name}.py", Host([folder], reporter or Reporter(), gpu))


def test_modules_of_one_function_are_not_those_of_another(tmp_path):
    source = (
        "import prf_utils\n"
        "class Mine:\n"
        "    def told(self):\n"
        "        import late\n"
        "        return prf_utils.x + late.x\n"
    )
    first = load(tmp_path / "a", source, prf_utils="x = 1", late="x = 10")
    second = load(tmp_path / "b", source, prf_utils="x = 2", late="x = 20")
    assert [first.call("told"), second.call("told"), first.call("told")] == [11, 22, 11]
    assert not {"prf_utils", "late", "Mine"} & set(sys.modules)


def test_state_of_a_functions_modules_lasts_from_call_to_call(tmp_path):
    source = (
        "class Mine:\n"
        "    def count(self):\n"
        "        import counter\n"
        "        counter.n += 1\n"
        "        return counter.n\n"
    )
    function = load(tmp_path / "a", source, counter="n = 0")
    assert [function.call("count") for _ in range(3)] == [1, 2, 3]


def test_a_module_of_the_engine_with_the_same_name_is_hidden_and_comes_back(tmp_path, monkeypatch):
    others = type(sys)("features")
    monkeypatch.setitem(sys.modules, "features", others)
    source = "import features\nclass Mine:\n    def told(self): return features.x\n"
    assert load(tmp_path / "a", source, features="x = 'own'").call("told") == "own"
    assert sys.modules["features"] is others


def test_paths_and_variables_a_function_sets_stay_with_it(tmp_path):
    source = (
        "import os, sys\n"
        "class Mine:\n"
        "    def initialize(self):\n"
        "        sys.path.append(os.path.join(os.path.dirname(__file__), 'deeper'))\n"
        "        os.environ['CUDA_VISIBLE_DEVICES'] = '-1'\n"
        "    def told(self):\n"
        "        import hidden_module\n"
        "        return hidden_module.x, os.environ['CUDA_VISIBLE_DEVICES']\n"
    )
    (tmp_path / "a" / "deeper").mkdir(parents=True)
    (tmp_path / "a" / "deeper" / "hidden_module.py").write_text("x = 7")
    path, variables = list(sys.path), dict(os.environ)
    function = load(tmp_path / "a", source)
    function.call("initialize")
    assert function.call("told") == (7, "-1")
    assert (sys.path, dict(os.environ)) == (path, variables)
    assert "hidden_module" not in sys.modules


def test_surroundings_are_taken_down_after_a_failure(tmp_path):
    before = list(sys.path), list(sys.path_hooks)
    function = load(
        tmp_path / "a",
        "class Mine:\n    def fail(self): raise OSError('no')\n    def updatePixels(self): 0\n",
    )
    with pytest.raises(ModelError, match=r"line 2 of Mine\.py\): OSError: no"):
        function.call("fail")
    assert (list(sys.path), list(sys.path_hooks)) == before
    assert not hasattr(builtins, "arcpy")


def test_names_numpy_has_dropped_are_there_while_the_function_runs(tmp_path):
    source = (
        "import numpy as np\n"
        "class Mine:\n"
        "    def told(self): return np.zeros(1, np.float).dtype, np.zeros(1, np.bool).dtype, np.NaN\n"
    )
    float_type, bool_type, nan = load(tmp_path / "a", source).call("told")
    assert (float_type, bool_type, np.isnan(nan)) == (np.float64, np.bool_, True)
    assert "float" not in vars(np)


def test_a_copy_is_made_where_it_is_needed_and_only_there(tmp_path):
    """numpy 2 refuses what published functions do in their first line."""
    source = (
        "import numpy as np\n"
        "class Mine:\n"
        "    def told(self, block):\n"
        "        return np.array(block, dtype='f4', copy=False), np.array(block, copy=False) is block\n"
    )
    array = np.array
    converted, is_same = load(tmp_path / "a", source).call("told", np.ones(2, np.uint8))
    assert (converted.dtype, is_same) == (np.float32, True)
    assert np.array is array


def test_distutils_is_replaced_where_python_has_none():
    modules = distutils_modules()
    loose, truth = modules["distutils.version"].LooseVersion, modules["distutils.util"].strtobool
    assert loose("1.10.1") > loose("1.9") == loose("1.9")
    assert loose("2.0rc1") >= "1.13.1+cu117"
    assert (truth("Yes"), truth("off")) == (1, 0)


def test_a_function_that_imports_distutils_finds_what_it_needs(tmp_path):
    source = (
        "from distutils.version import LooseVersion\n"
        "class Mine:\n"
        "    def told(self): return LooseVersion('1.10') > LooseVersion('1.9')\n"
    )
    assert load(tmp_path / "a", source).call("told")


def test_compiled_code_beside_a_source_is_not_run(tmp_path):
    """Consent is for the source; a cache could hold anything."""
    folder = tmp_path / "a"
    folder.mkdir()
    helper = folder / "helper.py"
    helper.write_text("x = 'evil'")
    stamp = helper.stat()
    py_compile.compile(str(helper), importlib.util.cache_from_source(str(helper)))
    source = "import helper\nclass Mine:\n    def told(self): return helper.x\n"
    (folder / "Mine.py").write_text(source)
    helper.write_text("x = 'good'")  # of the same size and, below, age: the cache looks fresh
    os.utime(helper, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    function = RasterFunction(folder / "Mine.py", Host([folder], Reporter(), -1))
    assert function.call("told") == "good"
    assert {path.name for path in (folder / "__pycache__").iterdir()} == {
        os.path.basename(importlib.util.cache_from_source(str(helper)))
    }


def test_arcpy_stands_in_even_where_a_function_forgets_to_import_it(tmp_path):
    said = []
    source = (
        "class Mine:\n"
        "    def told(self):\n"
        "        arcpy.AddMessage('starting'); arcpy.AddWarning('slow'); arcpy.AddError('odd')\n"
        "        arcpy.env.gpuId = '1'\n"
        "        return arcpy.env.processorType, arcpy.env.gpuId\n"
    )
    function = load(tmp_path / "a", source, gpu=0, reporter=Reporter(said.append))
    assert function.call("told") == ("GPU", "1")
    assert [(event["level"], event["text"]) for event in said] == [
        ("info", "starting"),
        ("warning", "slow"),
        ("warning", "odd"),
    ]


def test_what_arcpy_does_not_have_here_is_named():
    arcpy = ArcpyStandIn(Reporter(), -1)
    assert (arcpy.env.processorType, arcpy.env.gpuId) == ("CPU", "")
    with pytest.raises(AttributeError, match=r"arcpy\.Raster is not available outside ArcGIS"):
        _ = arcpy.Raster
    with pytest.raises(AttributeError, match=r"arcpy\.env\.workspace"):
        _ = arcpy.env.workspace
    with pytest.raises(AttributeError, match=r"arcpy\.env\.cellSize"):
        arcpy.env.cellSize = 3


def test_what_a_function_prints_is_not_the_programs_output(tmp_path, capsys):
    load(tmp_path / "a", "print('importing')\nclass Mine:\n    def updatePixels(self): print('x')\n")
    assert capsys.readouterr() == ("", "importing\n")
