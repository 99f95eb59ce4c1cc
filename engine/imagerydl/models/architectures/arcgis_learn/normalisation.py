"""What each class of arcgis.learn makes of raw pixel values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from ....errors import ModelDefinitionError
from ...normalisation import IMAGENET_MEAN, IMAGENET_STD, Normalisation
from .facts import NetworkFacts


def input_normalisation(facts: NetworkFacts) -> Optional[Normalisation]:
    """From raw values to the network's input; None where it takes raw values.

    Whether the definition holds ``NormalizationStats`` decides, not what it calls the imagery.
    Detectors of torchvision's kind go on by themselves, with :func:`mean_and_deviation`.

    Raises:
        ModelDefinitionError: If it holds none and the imagery is not 8-bit red, green, blue.
    """
    if facts.model_name in ("MultiTaskRoadExtractor", "ConnectNet"):
        return None
    stats = facts.settings.get("NormalizationStats")
    if facts.model_name == "ChangeDetector":
        both = _byte_or_range(facts, stats)
        # To -1..1, for both dates.
        subtract = [low + 0.5 * span for low, span in zip(both.subtract, both.divide)] * 2
        return Normalisation(tuple(subtract), tuple(0.5 * span for span in both.divide) * 2, is_precise=True)
    if facts.model_name == "MaskRCNN" or (facts.model_name == "YOLOv3" and not stats):
        return _byte_or_range(facts, stats)
    if stats:
        with_means = _statistics(facts, stats)
        return Normalisation.from_arcgis_stats(with_means, _bands(facts))
    if facts.bands != len(IMAGENET_MEAN):
        raise ModelDefinitionError(
            f"{facts.name} takes {facts.bands} bands, but has no NormalizationStats.",
            "Save the model again with a recent version of arcgis.learn.",
        )
    return imagenet()


def imagenet() -> Normalisation:
    """ImageNet's mean and deviation, rounded the way the tool rounds them: each factor to float32 first."""
    scale = np.float32(255)
    return Normalisation(
        tuple(float(scale * np.float32(mean)) for mean in IMAGENET_MEAN),
        tuple(float(scale * np.float32(std)) for std in IMAGENET_STD),
    )


def mean_and_deviation(facts: NetworkFacts) -> tuple[list[float], list[float]]:
    """Mean and deviation of scaled values (0 to 1), per band the network takes."""
    stats = facts.settings.get("NormalizationStats")
    if not stats:
        return list(IMAGENET_MEAN), list(IMAGENET_STD)
    stats = _statistics(facts, stats)
    pick = _bands(facts)
    return (
        [float(stats["scaled_mean_values"][band]) for band in pick],
        [float(stats["scaled_std_values"][band]) for band in pick],
    )


def _byte_or_range(facts: NetworkFacts, stats: Any) -> Normalisation:
    if not stats:
        return Normalisation.from_byte_range(facts.bands)
    stats = _statistics(facts, stats)
    lows = [float(stats["band_min_values"][band]) for band in _bands(facts)]
    highs = [float(stats["band_max_values"][band]) for band in _bands(facts)]
    spans = tuple((high - low) or 1.0 for low, high in zip(lows, highs))
    return Normalisation(tuple(lows), spans, is_precise=True)


def _bands(facts: NetworkFacts) -> Sequence[int]:
    bands = facts.settings.get("ExtractBands") or range(facts.bands)
    return [band if isinstance(band, int) else i for i, band in enumerate(bands)]


def _statistics(facts: NetworkFacts, stats: Any) -> Any:
    keys = ("band_min_values", "band_max_values", "scaled_mean_values", "scaled_std_values")
    highest = max(_bands(facts))
    try:
        usable = all(len(stats[key]) > highest for key in keys)
    except (KeyError, TypeError):
        usable = False
    if not usable:
        raise ModelDefinitionError(
            f"NormalizationStats of {facts.name} cannot be used.",
            f"It must hold {', '.join(keys)} with a number for each band.",
        )
    return stats
