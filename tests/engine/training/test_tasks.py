"""Which networks fit which chips."""

import pytest

from imagerydl.errors import ParameterError
from imagerydl.jobs import make_job, run_job
from imagerydl.models.architectures.registry import MODEL_TYPES
from imagerydl.training.tasks import check_fit, choose_model_type, formats_of


@pytest.mark.parametrize(
    ("metadata_format", "chosen"),
    [
        ("Classified_Tiles", "UNET"),
        ("PASCAL_VOC_rectangles", "FCOS"),
        ("KITTI_rectangles", "FCOS"),
        ("RCNN_Masks", "MASKRCNN"),
        ("MultiLabeled_Tiles", "FEATURE_CLASSIFIER"),
        ("Imagenet", "FEATURE_CLASSIFIER"),
    ],
)
def test_the_format_chooses_the_model_type(metadata_format, chosen):
    assert choose_model_type(metadata_format) == chosen
    check_fit(chosen, metadata_format)


def test_chips_of_two_dates_choose_a_change_detector():
    assert choose_model_type("Classified_Tiles", has_two_dates=True) == "CHANGEDETECTOR"
    assert choose_model_type("Labeled_Tiles", has_two_dates=True) == "FEATURE_CLASSIFIER"


def test_a_format_nothing_learns_from_is_refused():
    with pytest.raises(ParameterError, match="CycleGAN"):
        choose_model_type("CycleGAN")


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_every_model_type_learns_from_something(model_type):
    assert formats_of(model_type)


def test_a_model_type_that_does_not_fit_names_what_does(object_values, listener):
    with pytest.raises(ParameterError, match=r"UNET.*PASCAL_VOC_rectangles") as caught:
        run_job(make_job("trainmodel", {**object_values, "MODEL_TYPE": "UNET"}), listener.reporter)
    assert "these chips fit FCOS, RETINANET" in caught.value.fix


def test_boxes_do_not_teach_outlines(object_values, listener):
    with pytest.raises(ParameterError, match="MASKRCNN") as caught:
        run_job(make_job("trainmodel", {**object_values, "MODEL_TYPE": "MASKRCNN"}), listener.reporter)
    assert "RCNN_Masks" in caught.value.fix


@pytest.mark.parametrize(
    ("values", "named"),
    [({"ARGUMENTS": {"focal_loss": "True"}}, "focal_loss"), ({"MONITOR": "MIOU"}, "MIOU")],
)
def test_what_means_nothing_to_the_chosen_type_is_refused_by_name(object_values, listener, values, named):
    with pytest.raises(ParameterError, match=f"{named}.*FCOS"):
        run_job(make_job("trainmodel", {**object_values, **values}), listener.reporter)
