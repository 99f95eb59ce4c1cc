"""Train Deep Learning Model: from exported chips to a model of pixels, objects or whole chips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..models.architectures.registry import MODEL_TYPES
from ..tool import Kind, Param, Result, Tool
from ..training.settings import AUGMENTATIONS, AUTO, MONITORS, WEIGHT_SCHEMES, TrainingSettings

if TYPE_CHECKING:
    from ..events import Reporter
    from ..jobs import Job


def _check(values: Mapping[str, Any]) -> None:
    TrainingSettings.from_values(values)


def run(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Train; see :func:`imagerydl.training.tasks.train`."""
    from ..training.tasks import train

    return train(TrainingSettings.from_values(job.values), reporter)


_REQUIRED = (
    Param(
        "IN_FOLDER",
        Kind.FOLDERS,
        "Training folders",
        (
            "One or several folders written by Export Training Data (here or in ArcGIS). Pixels are "
            "learnt from Classified_Tiles; objects from PASCAL_VOC_rectangles, KITTI_rectangles, COCO, "
            "YOLO and RCNN_Masks; classes of whole chips from Labeled_Tiles, MultiLabeled_Tiles and "
            "Imagenet. Several folders must have the same format, number of bands and tile size; their "
            "classes are joined by value."
        ),
    ),
    Param(
        "OUT_FOLDER",
        Kind.OUT_FOLDER,
        "Model folder",
        (
            "Folder to write the trained model to. The files in it carry the folder's name: definition "
            "(.emd), weights (.safetensors and .onnx), package (.dlpk), training log and report."
        ),
    ),
)

_MAIN = (
    Param(
        "MAX_EPOCHS",
        Kind.INTEGER,
        "Epochs at most",
        "How often the network sees all training chips at most.",
        default=20,
        minimum=1,
    ),
    Param(
        "MODEL_TYPE",
        Kind.CHOICE,
        "Model type",
        (
            "The kind of network. AUTO: by the format of the chips: UNET, CHANGEDETECTOR for chips of two "
            "dates, FCOS, MASKRCNN for outlines, FEATURE_CLASSIFIER for whole chips. Pixels: UNET, "
            "UNETPLUSPLUS, DEEPLAB, PSPNET, FPN, SEGFORMER; of two dates (Classified_Tiles with images2): "
            "CHANGEDETECTOR, a U-Net over the bands of both. "
            "Objects: FCOS, RETINANET, SSD (the quickest), FASTERRCNN, MASKRCNN (outlines), RTDETR (a "
            "transformer; needs Set up runtime with EXTRAS TRANSFORMERS). From random weights and "
            "few chips RTDETR stays behind FCOS and takes two to three times as long: give it hundreds of "
            "chips and 30 epochs or more. It is made for tiles of the size of its chips."
        ),
        default=AUTO,
        choices=(AUTO, *MODEL_TYPES),
    ),
    Param(
        "BATCH_SIZE",
        Kind.INTEGER,
        "Batch size",
        (
            "Chips looked at in one step. Empty: chosen from the free memory, at most 4 on a CPU (8 where "
            "the network normalises by batch) and 32 on a GPU. Where memory runs out "
            "during training the batch is halved."
        ),
        optional=True,
        minimum=1,
    ),
    Param(
        "BACKBONE_MODEL",
        Kind.TEXT,
        "Backbone",
        (
            "NONE is a small network of its own, quick and made to start from random weights: a plain "
            "U-Net for UNET and CHANGEDETECTOR, a narrow ResNet for objects and whole chips. Or the name of "
            "a backbone: resnet34, RESNET50, mobilenet_v2, efficientnet-b0, timm:convnext_tiny and more. "
            "Backbones start from random weights unless BACKBONE_WEIGHTS is given: nothing is ever "
            "downloaded. Empty: that of PRETRAINED_MODEL, else NONE, and resnet34 for the model types of "
            "pixels other than these."
        ),
        optional=True,
    ),
    Param(
        "PRETRAINED_MODEL",
        Kind.FILE,
        "Pretrained model",
        (
            "Definition (.emd) or package (.dlpk) of a model trained here, to go on from. Its classes "
            "may differ: the last layer is then made anew, and classes with a value it knows keep what "
            "they had learnt."
        ),
        optional=True,
        extension="emd dlpk",
    ),
    Param(
        "VALIDATION_PERCENTAGE",
        Kind.NUMBER,
        "Validation share (%)",
        "Share of the chips, picked at random, that the network never learns from but is measured on.",
        default=10.0,
        minimum=1,
        maximum=90,
    ),
    Param(
        "STOP_TRAINING",
        Kind.BOOLEAN,
        "Stop when the model no longer improves",
        (
            "Stop when the monitored measure has not improved for 5 epochs (the argument patience) in the "
            "second half of the epochs: before that the learning rate is high and measures jump. "
            "Otherwise all epochs are trained. Either way the best epoch is kept: by validation accuracy, "
            "for objects by mean average precision."
        ),
        default=True,
        words=("STOP_TRAINING", "CONTINUE_TRAINING"),
    ),
    Param(
        "DEVICE",
        Kind.TEXT,
        "Device",
        "AUTO (a GPU where there is one), CPU, CUDA, or CUDA:1 for the second GPU.",
        default="AUTO",
    ),
    Param(
        "OVERWRITE",
        Kind.BOOLEAN,
        "Overwrite an existing model folder",
        "Without it, a model folder that exists and is not empty is refused.",
        default=False,
    ),
)

