"""Pictures and tables of the report."""

import numpy as np
import pytest

from imagerydl.labels.classes import ClassEntry, ClassSchema
from imagerydl.models.architectures.registry import build_network, describe_network
from imagerydl.training.channels import IGNORED
from imagerydl.training.evaluation import random_samples, worst_samples
from imagerydl.training.figures import paint, picture
from imagerydl.training.report import list_layers

CLASSES = ClassSchema([ClassEntry(3, "Building", (60, 16, 152)), ClassEntry(7, "Road", (110, 193, 228))])


def test_classes_are_painted_in_their_colours():
    painted = paint(np.array([[0, 1], [IGNORED, 0]]), CLASSES)
    assert painted.tolist() == [[[60, 16, 152], [110, 193, 228]], [[255, 255, 255], [60, 16, 152]]]


def test_bytes_are_shown_as_they_are_and_in_the_right_order():
    image = np.arange(4 * 6, dtype=np.uint8).reshape(4, 2, 3)
    shown = picture(image, ["Blue", "Green", "Red", "NearInfrared"])
    assert shown[0, 0].tolist() == [12, 6, 0]


@pytest.mark.parametrize("bands", [1, 2, 5])
def test_other_imagery_is_stretched(bands):
    image = np.random.default_rng(0).normal(3000, 500, (bands, 20, 20)).astype(np.float32)
    image[0, 0, 0] = np.nan
    shown = picture(image, [""] * bands)
    assert shown.shape == (20, 20, 3)
    assert shown.min() == 0
    assert shown.max() == 255


def test_the_layers_are_listed_in_the_order_they_run():
    """U18, as in the article's model summary."""
    network = build_network("UNET", describe_network("UNET", "NONE", 0.5), 3, 6)
    layers = list_layers(network, (3, 160, 160))
    assert layers[0].output == (16, 160, 160)
    assert layers[0].parameters == 448
    assert layers[-1].name == "head"
    assert sum(layer.parameters for layer in layers) == 1_421_830
    assert network.training, "left as it was"


def test_samples_are_random_and_the_worst_are_the_worst():
    """U20: randomly sampled, and the least successful ones for a closer look."""
    indices, accuracies = np.array([10, 20, 30, 40]), np.array([0.9, 0.2, 0.8, 0.5])
    assert worst_samples(indices, accuracies, 2) == [20, 40]
    picked = random_samples(indices, 3, seed=1)
    assert len(set(picked)) == 3
    assert picked == random_samples(indices, 3, seed=1)
