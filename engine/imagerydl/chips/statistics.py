"""Statistics of an export, gathered in the same pass that writes the chips."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np

from ..labels.classes import ClassEntry


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

    @classmethod
    def of_json(cls, numbers: Mapping[str, float]) -> Running:
        """What :meth:`as_json` gave, to go on counting."""
        result = cls()
        if numbers["Count"]:
            result.minimum, result.maximum = numbers["Min"], numbers["Max"]
            result.total, result.count = numbers["Sum"], int(numbers["Count"])
        return result

    @property
    def mean(self) -> float:
        """0 where there is nothing."""
        return self.total / self.count if self.count else 0.0

    def as_json(self) -> dict[str, float]:
        """In the form of Esri's statistics file."""
        low, high = (self.minimum, self.maximum) if self.count else (0, 0)
        return {"Min": low, "Max": high, "Mean": self.mean, "Sum": self.total, "Count": self.count}


#: Count, minimum, maximum, mean and sum of squared deviations of one band of a chip.
BandMoments = Sequence[float]


def band_moments(data: np.ndarray, valid: np.ndarray, nodata: Optional[float] = None) -> list[list[float]]:
    """The moments of each band over the valid pixels of a chip; zeros where there are none.

    Args:
        data: ``[bands, height, width]``.
        valid: ``[height, width]``.
        nodata: Value that floating-point bands hold where they have no data.
    """
    everywhere = bool(valid.all())
    if everywhere and data.dtype == np.uint8:
        return _moments_of_bytes(data.reshape(len(data), -1))
    result = []
    for pixels in data:
        values = pixels.ravel() if everywhere else pixels[valid]
        if values.dtype.kind == "f":
            # A pixel is valid as soon as one band has a value there.
            values = values[np.isfinite(values) & (values != nodata)]
        result.append(_moments(values) if values.size else [0, 0, 0, 0.0, 0.0])
    return result


def _moments(values: np.ndarray) -> list[float]:
    if values.dtype == np.uint8:
        return _moments_of_bytes(values[None])[0]
    mean = values.mean(dtype=np.float64)
    # Not a dot product: the matrix library would start threads for each chip.
    deviations = values - mean
    deviations *= deviations
    return [values.size, values.min().item(), values.max().item(), float(mean), float(deviations.sum())]


def _moments_of_bytes(bands: np.ndarray) -> list[list[float]]:
    """The moments of ``[bands, n]``: sums of bytes are exact, and several times quicker than deviations."""
    count = bands.shape[1]
    # Half the width is half the time; that many squares of bytes fit into 32 bits.
    exact = np.uint32 if count <= 66_000 else np.uint64
    totals = bands.sum(axis=1, dtype=exact).tolist()
    squares = np.square(bands, dtype=np.uint16).sum(axis=1, dtype=exact).tolist()
    lows, highs = bands.min(axis=1).tolist(), bands.max(axis=1).tolist()
    return [
        [count, low, high, total / count, (square * count - total * total) / count]
        for low, high, total, square in zip(lows, highs, totals, squares)
    ]


class BandStatistics:
    """Minimum, maximum, mean and squared deviations of each band over all chips.

    Chips are merged by the parallel form of Welford's update (Chan, Golub, LeVeque 1983), which
    stays exact where sums of squares would cancel. Pixels of overlapping chips count each time
    they are exported; pixels without data do not count.

    Args:
        bands: Number of bands.
    """

    def __init__(self, bands: int) -> None:
        self._count = [0] * bands
        self._min = [math.inf] * bands
        self._max = [-math.inf] * bands
        self._mean = [0.0] * bands
        self._squares = [0.0] * bands

    def add(self, moments: Sequence[BandMoments]) -> None:
        """Merge the moments of a chip in, one row per band."""
        for band, (count, low, high, mean, squares) in enumerate(moments):
            if not count:
                continue
            before = self._count[band]
            total = before + count
            step = mean - self._mean[band]
            self._min[band] = min(self._min[band], low)
            self._max[band] = max(self._max[band], high)
            self._mean[band] += step * (count / total)
            self._squares[band] += squares + step**2 * (before * count / total)
            self._count[band] = total

    def restore(self, state: Sequence[Mapping[str, float]]) -> None:
        """Go on from what :meth:`state` told."""
        self.add([[int(b["Num"]), b["Min"], b["Max"], b["M1"], b["M2"]] for b in state])

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
        low = [limit if count else 0.0 for limit, count in zip(self._min, self._count)]
        high = [limit if count else 0.0 for limit, count in zip(self._max, self._count)]
        return list(zip(low, high, self._mean, self._squares, self._count))


