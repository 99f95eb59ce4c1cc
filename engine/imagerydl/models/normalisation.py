"""How raw pixel values become a network's input: one subtraction and one division a band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

#: Mean and standard deviation of ImageNet, 0 to 1, red green blue (torchvision's documentation).
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Normalisation:
    """``(value - subtract) / divide`` for each band the network takes, in its order.

    Attributes:
        subtract: One number per band, in raw pixel values.
        divide: One number per band, never 0.
        is_precise: Whether it is computed in double precision, for networks trained on such input.
    """

    subtract: tuple[float, ...]
    divide: tuple[float, ...]
    is_precise: bool = False

    def __post_init__(self) -> None:
        if len(self.subtract) != len(self.divide):
            raise ValueError("subtract and divide need one number per band each")
        if any(not value or value != value for value in self.divide):
            raise ValueError("divide must not hold 0 or NaN")

    @property
    def bands(self) -> int:
        """Number of bands."""
        return len(self.subtract)

    def apply(self, data: np.ndarray) -> np.ndarray:
        """Normalise ``[bands, h, w]`` or ``[n, bands, h, w]``; returns float32, same shape."""
        import numpy as np

        result = np.empty(data.shape, np.float32)
        self.apply_to(data, result)
        return result

    def apply_to(self, data: np.ndarray, target: np.ndarray) -> None:
        """Normalise ``[bands, h, w]`` or ``[n, bands, h, w]`` into float32 ``target`` of the same shape."""
        import numpy as np

        shape = (self.bands, 1, 1)
        # In one type throughout: the same pixel gives the same input in every tile and batch.
        kind = np.float64 if self.is_precise else np.float32
        subtract = np.asarray(self.subtract, kind).reshape(shape)
        divide = np.asarray(self.divide, kind).reshape(shape)
        if self.is_precise:
            target[...] = (data - subtract) / divide
            return
        if subtract.any():
            target[...] = data
            target -= subtract
            data = target
        # "unsafe" is what astype does, too: values come in any type.
        np.divide(data, divide, out=target, dtype=np.float32, casting="unsafe")

    @classmethod
    def from_byte_range(cls, bands: int) -> Normalisation:
        """0 to 255 becomes 0 to 1, what 8-bit imagery gets."""
        return cls((0.0,) * bands, (255.0,) * bands)

    @classmethod
    def from_imagenet(cls) -> Normalisation:
        """ImageNet mean and standard deviation for 8-bit red, green, blue."""
        return cls(tuple(255 * m for m in IMAGENET_MEAN), tuple(255 * s for s in IMAGENET_STD))

    @classmethod
    def from_statistics(cls, means: Sequence[float], deviations: Sequence[float]) -> Normalisation:
        """Zero mean and unit deviation; a constant band keeps its scale."""
        return cls(
            tuple(float(mean) for mean in means),
            tuple(float(deviation) or 1.0 for deviation in deviations),
        )

    @classmethod
    def from_arcgis_stats(cls, stats: Mapping[str, Any], bands: Sequence[int]) -> Normalisation:
        """From the ``NormalizationStats`` of arcgis.learn: min-max scaling, then scaled mean and std.

        Args:
            stats: The key's value.
            bands: 0-based bands the network takes.
        """
        subtract, divide = [], []
        for band in bands:
            low, high = float(stats["band_min_values"][band]), float(stats["band_max_values"][band])
            mean, std = float(stats["scaled_mean_values"][band]), float(stats["scaled_std_values"][band])
            span = (high - low) or 1.0
            subtract.append(low + mean * span)
            divide.append((std or 1.0) * span)
        return cls(tuple(subtract), tuple(divide), is_precise=True)

    def to_json(self) -> dict[str, list[float]]:
        """The value of the ``Normalization`` key of our own definitions."""
        return {"Subtract": list(self.subtract), "Divide": list(self.divide)}