_ADVANCED = (
    Param(
        "LEARNING_RATE",
        Kind.NUMBER,
        "Learning rate",
        (
            "Highest learning rate of the one-cycle schedule. Empty or 0: for pixels found by a short "
            "sweep before training, for objects and whole chips 0.002 (RTDETR: 0.001), or 0.0005 with a "
            "backbone. 0.002 suits the plain U-Net."
        ),
        optional=True,
        minimum=0,
        maximum=10,
        advanced=True,
    ),
    Param(
        "ARGUMENTS",
        Kind.ARGUMENTS,
        "Model arguments",
        (
            "Name and value. For all: class_balancing (True weighs rare classes more; for objects their "
            "chips come more often), ignore_classes (class values that are neither learnt nor counted), "
            "weight_decay (0.0001), patience (5 epochs). For pixels and whole chips: focal_loss (True), "
            "mixup (True). For pixels: dice_loss_fraction (0 to 1, in place of cross entropy), "
            "dice_loss_average (micro, macro), jaccard_loss_weight (0.5, added), dropout (0.1; share of "
            "the article's dropout, plain U-Net). For objects, in place of anchors found in the training "
            "boxes: ratios (height by width, or pairs), scales (RETINANET, FASTERRCNN, MASKRCNN), grids and "
            "zooms (SSD)."
        ),
        optional=True,
        advanced=True,
    ),
    Param(
        "MONITOR",
        Kind.CHOICE,
        "Monitored measure",
        (
            "What must improve for training to go on, measured on the validation chips. Objects have "
            "VALID_LOSS and AVERAGE_PRECISION; whole chips VALID_LOSS, ACCURACY, F1_SCORE, PRECISION and "
            "RECALL; pixels all but AVERAGE_PRECISION."
        ),
        default="VALID_LOSS",
        choices=tuple(MONITORS),
        advanced=True,
    ),
    Param(
        "AUGMENTATION",
        Kind.CHOICE,
        "Augmentation",
        (
            "How training chips are varied; boxes and outlines go along. DEFAULT: flips and quarter turns "
            "(in pixel space only mirrored), brightness and contrast, for objects also nearer and "
            "farther, but not in the last epochs. NONE: not at all. CUSTOM: "
            "exactly AUGMENTATION_PARAMETERS. FILE: transforms.json in the first training folder, with the "
            "keys Training and Validation."
        ),
        default="DEFAULT",
        choices=AUGMENTATIONS,
        advanced=True,
    ),
    Param(
        "AUGMENTATION_PARAMETERS",
        Kind.ARGUMENTS,
        "Augmentation parameters",
        (
            "For CUSTOM, value and probability: rotate 30.0;0.5 (degrees), brightness (0.4,0.6);1.0 "
            "(0.5 unchanged), contrast (0.75,1.5);1.0, zoom (1.0,1.2);1.0, crop 224;1.0;(0,1);(0,1) "
            "(pixels, probability, range of rows and of columns), dihedral 1.0 (flips and quarter "
            "turns), mirror 0.5 (left and right)."
        ),
        optional=True,
        advanced=True,
    ),
    Param(
        "CHIP_SIZE",
        Kind.INTEGER,
        "Chip size",
        (
            "Side, in pixels, of the squares cut at random from the chips for training. Empty: whole chips; "
            "RTDETR takes no others."
        ),
        optional=True,
        minimum=16,
        advanced=True,
    ),
    Param(
        "BACKBONE_WEIGHTS",
        Kind.FILE,
        "Backbone weights",
        "Local file with pretrained weights of the backbone (.safetensors, .pth, .pt).",
        optional=True,
        extension="safetensors pth pt",
        advanced=True,
    ),
    Param(
        "WEIGHT_INIT_SCHEME",
        Kind.CHOICE,
        "Weights of further bands",
        (
            "First layer of a backbone with pretrained weights, where the imagery has other bands than "
            "red, green and blue. RANDOM: random weights for the other bands. RED_BAND: the red band's "
            "weights for them. ALL_RANDOM: random weights for all bands."
        ),
        default="RANDOM",
        choices=WEIGHT_SCHEMES,
        advanced=True,
    ),
    Param(
        "FREEZE",
        Kind.BOOLEAN,
        "Freeze the encoder",
        (
            "Keep the pretrained weights of the encoder and train the rest: quicker, and better with "
            "very few chips. Unlike in ArcGIS it is off unless asked for, since networks here start "
            "from random weights."
        ),
        default=False,
        words=("FREEZE_MODEL", "UNFREEZE_MODEL"),
        advanced=True,
    ),
    Param(
        "SEED",
        Kind.INTEGER,
        "Seed",
        "Of everything random. The same seed gives the same model on the same machine.",
        default=42,
        minimum=0,
        maximum=2**31 - 1,
        advanced=True,
    ),
)

