"""The declaration of Train Deep Learning Model."""

import pytest

from imagerydl.errors import ParameterError
from imagerydl.jobs import make_job
from imagerydl.tools.trainmodel import TOOL

PATHS = {"IN_FOLDER": "a;b", "OUT_FOLDER": "models/town"}


def test_the_documented_names_and_defaults():
    documented = {
        "IN_FOLDER",
        "OUT_FOLDER",
        "MAX_EPOCHS",
        "MODEL_TYPE",
        "BATCH_SIZE",
        "ARGUMENTS",
        "LEARNING_RATE",
        "BACKBONE_MODEL",
        "VALIDATION_PERCENTAGE",
        "PRETRAINED_MODEL",
        "STOP_TRAINING",
        "FREEZE",
        "AUGMENTATION",
        "AUGMENTATION_PARAMETERS",
        "CHIP_SIZE",
        "WEIGHT_INIT_SCHEME",
        "MONITOR",
    }
    assert documented <= {param.key for param in TOOL.params}
    job = make_job("trainmodel", PATHS)
    assert job["IN_FOLDER"] == ["a", "b"]
    assert (job["MAX_EPOCHS"], job["VALIDATION_PERCENTAGE"], job["MONITOR"]) == (20, 10, "VALID_LOSS")
    assert job["STOP_TRAINING"] is True


def test_the_keywords_of_arcgis_are_understood():
    job = make_job(
        "trainmodel",
        {**PATHS, "STOP_TRAINING": "CONTINUE_TRAINING", "FREEZE": "FREEZE_MODEL", "MODEL_TYPE": "unet"},
    )
    assert job["STOP_TRAINING"] is False
    assert job["FREEZE"] is True
    assert job["MODEL_TYPE"] == "UNET"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"ARGUMENTS": {"gaussian_thresh": "0.5"}}, "gaussian_thresh"),
        ({"ARGUMENTS": {"zooms": "1 2"}, "MODEL_TYPE": "FCOS"}, "zooms"),
        ({"MONITOR": "MIOU", "MODEL_TYPE": "SSD"}, "MIOU"),
        ({"AUGMENTATION": "CUSTOM"}, "AUGMENTATION_PARAMETERS"),
        ({"AUGMENTATION_PARAMETERS": {"rotate": "30;0.5"}}, "CUSTOM"),
        ({"AUGMENTATION": "CUSTOM", "AUGMENTATION_PARAMETERS": {"blur": "3"}}, "blur"),
        ({"BACKBONE_WEIGHTS": "w.pth"}, "BACKBONE_MODEL"),
        (
            {"BACKBONE_WEIGHTS": "w.pth", "BACKBONE_MODEL": "resnet18", "PRETRAINED_MODEL": "m.emd"},
            "PRETRAINED",
        ),
        ({"MODEL_TYPE": "YOLOV3"}, "MODEL_TYPE"),
        ({"VALIDATION_PERCENTAGE": 0}, "VALIDATION_PERCENTAGE"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_runs(values, named):
    with pytest.raises(ParameterError, match=named):
        make_job("trainmodel", {**PATHS, **values})


def test_augmentation_parameters_as_one_text():
    """Their values hold semicolons, as in the ArcGIS documentation."""
    written = "rotate 30.0;0.5;brightness (0.4,0.6);1.0; crop 224;1.0;(0,1);(0,1)"
    job = make_job("trainmodel", {**PATHS, "AUGMENTATION": "CUSTOM", "AUGMENTATION_PARAMETERS": written})
    assert job["AUGMENTATION_PARAMETERS"] == {
        "rotate": "30.0;0.5",
        "brightness": "(0.4,0.6);1.0",
        "crop": "224;1.0;(0,1);(0,1)",
    }


def test_checking_values_loads_no_library(by_the_standard_library_alone):
    code = (
        "from imagerydl.jobs import make_job; "
        "job = make_job('trainmodel', {'IN_FOLDER': 'a', 'OUT_FOLDER': 'b', 'AUGMENTATION': 'CUSTOM', "
        "'AUGMENTATION_PARAMETERS': 'rotate 30;0.5'}); "
        "print(job['AUGMENTATION_PARAMETERS'])"
    )
    assert by_the_standard_library_alone(code) == "{'rotate': '30;0.5'}"
