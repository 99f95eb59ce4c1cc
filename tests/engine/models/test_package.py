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
