"""Outputs appear complete or not at all."""

import errno

import pytest

from imagerydl import outputs
from imagerydl.errors import OutputError


def test_a_finished_file_appears_with_its_sidecars(tmp_path):
    final = tmp_path / "new folder ä" / "a.tif"
    with outputs.staged(final) as staging:
        assert staging.suffix == ".tif", "drivers go by the extension"
        staging.write_text("x", encoding="utf-8")
        staging.with_name(staging.name + ".aux.xml").write_text("y", encoding="utf-8")
        assert not final.exists()
    assert sorted(path.name for path in final.parent.iterdir()) == ["a.tif", "a.tif.aux.xml"]


def test_a_failed_run_leaves_nothing(tmp_path):
    def fail():
        with outputs.staged(tmp_path / "a.tif") as staging:
            staging.write_text("half", encoding="utf-8")
            staging.with_name(staging.name + ".aux.xml").write_text("half", encoding="utf-8")
            raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        fail()
    assert not list(tmp_path.iterdir())


def test_existing_output_is_kept_unless_asked(tmp_path):
    final = tmp_path / "a.tif"
    final.write_text("precious", encoding="utf-8")
    with pytest.raises(OutputError, match=r"a\.tif already exists.*OVERWRITE"), outputs.staged(final):
        pytest.fail("must not get here")
    with outputs.staged(final, overwrite=True) as staging:
        staging.write_text("new", encoding="utf-8")
        assert final.read_text(encoding="utf-8") == "precious", "replaced only when complete"
    assert final.read_text(encoding="utf-8") == "new"


def test_sidecars_of_the_replaced_file_go_with_it(tmp_path):
    for name in ("a.tif", "a.tif.ovr", "a.tifx"):
        (tmp_path / name).write_text("old", encoding="utf-8")
    with outputs.staged(tmp_path / "a.tif", overwrite=True) as staging:
        staging.write_text("new", encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "a.tifx"]


def test_an_empty_file_or_folder_is_not_in_the_way(tmp_path):
    (tmp_path / "empty.tif").touch()
    (tmp_path / "folder").mkdir()
    outputs.ensure_free(tmp_path / "empty.tif")
    with outputs.staged(tmp_path / "folder") as staging:
        staging.mkdir()
        (staging / "x").touch()
    assert (tmp_path / "folder" / "x").exists()


def test_what_a_killed_run_left_is_replaced(tmp_path):
    stale = outputs.staging_path(tmp_path / "chips")
    stale.mkdir()
    (stale / "old").touch()
    with outputs.staged(tmp_path / "chips") as staging:
        staging.mkdir()
    assert not list((tmp_path / "chips").iterdir())


@pytest.mark.parametrize(
    ("number", "said"), [(errno.ENOSPC, "disk of .* is full"), (errno.EACCES, "cannot be written")]
)
def test_system_errors_name_the_output_and_the_fix(tmp_path, number, said):
    with pytest.raises(OutputError, match=said), outputs.staged(tmp_path / "a.tif"):
        raise OSError(number, "no")


def test_a_file_where_a_folder_is_needed_is_explained(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError), outputs.staged(tmp_path / "file" / "a.tif"):
        pytest.fail("must not get here")


def test_discarding_removes_what_is_being_written(tmp_path):
    with outputs.staged(tmp_path / "a.tif") as staging:
        staging.write_text("half", encoding="utf-8")
        outputs.discard_unfinished()
        assert not staging.exists()
        staging.write_text("again", encoding="utf-8")
