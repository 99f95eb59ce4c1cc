"""Batches: in order, complete, normalised, with the invalid masked."""

import numpy as np
import pytest

from imagerydl.errors import DataError
from imagerydl.imagery.source import open_source
from imagerydl.inference.layout import whole_layout
from imagerydl.inference.reading import TileReader, fill_input
from imagerydl.models.normalisation import Normalisation
from imagerydl.models.runtimes.protocol import ModelInput


def network_input(data, picture, feed):
    target = np.empty(data.shape, np.float32)
    fill_input(target, data, picture, feed)
    return target


NORMALISATION = Normalisation((10.0, 20.0), (2.0, 4.0))


def test_values_are_normalised_and_0_where_there_is_no_picture():
    data = np.full((2, 2, 2), 30, np.uint8)
    picture = np.array([[True, False], [True, True]])
    values = network_input(data, picture, ModelInput(NORMALISATION))
    assert values.dtype == np.float32
    assert values[0].tolist() == [[10, 0], [10, 10]]
    assert values[1].tolist() == [[2.5, 0], [2.5, 2.5]]


def test_what_is_not_a_number_never_reaches_the_network():
    data = np.array([[[np.nan, 1.0]], [[5.0, np.inf]]])
    values = network_input(data, np.ones((1, 2), bool), ModelInput())
    assert values.tolist() == [[[0, 1]], [[5, 0]]]


@pytest.mark.parametrize("readers", [1, 3])
def test_batches_come_in_order_and_cut_the_mirrored_picture(make_raster, readers):
    data = np.random.default_rng(0).integers(0, 255, (2, 30, 50)).astype(np.uint8)
    layout = whole_layout(50, 30, (16, 16), 4)
    padded = np.pad(data, ((0, 0), (4, 40), (4, 40)), mode="reflect").astype(np.float32)
    with open_source(make_raster("a.tif", data)) as source:
        with TileReader(source, (1, 0), ModelInput(), 0, readers) as reader:
            batches = list(reader.batches(layout, layout.runs(4)))
    assert [batch.run for batch in batches] == list(layout.runs(4))
    for batch in batches:
        for column, tile in zip(batch.columns, batch.tiles):
            top, left = batch.run.row * 8, column * 8
            np.testing.assert_array_equal(tile, padded[::-1, top : top + 16, left : left + 16])


def test_tiles_without_data_are_left_out_and_counted(make_raster):
    data = np.zeros((1, 8, 32), np.uint8)
    data[0, 3, 20] = 5
    layout = whole_layout(32, 8, (8, 8), 0)
    with open_source(make_raster("a.tif", data, nodata=0)) as source:
        with TileReader(source, (0,), ModelInput(), 0, 1) as reader:
            (batch,) = reader.batches(layout, layout.runs(10))
    assert batch.columns == (2,)
    assert batch.skipped == 3
    assert batch.valid.sum() == 1


def test_an_error_in_a_reader_comes_out(make_raster, tmp_path):
    path = make_raster("a.tif", np.ones((1, 8, 8), np.uint8))
    layout = whole_layout(8, 8, (8, 8), 0)
    with open_source(path) as source:
        (tmp_path / "a.tif").unlink()
        with (
            TileReader(source, (0,), ModelInput(), 0, 2) as reader,
            pytest.raises(DataError, match=r"a\.tif"),
        ):
            list(reader.batches(layout, layout.runs(1)))
