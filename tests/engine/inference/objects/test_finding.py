"""Objects of a raster: each once and whole, whatever the tiles."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.windows import Window

from imagerydl.errors import ModelError, ParameterError
from imagerydl.events import Reporter
from imagerydl.imagery.source import open_source
from imagerydl.inference.classification import View
from imagerydl.inference.layout import whole_layout
from imagerydl.inference.objects.arguments import DetectionArguments
from imagerydl.inference.objects.finding import DetectionTally, TileDetector, find_objects
from imagerydl.inference.objects.found import Objects
from imagerydl.inference.objects.sweep import Suppressor
from imagerydl.inference.objects.tiling import plan_detection
from imagerydl.inference.tiles import TilePlan
from imagerydl.models.runtimes.detection import Detections
from imagerydl.models.runtimes.protocol import ModelInput

from .conftest import PatchDetector


class Memory:
    """A raster in memory, as far as finding objects looks at one."""

    def __init__(self, data, valid=None):
        self.data = data
        self.valid = np.ones(data.shape[1:], bool) if valid is None else valid

    def clone(self):
        return self

    def close(self):
        pass

    def read_context(self, window: Window, bands, border):
        assert border == "zero", "a mirror would show objects twice"
        rows, columns = int(window.height), int(window.width)
        data = np.zeros((len(bands), rows, columns), self.data.dtype)
        valid = np.zeros((rows, columns), bool)
        top, left = int(window.row_off), int(window.col_off)
        height, width = self.data.shape[1:]
        first, last = max(top, 0), min(top + rows, height)
        west, east = max(left, 0), min(left + columns, width)
        if first < last and west < east:
            inner = (slice(first - top, last - top), slice(west - left, east - left))
            data[(slice(None), *inner)] = self.data[list(bands), first:last, west:east]
            valid[inner] = self.valid[first:last, west:east]
        return data, valid, valid


def find(data, tile=32, padding=8, *, model=None, batch=3, readers=2, valid=None, nms=None, **arguments):
    """Objects of ``data``; the last tally is on the function."""
    model = model or PatchDetector()
    height, width = data.shape[1:]
    size = (tile, tile) if isinstance(tile, int) else tile
    counted = (size[0] - 2 * padding, size[1] - 2 * padding)
    plan = TilePlan(whole_layout(width, height, counted, 0), size, padding, 0, batch)
    settings_ = DetectionArguments(**arguments)
    find.tally = DetectionTally()
    view = View(Memory(data, valid), (0, 1), ModelInput(mirrored=False))
    return Objects.joined(
        list(
            find_objects(
                view,
                plan,
                TileDetector(model, settings_, None, lambda text: None),
                Reporter(),
                readers=readers,
                joins=settings_.exclude_pad_detections,
                suppressor=None if nms is None else Suppressor(nms),
                tally=find.tally,
            )
        )
    )


def boxes(objects):
    return sorted(tuple(int(v) for v in box) for box in objects.boxes)


def test_an_object_on_four_tiles_comes_once_and_whole(patches):
    """5.6: the same object across four tiles is one feature with the full area."""
    found = find(patches(96, 96, (30, 27, 37, 36, 100, 90)))  # counted parts meet at 32, 32
    assert boxes(found) == [(30, 27, 37, 36)]
    assert found.scores[0] == pytest.approx(0.9)
    assert shapely.area(found.shapes[0]) == 7 * 9


@pytest.mark.parametrize("outlines", [False, True])
@pytest.mark.parametrize("padding", [0, 2, 8, 12])
def test_an_object_larger_than_what_tiles_share_is_put_together(patches, padding, outlines):
    data = patches(130, 150, (10, 20, 120, 90, 100, 80), (125, 5, 140, 125, 200, 70))
    found = find(data, padding=padding, model=PatchDetector(outlines))
    assert boxes(found) == [(10, 20, 120, 90), (125, 5, 140, 125)]
    assert sorted(shapely.area(found.shapes)) == [15 * 120, 110 * 70]


def test_outlines_are_joined_to_the_outline_of_the_whole(patches):
    data = patches(100, 100, (5, 5, 95, 15, 100, 80), (45, 15, 55, 95, 100, 80))  # a T
    found = find(data, model=PatchDetector(outlines=True))
    assert len(found) == 1
    assert shapely.area(found.shapes[0]) == 90 * 10 + 10 * 80


def test_parts_of_different_objects_stay_apart(patches):
    """Two bars side by side run through the same seams."""
    data = patches(40, 200, (5, 5, 190, 12, 100, 80), (5, 16, 190, 23, 100, 70), (5, 26, 190, 33, 200, 60))
    found = find(data)
    assert boxes(found) == [(5, 5, 190, 12), (5, 16, 190, 23), (5, 26, 190, 33)]
    assert sorted(found.classes.tolist()) == [0, 0, 1]


def test_objects_at_the_border_of_the_raster_are_whole(patches):
    data = patches(64, 64, (0, 0, 6, 5, 100, 80), (60, 30, 64, 40, 100, 80), (20, 58, 30, 64, 200, 80))
    assert boxes(find(data)) == [(0, 0, 6, 5), (20, 58, 30, 64), (60, 30, 64, 40)]


@st.composite
def scenes(draw):
    """Patches on a lattice of cells, so that they never touch, on rasters and tiles of any size."""
    cell = draw(st.integers(6, 30))
    columns, rows = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    width, height = columns * cell + draw(st.integers(0, 9)), rows * cell + draw(st.integers(0, 9))
    placed = []
    for row in range(rows):
        for column in range(columns):
            if draw(st.booleans()):
                side = st.integers(3, cell - 2)
                w, h = draw(side), draw(side)
                x = column * cell + draw(st.integers(0, cell - 1 - w))
                y = row * cell + draw(st.integers(0, cell - 1 - h))
                placed.append(
                    (x, y, x + w, y + h, draw(st.sampled_from([100, 200])), draw(st.integers(1, 100)))
                )
    tile = draw(st.integers(16, 60))
    return width, height, placed, tile, draw(st.integers(0, tile // 3))


def draw_scene(width, height, placed):
    data = np.zeros((2, height, width), np.uint8)
    for left, top, right, bottom, value, confidence in placed:
        data[0, top:bottom, left:right] = value
        data[1, top:bottom, left:right] = confidence
    return data


@settings(max_examples=60)
@given(scenes(), st.booleans())
def test_every_object_comes_once_and_whole_on_any_raster_and_tiles(scene, outlines):
    width, height, placed, tile, padding = scene
    found = find(draw_scene(width, height, placed), tile, padding, model=PatchDetector(outlines))
    assert boxes(found) == sorted(box[:4] for box in placed)


@settings(max_examples=20)
@given(scenes(), st.integers(1, 9), st.integers(1, 3))
def test_neither_batch_nor_readers_matter(scene, batch, readers):
    width, height, placed, tile, padding = scene
    data = draw_scene(width, height, placed)
    once = find(data, tile, padding, batch=1, readers=1)
    again = find(data, tile, padding, batch=batch, readers=readers)
    assert once.boxes.tolist() == again.boxes.tolist()
    assert once.scores.tolist() == again.scores.tolist()
    assert once.origins.tolist() == again.origins.tolist()


def test_everything_that_tiles_find_comes_where_it_is_asked_for(patches):
    data = patches(96, 96, (30, 27, 37, 36, 100, 90))
    found = find(data, exclude_pad_detections=False)
    assert len(found) > 1
    assert (30, 27, 37, 36) in boxes(found)


def test_objects_on_no_data_alone_are_not_reported(patches):
    data = patches(64, 64, (10, 10, 20, 20, 100, 90), (40, 40, 50, 50, 100, 90))
    valid = np.ones((64, 64), bool)
    valid[35:55, 35:55] = False
    assert boxes(find(data, valid=valid)) == [(10, 10, 20, 20)]


def test_tiles_without_data_are_skipped_and_counted(patches):
    data = patches(64, 64, (10, 10, 20, 20, 100, 90))
    valid = np.zeros((64, 64), bool)
    valid[:30, :30] = True
    assert boxes(find(data, valid=valid)) == [(10, 10, 20, 20)]
    assert (find.tally.tiles, find.tally.skipped, find.tally.objects) == (16, 12, 1)


def test_a_detector_that_finds_nothing_gives_nothing(patches):
    assert len(find(patches(64, 64))) == 0


def test_suppression_runs_over_the_whole_raster(patches):
    data = patches(96, 96, (20, 20, 40, 40, 100, 60), (60, 60, 70, 70, 200, 90))
    data[0, 30:50, 30:50], data[1, 30:50, 30:50] = 200, 80  # lies over a corner of the first one
    assert len(find(data)) == 3
    kept = find(data, nms=0.0)
    assert boxes(kept) == [(30, 30, 50, 50), (60, 60, 70, 70)]


class Wrong(PatchDetector):
    """Gives what it should not."""

    def __init__(self, **wrong):
        super().__init__()
        self.wrong = wrong

    def detect(self, batch, valid, positions=()):
        given = {"boxes": [[1, 1, 5, 5]], "scores": [0.5], "classes": [0], **self.wrong}
        one = Detections(
            np.array(given["boxes"], np.float32),
            np.array(given["scores"], np.float32),
            np.array(given["classes"], np.int64),
        )
        return [one] * (len(batch) + self.wrong.get("more", 0))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"scores": [np.nan]}, "not numbers"),
        ({"scores": [1.5]}, "confidence 1.5"),
        ({"classes": [2]}, "class number 3"),
        ({"more": 1}, "for a batch of"),
    ],
)
def test_what_a_detector_must_not_give_is_refused(patches, wrong, said):
    with pytest.raises(ModelError, match=said):
        find(patches(32, 32), model=Wrong(**wrong))


def test_boxes_of_zero_area_reversed_or_infinite_are_left_out(patches):
    wrong = Wrong(
        boxes=[[5, 5, 5, 9], [9, 9, 2, 2], [0, 0, np.inf, 9], [20, 20, 25, 25]],
        scores=[0.5] * 4,
        classes=[0] * 4,
    )
    assert boxes(find(patches(32, 32), 32, 0, model=wrong)) == [(20, 20, 25, 25)]


class TooLarge(PatchDetector):
    """Has no room for more than two tiles."""

    def detect(self, batch, valid, positions=()):
        if len(batch) > 2:
            raise MemoryError
        return super().detect(batch, valid, positions)


def test_out_of_memory_goes_on_with_half_the_batch(patches):
    data = patches(96, 96, (30, 27, 37, 36, 100, 90))
    assert boxes(find(data, model=TooLarge(), batch=6)) == [(30, 27, 37, 36)]


@pytest.mark.parametrize("tile", [32, (24, 40)])
def test_views_find_the_same_objects_in_their_places(patches, tile):
    data = patches(90, 70, (3, 5, 9, 20, 100, 90), (40, 50, 60, 55, 200, 40), (30, 10, 34, 19, 100, 70))
    plain = find(data, tile, model=PatchDetector(outlines=True))
    views = find(data, tile, model=PatchDetector(outlines=True), test_time_augmentation=True)
    assert boxes(plain) == boxes(views)
    assert sorted(plain.scores.tolist()) == sorted(views.scores.tolist())


def test_an_image_that_fits_one_tile_is_one_tile(make_model, make_raster):
    model = PatchDetector()

    class Definition:
        image_size = (64, 80)

    plan = plan_detection(Definition, model, DetectionArguments(), 80, 64)
    assert (plan.layout.tile_count, plan.context) == (1, 0)
    plan = plan_detection(Definition, model, DetectionArguments(), 81, 64)
    assert plan.context == 16
    with pytest.raises(ParameterError, match="less than half a tile"):
        plan_detection(Definition, model, DetectionArguments(padding=32), 81, 64)


def test_a_real_source_reads_like_the_one_in_memory(make_raster, patches):
    data = patches(90, 70, (3, 5, 9, 20, 100, 90), (40, 50, 60, 55, 200, 40))
    with open_source(make_raster("a.tif", data)) as source:
        window = Window(-8, -8, 64, 64)
        real, memory = (
            source.read_context(window, (0, 1), "zero"),
            Memory(data).read_context(window, (0, 1), "zero"),
        )
        for one, other in zip(real, memory):
            np.testing.assert_array_equal(one, other)


class Unsteady(PatchDetector):
    """Places and rates every object a little differently in each tile, as networks do."""

    wants_positions = True

    def detect(self, batch, valid, positions=()):
        found = []
        for detections, (column, row) in zip(super().detect(batch, valid), positions):
            random = np.random.default_rng([column + 10_000, row + 10_000])
            boxes = detections.boxes + random.uniform(-0.8, 0.8, detections.boxes.shape)
            scores = np.clip(detections.scores + random.uniform(-0.1, 0.1, len(detections)), 0, 1)
            found.append(Detections(boxes.astype(np.float32), scores.astype(np.float32), detections.classes))
        return found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("padding", [8, 16])
def test_a_detector_that_wavers_from_tile_to_tile_finds_each_object_once(seed, padding):
    random = np.random.default_rng(seed)
    placed = []
    for x in range(0, 300, 30):
        for y in range(0, 300, 30):
            width, height = random.integers(9, 27, 2)
            left, top = x + random.integers(0, 29 - width), y + random.integers(0, 29 - height)
            placed.append((left, top, left + width, top + height, random.choice([100, 200]), 80))
    found = find(draw_scene(300, 300, placed), 64, padding, model=Unsteady())
    assert len(found) == len(placed)
    # Each found box is the one placed on its cell, within what the detector wavers by.
    cells = {(int(box[0]) // 30, int(box[1]) // 30): box[:4] for box in placed}
    for box, (x, y) in zip(found.boxes, (found.boxes[:, :2] + found.boxes[:, 2:]) // 60):
        assert np.abs(box - np.array(cells[int(x), int(y)])).max() < 3
