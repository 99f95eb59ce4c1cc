"""How a model's tiles are laid over a raster: what is read, what counts, what is cut off."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ModelError, ParameterError
from ..models.definition import ModelDefinition
from ..models.runtimes.protocol import Gives, PixelModel
from .arguments import CROP, PixelArguments
from .layout import TileLayout, whole_layout


@dataclass(frozen=True)
class TilePlan:
    """Tiles of a run.

    The layout's tiles are the part of the model's tiles that counts; the model reads ``context``
    pixels more on every side, and what it gives for the outer ``crop`` pixels is cut off.

    Attributes:
        layout: The parts that count.
        tile: (height, width) the model reads.
        context: Pixels read around the part that counts.
        crop: Pixels cut off the model's output on every side.
        batch_size: Tiles predicted together.
    """

    layout: TileLayout
    tile: tuple[int, int]
    context: int
    crop: int
    batch_size: int


def plan_tiles(
    definition: ModelDefinition, model: PixelModel, arguments: PixelArguments, width: int, height: int
) -> TilePlan:
    """Lay a model's tiles over a raster of ``width`` x ``height`` pixels.

    Raises:
        ParameterError: For a padding or tile size that cannot be.
        ModelError: If definition and model disagree.
    """
    tile = _tile_size(definition, model, arguments)
    blends = model.blends and arguments.merge_policy != CROP and model.gives is not Gives.VALUES
    padding = max(_padding(model, arguments, tile), model.margin)
    if 2 * padding >= min(tile):
        raise ParameterError(
            f"padding is {padding} with tiles of {tile[1]} x {tile[0]} pixels.",
            f"Give at least 0 and less than half a tile ({(min(tile) - 1) // 2} at most).",
        )
    context = model.margin if blends else padding
    counted = (tile[0] - 2 * context, tile[1] - 2 * context)
    return TilePlan(
        layout=whole_layout(width, height, counted, padding - context),
        tile=tile,
        context=context,
        crop=context - model.margin,
        batch_size=model.fitting_batch(arguments.batch_size_for(tile)),
    )


def _padding(model: PixelModel, arguments: PixelArguments, tile: tuple[int, int]) -> int:
    return model.margin if model.pads_itself else arguments.padding_for(tile)


def _tile_size(definition: ModelDefinition, model: PixelModel, arguments: PixelArguments) -> tuple[int, int]:
    wanted = (arguments.tile_size, arguments.tile_size) if arguments.tile_size else None
    if model.tile_size is None:
        return wanted or definition.image_size
    if not model.blends:  # it has heard of tile_size itself
        return model.tile_size
    height, width = model.tile_size
    if wanted not in (None, model.tile_size):
        raise ParameterError(
            f"tile_size is {arguments.tile_size}, and this model takes tiles of {width} x {height} pixels "
            "only.",
            "Leave tile_size out.",
        )
    if model.tile_size != definition.image_size:
        raise ModelError(
            f"The network is bound to tiles of {width} x {height} pixels and {definition.name} states "
            f"{definition.image_width} x {definition.image_height}.",
            "Correct ImageWidth and ImageHeight in the definition.",
        )
    return model.tile_size
