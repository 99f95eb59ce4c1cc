"""A Classify Pixels job from its values to the published results."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from .. import __version__, outputs
from ..events import Reporter
from ..fingerprints import file_state, fingerprint
from ..imagery.overviews import write_cloud_optimized
from .classification import CLASSES
from .decision import CONFIDENCE, ENTROPY, MARGIN, PROBABILITIES
from .finishing import ResultFiles
from .image_features import ImageFeatures, read_image_features, write_image_features
from .items import Item, gives_many, raster_items
from .pixel_classifier import NOT_TOLD, PixelClassifier
from .results_folder import FolderResult, classify_items, mosaic_results

if TYPE_CHECKING:
    from ..jobs import Job

#: Layers and the parameters that ask for them.
LAYER_KEYS = {
    "OUT_CONFIDENCE_RASTER": CONFIDENCE,
    "OUT_MARGIN_RASTER": MARGIN,
    "OUT_ENTROPY_RASTER": ENTROPY,
    "OUT_PROBABILITY_RASTER": PROBABILITIES,
}

_RASTER_KEYS = ("OUT_CLASSIFIED_RASTER", *LAYER_KEYS)
_OUTPUT_KEYS = (*_RASTER_KEYS, "OUT_CLASSIFIED_FOLDER", "OUT_FEATURECLASS", "OUT_CLASS_AREAS", "OUT_POLYGONS")


def run_classification(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Run a job of the tool Classify Pixels; returns its outputs and results."""
    ensure_outputs_free(job, _OUTPUT_KEYS)
    classifier = PixelClassifier(job, reporter)
    try:
        run = _run_many if gives_many(job.values) else _run_one
        results = run(job, classifier, reporter)
    finally:
        classifier.close()
    return {**{key: job[key] for key in _OUTPUT_KEYS if job[key]}, **results}


def ensure_outputs_free(job: Job, keys: Sequence[str]) -> None:
    """Refuse to write over what is there, unless asked to, or an interrupted run left it.

    Raises:
        OutputError: Naming the file.
    """
    # A run that was killed while its files appeared left some of them; whether this one goes on with it is
    # known once the model is open, and looked at then.
    main = job["OUT_CLASSIFIED_RASTER"]
    if job["RESUME"] and main and outputs.has_work_folder(main):
        return
    for key in keys:
        if job[key]:
            outputs.ensure_free(job[key], job["OVERWRITE"])


def _run_one(job: Job, classifier: PixelClassifier, reporter: Reporter) -> dict[str, Any]:
    (item,) = raster_items(job.values)
    layers = {layer: Path(job[key]) for key, layer in LAYER_KEYS.items() if job[key]}
    files = ResultFiles(
        Path(job["OUT_CLASSIFIED_RASTER"]),
        layers,
        Path(job["OUT_CLASS_AREAS"]) if job["OUT_CLASS_AREAS"] else None,
        Path(job["OUT_POLYGONS"]) if job["OUT_POLYGONS"] else None,
    )
    result = classifier.classify(item, files, job["OVERWRITE"])
    return {"VALID_PIXELS": result.tally.valid_pixels}


def _run_many(job: Job, classifier: PixelClassifier, reporter: Reporter) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="imagerydl-") as unpacked:
        features: Optional[ImageFeatures] = None
        if job["IN_IMAGE_FEATURES"]:
            features = read_image_features(job["IN_IMAGE_FEATURES"], job["IMAGE_FIELD"], Path(unpacked))
        items = features.items if features else raster_items(job.values)
        result = classify_items(
            classifier,
            items,
            Path(_folder(job)),
            [layer for key, layer in LAYER_KEYS.items() if job[key]],
            _header(job, items),
            reporter,
            job["OVERWRITE"],
            job["RESUME"],
        )
    made: dict[str, Any] = {"VALID_PIXELS": result.valid_pixels, "OUT_CLASSIFIED_FOLDER": str(result.folder)}
    for key, layer in (("OUT_CLASSIFIED_RASTER", CLASSES), *LAYER_KEYS.items()):
        if job[key]:
            made[key] = job[key] if _mosaic(job, result, layer, Path(job[key]), reporter) else None
    if features is not None:
        target = Path(job["OUT_FEATURECLASS"])
        with outputs.staged(target, job["OVERWRITE"]) as staging:
            write_image_features(features, result.done, staging, target, target.stem)
    if result.failed:
        reporter.warning(f"{len(result.failed)} of {len(items)} images were left out; see above.")
    return made


def _mosaic(job: Job, result: FolderResult, layer: str, target: Path, reporter: Reporter) -> bool:
    if target.suffix.lower() == ".vrt":
        return mosaic_results(result, layer, target, reporter, job["OVERWRITE"])
    with tempfile.TemporaryDirectory(prefix="imagerydl-") as folder:
        mosaic = Path(folder) / "mosaic.vrt"
        if not mosaic_results(result, layer, mosaic, reporter, True):
            return False
        with outputs.staged(target, job["OVERWRITE"]) as staging:
            write_cloud_optimized(mosaic, staging, resampling="nearest" if layer == CLASSES else "average")
    return True


def _folder(job: Job) -> str:
    if job["OUT_CLASSIFIED_FOLDER"]:
        return job["OUT_CLASSIFIED_FOLDER"]
    features = Path(job["OUT_FEATURECLASS"])
    return str(features.with_name(f"{features.stem}_classified"))


def _header(job: Job, items: Sequence[Item]) -> dict[str, Any]:
    values = {key: value for key, value in job.values.items() if key not in NOT_TOLD}
    # Attachments are unpacked to another place each time.
    images = [] if job["IN_IMAGE_FEATURES"] else [image for item in items for image in item.images]
    states = [file_state(image) for image in images]
    return {"run": fingerprint([__version__, values, [item.stem for item in items], states])}
