"""The three steps with processing.run, in a Python that knows PyQGIS but has no QGIS window.

    python3 examples/town.py build/town                      (or your own imagery)
    QGIS_PLUGINPATH=build/plugins python3 examples/pipeline.py build/town build/pipeline

In the Python console of QGIS only the three calls of processing.run are needed.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

# Where Debian and Ubuntu keep the plugins that come with QGIS, Processing among them.
BUNDLED_PLUGINS = "/usr/share/qgis/python/plugins"


def run_pipeline(town: Path, output: Path, epochs: int) -> dict[str, object]:
    """Export chips, train a U-Net, classify; returns the results of the last step.

    Args:
        town: Folder with train.tif, train.gpkg and held_out.tif.
        output: Folder for chips, model and class raster.
        epochs: Of training.
    """
    import processing

    chips = processing.run(
        "imagerydl:exporttrainingdata",
        {
            "IN_RASTER": [str(town / "train.tif")],
            "IN_CLASS_DATA": str(town / "train.gpkg"),
            "CLASS_VALUE_FIELD": "classvalue",
            "CLASS_SCHEMA": str(town / "classes.txt"),
            "METADATA_FORMAT": "Classified_Tiles",
            "TILE_SIZE_X": 128,
            "TILE_SIZE_Y": 128,
            "STRIDE_X": 96,
            "STRIDE_Y": 96,
            "OUT_FOLDER": str(output / "chips"),
            "OVERWRITE": True,
        },
    )
    print(f"{chips['NUM_CHIPS']} chips of {chips['NUM_CLASSES']} classes")
    model = processing.run(
        "imagerydl:trainmodel",
        {
            "IN_FOLDER": [chips["OUT_FOLDER"]],
            "OUT_FOLDER": str(output / "model"),
            "MAX_EPOCHS": epochs,
            "BATCH_SIZE": 8,
            "LEARNING_RATE": 0.003,
            "OVERWRITE": True,
        },
    )
    print(f"validation accuracy {model['ACCURACY']:.3f}, mean IoU {model['MEAN_IOU']:.3f}")
    return processing.run(
        "imagerydl:classifypixels",
        {
            "IN_RASTER": [str(town / "held_out.tif")],
            "IN_MODEL_DEFINITION": model["OUT_MODEL_PACKAGE"],
            "OUT_CLASSIFIED_RASTER": str(output / "classified.tif"),
            "OVERWRITE": True,
        },
    )


def main() -> None:
    """Command line: start QGIS without a window, load the plugin, run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("town", type=Path, help="folder that examples/town.py wrote")
    parser.add_argument("output", type=Path)
    parser.add_argument("--epochs", type=int, default=14)
    given = parser.parse_args()

    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    sys.path[:0] = [BUNDLED_PLUGINS, *os.environ.get("QGIS_PLUGINPATH", "").split(os.pathsep)]
    from qgis.core import QgsApplication

    application = QgsApplication([], False)
    application.initQgis()
    from processing.core.Processing import Processing

    Processing.initialize()
    from imagerydl.processing_provider.provider import ImageryProvider

    provider = ImageryProvider()  # kept: QGIS holds no reference to the Python half of it
    QgsApplication.processingRegistry().addProvider(provider)
    try:
        result = run_pipeline(given.town.resolve(), given.output.resolve(), given.epochs)
        print(result["OUT_CLASSIFIED_RASTER"])
    finally:
        QgsApplication.processingRegistry().removeProvider(provider)
        application.exitQgis()


if __name__ == "__main__":
    main()
