"""How a detector's tiles are laid over a raster."""

from __future__ import annotations

from ...errors import ParameterError
from ...models.definition import ModelDefinition
from ...models.runtimes.detection import DetectionModel
from ..layout import TileLayout, whole_layout
from ..tiles import TilePlan
from .arguments import DetectionArguments
from .seams import TileFrame


def plan_detection(
    definition: ModelDefinition,
    model: DetectionModel,
    arguments: DetectionArguments,
    width: int,
    height: int,
) -> TilePlan:
    """Lay a detector's tiles over a raster of ``width`` x ``height`` pixels.

    The parts of tiles that count lie side by side and fill the raster; around each, a tile shows the padding.

    Raises:
        ParameterError: For a padding or tile size that cannot be.
    """
    tile = _tile_size(definition, model, arguments)
    padding = arguments.padding_for(tile) if model.margin is None else model.margin
    if model.margin is not None and arguments.padding not in (None, model.margin):
        raise ParameterError(
            f"padding is {arguments.padding}, and this model takes {model.margin} only.", "Leave padding out."
        )
    if 2 * padding >= min(tile):
        raise ParameterError(
            f"padding is {padding} with tiles of {tile[1]} x {tile[0]} pixels.",
            f"Give at least 0 and less than half a tile ({(min(tile) - 1) // 2} at most).",
        )
    if model.margin is None and width <= tile[1] and height <= tile[0]:
        padding = 0  # one tile shows all there is
    counted = (tile[0] - 2 * padding, tile[1] - 2 * padding)
    return TilePlan(
        layout=whole_layout(width, height, counted, 0),
        tile=tile,
        context=padding,
        crop=0,
        batch_size=model.fitting_batch(arguments.batch_size_for(tile)),
    )


def _tile_size(
    definition: ModelDefinition, model: DetectionModel, arguments: DetectionArguments
) -> tuple[int, int]:
    if model.tile_size is None:
        return (arguments.tile_size, arguments.tile_size) if arguments.tile_size else definition.image_size
    height, width = model.tile_size
    if arguments.tile_size and model.margin is None and (height, width) != (arguments.tile_size,) * 2:
        raise ParameterError(
            f"tile_size is {arguments.tile_size}, and this model takes tiles of {width} x {height} pixels "
            "only.",
            "Leave tile_size out.",
        )
    return model.tile_size


def tile_frame(plan: TilePlan, row: int, column: int) -> TileFrame:
    """Where a tile of a plan lies."""
    layout, context = plan.layout, plan.context
    left, top = layout.x.start(column), layout.y.start(row)
    raster = (0.0, 0.0, float(layout.x.length), float(layout.y.length))
    counted = (left, top, left + layout.x.size, top + layout.y.size)
    shown = (counted[0] - context, counted[1] - context, counted[2] + context, counted[3] + context)
    return TileFrame(row, column, _within(shown, raster), _within(counted, raster), raster)


def next_row_top(plan: TilePlan, row: int) -> float:
    """First pixel row that the tiles of the row behind ``row`` show; infinity behind the last one."""
    layout: TileLayout = plan.layout
    return layout.y.start(row + 1) - plan.context if row + 1 < layout.y.count else float("inf")


def _within(box: tuple[float, ...], frame: tuple[float, ...]) -> tuple[float, float, float, float]:
    return (
        max(float(box[0]), frame[0]),
        max(float(box[1]), frame[1]),
        min(float(box[2]), frame[2]),
        min(float(box[3]), frame[3]),
    )
