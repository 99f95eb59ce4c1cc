"""Arrows point one way: the engine knows nothing of QGIS, the QGIS side only the engine's declarations."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGINE = sorted((ROOT / "engine").rglob("*.py"))
QGIS_SIDE = sorted(
    [ROOT / "__init__.py", ROOT / "plugin.py"]
    + [
        path
        for folder in ("processing_provider", "algorithms", "ui")
        for path in (ROOT / folder).rglob("*.py")
    ]
)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path):
    """Every import statement of a file: level of relativity and dotted name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""


@pytest.mark.parametrize("path", ENGINE, ids=name)
def test_the_engine_imports_neither_qgis_nor_what_is_above_it(path):
    depth = len(path.relative_to(ROOT / "engine").parts) - 1
    for level, module in imports(path):
        assert module.split(".")[0] not in {"qgis", "PyQt5", "PyQt6", "processing", "osgeo"}, module
        assert level <= depth, f"{module} lies above the engine"
        if level == 0 and path.name != "__main__.py":
            assert module.split(".")[0] != "imagerydl", "relative imports: the folder may have any name"


@pytest.mark.parametrize("path", QGIS_SIDE, ids=name)
def test_the_qgis_side_is_pyqgis_and_standard_library(path):
    for level, module in imports(path):
        top = module.split(".")[0]
        assert level > 0 or top in {"qgis", "processing"} or top in sys.stdlib_module_names, module


@pytest.mark.parametrize("path", QGIS_SIDE, ids=name)
def test_wiring_points_towards_the_engine(path):
    """ui -> processing_provider, algorithms -> engine."""
    folder = path.relative_to(ROOT).parts[0]
    for _, module in imports(path):
        if folder in ("processing_provider", "algorithms"):
            assert not module.startswith("ui"), module
        if folder == "processing_provider":
            assert not module.startswith("algorithms"), "found by name, so that a tool is one module more"
