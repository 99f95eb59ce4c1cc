"""Archives from anywhere: whatever could do harm is refused before a byte is written."""

import stat
import struct
import zipfile

import pytest

from imagerydl.errors import ModelDefinitionError
from imagerydl.models import archive
from imagerydl.models.package import unpack_package


def make(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


@pytest.fixture
def refuse(tmp_path):
    """Expect a refusal that leaves nothing behind."""

    def check(path, reason):
        with pytest.raises(ModelDefinitionError, match=reason) as refused:
            unpack_package(path, tmp_path / "cache")
        assert path.name in refused.value.message
        assert refused.value.fix
        assert not list((tmp_path / "cache").glob("*")), "nothing may be left behind"

    return check


@pytest.mark.parametrize(
    "name",
    [
        "../evil.emd",
        "/etc/evil.emd",
        "a/../../evil.emd",
        "..\\evil.emd",
        "C:\\evil.emd",
        "C:evil.emd",
        "\\\\server\\share\\evil.emd",
        "../folder/",
    ],
)
def test_names_that_lead_outside_are_refused(tmp_path, refuse, name):
    refuse(make(tmp_path / "m.dlpk", [("m.emd", "{}"), (name, "x")]), "leads outside")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("aux.txt", "device"),
        ("models/COM1", "device"),
        ("a|b.pth", "characters"),
        ("a:stream", "leads outside"),
        ("figures/a:stream", "characters"),
        ("a\n.pth", "characters"),
        ("folder./a.pth", "dot or a blank"),
        ("a.pth ", "dot or a blank"),
        ("a" * 241, "longer than"),
    ],
)
def test_names_that_windows_cannot_hold_are_refused(tmp_path, refuse, name, reason):
    refuse(make(tmp_path / "m.dlpk", [("m.emd", "{}"), (name, "x")]), reason)


@pytest.mark.parametrize(
    "names",
    [("A.emd", "a.emd"), ("a.pth", "./a.pth"), ("x/a.pth", "x//a.pth"), ("e\u0301.emd", "\u00e9.emd")],
)
def test_names_that_some_machines_take_for_one_are_refused(tmp_path, refuse, names):
    refuse(make(tmp_path / "m.dlpk", [(name, "{}") for name in names]), "occurs twice")


def test_a_file_that_is_a_folder_too_is_refused(tmp_path, refuse):
    refuse(make(tmp_path / "m.dlpk", [("m.emd", "{}"), ("a", "x"), ("A/b", "x")]), "a file and a folder")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [(stat.S_IFLNK, "is a link"), (stat.S_IFIFO, "neither a file"), (stat.S_IFCHR, "neither")],
)
def test_links_and_devices_are_refused(tmp_path, refuse, kind, reason):
    special = zipfile.ZipInfo("special")
    special.external_attr = (kind | 0o777) << 16
    refuse(make(tmp_path / "m.dlpk", [("m.emd", "{}"), (special, "/etc/passwd")]), reason)


def test_a_bomb_is_refused_by_what_it_states(tmp_path, refuse):
    refuse(make(tmp_path / "m.dlpk", [("m.emd", b"\0" * 50_000_000)]), "out of proportion")


def test_members_that_share_their_bytes_are_refused_together(tmp_path, refuse, monkeypatch):
    """Each is in proportion to the bytes it states, and all of them are not to the file."""
    monkeypatch.setattr(archive, "MAX_RATIO", 10)
    members = [("m.emd", "{}"), *((f"{n}.bin", b"\0" * 9_000) for n in range(5))]
    refuse(make(tmp_path / "m.dlpk", members), "out of proportion")


def test_a_bomb_is_refused_by_what_comes_out_of_it(tmp_path, refuse):
    """The stated size is a lie: 300 bytes, and a megabyte comes out."""
    path = make(tmp_path / "m.dlpk", [("m.emd", "{}"), ("m.pth", b"abc" * 350_000)])
    content = bytearray(path.read_bytes())
    central = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1)
    content[central + 24 : central + 28] = struct.pack("<I", 300)
    path.write_bytes(content)
    refuse(path, "not a readable package|more than it states")


def test_bytes_are_counted_as_they_come(tmp_path):
    """Whatever the zip reader lets through."""
    lying = archive.Member("m.pth", 10, lambda: iter((b"12345", b"678901")))
    with pytest.raises(ModelDefinitionError, match="more than it states"):
        archive.extract([lying], tmp_path, tmp_path / "m.dlpk")


def test_too_much_in_all_and_too_many_files_are_refused(tmp_path, refuse, monkeypatch):
    path = make(tmp_path / "m.dlpk", [("m.emd", "{}"), ("m.pth", bytes(range(256)) * 8)])
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 1000)
    refuse(path, "unpacks to more than")
    monkeypatch.setattr(archive, "MAX_MEMBERS", 1)
    refuse(path, "holds 2 files")


def test_an_encrypted_package_is_refused_with_advice(tmp_path, refuse):
    path = make(tmp_path / "m.dlpk", [("m.emd", "{}")])
    content = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(magic) + offset] |= 1
    path.write_bytes(content)
    refuse(path, "is encrypted.*password")


def test_7z_is_refused_with_advice(tmp_path, refuse):
    (tmp_path / "m.dlpk").write_bytes(b"7z\xbc\xaf\x27\x1c\x00\x04 and so on")
    refuse(tmp_path / "m.dlpk", "7z archive.*Unpack it with 7-Zip")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing more", b"neither"])
def test_what_is_no_zip_is_named(tmp_path, refuse, content):
    (tmp_path / "m.dlpk").write_bytes(content)
    refuse(tmp_path / "m.dlpk", r"m\.dlpk is not a readable package")


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_damaged_contents_are_named(tmp_path, refuse, method):
    path = make(tmp_path / "m.dlpk", [("m.emd", bytes(range(256)) * 40)], method)
    content = bytearray(path.read_bytes())
    content[120:140] = bytes(20)
    path.write_bytes(content)
    refuse(path, r"m\.dlpk is not a readable package")


def test_own_archives_obey_the_same_rules(tmp_path):
    for names, reason in ((("a", "A"), "occurs twice"), (("con",), "device")):
        members = [archive.bytes_member(name, b"") for name in names]
        with pytest.raises(ModelDefinitionError, match=reason):
            archive.write_archive(members, tmp_path / "m.dlpk")
