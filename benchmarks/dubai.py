"""The protocol of the article on the Dubai imagery, through the tools.

    make bench-dubai DATA=../shared/data/seg_dubai_mbrsc

All 72 images of the MBRSC data set, chips of 160 px without overlap (3,483 of them), a random 90/10
split, the plain U-Net, at most 20 epochs. Prints what the best epoch reaches beside the article's
numbers; an hour and more on two cores. Exits with 1 where the article is not reached.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "engine"), str(ROOT / "examples")]

from demo import DUBAI_SCHEMA  # noqa: E402 - found through the line above

from imagerydl.events import Reporter, terminal_sink  # noqa: E402
from imagerydl.jobs import make_job, run_job  # noqa: E402

OUTPUT = ROOT / "build" / "bench-dubai"
CHIPS = 3483
#: Validation accuracy and Jaccard index (soft, flattened) the article reports.
ARTICLE = {"valid_accuracy": 0.8616, "valid_jaccard": 0.6599}


def run_tool(tool: str, **values: object) -> dict[str, object]:
    """Run a tool in this process; its progress goes to the terminal."""
    return run_job(make_job(tool, {**values, "OVERWRITE": True}), Reporter(terminal_sink))


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="folder of the data set, with 'Tile 1' and so on in it")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--device", default="AUTO")
    given = parser.parse_args()
    if not given.data or not (Path(given.data) / "Tile 1").is_dir():
        parser.error(f"{given.data or 'DATA'} is not the MBRSC data set: it holds no folder 'Tile 1'.")
    data = Path(given.data).resolve()
    exported = run_tool(
        "exporttrainingdata",
        IN_FOLDER=str(data / "Tile *" / "images" / "*.jpg"),
        IN_CLASS_FOLDER=str(data / "Tile *" / "masks" / "*.png"),
        CLASS_SCHEMA=DUBAI_SCHEMA,
        METADATA_FORMAT="Classified_Tiles",
        TILE_SIZE_X=160,
        TILE_SIZE_Y=160,
        STRIDE_X=160,
        STRIDE_Y=160,
        OUTPUT_NOFEATURE_TILES=True,
        OUT_FOLDER=str(OUTPUT / "chips"),
    )
    started = time.monotonic()
    # Everything else is the tool's default: that is the recipe.
    run_tool(
        "trainmodel",
        IN_FOLDER=str(OUTPUT / "chips"),
        OUT_FOLDER=str(OUTPUT / "model"),
        MAX_EPOCHS=given.epochs,
        DEVICE=given.device,
    )
    minutes = (time.monotonic() - started) / 60
    return report(int(str(exported["NUM_CHIPS"])), minutes)


def report(chips: int, minutes: float) -> int:
    """Print the table; returns the exit status."""
    with (OUTPUT / "model" / "training_log.csv").open(encoding="utf-8", newline="") as log:
        epochs = [{name: float(cell or "nan") for name, cell in row.items()} for row in csv.DictReader(log)]
    best = max(epochs, key=lambda row: row["valid_accuracy"])
    print(f"\n{chips} chips (the article: {CHIPS}), {len(epochs)} epochs, {minutes:.0f} minutes")
    print(f"  {'':22}{'article':>9}{'best epoch':>12}{'last epoch':>12}")
    for name, title in (("valid_accuracy", "validation accuracy"), ("valid_jaccard", "Jaccard index")):
        print(f"  {title:22}{ARTICLE[name]:9.4f}{best[name]:12.4f}{epochs[-1][name]:12.4f}")
    print(f"  {'mean IoU':22}{'':9}{best['valid_miou']:12.4f}{epochs[-1]['valid_miou']:12.4f}")
    reached = chips == CHIPS and all(best[name] >= wanted for name, wanted in ARTICLE.items())
    print("the article is reached" if reached else "the article is NOT reached")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
