"""What a definition written by arcgis.learn says of its network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ....errors import ModelDefinitionError
from ...definition import ModelDefinition


@dataclass(frozen=True)
class NetworkFacts:
    """What is needed to build a network.

    Attributes:
        name: Of the definition, for messages.
        model_name: The class of arcgis.learn: "UnetClassifier"...
        backbone: "resnet18"...
        bands: Bands the network takes of one image.
        classes: Number of classes as listed.
        tile: Tile height in pixels, which some structures follow.
        settings: ``ModelParameters``, over the other keys of the definition.
    """

    name: str
    model_name: str
    backbone: str
    bands: int
    classes: int
    tile: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    def refuse(self, what: str) -> ModelDefinitionError:
        """The error for something that is not rebuilt; ``what`` completes "uses"."""
        return ModelDefinitionError(
            f"{self.name} is a {self.model_name} of arcgis.learn that uses {what}, which does not run here.",
            "Train it with a ResNet backbone and the standard options, or run it as a raster function.",
        )

    def is_on(self, key: str, default: bool = False) -> bool:
        """A yes-or-no setting, which is written as a JSON value or as a text."""
        value = self.settings.get(key, default)
        return value.strip().lower() == "true" if isinstance(value, str) else bool(value)


def facts_of(definition: ModelDefinition) -> NetworkFacts:
    """The facts in a definition."""
    raw = definition.raw
    settings = {**raw, **definition.model_parameters}
    backbone = settings.get("backbone") or ""
    return NetworkFacts(
        name=definition.name,
        model_name=definition.model_name or definition.configuration,
        backbone=str(backbone),
        bands=len(definition.extract_bands),
        classes=len(raw.get("Classes") or ()),
        tile=definition.image_height,
        settings=settings,
    )