def pixel_counts(label: np.ndarray) -> dict[int, int]:
    """Pixels by class value in a label chip of unsigned integers."""
    counts = np.bincount(label.ravel())
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}


class LabelCounts(ABC):
    """What the labels of all chips amount to."""

    #: Key of the statistics object in Esri's file.
    key: str

    @abstractmethod
    def add(self, tally: Mapping[int, Any]) -> None:
        """Count a chip in."""

    @property
    @abstractmethod
    def values(self) -> list[int]:
        """Class values that occur, in order, background among them."""

    @abstractmethod
    def as_json(self, classes: Sequence[int]) -> dict[str, Any]:
        """Esri's statistics object, in the order of ``classes``."""

    @abstractmethod
    def restore(self, state: Mapping[str, Any], classes: Sequence[int]) -> None:
        """Go on from what :meth:`as_json` told."""

    @abstractmethod
    def summary(self, classes: Sequence[ClassEntry]) -> list[str]:
        """The lines about classes in ``stats.txt``."""


class ClassPixels(LabelCounts):
    """How many pixels of each class value the label chips hold."""

    key = "ClassPixelStats"

    def __init__(self) -> None:
        self._images = 0
        self._by_value: dict[int, Running] = {}
        # Whether value 0 is a class is known at the end only: counted both ways.
        self._classes_per_image = {False: Running(), True: Running()}

    def add(self, tally: Mapping[int, int]) -> None:
        """Count the pixels by class value of a chip in."""
        for value, pixels in tally.items():
            self._by_value.setdefault(value, Running()).add(pixels)
        self._images += 1
        self._classes_per_image[False].add(len(tally) - (0 in tally))
        self._classes_per_image[True].add(len(tally))

    @property
    def values(self) -> list[int]:
        """Class values that occur, in order, 0 among them."""
        return sorted(self._by_value)

    def as_json(self, classes: Sequence[int]) -> dict[str, Any]:
        """``ClassPixelStats``."""
        return {
            "NumClasses": len(classes),
            "NumImagesTotal": self._images,
            "NumImagesPerClass": [self._of(value).count for value in classes],
            "NumPixelsPerClass": [int(self._of(value).total) for value in classes],
            "NumClassesPerImage": self._per_image(classes).as_json(),
            "PixelsPerClass": [self._of(value).as_json() for value in classes],
        }

    def restore(self, state: Mapping[str, Any], classes: Sequence[int]) -> None:
        """Go on counting."""
        self._images = int(state["NumImagesTotal"])
        self._by_value = {
            value: Running.of_json(numbers)
            for value, numbers in zip(classes, state["PixelsPerClass"])
            if numbers["Count"]
        }
        # Only one of the two counts was told; it stands for both.
        for key in self._classes_per_image:
            self._classes_per_image[key] = Running.of_json(state["NumClassesPerImage"])

    def summary(self, classes: Sequence[ClassEntry]) -> list[str]:
        """One row per class."""
        per_image = self._per_image([entry.value for entry in classes])
        low, high = (per_image.minimum, per_image.maximum) if per_image.count else (0, 0)
        return [
            "",
            "Class feature statistics:",
            f"classes = {len(classes)}",
            f"classes per image = [min = {low}, mean = {per_image.mean:.2f}, max = {high}]",
            _head("pixels"),
            *(_row(entry, self._of(entry.value), int(self._of(entry.value).total)) for entry in classes),
        ]

    def _of(self, value: int) -> Running:
        """Pixels per chip of a class, over the chips that hold it."""
        return self._by_value.get(value, Running())

    def _per_image(self, classes: Sequence[int]) -> Running:
        return self._classes_per_image[0 in classes]


