"""The keys of a model definition: what each takes, what it means, what holds where it is left out.

The definition is read by this table, its errors name keys in these words, and the documentation page
lists it. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import definition_values as values

#: Kinds of model that give classes.
CLASSIFYING = frozenset(
    {
        "ImageClassification",
        "ObjectDetection",
        "ObjectClassification",
        "InstanceDetection",
        "PanopticSegmenter",
    }
)

ALWAYS = "always"
UNLESS_FUNCTION = "unless InferenceFunction stands alone"
CLASSES_NEEDED = "for models that classify or detect, unless InferenceFunction tells them"


@dataclass(frozen=True)
class Key:
    """A key of a model definition.

    Attributes:
        name: As it is written.
        takes: What its value is, as a phrase that follows "must be".
        read: From the JSON value to the typed one; raises ValueError.
        default: The typed value where the key is left out.
        meaning: What it says about the model.
        aliases: Other spellings found in published definitions.
        needed: When it must be there: :data:`ALWAYS`, :data:`UNLESS_FUNCTION`, :data:`CLASSES_NEEDED` or "".
    """

    name: str
    takes: str
    read: values.Reader
    default: Any
    meaning: str
    aliases: tuple[str, ...] = ()
    needed: str = ""

    def find(self, raw: Mapping[str, Any]) -> str:
        """The spelling under which a definition holds a value; "" where it holds none."""
        for name in (self.name, *self.aliases):
            if raw.get(name) is not None and not values.is_placeholder(raw[name]):
                return name
        return ""


_PIXELS = "a whole number of pixels above 0"

KEYS = (
    Key(
        "Framework",
        "the name of the library that the model is made with",
        values.text,
        "",
        "The library: TensorFlow, Keras, PyTorch, ONNX, or arcgis.learn.models._inferencing for models that "
        "arcgis.learn saved. Another one needs an InferenceFunction, unless ModelFile ends in a way that "
        "says what it is.",
        needed=UNLESS_FUNCTION,
    ),
    Key(
        "ModelConfiguration",
        "a text, or an object with Name",
        values.configuration,
        "",
        "What the inputs and outputs are, as ObjectDetectionAPI, DeepLab, MaskRCNN; ImageryDL for models "
        "trained here.",
    ),
    Key(
        "ModelType",
        "ImageClassification, ObjectDetection, ObjectClassification or another kind of model",
        values.kind_of_model,
        "",
        f"{', '.join(values.MODEL_TYPES)} and others. ObjectionDetection, as published samples have it, is "
        "understood.",
        needed=ALWAYS,
    ),
    Key(
        "ModelFile",
        "the path of the trained model, relative to the definition",
        values.text,
        "",
        "The weights: a file, or the folder of a TensorFlow SavedModel. Windows separators are understood; a "
        "path that leads nowhere is looked for by its name beside the definition.",
        needed=UNLESS_FUNCTION,
    ),
    Key("Description", "a text", values.text, "", "Anything about the model."),
    Key(
        "InferenceFunction",
        "the path of a Python raster function",
        values.text,
        "",
        "Python module that runs the model, with consent only; [Functions]... names a built-in one, and the "
        "model then runs by its file.",
    ),
    Key(
        "ModelName", "a text or number", values.text_or_number, "", "The network, or the class that saved it."
    ),
    Key("Version", "a text or number", values.text_or_number, "", "Version of the definition."),
    Key(
        "ImageHeight",
        _PIXELS,
        values.whole(1),
        256,
        "Rows of a tile.",
        needed=UNLESS_FUNCTION,
    ),
    Key(
        "ImageWidth",
        _PIXELS,
        values.whole(1),
        256,
        "Columns of a tile.",
        needed=UNLESS_FUNCTION,
    ),
    Key(
        "ExtractBands",
        "a list of band numbers counted from 0, or of band names",
        values.bands,
        (0, 1, 2),
        "Bands the network takes, in its order.",
        needed=UNLESS_FUNCTION,
    ),
    Key(
        "Classes",
        "a list of objects with Value and Name, and a Color of three numbers from 0 to 255",
        values.classes,
        None,
        "The classes. ClassValue and ClassName are understood, colours of -1 are unknown ones. An empty list "
        "leaves them to the network.",
        needed=CLASSES_NEEDED,
    ),
    Key(
        "DataRange",
        "two numbers, the lower one first",
        values.value_range,
        None,
        "Range that values are scaled to, from the smallest and largest value of the raster.",
    ),
    Key(
        "ModelPadding",
        "a whole number of pixels, at least 0",
        values.whole(0),
        0,
        "Rim of a tile that the network gives no result for.",
    ),
    Key(
        "Padding",
        "a whole number of pixels, at least 0",
        values.whole(0),
        None,
        "Rim of a tile that is context only.",
    ),
    Key(
        "BatchSize",
        "a whole number above 0",
        values.whole(1),
        None,
        "Tiles predicted together.",
    ),
    Key(
        "Threshold",
        "a number from 0 to 1",
        values.number(0, 1),
        None,
        "Least confidence of what counts.",
    ),
    Key("fixedTileSize", "0 or 1", values.flag, False, "Whether tiles at the border are as large as others."),
    Key(
        "SupportsVariableTileSize",
        "true or false",
        values.flag,
        False,
        "Whether other tile sizes may be fed.",
    ),
    Key(
        "PerProcessGPUMemoryFraction",
        "a number above 0, at most 1",
        values.number(0, 1, above=True),
        0.95,
        "Share of the graphics card's memory the model may take.",
    ),
    Key("ModelFormat", "NCHW or NHWC", values.keyword(("NCHW", "NHWC")), "", "Order of the axes."),
    Key(
        "Normalization",
        "an object with the lists Subtract and Divide, a number each for every band",
        values.mapping,
        None,
        "Of models trained here: (value - Subtract) / Divide, once.",
    ),
    Key(
        "NormalizationStats",
        "an object with the lists band_min_values, band_max_values, scaled_mean_values and scaled_std_values",
        values.mapping,
        None,
        "Of arcgis.learn, for imagery other than 8-bit red, green, blue: scaled by smallest and largest "
        "value, then by mean and standard deviation.",
    ),
    Key(
        "CropSizeFixed",
        "0 or 1",
        values.flag,
        True,
        "Object classification: whether every object comes in a tile of one size, centred on it; otherwise "
        "in its smallest box.",
    ),
    Key(
        "BlackenAroundFeature",
        "0 or 1",
        values.flag,
        False,
        "Object classification: whether the pixels outside of the object are masked.",
    ),
    Key(
        "CropTileMode",
        "Fixed_Size or Variable_Size",
        values.keyword(("Fixed_Size", "Variable_Size")),
        "",
        "What exported chips say in place of CropSizeFixed; counts where that is left out.",
    ),
    Key(
        "ImageSpaceUsed",
        "MAP_SPACE, PIXEL_SPACE or IMAGE_SPACE",
        values.keyword(("MAP_SPACE", "PIXEL_SPACE", "IMAGE_SPACE")),
        "MAP_SPACE",
        "Whether the chips lay in map or image coordinates.",
    ),
    Key("MetaDataMode", "a text", values.text, "", "Format of the training chips."),
    Key(
        "InputRastersProps",
        "an object",
        values.mapping,
        {},
        "RasterCount, SensorName and BandNames of the training imagery. Bands are matched by these names "
        "before they are taken by position.",
    ),
    Key(
        "SensorName",
        "a text",
        values.text,
        "",
        "Sensor of the training imagery, where InputRastersProps has none.",
    ),
    Key(
        "RasterCount",
        "a whole number of rasters",
        values.whole(0),
        0,
        "Rasters the training samples came from, where InputRastersProps does not say.",
    ),
    Key(
        "BandList",
        "a list of band names",
        values.names,
        (),
        "Bands of the training imagery, where InputRastersProps has none.",
    ),
    Key("WellKnownBandNames", "a list of band names", values.names, (), "Like BandList."),
    Key(
        "AllTilesStats",
        "a list of objects with BandName, Min, Max, Mean and StdDev",
        values.band_statistics,
        (),
        "Statistics of each band of the training imagery. A raster far from them gives a warning.",
        ("AllTileStats",),
    ),
    Key(
        "MinCellSize",
        "an object with the numbers x and y",
        values.cell_size,
        None,
        "Smallest cell size it was trained on. Much finer imagery is brought to it.",
    ),
    Key(
        "MaxCellSize",
        "an object with the numbers x and y",
        values.cell_size,
        None,
        "Largest cell size it was trained on.",
    ),
    Key(
        "ModelParameters",
        "an object",
        values.mapping,
        {},
        "What is needed to build the network again. In models trained here class_values lists the class "
        "value of each output channel.",
    ),
    Key(
        "ONNX",
        "an object",
        values.exported_forms,
        {},
        "INFER names the same network as an ONNX file, which runs in place of ModelFile where it is faster.",
    ),
    Key("ArcGISLearnVersion", "a text or number", values.text_or_number, "", "Version of arcgis.learn."),
    Key("IsMultispectral", "true or false", values.flag, False, "Of arcgis.learn: other than 8-bit RGB."),
    Key("LearningRate", "anything", values.as_written, None, "Told on the model's card."),
    Key("accuracy", "anything", values.as_written, None, "Told on the model's card."),
    Key("average_precision_score", "anything", values.as_written, None, "Told on the model's card."),
)

BY_NAME = {key.name: key for key in KEYS}
