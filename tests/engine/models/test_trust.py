"""Consent: for these very files, remembered, revocable, and never guessed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagerydl.errors import TrustError
from imagerydl.models import trust
from imagerydl.models.trust import ForeignCode

ENGINE = Path(trust.__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    path = tmp_path / "settings" / "trusted.json"
    monkeypatch.setenv(trust.FILE_VARIABLE, str(path))
    return path


@pytest.fixture
def code(tmp_path):
    (tmp_path / "wetness.py").write_text("print()", encoding="utf-8")
    (tmp_path / "wetness.pth").write_bytes(b"weights")
    return ForeignCode((tmp_path / "wetness.py", tmp_path / "wetness.pth"), "a Python raster function")


def test_code_is_refused_until_somebody_agrees_and_then_remembered(code):
    with pytest.raises(TrustError, match=r"wetness\.py, wetness\.pth.*TRUST_MODEL"):
        trust.ensure_trusted(code, consent=False)
    trust.ensure_trusted(code, consent=True)
    trust.ensure_trusted(code, consent=False)


def test_a_change_in_any_file_asks_anew_and_a_move_does_not(code, tmp_path):
    trust.trust(code)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in code.files:
        (moved / path.name).write_bytes(path.read_bytes())
    assert trust.is_trusted(ForeignCode(tuple(moved / path.name for path in reversed(code.files)), "same"))
    code.files[1].write_bytes(b"other weights")
    assert not trust.is_trusted(code)


def test_consent_is_revoked_one_by_one_or_as_a_whole(code, store):
    trust.trust(code)
    assert trust.revoke(code.digest)
    assert not trust.revoke(code.digest)
    assert not trust.is_trusted(code)
    trust.trust(code)
    assert trust.revoke_all() == 1
    assert trust.trusted_models() == {}


def test_a_name_a_path_or_the_first_digits_say_which_consent_is_meant(code):
    trust.trust(code)
    known = trust.trusted_models()
    for name in ("wetness.py", "WETNESS", str(code.files[1]), code.digest, code.digest[:8]):
        assert trust.digests_named(name, known) == [code.digest], name
    for name in ("", "wet", code.digest[:7], "other.py"):
        assert trust.digests_named(name, known) == [], name
    windows = {"a" * 64: "C:\\models\\roads.py"}
    assert trust.digests_named("roads.py", windows) == ["a" * 64]


# --- a store that is not as it should be -------------------------------------------------------


@pytest.mark.parametrize("content", ['{"abc": "m.py"', "[1]", '{"abc": 1}', "\x00"])
def test_a_damaged_list_trusts_nothing_and_is_not_written_over(code, store, content):
    store.parent.mkdir()
    store.write_text(content, encoding="utf-8")
    for act in (
        lambda: trust.is_trusted(code),
        lambda: trust.trust(code),
        lambda: trust.ensure_trusted(code, consent=False),
        lambda: trust.revoke(code.digest),
    ):
        with pytest.raises(TrustError, match=r"trusted\.json is damaged"):
            act()
    assert store.read_text(encoding="utf-8") == content
    trust.revoke_all()
    assert trust.trusted_models() == {}, "the one who asks for it begins anew"


def test_a_list_that_cannot_be_read_is_named(code, store):
    store.mkdir(parents=True)
    with pytest.raises(TrustError, match=r"cannot be read.*IMAGERYDL_TRUST"):
        trust.is_trusted(code)


@pytest.fixture
def read_only(store):
    store.parent.mkdir()
    store.parent.chmod(0o500)
    if os.access(store.parent, os.W_OK):  # an administrator may write everywhere
        store.parent.chmod(0o700)
        store.parent.rmdir()
        store.parent.write_text("no folder", encoding="utf-8")
    yield store
    store.parent.chmod(0o700)


def test_consent_counts_for_the_run_where_it_cannot_be_remembered(code, read_only):
    """A read-only home folder: the user has agreed, and is told that he will be asked again."""
    with pytest.warns(UserWarning, match=r"this run only.*cannot be written.*IMAGERYDL_TRUST"):
        trust.ensure_trusted(code, consent=True)
    with pytest.raises(TrustError, match="can do anything"):
        trust.ensure_trusted(code, consent=False)


def test_a_list_that_cannot_be_written_is_an_error_for_who_asks_to_remember(code, read_only):
    with pytest.raises(TrustError, match="cannot be written"):
        trust.trust(code)


def test_a_full_disk_leaves_the_list_and_nothing_else(code, store, monkeypatch):
    trust.trust(code)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(trust.json, "dump", full)
    with pytest.raises(TrustError, match="No space left"):
        trust.revoke(code.digest)
    assert json.loads(store.read_text(encoding="utf-8")) == trust.trusted_models() != {}
    assert not list(store.parent.glob(".trusted-*"))


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from imagerydl.models.trust import ForeignCode, trust
for number in range(15):
    path = Path(sys.argv[2]) / f"{sys.argv[3]}-{number}.py"
    path.write_text(path.name)
    trust(ForeignCode((path,), "code"))
"""


def test_nothing_is_lost_where_several_processes_agree_at_once(tmp_path):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(ENGINE), str(tmp_path), str(number)])
        for number in range(3)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert len(trust.trusted_models()) == 45


def test_a_lock_that_is_kept_is_told(code, store, monkeypatch):
    fcntl = pytest.importorskip("fcntl", reason="Windows has locks of its own")
    monkeypatch.setattr(trust, "_PATIENCE", 0.1)
    store.parent.mkdir()
    with (store.parent / f".{store.name}.lock").open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(TrustError, match="cannot be written"):
            trust.trust(code)
    trust.trust(code)
