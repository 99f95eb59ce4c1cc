"""Whole trainings of tiny networks on tiny chips."""

import csv
import json
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from imagerydl.errors import CancelledError, DataError, ModelError, OutputError, ParameterError, TrainingError
from imagerydl.jobs import make_job, run_job
from imagerydl.models.definition import load_definition
from imagerydl.models.runtimes import open_pixel_model
from imagerydl.training import pixel_task


def train(values, listener, **changes):
    return run_job(make_job("trainmodel", {**values, **changes}), listener.reporter)


def weights_of(result):
    return load_file(str(load_definition(result["OUT_MODEL_DEFINITION"]).model_file))


def epochs_of(folder):
    with (folder / "training_log.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        del row["seconds"]
    return rows


@pytest.fixture(scope="module")
def trained(tmp_path_factory, module_listener, module_export):
    root = tmp_path_factory.mktemp("trained")
    values = {
        "IN_FOLDER": [str(module_export(root / "chips"))],
        "OUT_FOLDER": str(root / "town"),
        "MAX_EPOCHS": 6,
        "BATCH_SIZE": 4,
        "LEARNING_RATE": 0.003,
        "VALIDATION_PERCENTAGE": 25,
        "DEVICE": "CPU",
    }
    return train(values, module_listener), root, module_listener


class TestModelFolder:
    """One training, looked at from all sides."""

    def test_the_folder_is_complete_and_nothing_else_is_left(self, trained):
        _, root, _ = trained
        names = {path.name for path in (root / "town").iterdir()}
        assert names == {
            "town.emd",
            "town.safetensors",
            "town.onnx",
            "town.dlpk",
            "training_log.csv",
            "model_metrics.html",
            "ModelCharacteristics",
        }
        assert {path.name for path in root.iterdir()} == {"chips", "town"}

    def test_the_loss_falls_and_the_jaccard_index_rises(self, trained):
        """U16."""
        rows = epochs_of(trained[1] / "town")
        for part in ("train", "valid"):
            assert float(rows[-1][f"{part}_loss"]) < 0.8 * float(rows[0][f"{part}_loss"])
            assert float(rows[-1][f"{part}_jaccard"]) > float(rows[0][f"{part}_jaccard"])

    def test_the_log_has_one_row_an_epoch(self, trained):
        """U14: the state of every epoch, as CSV."""
        rows = epochs_of(trained[1] / "town")
        assert [row["epoch"] for row in rows] == [str(n) for n in range(1, 7)]
        assert {"train_accuracy", "valid_miou", "iou_Dark", "iou_Bright"} <= set(rows[0])

    def test_the_best_epoch_by_validation_accuracy_is_kept(self, trained):
        """U14."""
        result, root, _ = trained
        rows = epochs_of(root / "town")
        best = max(rows, key=lambda row: float(row["valid_accuracy"]))
        assert result["ACCURACY"] == pytest.approx(float(best["valid_accuracy"]), abs=1e-6)
        assert result["JACCARD"] == pytest.approx(float(best["valid_jaccard"]), abs=1e-4)
        assert result["MEAN_IOU"] == pytest.approx(float(best["valid_miou"]), abs=1e-6)
        assert load_definition(result["OUT_MODEL_DEFINITION"]).raw["BestEpoch"] == int(best["epoch"])

    def test_the_definition_says_what_inference_must_know(self, trained):
        definition = load_definition(trained[0]["OUT_MODEL_DEFINITION"])
        assert definition.is_own
        assert definition.model_name == "UNET"
        assert definition.output_values == (1, 2)
        assert [entry.name for entry in definition.classes] == ["Dark", "Bright"]
        assert definition.image_size == (32, 32)
        assert definition.normalisation.bands == 3
        assert definition.cell_size == (0.5, 0.5)
        assert definition.onnx_file.name == "town.onnx"

    def test_the_saved_model_predicts_what_the_labels_say(self, trained, toy_chips):
        """U19: reloaded from its package, in both runtimes, it is as good as it was."""
        result, _, _ = trained
        definition = load_definition(result["OUT_MODEL_PACKAGE"])
        image, label = next(iter(toy_chips(1, seed=99)))
        batch = definition.normalisation.apply(image[None])
        model = open_pixel_model(definition, "CPU")
        probabilities = model.predict(batch)
        assert probabilities.shape == (1, 2, 32, 32)
        classes = np.array(definition.output_values)[probabilities[0].argmax(axis=0)]
        assert (classes == label).mean() > 0.9

    def test_the_onnx_form_was_checked(self, trained):
        assert any("ONNX form gives what PyTorch gives" in text for text in trained[2].texts())

    def test_the_package_holds_one_definition_and_its_files(self, trained):
        with zipfile.ZipFile(trained[0]["OUT_MODEL_PACKAGE"]) as package:
            names = set(package.namelist())
        assert {"town.emd", "town.safetensors", "town.onnx", "model_metrics.html"} <= names
        assert "ModelCharacteristics/loss_graph.png" in names

    def test_the_report_stands_alone(self, trained):
        """U20: predictions beside image and truth; curves, confusion, classes, layers."""
        page = (trained[1] / "town" / "model_metrics.html").read_text(encoding="utf-8")
        assert "1,421,762 parameters" in page
        assert "http" not in page
        for name in ("loss_graph", "jaccard_graph", "confusion_matrix", "show_results"):
            assert f'alt="{name}" src="data:image/png;base64,' in page
            assert (trained[1] / "town" / "ModelCharacteristics" / f"{name}.png").stat().st_size > 5000
        for text in ("Dark", "Bright", "IoU", "Precision", "Recall", "F1", "ConvTranspose2d"):
            assert text in page

    def test_progress_tells_the_epoch_the_losses_and_the_time_left(self, trained):
        listener = trained[2]
        progress = [event for event in listener.events if event["event"] == "progress"]
        assert list(dict.fromkeys(event["stage"] for event in progress)) == [
            "Reading chips",
            "Training",
            "Evaluating",
            "Writing the model",
        ]
        (last,) = [event for event in progress if event["stage"] == "Training"][-1:]
        assert last["done"] == last["total"]
        assert "epoch 6 of 6, loss" in last["note"]
        assert "validation loss" in last["note"]
        assert "seconds_left" in last
        fractions = [event["fraction"] for event in progress]
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1
        assert len(listener.metrics()) == 6


@pytest.mark.parametrize("model_type", ["FPN", "PSPNET"])
def test_networks_that_need_a_backbone_take_a_full_sized_one(train_values, listener, model_type):
    """And learn from chips mixed two by two."""
    values = {**train_values, "MODEL_TYPE": model_type, "BACKBONE_MODEL": "mobilenet_v2", "MAX_EPOCHS": 1}
    result = train(values, listener, ARGUMENTS={"mixup": "True"})
    definition = load_definition(result["OUT_MODEL_PACKAGE"])
    assert (definition.model_name, definition.model_parameters["backbone"]) == (model_type, "mobilenet_v2")
    assert definition.onnx_file is not None
    model = open_pixel_model(definition, "CPU")
    assert model.predict(np.zeros((1, 3, 32, 32), np.float32)).shape == (1, 2, 32, 32)


class TestInterruption:
    def test_a_cancelled_run_goes_on_as_if_it_had_never_stopped(self, train_values, listener, tmp_path):
        """Same epochs, same weights as an unbroken run with the same seed."""
        values = {**train_values, "MAX_EPOCHS": 3}
        unbroken = train(values, listener, OUT_FOLDER=str(tmp_path / "unbroken"))

        listener.events.clear()
        listener.cancel_when = lambda event: len(listener.metrics()) == 2
        out = tmp_path / "models" / "toy"
        with pytest.raises(CancelledError):
            train(values, listener)
        assert not out.exists()

        listener.resume()
        resumed = train(values, listener)
        assert any("going on after its last finished epoch" in text for text in listener.texts())
        assert len(listener.metrics()) == 1, "two of three epochs were done"
        assert epochs_of(out) == epochs_of(tmp_path / "unbroken")
        expected = weights_of(unbroken)
        assert all(torch.equal(tensor, expected[name]) for name, tensor in weights_of(resumed).items())
        assert [path.name for path in out.parent.iterdir()] == ["toy"]

    def test_other_settings_start_anew(self, train_values, listener, tmp_path):
        listener.cancel_when = lambda event: len(listener.metrics()) == 1
        with pytest.raises(CancelledError):
            train(train_values, listener)
        listener.resume()
        listener.cancel_when = lambda event: len(listener.metrics()) == 2
        with pytest.raises(CancelledError):
            train(train_values, listener, SEED=7, MAX_EPOCHS=3)
        assert not any("going on" in text for text in listener.texts())

    def test_a_run_stopped_while_writing_does_not_train_again(self, train_values, listener, monkeypatch):
        def full(*arguments):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("imagerydl.training.pipeline.write_model", full)
        with pytest.raises(OutputError, match="full"):
            train(train_values, listener)
        listener.resume()
        monkeypatch.setattr(
            "imagerydl.training.pipeline.write_model", lambda model, folder, reporter: folder.mkdir()
        )
        train(train_values, listener)
        assert listener.metrics() == []

    def test_cancelling_takes_hold_at_the_next_batch(self, train_values, listener):
        seen = []
        listener.cancel_when = lambda event: event.get("stage") == "Training" and not seen.append(event)
        with pytest.raises(CancelledError):
            train(train_values, listener)
        assert len(seen) == 1

    def test_memory_that_runs_out_halves_the_batch(self, train_values, listener, monkeypatch):
        step = pixel_task.PixelTask.training_step

        def greedy(task, batch, index):
            if len(batch[0]) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return step(task, batch, index)

        monkeypatch.setattr(pixel_task.PixelTask, "training_step", greedy)
        monkeypatch.setattr(
            "imagerydl.training.pipeline.write_model", lambda model, folder, reporter: folder.mkdir()
        )
        train(train_values, listener, MAX_EPOCHS=1)
        assert "going on with 2" in listener.texts("warning")[0]


class TestStopping:
    @pytest.fixture
    def no_writing(self, monkeypatch):
        written = []
        monkeypatch.setattr(
            "imagerydl.training.pipeline.write_model",
            lambda model, folder, reporter: (folder.mkdir(), written.append(model)),
        )
        return written

    @pytest.fixture
    def getting_worse(self, monkeypatch):
        """Every epoch is worse than the one before."""
        measure = pixel_task.PixelTask.measure
        monkeypatch.setattr(
            pixel_task.PixelTask,
            "measure",
            lambda task, scores: {**measure(task, scores), "valid_loss": 1.0 + task.current_epoch},
        )

    def test_training_stops_when_the_loss_no_longer_falls(
        self, train_values, listener, getting_worse, no_writing
    ):
        """U14: after 2 epochs without a lower validation loss, counted from the second half on."""
        train(train_values, listener, MAX_EPOCHS=8, ARGUMENTS="patience 2")
        assert len(listener.metrics()) == 7, "epoch 5 is the first that counts, 6 and 7 are worse"

    def test_or_goes_on_when_asked_to(self, train_values, listener, getting_worse, no_writing):
        train(train_values, listener, MAX_EPOCHS=4, ARGUMENTS="patience 1", STOP_TRAINING="CONTINUE_TRAINING")
        assert len(listener.metrics()) == 4

    def test_the_optimiser_is_an_adam_with_a_schedule(self, train_values, listener, no_writing, monkeypatch):
        """U15: Adam (with decoupled weight decay), 20 epochs unless told otherwise."""
        rates = []
        configure = pixel_task.PixelTask.configure_optimizers

        def spy(task):
            made = configure(task)
            rates.append((type(made["optimizer"]).__name__, task.optimisation.steps))
            return made

        monkeypatch.setattr(pixel_task.PixelTask, "configure_optimizers", spy)
        train(train_values, listener, MAX_EPOCHS=1)
        assert rates == [("AdamW", 2)]
        assert (
            make_job("trainmodel", {k: v for k, v in train_values.items() if k != "MAX_EPOCHS"})["MAX_EPOCHS"]
            == 20
        )

    def test_without_a_learning_rate_one_is_found(self, train_values, listener, no_writing):
        train(train_values, listener, LEARNING_RATE=None, MAX_EPOCHS=1)
        assert any(text.startswith("Learning rate") for text in listener.texts())
        assert "Finding a learning rate" in listener.stages()


class TestBadInput:
    def test_a_loss_that_is_not_a_number(self, train_values, listener, monkeypatch, tmp_path):
        step = pixel_task.PixelTask.training_step
        monkeypatch.setattr(
            pixel_task.PixelTask, "training_step", lambda *arguments: step(*arguments) * float("nan")
        )
        with pytest.raises(TrainingError, match="not a number") as caught:
            train(train_values, listener)
        assert "LEARNING_RATE" in caught.value.fix
        assert list((tmp_path / "models").iterdir()) == [], "nothing to go on from"

    def test_existing_output_is_not_destroyed(self, train_values, listener, tmp_path):
        precious = tmp_path / "models" / "toy" / "precious.txt"
        precious.parent.mkdir(parents=True)
        precious.write_text("keep me")
        with pytest.raises(OutputError, match="already exists"):
            train(train_values, listener)
        assert precious.exists()
        assert listener.events == [], "refused before anything is read"

    def test_a_missing_folder(self, train_values, listener, tmp_path):
        with pytest.raises(DataError, match="nowhere"):
            train(train_values, listener, IN_FOLDER=[str(tmp_path / "nowhere")])

    def test_an_unknown_backbone(self, train_values, listener):
        with pytest.raises(ParameterError, match="resnet35"):
            train(train_values, listener, BACKBONE_MODEL="resnet35")

    def test_transforms_that_are_not_there(self, train_values, listener):
        with pytest.raises(DataError, match=r"transforms\.json"):
            train(train_values, listener, AUGMENTATION="FILE")


class TestGoingOn:
    """PRETRAINED_MODEL."""

    @pytest.fixture
    def first(self, train_values, listener):
        return train(train_values, listener, MAX_EPOCHS=1)

    def test_other_classes_get_a_new_last_layer(
        self, first, train_values, listener, tmp_path, export, toy_chips
    ):
        chips = [(image, np.where(label == 1, 9, 2)) for image, label in toy_chips(6)]
        chips = [(image, label.astype(np.uint8)) for image, label in chips]
        folder = export(tmp_path / "other", chips, classes=[(2, "Bright"), (9, "Deep")])
        changes = {
            "IN_FOLDER": [str(folder)],
            "OUT_FOLDER": str(tmp_path / "second"),
            "PRETRAINED_MODEL": first["OUT_MODEL_PACKAGE"],
            "FREEZE": True,
            "MAX_EPOCHS": 1,
        }
        second = train(train_values, listener, **changes)
        assert any("1 of 2 classes keep what they had learnt" in text for text in listener.texts())
        assert load_definition(second["OUT_MODEL_DEFINITION"]).output_values == (2, 9)
        before, after = weights_of(first), weights_of(second)
        frozen = [name for name in before if name.startswith("encoder.")]
        assert all(torch.equal(before[name], after[name]) for name in frozen)
        assert not torch.equal(before["decoder.0.0.weight"], after["decoder.0.0.weight"])

    def test_a_model_of_other_bands_is_refused(
        self, first, train_values, listener, tmp_path, export, toy_chips
    ):
        folder = export(tmp_path / "four", toy_chips(4, bands=4))
        with pytest.raises(ModelError, match="takes 3 bands, the chips have 4"):
            train(
                train_values,
                listener,
                IN_FOLDER=[str(folder)],
                OUT_FOLDER=str(tmp_path / "second"),
                PRETRAINED_MODEL=first["OUT_MODEL_DEFINITION"],
            )


def test_a_backbone_and_sixteen_bits(train_values, listener, tmp_path, export, toy_chips):
    """Four bands of 16 bits, a backbone, random crops: scaled by the folder's statistics."""
    folder = export(
        tmp_path / "deep",
        toy_chips(8, bands=4, dtype=np.uint16, scale=40),
        AllTilesStats=[{"BandName": "", "Min": 0, "Max": 10200, "Mean": 5000, "StdDev": 2400}] * 4,
    )
    changes = {"IN_FOLDER": [str(folder)], "BACKBONE_MODEL": "RESNET18", "CHIP_SIZE": 24, "FREEZE": True}
    result = train(train_values, listener, **changes, MAX_EPOCHS=1)
    definition = load_definition(result["OUT_MODEL_DEFINITION"])
    assert definition.model_parameters["backbone"] == "resnet18"
    assert definition.image_size == (24, 24)
    assert definition.normalisation.to_json() == {"Subtract": [5000.0] * 4, "Divide": [2400.0] * 4}
    assert definition.onnx_file is not None
    assert any("FREEZE is left out" in text for text in listener.texts("warning"))


def test_the_definition_is_strict_json_where_a_class_has_no_measure(
    train_values, listener, tmp_path, export, toy_chips
):
    folder = export(tmp_path / "three", toy_chips(6), classes=[(1, "Dark"), (2, "Bright"), (3, "Unseen")])
    result = train(train_values, listener, IN_FOLDER=[str(folder)], MAX_EPOCHS=1)
    assert any("No label shows Unseen" in text for text in listener.texts("warning"))
    with open(result["OUT_MODEL_DEFINITION"], encoding="utf-8") as stream:
        content = json.load(stream, parse_constant=pytest.fail)
    assert json.loads(content["per_class_metrics"])["Unseen"]["recall"] is None