TOOL = Tool(
    id="trainmodel",
    command="train-model",
    title="Train Deep Learning Model",
    group="Training",
    summary="Trains a network on exported chips: a classifier of pixels or of chips, or a detector.",
    description=(
        "Reads chips and their labels, keeps a share of them for validation, trains with AdamW, a "
        "one-cycle learning rate and varied chips, and keeps the epoch with the best validation "
        "accuracy.\n\n"
        "The model folder holds the definition (.emd), the weights for PyTorch and for ONNX, all of it "
        "as one package (.dlpk), the log of the epochs (training_log.csv) and a report "
        "(model_metrics.html) with curves, confusion matrix, a table of classes, for objects average "
        "precision and its curves, and sample predictions.\n\n"
        "A detector fits itself to the objects it is shown: anchors and the fineness of its maps follow "
        "from the training boxes, and imagery of large objects is looked at smaller. Boxes without area, "
        "outside their chip or reversed are left out and listed. The score from which its detections count "
        "by default is the one with the best F1 on the validation chips.\n\n"
        "A training that is cancelled or interrupted goes on after its last finished epoch when it is "
        "run again with the same settings. Damaged chips are skipped and listed."
    ),
    params=(*_REQUIRED, *_MAIN, *_ADVANCED),
    results=(
        Result("OUT_MODEL_DEFINITION", "file", "Model definition"),
        Result("OUT_MODEL_PACKAGE", "file", "Model package"),
        Result("ACCURACY", "number", "Validation accuracy"),
        Result("JACCARD", "number", "Validation Jaccard index"),
        Result("MEAN_IOU", "number", "Validation mean IoU"),
        Result("AVERAGE_PRECISION", "number", "Validation mean average precision at an overlap of 0.5"),
    ),
    run=run,
    check=_check,
    tags=("deep learning", "segmentation", "U-Net", "train", "object detection", "classification"),
)
