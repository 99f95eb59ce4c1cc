"""Tables of measures: what GDAL, and so QGIS, reads in them."""

from __future__ import annotations

import math

import pyogrio
import pytest

from imagerydl.assessment.tables import write_table
from imagerydl.errors import OutputError

COLUMNS = {"Class": ["roof", "All classes"], "AP": [0.5, float("nan")], "True_Positive": [3, 4]}


@pytest.mark.parametrize("extension", ["csv", "gpkg", "dbf"])
def test_columns_keep_their_types(tmp_path, extension):
    """Numbers are numbers in every format: they can be sorted, drawn and compared."""
    write_table(tmp_path / f"accuracy.{extension}", COLUMNS)
    meta, _, _, columns = pyogrio.raw.read(tmp_path / f"accuracy.{extension}", read_geometry=False)
    assert [str(kind)[:3] for kind in meta["dtypes"]] == ["obj", "flo", "int"]
    assert columns[0].tolist() == ["roof", "All classes"]
    assert columns[1][0] == 0.5
    assert math.isnan(columns[1][1])
    assert columns[2].tolist() == [3, 4]


def test_a_table_and_its_types_come_together_or_not_at_all(tmp_path):
    (tmp_path / "accuracy.csv").write_text("mine")
    with pytest.raises(OutputError):
        write_table(tmp_path / "accuracy.csv", COLUMNS)
    assert [path.name for path in tmp_path.iterdir()] == ["accuracy.csv"]
    write_table(tmp_path / "accuracy.csv", COLUMNS, overwrite=True)
    assert (tmp_path / "accuracy.csvt").read_text() == '"String","Real","Integer64"\n'
