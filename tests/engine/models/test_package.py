"""Packages: unpacked once, one model of them chosen."""

import json
import os
import time
import zipfile

import pytest

from imagerydl.errors import ModelDefinitionError, OutputError
from imagerydl.models import package


def make(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv(package.FOLDER_VARIABLE, str(folder))
    return folder


@pytest.fixture
def town(tmp_path):
    members = [("m.emd", "{}"), ("m.pth", "w"), ("ModelCharacteristics/a.png", "p")]
    return make(tmp_path / "town.dlpk", members)


def test_a_package_is_unpacked_to_the_folder_the_user_named(cache, town):
    """W27, W28."""
    emd = package.unpack_package(town)
    assert emd.name == "m.emd"
    assert emd.parent.parent == cache
    assert (emd.parent / "ModelCharacteristics" / "a.png").read_bytes() == b"p"
    assert [path.name for path in cache.iterdir()] == [emd.parent.name], "nothing unfinished is left"


def test_a_package_is_unpacked_once_per_content(cache, town, tmp_path):
    first = package.unpack_package(town)
    written = first.stat().st_mtime_ns
    assert package.unpack_package(town) == first
    assert first.stat().st_mtime_ns == written
    other = make(tmp_path / "other" / "town.dlpk", [("m.emd", '{"a": 1}')])
    assert package.unpack_package(other) != first


def test_what_was_taken_from_the_unpacked_folder_is_put_back(cache, town):
    emd = package.unpack_package(town)
    (emd.parent / "m.pth").unlink()
    assert (package.unpack_package(town).parent / "m.pth").read_bytes() == b"w"


def test_what_a_killed_run_left_is_removed_after_a_day(cache, town):
    old, fresh = cache / ".unpacking-old", cache / ".unpacking-fresh"
    old.mkdir(parents=True)
    fresh.mkdir()
    os.utime(old, (time.time() - 3 * 86400,) * 2)
    package.unpack_package(town)
    assert not old.exists()
    assert fresh.exists(), "another process may be at it"


def test_a_package_zipped_with_its_folder_and_by_macos_is_read(cache, tmp_path):
    members = [("town/m.emd", "{}"), ("__MACOSX/town/._m.emd", "junk"), ("town/._m.pth", "junk")]
    emd = package.unpack_package(make(tmp_path / "m.dlpk", members))
    assert emd.read_text(encoding="utf-8") == "{}"
    assert emd.parent.name == "town"
    assert len(list(emd.parent.parent.rglob("*.emd"))) == 1


def test_separators_of_windows_are_separators(cache, tmp_path):
    emd = package.unpack_package(make(tmp_path / "m.dlpk", [("m.emd", "{}"), ("figures\\a.png", "p")]))
    assert (emd.parent / "figures" / "a.png").is_file()


# --- several models ----------------------------------------------------------------------------


@pytest.fixture
def several(tmp_path):
    members = [
        ("roads.emd", '{"r": 1}'),
        ("a/town.emd", '{"t": 1}'),
        ("b/town.emd", '{"t": 2}'),
        ("north/woods.emd", '{"w": 1}'),
    ]
    return make(tmp_path / "several.dlpk", members)


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ("north/woods", '{"w": 1}'),
        ("Woods.emd", '{"w": 1}'),
        ("roads", '{"r": 1}'),
        ("Roads.emd", '{"r": 1}'),
        ("a/town", '{"t": 1}'),
        ("b/town.emd", '{"t": 2}'),
    ],
)
def test_one_of_several_models_is_chosen_by_name(cache, several, choice, text):
    """W27: several models in one package."""
    found = package.definition_in_package(f"{several}|model={choice}")
    assert found.read_text(encoding="utf-8") == text


def test_without_a_choice_the_names_are_told(cache, several):
    with pytest.raises(ModelDefinitionError, match="4 models") as refused:
        package.definition_in_package(str(several))
    for name in ("roads", "a/town", "b/town", "several.dlpk|model="):
        assert name in str(refused.value)
    assert not cache.exists(), "nothing is unpacked before it is clear what for"


def test_a_choice_that_leads_nowhere_names_what_there_is(cache, several, town, tmp_path):
    with pytest.raises(ModelDefinitionError, match="no model 'town': it has a/town, b/town, woods, roads"):
        package.definition_in_package(f"{several}|model=town")
    with pytest.raises(ModelDefinitionError, match="does not exist"):
        package.definition_in_package(f"{tmp_path}/none.dlpk|model=a")
    (tmp_path / "m.emd").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelDefinitionError, match="no package"):
        package.definition_in_package(f"{tmp_path}/m.emd|model=a")


# --- what is refused ---------------------------------------------------------------------------


def test_a_package_without_a_definition_is_refused(cache, tmp_path):
    with pytest.raises(ModelDefinitionError, match="holds no model definition"):
        package.unpack_package(make(tmp_path / "m.dlpk", [("m.pth", "w")]))


@pytest.mark.parametrize(
    "address", ["https://example.com/m.dlpk", "http://example.com/a.emd", "s3://bucket/m.dlpk"]
)
def test_an_address_is_refused_with_the_advice_to_download(address):
    """P6: a package must be local."""
    from imagerydl.models.definition import load_definition

    with pytest.raises(ModelDefinitionError, match="Download it"):
        load_definition(address)


def test_what_is_no_package_is_left_to_the_others(tmp_path):
    (tmp_path / "m.emd").write_text("{}", encoding="utf-8")
    assert package.definition_in_package(str(tmp_path / "m.emd")) is None
    assert package.definition_in_package(str(tmp_path / "missing.dlpk")) is None
    assert package.definition_in_package("C:\\models\\m.emd") is None


def test_a_folder_that_cannot_be_written_is_named(town, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv(package.FOLDER_VARIABLE, str(tmp_path / "file" / "packages"))
    with pytest.raises(OutputError, match="packages cannot be written"):
        package.unpack_package(town)


def test_a_disk_without_room_is_told_before_anything_is_written(cache, town, monkeypatch):
    from imagerydl.models import archive

    monkeypatch.setattr(archive.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 3})())
    with pytest.raises(OutputError, match="Free some space"):
        package.unpack_package(town)
    assert list(cache.iterdir()) == []


# --- written packages --------------------------------------------------------------------------


def test_written_packages_hold_their_files_at_the_root(tmp_path):
    (tmp_path / "m.emd").write_text("{}", encoding="utf-8")
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "loss.png").write_bytes(b"p")
    package.write_package([tmp_path / "m.emd", tmp_path / "figures"], tmp_path / "m.dlpk")
    assert zipfile.ZipFile(tmp_path / "m.dlpk").namelist() == ["m.emd", "figures/loss.png"]


def test_the_same_files_give_the_same_bytes(tmp_path):
    emd = tmp_path / "m.emd"
    emd.write_text(json.dumps({"Framework": "ONNX"}), encoding="utf-8")
    package.write_package([emd], tmp_path / "first.dlpk")
    os.utime(emd, (10**9, 10**9))
    emd.chmod(0o600)
    package.write_package([emd], tmp_path / "second.dlpk")
    assert (tmp_path / "first.dlpk").read_bytes() == (tmp_path / "second.dlpk").read_bytes()
