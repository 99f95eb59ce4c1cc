"""Statistics of an export, gathered in the same pass that writes the chips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np


class Running:
    """Minimum, maximum, mean, sum and count of numbers that come one by one."""

    def __init__(self) -> None:
        self.minimum: float = math.inf
        self.maximum: float = -math.inf
        self.total: float = 0
        self.count = 0

    def add(self, value: float) -> None:
        """Count ``value`` in."""
        self.minimum, self.maximum = min(self.minimum, value), max(self.maximum, value)
        self.total += value
        self.count += 1

    @property
    def mean(self) -> float:
        """0 where there is nothing."""
        return self.total / self.count if self.count else 0.0

    def as_json(self) -> dict[str, float]:
        """In the form of Esri's statistics file."""
        low, high = (self.minimum, self.maximum) if self.count else (0, 0)
        return {"Min": low, "Max": high, "Mean": self.mean, "Sum": self.total, "Count": self.count}


class BandStatistics:
    """Minimum, maximum, mean and squared deviations of each band over all chips.

    Chips are merged by the parallel form of Welford's update (Chan, Golub, LeVeque 1983), which
    stays exact where sums of squares would cancel. Pixels of overlapping chips count each time
    they are exported; pixels without data do not count.

    Args:
        bands: Number of bands.
        nodata: Value that floating-point bands hold where they have no data.
    """

    def __init__(self, bands: int, nodata: Optional[float] = None) -> None:
        self._nodata = nodata
        self._count = np.zeros(bands, dtype=np.int64)
        self._min = np.full(bands, np.inf)
        self._max = np.full(bands, -np.inf)
        self._mean = np.zeros(bands)
        self._squares = np.zeros(bands)

    def add(self, data: np.ndarray, valid: np.ndarray) -> None:
        """Count the valid pixels of a chip in.

        Args:
            data: ``[bands, height, width]``.
            valid: ``[height, width]``.
        """
        everywhere = bool(valid.all())
        for band, pixels in enumerate(data):
            values = pixels.ravel() if everywhere else pixels[valid]
            if values.dtype.kind == "f":
                # A pixel is valid as soon as one band has a value there.
                values = values[np.isfinite(values) & (values != self._nodata)]
            if values.size:
                self._merge(band, values)

    def _merge(self, band: int, values: np.ndarray) -> None:
        before, count = int(self._count[band]), values.size
        total = before + count
        mean = values.mean(dtype=np.float64)
        # Not a dot product: the matrix library would start threads for each chip.
        deviations = values - mean
        deviations *= deviations
        step = mean - self._mean[band]
        self._min[band] = min(self._min[band], values.min())
        self._max[band] = max(self._max[band], values.max())
        self._mean[band] += step * (count / total)
        self._squares[band] += deviations.sum() + step**2 * (before * count / total)
        self._count[band] = total

    def state(self) -> list[dict[str, float]]:
        """``BandStatsState``: Mean and StdDev stay 0; M1, M2 and Num hold the running state."""
        return [
            {"Min": low, "Max": high, "Mean": 0, "StdDev": 0, "M1": mean, "M2": squares, "Num": count}
            for low, high, mean, squares, count in self._rows()
        ]

    def summary(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """``AllTilesStats``: real mean and standard deviation per band."""
        return [
            {
                "BandName": name,
                "Min": low,
                "Max": high,
                "Mean": mean,
                "StdDev": math.sqrt(squares / count) if count else 0.0,
            }
            for name, (low, high, mean, squares, count) in zip(names, self._rows())
        ]

    def _rows(self) -> list[tuple[float, float, float, float, int]]:
        """A band without any value counts as constant 0: the files hold finite numbers only."""
        low, high = (np.where(self._count > 0, limit, 0.0) for limit in (self._min, self._max))
        columns = (low, high, self._mean, self._squares, self._count)
        return list(zip(*(column.tolist() for column in columns)))


class ClassPixels:
    """How many pixels of each class value the label chips hold."""

    def __init__(self) -> None:
        self.images = 0
        self._by_value: dict[int, Running] = {}
        # Whether value 0 is a class is known at the end only: counted both ways.
        self._classes_per_image = {False: Running(), True: Running()}

    def add(self, label: np.ndarray) -> None:
        """Count a label chip ``[height, width]`` of unsigned integers in."""
        counts = np.bincount(label.ravel())
        present = np.flatnonzero(counts)
        for value in present.tolist():
            self._by_value.setdefault(value, Running()).add(int(counts[value]))
        self.images += 1
        others = len(present) - int(counts[0] > 0)
        self._classes_per_image[False].add(others)
        self._classes_per_image[True].add(len(present))

    @property
    def values(self) -> list[int]:
        """Class values that occur, in order, 0 among them."""
        return sorted(self._by_value)

    def of(self, value: int) -> Running:
        """Pixels per chip of a class, over the chips that hold it."""
        return self._by_value.get(value, Running())

    def per_image(self, classes: Sequence[int]) -> Running:
        """Number of classes per chip, where ``classes`` are the class values listed."""
        return self._classes_per_image[0 in classes]

    def as_json(self, classes: Sequence[int]) -> dict[str, Any]:
        """``ClassPixelStats``, in the order of ``classes``."""
        return {
            "NumClasses": len(classes),
            "NumImagesTotal": self.images,
            "NumImagesPerClass": [self.of(value).count for value in classes],
            "NumPixelsPerClass": [int(self.of(value).total) for value in classes],
            "NumClassesPerImage": self.per_image(classes).as_json(),
            "PixelsPerClass": [self.of(value).as_json() for value in classes],
        }
