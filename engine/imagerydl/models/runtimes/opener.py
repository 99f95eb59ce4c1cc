"""How a model of any kind is opened: which runtime takes it, and what that runtime needs.

A runtime is a module beside this one with

* ``PACKAGES``: modules it imports, each with the name to install it by,
* ``model_arguments(definition, consent) -> tuple[ModelArgument, ...]``: what the model itself declares,
* ``foreign_code(definition) -> Optional[ForeignCode]``: what runs code when the model is opened,
* for each kind of model that it runs, a function that opens one, from a definition and
  :class:`.options.RunOptions`. :mod:`.opening`, :mod:`.change_opening`, :mod:`.detection_opening` and
  :mod:`.chip_opening` name these functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Generic, Optional, TypeVar

from ...environment.requirements import extra_for
from ...errors import ModelDefinitionError, RuntimeMissingError
from ...events import Reporter
from ..arguments import ModelArgument
from ..definition import ModelDefinition
from ..raster_functions.builtin import check_builtin, is_written_by_arcgis_learn
from ..trust import ForeignCode
from .devices import Device, choose_device
from .options import RunOptions

Model = TypeVar("Model")

#: Stands for a SavedModel, which is a folder, among the extensions of model files.
FOLDER = "/"

#: The runtime of what arcgis.learn saved, whatever kind of model it is.
_ARCGIS_LEARN = "arcgis_learn"


def _takes_any(definition: ModelDefinition, runtime: str) -> None:
    """The check of a kind of model that has no more to ask."""


def _as_found(
    definition: ModelDefinition, runtime: Optional[str], device: Device, precision: str
) -> Optional[str]:
    """The preference of a kind of model that has none."""
    return runtime


@dataclass(frozen=True)
class Opener(Generic[Model]):
    """Opens models of one kind.

    Attributes:
        function: The function of a runtime that opens them.
        raster_function: Runtime of those that are Python raster functions.
        by_suffix: Runtime of a model file by its extension, :data:`FOLDER` among them.
        refusal: What a file that none of these takes is not ("no detector").
        fix: What to give instead.
        own: From its definition, the runtime of a model trained here; None where they go by their file.
        preferred: From a definition, the runtime for its file (None where there is none), the device and the
            precision to the runtime that is taken.
        check: Refuses a definition, given the runtime for it.
        otherwise: The function, for runtimes that call it otherwise.
    """

    function: str
    raster_function: str
    by_suffix: Mapping[str, str]
    refusal: str
    fix: str
    own: Optional[Callable[[ModelDefinition], str]] = None
    preferred: Callable[[ModelDefinition, Optional[str], Device, str], Optional[str]] = _as_found
    check: Callable[[ModelDefinition, str], None] = _takes_any
    otherwise: Mapping[str, str] = field(default_factory=dict)

    def open(
        self,
        definition: ModelDefinition,
        device: str = "AUTO",
        threads: Optional[int] = None,
        *,
        precision: str = "FLOAT32",
        arguments: Optional[Mapping[str, str]] = None,
        consent: bool = False,
        reporter: Optional[Reporter] = None,
    ) -> Model:
        """Open a model with the runtime for it.

        Args:
            definition: The model.
            device: ``AUTO``, ``CPU``, ``CUDA`` or ``CUDA:n``.
            threads: CPU threads; None for all.
            precision: See :class:`.options.RunOptions`; detectors and classifiers of chips run in
                ``FLOAT32``.
            arguments: ``ARGUMENTS`` or ``MODEL_ARGUMENTS`` as given.
            consent: Whether the user agrees to run code that comes with the model.
            reporter: Hears what the model has to say; nobody where None.

        Raises:
            ParameterError: If the device is not there, or an argument of the model has no usable value.
            ModelDefinitionError: If no runtime here takes this kind of model.
            RuntimeMissingError: If a library it needs is missing.
            TrustError: If it holds code nobody has agreed to.
            ModelError: If the model does not load.
        """
        texts = {name.strip().lower(): str(text).strip() for name, text in (arguments or {}).items()}
        options = RunOptions(
            choose_device(device), threads, precision, texts, consent, reporter or Reporter()
        )
        name = self.runtime_name(definition, options.device, precision)
        self.check(definition, name)
        runtime = _ready_runtime(name, definition.name)
        return getattr(runtime, self.otherwise.get(name, self.function))(definition, options)

    def arguments(self, definition: ModelDefinition, consent: bool = False) -> tuple[ModelArgument, ...]:
        """The arguments a model declares beside those that every one has.

        Raises:
            As :meth:`open`.
        """
        runtime = _ready_runtime(self.runtime_name(definition), definition.name)
        return runtime.model_arguments(definition, consent)

    def foreign_code(self, definition: ModelDefinition) -> Optional[ForeignCode]:
        """What runs code when the model is opened; None where nothing does."""
        return _runtime(self.runtime_name(definition)).foreign_code(definition)

    def runtime_name(
        self, definition: ModelDefinition, device: Optional[Device] = None, precision: str = "FLOAT32"
    ) -> str:
        """The runtime that takes a model: by who made it, its inference function, its file, the precision.

        Args:
            definition: The model.
            device: Where it is to run; the processor where None.
            precision: What it is to compute in.

        Raises:
            ModelDefinitionError: If none does.
        """
        function = definition.inference_function
        if definition.is_arcgis_learn and (not function or is_written_by_arcgis_learn(function)):
            return _ARCGIS_LEARN
        if function:
            return self.raster_function
        if definition.is_own and self.own:
            return self.own(definition)
        check_builtin(definition)
        file = definition.model_file
        found = self.by_suffix.get(FOLDER if file.is_dir() else file.suffix.lower())
        name = self.preferred(definition, found, device or choose_device("CPU"), precision)
        if name is None:
            raise ModelDefinitionError(
                f"{definition.name} names {file.name}, which is {self.refusal} that runs here.", self.fix
            )
        return name


def missing_packages(name: str, packages: list[str]) -> RuntimeMissingError:
    """The error for a model whose runtime is not installed, with the way to install it."""
    extra = extra_for(packages)
    named = f" with EXTRAS set to {extra}" if extra else ""
    are = "are" if len(packages) > 1 else "is"
    return RuntimeMissingError(
        f"{name} needs {' and '.join(packages)}, which {are} not installed.",
        f'Run the tool "Set up runtime" (imagerydl:setupruntime){named}.',
    )


def _runtime(name: str) -> Any:
    return import_module("." + name, __package__)


def _ready_runtime(name: str, model: str) -> Any:
    """A runtime whose packages are there; RuntimeMissingError names those that are not."""
    runtime = _runtime(name)
    missing = [package for module, package in runtime.PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise missing_packages(model, missing)
    return runtime
