"""Areas and accuracies of a map from a sample, with their uncertainty.

The stratified estimator, equations 1 to 11, of Olofsson, Foody, Herold, Stehman, Woodcock and Wulder:
Good practices for estimating area and assessing accuracy of land change. Remote Sensing of Environment
148 (2014), 42-57. The strata are the classes of the map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Standard errors on either side of an interval that holds the true value 95 times of 100.
NORMAL_95 = 1.96


@dataclass(frozen=True)
class Estimates:
    """Estimates for each class ``[k]`` and the whole, as shares; ``..._error`` are standard errors.

    Attributes:
        mapped: Share of the map each class has.
        area: Share of the ground each class is estimated to have.
        area_error: Its standard error.
        users: User's accuracy.
        users_error: Its standard error.
        producers: Producer's accuracy, adjusted for the areas.
        producers_error: Its standard error.
        accuracy: Overall accuracy, adjusted for the areas.
        accuracy_error: Its standard error.
        covered: Share of the map in classes that were sampled at all: the estimates are for that part.
    """

    mapped: np.ndarray
    area: np.ndarray
    area_error: np.ndarray
    users: np.ndarray
    users_error: np.ndarray
    producers: np.ndarray
    producers_error: np.ndarray
    accuracy: float
    accuracy_error: float
    covered: float


def estimate(counts: np.ndarray, mapped: np.ndarray) -> Estimates:
    """The estimates from a sample.

    Args:
        counts: Sample pixels ``[classified, reference]``.
        mapped: Pixels of each class in the whole map ``[classified]``.
    """
    counts, mapped = np.asarray(counts, dtype=float), np.asarray(mapped, dtype=float)
    sampled = counts.sum(axis=1)
    known = (sampled > 0) & (mapped > 0)
    weights = np.where(known, mapped, 0.0)
    covered = weights.sum() / mapped.sum() if mapped.sum() else float("nan")
    with np.errstate(invalid="ignore", divide="ignore"):
        weights = weights / weights.sum()
        shares = np.where(known[:, None], counts / sampled[:, None], 0.0)
        spread = np.where(known[:, None], shares * (1 - shares) / (sampled - 1)[:, None], 0.0)
        spread[known & (sampled < 2)] = np.nan
        proportions = weights[:, None] * shares
        area = proportions.sum(axis=0)
        users = np.where(known, np.diag(shares), np.nan)
        users_variance = np.where(known, np.diag(spread), np.nan)
        producers = np.diag(proportions) / area
        squared = weights[:, None] ** 2 * spread
        own = np.diag(squared)
        others = squared.sum(axis=0) - own
        variance = ((1 - producers) ** 2 * own + producers**2 * others) / area**2
        return Estimates(
            mapped / mapped.sum(),
            area,
            np.sqrt(squared.sum(axis=0)),
            users,
            np.sqrt(users_variance),
            producers,
            np.sqrt(variance),
            float(np.trace(proportions)),
            float(np.sqrt(own.sum())),
            float(covered),
        )
