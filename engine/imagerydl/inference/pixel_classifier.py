"""A model, opened once, that classifies rasters as a Classify Pixels job asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

from .. import __version__, outputs
from ..events import Reporter
from ..fingerprints import file_state, fingerprint
from ..imagery.pairs import AnySource
from ..labels.source import split_layer_name
from ..models.definition import load_definition
from ..models.runtimes import foreign_code
from .arguments import PixelArguments
from .classification import CLASSES, Tally, View, classify
from .decision import CONFIDENCE, ENTROPY, FORMS, MARGIN, PROBABILITIES, Decider
from .finishing import PolygonSettings, ResultFiles, publish
from .fitting import ClassTable, class_table, fit_input, make_decider, make_predictor
from .items import Item
from .sampling import sample_tiles
from .sources import interest_area, reader_count, report_damage, scene_of
from .spool import RasterForm, Spool
from .subject import OneDate, Subject
from .tiles import plan_tiles

if TYPE_CHECKING:
    from ..jobs import Job

#: Parameters that change where results go or how a run is driven, and not what it gives.
NOT_TOLD = frozenset({"OVERWRITE", "RESUME", "TRUST_MODEL"})

_BAND_NAMES = {CONFIDENCE: "Confidence", MARGIN: "Margin", ENTROPY: "Entropy"}


@dataclass(frozen=True)
class ItemResult:
    """What came out of an item.

    Attributes:
        files: Its files.
        tally: What was done.
    """

    files: ResultFiles
    tally: Tally


class PixelClassifier:
    """A model, opened once, that classifies rasters as a job asks for.

    Args:
        job: The job.
        reporter: Hears what is to be said.
        subject: What the model looks at; the imagery of one date unless given.

    Raises:
        EngineError: If the model cannot be used.
    """

    def __init__(self, job: Job, reporter: Reporter, subject: Optional[Subject] = None) -> None:
        self._job, self._reporter, self._subject = job, reporter, subject or OneDate()
        self._definition = definition = load_definition(job["IN_MODEL_DEFINITION"])
        self._model = self._subject.open_model(definition, job.values, reporter)
        arguments = PixelArguments.parse(job["ARGUMENTS"], self._model.arguments)
        self._arguments = arguments.completed(definition.padding, definition.batch_size, definition.threshold)
        reporter.message(f"{definition.name} runs with {self._model.description}.")

    def close(self) -> None:
        """Release the model."""
        self._model.close()

    def classify(self, item: Item, files: ResultFiles, overwrite: bool) -> ItemResult:
        """Classify one raster or mosaic.

        Args:
            item: What.
            files: Where results go.
            overwrite: Whether existing files are replaced.

        Raises:
            EngineError: Naming what is wrong.
        """
        with self._subject.open_item(self._job.values, self._definition, item, self._reporter) as source:
            return self._classify(item, source, files, overwrite)

    def _classify(self, item: Item, source: AnySource, files: ResultFiles, overwrite: bool) -> ItemResult:
        definition, model, arguments = self._definition, self._model, self._arguments
        reporter = self._reporter
        model.begin(scene_of(source))
        bands = self._subject.fit_bands(definition, model, source, reporter)
        area = interest_area(self._job.values, source, reporter)
        plan = plan_tiles(definition, model, arguments, source.grid.width, source.grid.height)
        table = class_table(definition, model)
        decider = make_decider(table, model, arguments, tuple(files.layers))
        predictor = make_predictor(model, table, arguments, plan, reporter)
        view = View(source, bands, fit_input(definition, model, source, bands, reporter), area)
        if model.wants_calibration:
            reporter.message(model.calibrate(sample_tiles(view, plan)))
        with outputs.work_folder(files.classes, keep=self._job["RESUME"]) as folder:
            spool = Spool(
                folder, source.grid, _forms(decider, table, files), self._header(item, source, plan)
            )
            # An interrupted run may have come as far as to publish some of the files.
            again = overwrite or spool.can_go_on
            for path in files.paths:
                outputs.ensure_free(path, again)
            try:
                tally = classify(
                    view,
                    plan,
                    predictor,
                    decider,
                    spool,
                    reporter,
                    readers=reader_count(),
                    policy=arguments.merge_policy,
                )
            finally:
                spool.close()
            is_classes = decider.dtype.kind in "iu"
            values = self._job.values
            polygons = PolygonSettings(
                values["MIN_POLYGON_AREA"], values["SIMPLIFY_TOLERANCE"], values.get("RIGHT_ANGLES", False)
            )
            schema = table.schema if is_classes else None
            publish(spool, files, schema, tally, polygons, reporter, again)
        self._report(source, tally, spool)
        return ItemResult(files, tally)

    def _header(self, item: Item, source: AnySource, plan: Any) -> dict[str, Any]:
        job, definition = self._job, self._definition
        values = {key: value for key, value in job.values.items() if key not in NOT_TOLD}
        area, code = job["IN_POLYGONS_OF_INTEREST"], foreign_code(definition)
        told = [
            __version__,
            values,
            definition.raw,
            file_state(definition.model_file or definition.inference_file),
            [file_state(path) for path in item.images],
            file_state(split_layer_name(area)[0]) if area else None,
            repr(source.grid),
            repr(plan),
            self._model.description,
            code.digest if code else None,
        ]
        return {"run": fingerprint(told)}

    def _report(self, source: AnySource, tally: Tally, spool: Spool) -> None:
        skipped = ""
        if tally.skipped:
            skipped = f" {tally.skipped} of {tally.tiles} tiles hold no data and were skipped."
        self._reporter.message(f"{source.name}: {tally.valid_pixels} pixels classified.{skipped}")
        if not tally.valid_pixels:
            self._reporter.warning(f"{source.name} has no valid pixel here: the result is all no-data.")
        damage = {**(spool.notes[-1].damage if spool.notes else {}), **source.damage}
        report_damage(damage, "they have no data in the result", self._reporter)


def _forms(decider: Decider, table: ClassTable, files: ResultFiles) -> dict[str, RasterForm]:
    """How each raster is stored."""
    is_classes = decider.dtype.name in ("uint8", "uint16")
    colors = {entry.value: entry.color for entry in table.schema} if is_classes else {}
    forms = {CLASSES: RasterForm(decider.dtype.name, decider.nodata, ("Class",), colors=colors)}
    for layer in files.layers:
        form = FORMS[layer]
        names = (_BAND_NAMES.get(layer, ""),)
        if layer == PROBABILITIES:
            names = tuple(table.schema[int(value)].name for value in decider.values)
        forms[layer] = RasterForm(form.dtype, form.nodata, names, form.scale)
    return forms
