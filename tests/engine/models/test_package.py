"""Packages: unpacked once, and never outside their folder."""

import stat
import zipfile

import pytest

from imagerydl.errors import ModelDefinitionError
from imagerydl.models import package


def make(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def test_unpacks_once_and_finds_the_definition(tmp_path):
    """W27, W28."""
    archive = make(
        tmp_path / "m.dlpk", [("m.emd", "{}"), ("m.pth", "w"), ("ModelCharacteristics/a.png", "p")]
    )
    emd = package.unpack_package(archive, tmp_path / "cache")
    emd.write_text('{"touched": 1}', encoding="utf-8")
    assert package.unpack_package(archive, tmp_path / "cache").read_text(encoding="utf-8") == '{"touched": 1}'
    assert (emd.parent / "ModelCharacteristics" / "a.png").is_file()


def test_written_packages_hold_their_files_at_the_root(tmp_path):
    (tmp_path / "m.emd").write_text("{}", encoding="utf-8")
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "loss.png").write_bytes(b"p")
    package.write_package([tmp_path / "m.emd", tmp_path / "figures"], tmp_path / "m.dlpk")
    assert zipfile.ZipFile(tmp_path / "m.dlpk").namelist() == ["m.emd", "figures/loss.png"]


@pytest.mark.parametrize(
    "name", ["../evil.emd", "/etc/evil.emd", "a/../../evil.emd", "..\\evil.emd", "C:\\evil.emd"]
)
def test_names_that_lead_outside_are_refused(tmp_path, name):
    archive = make(tmp_path / "m.dlpk", [("m.emd", "{}"), (name, "x")])
    with pytest.raises(ModelDefinitionError, match="leads outside"):
        package.unpack_package(archive, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir()), "nothing may be left behind"


def test_links_doubles_and_bombs_are_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    cases = {
        "is a link": [(link, "/etc/passwd")],
        "occurs twice": [("A.emd", "{}"), ("a.emd", "{}")],
        "out of proportion": [("m.emd", b"\0" * 50_000_000)],
    }
    for number, (reason, members) in enumerate(cases.items()):
        archive = make(tmp_path / f"{number}.dlpk", members)
        with pytest.raises(ModelDefinitionError, match=reason):
            package.unpack_package(archive, tmp_path / "cache")


@pytest.mark.parametrize("members", [[("m.pth", "w")], [("a.emd", "{}"), ("b.emd", "{}")]])
def test_exactly_one_definition_is_needed(tmp_path, members):
    with pytest.raises(ModelDefinitionError, match="exactly one"):
        package.unpack_package(make(tmp_path / "m.dlpk", members), tmp_path / "cache")


def test_a_damaged_package_is_named(tmp_path):
    (tmp_path / "m.dlpk").write_bytes(b"PK\x03\x04 nothing more")
    with pytest.raises(ModelDefinitionError, match=r"m\.dlpk is not a readable package"):
        package.unpack_package(tmp_path / "m.dlpk", tmp_path / "cache")


TWO = [("town.emd", "{}"), ("forest/trees.emd", "{}")]


@pytest.mark.parametrize(
    ("model", "found"), [("town", "town.emd"), ("Trees.emd", "trees.emd"), ("forest/trees", "trees.emd")]
)
def test_one_of_several_models_is_chosen_by_name(tmp_path, model, found):
    """W27: several models in one package."""
    archive = make(tmp_path / "m.dlpk", TWO)
    assert package.unpack_package(archive, tmp_path / "cache", model).name == found


@pytest.mark.parametrize("model", ["", "sea"])
def test_the_models_to_choose_from_are_listed(tmp_path, model):
    """W27."""
    with pytest.raises(ModelDefinitionError, match="forest/trees, town") as told:
        package.unpack_package(make(tmp_path / "m.dlpk", TWO), tmp_path / "cache", model)
    assert "m.dlpk|model=forest/trees" in told.value.fix


def test_a_seven_zip_archive_is_refused_with_advice(tmp_path):
    (tmp_path / "m.dlpk").write_bytes(b"7z\xbc\xaf\x27\x1c\0\4rest")
    (tmp_path / "m.bin").write_bytes(b"7z\xbc\xaf\x27\x1c\0\4rest")
    assert package.is_package(tmp_path / "m.bin")
    with pytest.raises(ModelDefinitionError, match=r"7-Zip.*zip the files again"):
        package.unpack_package(tmp_path / "m.dlpk", tmp_path / "cache")


def patched(path, change):
    """The archive at ``path`` with each central directory entry changed in place."""
    content = bytearray(path.read_bytes())
    start = content.find(b"PK\x01\x02")
    while start >= 0:
        change(content, start)
        start = content.find(b"PK\x01\x02", start + 4)
    path.write_bytes(content)
    return path


def test_encrypted_files_are_refused(tmp_path):
    def encrypt(content, start):
        content[start + 8] |= 1

    archive = patched(make(tmp_path / "m.dlpk", [("m.emd", "{}")]), encrypt)
    with pytest.raises(ModelDefinitionError, match=r"m\.emd' is encrypted"):
        package.unpack_package(archive, tmp_path / "cache")


def test_a_member_that_lies_about_its_size_gives_no_more_than_it_says(tmp_path):
    def lie(content, start):
        content[start + 24 : start + 28] = (10).to_bytes(4, "little")

    archive = patched(make(tmp_path / "m.dlpk", [("m.emd", b"\0" * 5_000_000)]), lie)
    with pytest.raises(ModelDefinitionError, match=r"m\.dlpk"):
        package.unpack_package(archive, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_files_that_share_their_bytes_are_refused(tmp_path):
    def overlap(content, start):
        content[start + 42 : start + 46] = (0).to_bytes(4, "little")

    noise = bytes(range(256)) * 40
    with zipfile.ZipFile(tmp_path / "m.dlpk", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("m.emd", noise)
        archive.writestr("n.pth", noise)
    with pytest.raises(ModelDefinitionError, match=r"m\.dlpk"):
        package.unpack_package(patched(tmp_path / "m.dlpk", overlap), tmp_path / "cache")


def test_too_many_files_and_a_file_in_place_of_a_folder_are_refused(tmp_path, monkeypatch):
    both = make(tmp_path / "both.dlpk", [("m.emd", "{}"), ("a", "x"), ("a/b", "y")])
    with pytest.raises(ModelDefinitionError, match="not a readable package"):
        package.unpack_package(both, tmp_path / "cache")
    monkeypatch.setattr(package, "MAX_MEMBERS", 2)
    many = make(tmp_path / "many.dlpk", [(f"{n}.emd", "{}") for n in range(3)])
    with pytest.raises(ModelDefinitionError, match="holds 3 files"):
        package.unpack_package(many, tmp_path / "cache")


def test_a_damaged_stream_is_named(tmp_path):
    archive = make(tmp_path / "m.dlpk", [("m.emd", "words " * 500)])
    content = bytearray(archive.read_bytes())
    content[40:60] = b"\xff" * 20
    archive.write_bytes(content)
    with pytest.raises(ModelDefinitionError, match=r"m\.dlpk is not a readable package"):
        package.unpack_package(archive, tmp_path / "cache")
