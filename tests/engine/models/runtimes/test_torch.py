"""PyTorch models: every kind of file, what runs code in it, and what its outputs mean."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the runtime under test")
from torch import nn  # noqa: E402 - only where PyTorch is

from imagerydl.errors import ModelError, ParameterError, TrustError  # noqa: E402
from imagerydl.models.definition import parse_definition  # noqa: E402
from imagerydl.models.runtimes import open_pixel_model  # noqa: E402
from imagerydl.models.runtimes.protocol import Gives  # noqa: E402
from imagerydl.models.runtimes.torch import foreign_code  # noqa: E402
from imagerydl.models.trust import FILE_VARIABLE  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

BATCH = np.random.default_rng(0).normal(size=(3, 2, 32, 64)).astype(np.float32)
VALID = np.ones((3, 32, 64), bool)


@pytest.fixture(autouse=True)
def nobody_has_agreed_to_anything(tmp_path, monkeypatch):
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "trusted.json"))


@pytest.fixture
def define(tmp_path):
    """The definition of a model file in ``tmp_path``: two bands, three classes unless told otherwise."""

    def build(name, classes=(0, 1, 2), bands=2, **keys):
        raw = {
            "Framework": "PyTorch",
            "ModelType": "ImageClassification",
            "ModelFile": name,
            "ImageHeight": 32,
            "ImageWidth": 64,
            "ExtractBands": list(range(bands)),
            "Classes": [{"Value": value, "Name": f"class {value}"} for value in classes],
            **keys,
        }
        return parse_definition(raw, tmp_path)

    return build


class Pixelwise(nn.Module):
    """One 1 x 1 convolution; what ``ending`` makes of it comes out."""

    def __init__(self, ending=None, outputs=3):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(2, outputs, 1)
        self.ending = ending or nn.Identity()

    def forward(self, images):
        return self.ending(self.layer(images))


class InDictionary(nn.Module):
    def forward(self, scores):
        return {"aux": scores[:, :1], "out": scores}


class InTuple(nn.Module):
    def forward(self, scores):
        return scores, scores[:, :1]


def expected(network, batch=BATCH):
    with torch.inference_mode():
        return network.eval()(torch.from_numpy(batch)).numpy()


def save_traced(network, path, count=2):
    torch.jit.trace(network.eval(), torch.zeros(count, 2, 32, 64), strict=False).save(str(path))


def test_torchscript_runs_without_consent(define, tmp_path):
    save_traced(Pixelwise(), tmp_path / "net.pt")
    definition = define("net.pt")
    assert foreign_code(definition) is None
    model = open_pixel_model(definition, "CPU", threads=1)
    assert (model.outputs, model.gives) == (3, Gives.LOGITS)
    np.testing.assert_allclose(model.scores(BATCH, VALID), expected(Pixelwise()), atol=1e-5)


@pytest.mark.parametrize("ending", [InDictionary(), InTuple()])
def test_a_dictionary_gives_out_and_a_tuple_its_scores(define, tmp_path, ending):
    save_traced(Pixelwise(ending), tmp_path / "net.pt")
    model = open_pixel_model(define("net.pt"), "CPU", threads=1)
    np.testing.assert_allclose(model.scores(BATCH, VALID), expected(Pixelwise()), atol=1e-5)


def test_torchscript_that_ends_in_sigmoid_gives_a_probability(define, tmp_path):
    network = Pixelwise(nn.Sigmoid(), outputs=1)
    save_traced(network, tmp_path / "net.pt")
    model = open_pixel_model(define("net.pt", classes=(1,)), "CPU", threads=1)
    assert (model.outputs, model.gives) == (2, Gives.PROBABILITIES)
    np.testing.assert_allclose(model.scores(BATCH, VALID)[:, 1:], expected(network), atol=1e-6)


def test_torchscript_that_writes_files_needs_consent(define, tmp_path):
    """``torch.save`` is an operator of TorchScript: such a program can write over any file."""

    class Writing(nn.Module):
        def forward(self, images):
            torch.save(images, "stolen.bin")
            return images

    torch.jit.script(Writing()).save(str(tmp_path / "net.pt"))
    definition = define("net.pt")
    assert "writes or maps files" in foreign_code(definition).reason
    with pytest.raises(TrustError, match="TRUST_MODEL"):
        open_pixel_model(definition, "CPU")


def test_exported_programs_run_after_consent(define, tmp_path):
    sizes = {0: torch.export.Dim("n", max=64)}
    program = torch.export.export(Pixelwise().eval(), (torch.zeros(2, 2, 32, 64),), dynamic_shapes=(sizes,))
    torch.export.save(program, tmp_path / "net.pt2")
    definition = define("net.pt2")
    with pytest.raises(TrustError, match="exported PyTorch program"):
        open_pixel_model(definition, "CPU")
    model = open_pixel_model(definition, "CPU", threads=1, consent=True)
    np.testing.assert_allclose(model.scores(BATCH, VALID), expected(Pixelwise()), atol=1e-5)


def test_programs_for_a_single_tile_are_fed_one_by_one(define, tmp_path):
    program = torch.export.export(Pixelwise().eval(), (torch.zeros(1, 2, 32, 64),))
    torch.export.save(program, tmp_path / "net.pt2")
    model = open_pixel_model(define("net.pt2"), "CPU", threads=1, consent=True)
    np.testing.assert_allclose(model.scores(BATCH, VALID), expected(Pixelwise()), atol=1e-5)


@pytest.mark.parametrize("form", ["state", "lightning", "parallel", "old", "safetensors"])
def test_weights_of_a_named_architecture_need_no_consent(define, tmp_path, form):
    smp = pytest.importorskip("segmentation_models_pytorch", reason="it has the architecture")
    torch.manual_seed(0)
    network = smp.FPN("resnet18", encoder_weights=None, in_channels=2, classes=3).eval()
    state = network.state_dict()
    name = "net.safetensors" if form == "safetensors" else "net.pth"
    if form == "safetensors":
        from safetensors.torch import save_file

        save_file(state, tmp_path / name)
    elif form == "lightning":
        weights = {f"model.{key}": value for key, value in state.items()}
        # Numbers of numpy are in many checkpoints.
        torch.save({"state_dict": weights, "epoch": 3, "loss": np.float64(0.5)}, tmp_path / name)
    elif form == "parallel":
        torch.save({f"module.{key}": value for key, value in state.items()}, tmp_path / name)
    else:
        torch.save(state, tmp_path / name, _use_new_zipfile_serialization=form != "old")
    definition = define(name, ModelParameters={"architecture": "smp.FPN", "encoder_name": "resnet18"})
    assert foreign_code(definition) is None
    model = open_pixel_model(definition, "CPU", threads=1)
    np.testing.assert_allclose(model.scores(BATCH, VALID), expected(network), atol=1e-4)


def test_weights_of_a_torchvision_network_run(define, tmp_path):
    vision = pytest.importorskip("torchvision", reason="it has the architecture")
    network = vision.models.get_model(
        "lraspp_mobilenet_v3_large", weights=None, weights_backbone=None, num_classes=3
    )
    torch.save(network.state_dict(), tmp_path / "net.pth")
    parameters = {"architecture": "lraspp_mobilenet_v3_large"}
    definition = define("net.pth", bands=3, ModelParameters=parameters)
    batch = np.random.default_rng(1).normal(size=(2, 3, 32, 64)).astype(np.float32)
    with torch.inference_mode():
        exact = network.eval()(torch.from_numpy(batch))["out"].numpy()
    model = open_pixel_model(definition, "CPU", threads=1)
    np.testing.assert_allclose(model.scores(batch, VALID[:2]), exact, atol=1e-4)


def test_weights_without_a_known_network_say_what_is_missing(define, tmp_path):
    torch.save(Pixelwise().state_dict(), tmp_path / "net.pth")
    with pytest.raises(ModelError, match=r"ModelParameters\.architecture"):
        open_pixel_model(define("net.pth"), "CPU")


def test_weights_of_another_network_are_named(define, tmp_path):
    pytest.importorskip("segmentation_models_pytorch", reason="it has the architecture")
    torch.save(Pixelwise().state_dict(), tmp_path / "net.pth")
    definition = define("net.pth", ModelParameters={"architecture": "Unet", "encoder_name": "resnet18"})
    with pytest.raises(ModelError, match=r"net\.pth do not fit"):
        open_pixel_model(definition, "CPU")


def test_a_whole_network_runs_after_consent_only(define, tmp_path):
    network = nn.Conv2d(2, 3, 1).eval()
    torch.save(network, tmp_path / "net.pth")
    definition = define("net.pth")
    assert "torch.nn.modules.conv.Conv2d" in foreign_code(definition).reason
    with pytest.raises(TrustError, match=r"net\.pth"):
        open_pixel_model(definition, "CPU")
    model = open_pixel_model(definition, "CPU", threads=1, consent=True)
    np.testing.assert_allclose(model.scores(BATCH, VALID), expected(network), atol=1e-5)


class Attack:
    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("form", ["zip", "old", "plain"])
def test_a_pickle_that_calls_the_shell_is_refused_and_not_run(define, tmp_path, form):
    mark, path = tmp_path / "attacked", tmp_path / "net.pth"
    content = {"state_dict": Attack(mark)}
    if form == "plain":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    definition = define("net.pth", ModelParameters={"architecture": "Unet"})
    assert "system" in foreign_code(definition).reason
    with pytest.raises(TrustError):
        open_pixel_model(definition, "CPU")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(64), "HDF5 file, as Keras"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"PK\x03\x04" + bytes(64), "damaged"),
        (b"", "no PyTorch file"),
    ],
)
def test_files_of_another_kind_are_named(define, tmp_path, content, match):
    (tmp_path / "net.pth").write_bytes(content)
    with pytest.raises(ModelError, match=match):
        open_pixel_model(define("net.pth"), "CPU")


@pytest.mark.parametrize("name", ["net.pt", "net.pth", "net.safetensors"])
def test_files_cut_off_are_named(define, tmp_path, name):
    from safetensors.torch import save_file

    whole = tmp_path / name
    if name == "net.pt":
        save_traced(Pixelwise(), whole)
    elif name == "net.pth":
        torch.save(Pixelwise().state_dict(), whole)
    else:
        save_file(Pixelwise().state_dict(), whole)
    content = whole.read_bytes()
    definition = define(name, ModelParameters={"architecture": "Unet", "encoder_name": "resnet18"})
    for share in (0.1, 0.5, 0.99):
        whole.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(ModelError, match=name.replace(".", r"\.")):
            open_pixel_model(definition, "CPU", consent=True)


def test_a_network_that_raises_in_the_middle_is_named(define, tmp_path):
    class Picky(nn.Module):
        def forward(self, images):
            if images.shape[0] > 2:
                raise ValueError("too many")
            return torch.cat([images, images[:, :1]], dim=1)

    torch.jit.script(Picky()).save(str(tmp_path / "net.pt"))
    model = open_pixel_model(define("net.pt"), "CPU")
    with pytest.raises(ModelError, match=r"net\.pt cannot run on 3 tiles"):
        model.scores(BATCH, VALID)


def test_a_tile_gives_the_same_bytes_in_any_batch(define, tmp_path):
    smp = pytest.importorskip("segmentation_models_pytorch", reason="it has the architecture")
    torch.manual_seed(0)
    network = smp.Unet("resnet18", encoder_weights=None, in_channels=2, classes=3).eval()
    save_traced(network, tmp_path / "net.pt")
    model = open_pixel_model(define("net.pt"), "CPU", threads=1)
    batch = np.random.default_rng(2).normal(size=(6, 2, 32, 64)).astype(np.float32)
    whole = np.ones((6, 32, 64), bool)
    together = model.scores(batch, whole)
    for size in (1, 2, 3, 4):
        parts = [model.scores(batch[i : i + size], whole[:size]) for i in range(0, 6, size)]
        np.testing.assert_array_equal(np.concatenate(parts), together)


def test_int8_is_onnx_runtimes(define, tmp_path):
    save_traced(Pixelwise(), tmp_path / "net.pt")
    with pytest.raises(ParameterError, match="INT8"):
        open_pixel_model(define("net.pt"), "CPU", precision="INT8")


@pytest.mark.parametrize("precision", ["BF16", "FP16"])
def test_precisions_a_processor_has_no_instructions_for_are_refused(define, tmp_path, precision, monkeypatch):
    for probe in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, probe, lambda: False, raising=False)
    save_traced(Pixelwise(), tmp_path / "net.pt")
    with pytest.raises(ParameterError, match=f"PRECISION is {precision}"):
        open_pixel_model(define("net.pt"), "CPU", precision=precision)
    auto = open_pixel_model(define("net.pt"), "CPU", precision="AUTO")
    assert "float32 is the fastest" in auto.calibrate([BATCH])
    np.testing.assert_allclose(auto.scores(BATCH, VALID), expected(Pixelwise()), atol=1e-5)


def test_bfloat16_is_measured_on_real_tiles(define, tmp_path, monkeypatch):
    """Where the processor has no fast instructions for it, it is emulated: slow, and the same numbers."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    save_traced(Pixelwise(), tmp_path / "net.pt")
    model = open_pixel_model(define("net.pt"), "CPU", threads=1, precision="BF16")
    said = model.calibrate([BATCH])
    exact, given = expected(Pixelwise()), model.scores(BATCH, VALID)
    assert model.agreement == np.mean(exact.argmax(1) == given.argmax(1))
    assert 0.9 < model.agreement <= 1
    assert "keep their class" in said
    assert "bf16" in model.description
    assert given.dtype == np.float32
    np.testing.assert_allclose(given, exact, atol=0.1)
