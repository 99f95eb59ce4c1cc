"""A detector fitted to the boxes it is trained on."""

import numpy as np
import pytest

from imagerydl.errors import ParameterError
from imagerydl.training.anchors import cluster, fit_levels
from imagerydl.training.settings import LossSettings


def boxes(*sides):
    return np.array([[0, 0, width, height] for width, height in sides], np.float32)


def fitted(sides, labels=None, size=(256, 256), **settings):
    own = boxes(*sides)
    kinds = np.zeros(len(own), int) if labels is None else np.array(labels)
    return fit_levels([own], [kinds], LossSettings(**settings), size)


def test_clusters_are_the_sizes_that_occur():
    assert cluster(np.array([10.0] * 5 + [40] * 5), 2) == pytest.approx([10, 40])


def test_sizes_that_are_all_alike_still_give_anchors_of_their_own():
    centres = cluster(np.full(9, 20.0), 4)
    assert len(set(centres)) == 4
    assert centres == sorted(centres)
    assert max(centres) < 22


def test_small_objects_are_looked_for_on_fine_maps():
    small, large = fitted([(20, 22)] * 4), fitted([(34, 34)] * 4)
    assert (small["shrink"], small["strides"]) == (1, [4, 8, 16, 32])
    assert (large["shrink"], large["strides"]) == (1, [8, 16, 32, 64])


def test_imagery_of_large_objects_is_shrunk_as_far_as_the_smallest_kind_allows():
    assert fitted([(100, 100)] * 4)["shrink"] == 4
    assert fitted([(100, 100)] * 9 + [(40, 40)], [0] * 9 + [1])["shrink"] == 2


def test_anchors_are_in_pixels_of_the_shrunk_image():
    sizes = fitted([(80, 80)] * 4)["sizes"]
    assert sizes[0][0] == pytest.approx(20, rel=0.1)


def test_grids_and_zooms_of_an_ssd():
    """As arcgis.learn has them: cells along a chip, anchors in cells, ratios in pairs."""
    found = fitted([(20, 20)] * 4, grids=(32, 16), zooms=(0.5, 1.0), ratios=(1.0, 2.0))
    assert found["strides"] == [8, 16]
    assert found["sizes"] == [[4, 8], [8, 16]]
    assert found["ratios"] == [1.0, 2.0]


@pytest.mark.parametrize("cells", [1, 128])
def test_a_grid_no_level_has_is_refused(cells):
    with pytest.raises(ParameterError, match=str(cells)) as caught:
        fitted([(20, 20)] * 4, grids=(cells,))
    assert "from 4 to 64" in caught.value.fix


def test_objects_of_one_shape_have_one_ratio_and_others_several():
    assert fitted([(20, 20), (30, 30), (25, 25)])["ratios"] == [1.0]
    ratios = fitted([(20, 40)] * 3 + [(40, 20)] * 3)["ratios"]
    assert (ratios[0], ratios[-1]) == (0.5, 2.0)
