"""What the pipeline asks of a pixel classifier, whatever library computes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Optional, Protocol, Union

import numpy as np

from ...labels.classes import ClassSchema
from ..arguments import ModelArgument
from ..normalisation import Normalisation

#: Column and row of a tile's upper left pixel on its raster, margin included: negative beyond the border.
Position = tuple[int, int]


class Gives(Enum):
    """What the numbers mean that a network gives for a pixel."""

    #: Any scores whose softmax is the probability.
    LOGITS = "logits"
    #: Probabilities; the largest is the class.
    PROBABILITIES = "probabilities"
    #: One channel: the value to write, decided by the model itself. Nothing is blended.
    VALUES = "values"


@dataclass(frozen=True)
class ModelInput:
    """What a model is fed with.

    Attributes:
        normalisation: From raw pixel values to its input; None where it takes raw values.
        blank: Raw value put where there is no picture, before normalisation; None for 0 after it, which
            is the mean of most normalised imagery.
        mirrored: Whether imagery is mirrored beyond the raster's border; otherwise that is blank.
        as_read: Whether batches keep the raster's own pixel type instead of float32: code that comes with
            a model may count on unsigned arithmetic.
    """

    normalisation: Optional[Normalisation] = None
    blank: Optional[float] = None
    mirrored: bool = True
    as_read: bool = False


@dataclass(frozen=True)
class Scene:
    """The raster that tiles come from, for models that are told of it.

    Attributes:
        width: Columns.
        height: Rows.
        transform: From (column, row) to map coordinates: the six numbers (a, b, c, d, e, f) of
            x = a column + b row + c and y = d column + e row + f.
        spatial_reference: EPSG code, WKT where it has none, None without a CRS.
        pixel_type: numpy name of the type its pixels are read in ("uint8").
        nodata: Value that stands for no data, where there is one.
    """

    width: int
    height: int
    transform: tuple[float, float, float, float, float, float]
    spatial_reference: Union[int, str, None]
    pixel_type: str
    nodata: Optional[float] = None


class FedModel(Protocol):
    """What bringing imagery to any kind of model asks of it; see :class:`PixelModel` for the attributes."""

    input: ModelInput
    extract_bands: Optional[tuple[Union[int, str], ...]]
    data_range: Optional[tuple[float, float]]


class PixelModel:
    """A network that gives every pixel of a tile one score per output channel. Subclass it.

    Attributes:
        outputs: Number of output channels; a network with a single (binary) one counts as two,
            background first. 0 where only running it can tell.
        device: Where it runs: "CPU", "CUDA:0"...
        description: Runtime, device and threads, as a phrase for messages.
        input: What it is fed with.
        gives: What its scores mean.
        tile_size: (height, width) it is bound to, margin included; None where it takes any.
        margin: Pixels along each border of a tile for which it gives nothing.
        blends: Whether neighbouring tiles overlap by the padding and are blended; otherwise the padding
            is cut off and tiles touch.
        pads_itself: Whether :attr:`margin` is the padding that was asked for; otherwise the padding is the
            pipeline's to add.
        class_values: Class value of each output channel, where the model knows better than the
            definition.
        never: Output channels that must not win.
        pixel_type: For ``VALUES``, the numpy name of the pixel type they are written in.
        no_value: For ``VALUES``, the value by which the model says that it has none for a valid pixel;
            None where it always has one.
        classes: Classes with names and colours, where the model knows better than the definition. What a
            scene changes of them is there after :meth:`begin`.
        extract_bands: What the model takes, in order (0-based indices or band names), where it knows
            better than the definition.
        data_range: Range that pixel values are brought to before they reach the model, linearly from the
            smallest and largest value of the raster; None where they stay as they are.
        arguments: What the model itself declares, for those who have opened it anyway; opening it twice may
            mean loading it twice.
        at_once: Tiles that one call of :meth:`scores` is best given; None: as many as there are.
        wants_positions: Whether :meth:`scores` is to be called with the positions of the tiles.
        wants_calibration: Whether :meth:`calibrate` has to be called before the first scores: a lower
            precision than float32 was asked for.
        agreement: Share of the calibration pixels whose class is that of float32; None for float32.
    """

    outputs: int
    device: str
    description: str
    input: ModelInput = ModelInput()
    gives: Gives = Gives.LOGITS
    tile_size: Optional[tuple[int, int]] = None
    margin: int = 0
    blends: bool = True
    pads_itself: bool = False
    class_values: Optional[tuple[int, ...]] = None
    never: frozenset[int] = frozenset()
    pixel_type: str = ""
    no_value: Optional[float] = None
    classes: Optional[ClassSchema] = None
    extract_bands: Optional[tuple[Union[int, str], ...]] = None
    data_range: Optional[tuple[float, float]] = None
    arguments: tuple[ModelArgument, ...] = ()
    at_once: Optional[int] = None
    wants_positions: bool = False
    wants_calibration: bool = False
    agreement: Optional[float] = None

    def begin(self, scene: Scene) -> None:
        """Be told of the raster the next tiles come from; called before each raster's first tile."""

    def calibrate(self, batches: Sequence[np.ndarray]) -> str:
        """Fit a lower precision to real imagery, and measure what it costs.

        Sets :attr:`agreement`. A model that runs in float32 has nothing to do here.

        Args:
            batches: Input as :meth:`scores` takes it; a few tiles from all over the raster are enough.

        Returns:
            A sentence for the user: what runs from now on, how fast, how alike.

        Raises:
            ModelError: If the model cannot be brought to the precision asked for.
        """
        return ""

    def scores(self, batch: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Run the network.

        Args:
            batch: Input as :attr:`input` says, float32 ``[n, bands, h, w]``.
            valid: ``[n, h, w]``, True where the raster has a value.

        A model that :attr:`wants_positions` takes one more argument, a sequence of a :data:`Position` a
        tile; without it each tile is a raster of its own.

        Returns:
            Float32 ``[n, outputs, h - 2 * margin, w - 2 * margin]``, in the meaning of :attr:`gives`
            (for ``VALUES`` one channel of :attr:`pixel_type`). The array is the caller's to change.

        Raises:
            MemoryError: If the device has no room for the batch; a smaller one may fit.
            ModelError: If the network cannot run on it or gives something else.
        """
        raise NotImplementedError

    def predict(self, batch: np.ndarray, valid: Optional[np.ndarray] = None) -> np.ndarray:
        """Probabilities ``[n, outputs, h, w]`` of a batch, in one call; all of it valid unless given."""
        whole = np.ones((len(batch), *batch.shape[2:]), dtype=bool) if valid is None else valid
        scores = self.scores(batch, whole)
        return softmax(scores) if self.gives is Gives.LOGITS else scores

    def fitting_batch(self, size: int) -> int:
        """The number of tiles, at most ``size``, that the model can take together."""
        return size

    def close(self) -> None:
        """Release what it holds."""


def softmax(scores: np.ndarray) -> np.ndarray:
    """Softmax over axis 1 of float32 ``[n, channels, h, w]``, in place."""
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores


def two_channels(scores: np.ndarray) -> np.ndarray:
    """The logit of a binary network as two logits, background first.

    Softmax over (0, z) gives (1 - sigmoid(z), sigmoid(z)).
    """
    return np.concatenate([np.zeros_like(scores), scores], axis=1) if scores.shape[1] == 1 else scores


def looks_like_out_of_memory(error: BaseException) -> bool:
    """Whether a library's own error says that memory ran out: they agree on words, not on types."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(
        phrase in text
        for phrase in (
            "out of memory",
            "failed to allocate",
            "bad_alloc",
            "bad allocation",
            "can't allocate memory",
        )
    )
