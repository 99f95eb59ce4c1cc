"""Bands by name, then by position; warnings where a raster looks different."""

import numpy as np
import pytest
from affine import Affine

from imagerydl.errors import DataError
from imagerydl.imagery.source import open_source
from imagerydl.inference.bands import cell_size_warnings, match_bands, value_warnings
from imagerydl.models.definition import load_definition

RGB = ("Red", "Green", "Blue")


@pytest.fixture
def matched(make_raster, make_model):
    """Bands and warnings for a model with ``extract`` trained on ``trained``, and a raster's names."""

    def match(extract, trained, names, count=None):
        data = np.ones((count or len(names), 4, 4), np.uint8)
        source = open_source(make_raster("r.tif", data, names=names, photometric="MINISBLACK"))
        properties = {"InputRastersProps": {"BandNames": list(trained)}}
        model = make_model(np.ones((2, len(extract))), ExtractBands=list(extract), **properties)
        return match_bands(load_definition(model), source)

    return match


def test_names_win_over_positions(matched):
    assert matched([0, 1, 2], RGB, ("Blue", "Green", "Red", "NIR")) == ((2, 1, 0), [])
    assert matched(["NIR", "red"], (), ("Blue", "Green", "Red", "NIR")) == ((3, 2), [])


def test_positions_are_taken_where_names_are_unknown(matched):
    assert matched([2, 0], (), ("", "", ""), 3) == ((2, 0), [])
    assert matched([0, 1, 2], RGB, (), 3) == ((0, 1, 2), [])
    assert matched(["Green", "Blue"], RGB, (), 3) == ((1, 2), [])
    assert matched(["A", "B"], (), (), 2) == ((0, 1), [])


def test_other_names_or_another_number_of_bands_is_taken_by_position_with_a_warning(matched):
    """W24: a model goes with imagery like that of its training."""
    bands, (warning,) = matched([0, 1], ("VV", "VH"), ("Red", "Green"))
    assert bands == (0, 1)
    assert "VV, VH" in warning
    bands, (warning,) = matched([0, 1, 2], RGB, (), 5)
    assert bands == (0, 1, 2)
    assert "5 bands" in warning


@pytest.mark.parametrize(
    ("extract", "trained", "names", "said"),
    [
        ([0, 1, 2, 3], (*RGB, "NearInfrared"), RGB, "the band NearInfrared.*3 bands: Red, Green, Blue"),
        ([3], (), ("",), "band 4.*1 band"),
        (["Thermal"], (), RGB, "the band Thermal"),
    ],
)
def test_a_raster_that_lacks_a_band_is_refused_with_the_reason(matched, extract, trained, names, said):
    with pytest.raises(DataError, match=said):
        matched(extract, trained, names)


@pytest.mark.parametrize(("level", "warned"), [(95, False), (130, False), (2500, True)])
def test_values_far_from_the_training_imagerys_are_warned_about(make_raster, make_model, level, warned):
    data = np.random.default_rng(0).normal(level, 30, (1, 300, 300)).clip(1).astype(np.uint16)
    data[:, :100] = 0
    stats = [{"Mean": 100, "StdDev": 35, "Min": 0, "Max": 255}]
    definition = load_definition(make_model(np.ones((2, 1)), AllTilesStats=stats))
    found = list(value_warnings(definition, open_source(make_raster("r.tif", data, nodata=0)), (0,)))
    assert bool(found) == warned


def test_a_raster_without_a_valid_pixel_gives_no_warning(make_raster, make_model):
    definition = load_definition(make_model(np.ones((2, 1)), AllTilesStats=[{"Mean": 9, "StdDev": 1}]))
    source = open_source(make_raster("r.tif", np.zeros((1, 50, 50), np.uint8), nodata=0))
    assert list(value_warnings(definition, source, (0,))) == []


@pytest.mark.parametrize(("cell", "warned"), [(0.5, False), (0.6, False), (2, True), (0.1, True)])
def test_much_finer_or_coarser_cells_are_warned_about(make_raster, make_model, cell, warned):
    definition = load_definition(make_model(np.ones((2, 1)), MinCellSize={"x": 0.5, "y": 0.5}))
    transform = Affine(cell, 0, 5e5, 0, -cell, 5e6)
    source = open_source(make_raster("r.tif", np.ones((1, 5, 5), np.uint8), transform=transform))
    assert bool(list(cell_size_warnings(definition, source))) == warned
