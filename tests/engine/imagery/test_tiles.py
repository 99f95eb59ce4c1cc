"""Complete tiles of a grid."""

from imagerydl.imagery.tiles import full_tiles


def origins(*arguments):
    return [(tile.col_off, tile.row_off) for tile in full_tiles(*arguments)]


def test_tiles_touch_where_stride_is_size_and_come_row_by_row():
    """E19, E20: size and stride decide where chips lie; equal means no overlap."""
    assert origins(10, 6, 3, 3, 3, 3) == [(0, 0), (3, 0), (6, 0), (0, 3), (3, 3), (6, 3)]


def test_half_a_stride_is_half_an_overlap():
    """E20."""
    assert origins(8, 4, 4, 4, 2, 4) == [(0, 0), (2, 0), (4, 0)]


def test_a_grid_smaller_than_a_tile_has_none():
    assert origins(3, 9, 4, 4, 4, 4) == []