class FeatureCounts(LabelCounts):
    """How many objects of each class the chips hold, and how large they are."""

    key = "FeatureStats"

    def __init__(self) -> None:
        self._images = 0
        self._features = 0
        self._per_image = Running()
        self._images_by_value: dict[int, int] = {}
        self._areas: dict[int, Running] = {}

    def add(self, tally: Mapping[int, Sequence[float]]) -> None:
        """Count the areas of objects by class value, in map units squared, of a chip in."""
        self._images += 1
        count = sum(len(areas) for areas in tally.values())
        self._features += count
        self._per_image.add(count)
        for value, areas in tally.items():
            self._images_by_value[value] = self._images_by_value.get(value, 0) + 1
            running = self._areas.setdefault(value, Running())
            for area in areas:
                running.add(area)

    @property
    def values(self) -> list[int]:
        """Class values that occur, in order."""
        return sorted(self._areas)

    def as_json(self, classes: Sequence[int]) -> dict[str, Any]:
        """``FeatureStats``."""
        return {
            "NumClasses": len(classes),
            "NumImagesTotal": self._images,
            "NumFeaturesTotal": self._features,
            "NumImagesPerClass": [self._images_by_value.get(value, 0) for value in classes],
            "NumFeaturesPerClass": [self._of(value).count for value in classes],
            "NumFeaturesPerImage": self._per_image.as_json(),
            "FeatureAreaPerClass": [self._of(value).as_json() for value in classes],
        }

    def restore(self, state: Mapping[str, Any], classes: Sequence[int]) -> None:
        """Go on counting."""
        self._images = int(state["NumImagesTotal"])
        self._features = int(state["NumFeaturesTotal"])
        self._per_image = Running.of_json(state["NumFeaturesPerImage"])
        rows = zip(classes, state["NumImagesPerClass"], state["FeatureAreaPerClass"])
        for value, images, numbers in rows:
            if images:
                self._images_by_value[value] = int(images)
                self._areas[value] = Running.of_json(numbers)

    def summary(self, classes: Sequence[ClassEntry]) -> list[str]:
        """One row per class."""
        per = self._per_image
        low, high = (per.minimum, per.maximum) if per.count else (0, 0)
        rows = [
            _row(entry, self._of(entry.value), self._of(entry.value).count, self._images_by_value)
            for entry in classes
        ]
        return [
            "",
            "Class feature statistics:",
            f"features = {self._features}",
            f"features per image = [min = {low}, mean = {per.mean:.2f}, max = {high}]",
            f"classes = {len(classes)}",
            *([_head("features"), *rows] if rows else []),
        ]

    def _of(self, value: int) -> Running:
        return self._areas.get(value, Running())


def _head(counted: str) -> str:
    titles = ("cls value", "images", counted, "min size", "mean size", "max size")
    return f"{'cls name':<24}" + "".join(f"{title:>14}" for title in titles)


def _row(entry: ClassEntry, sizes: Running, counted: int, images: Optional[Mapping[int, int]] = None) -> str:
    numbers = sizes.as_json()
    told = "".join(f"{numbers[key]:>14.2f}" for key in ("Min", "Mean", "Max"))
    chips = sizes.count if images is None else images.get(entry.value, 0)
    return f"{entry.name:<24}{entry.value:>14}{chips:>14}{counted:>14}{told}"
