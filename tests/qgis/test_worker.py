"""A job in the worker: relayed, cancelled, crashed, orphaned; always with a clear end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import processing
import pytest
from qgis.core import QgsProcessingAlgRunnerTask, QgsProcessingContext, QgsProcessingException
from recording import Recording


def alive(pid: int) -> bool:
    """Whether a process runs (one that ended and waits for its parent does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone_within(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not alive(pid)


def run(feedback, **values):
    return processing.run("toys:toy", values, feedback=feedback)


def job_folders(scratch: Path) -> list[Path]:
    return [path for path in (scratch / "tmp").rglob("imagerydl-*") if path.is_dir()]


def test_progress_messages_and_metrics_reach_the_dialog(toys, worker, feedback):
    done = run(feedback, ACTION="count")
    assert done["NUMBER"] == 7
    assert json.loads(done["SEEN"])["pid"] != os.getpid()
    assert feedback.warnings == ["mind the step"]
    assert "toy runs" in feedback.infos
    assert "Epoch 1: loss 0.5, accuracy 0.875" in feedback.infos
    assert feedback.values == sorted(feedback.values)
    assert feedback.values[-1] == 100.0
    assert len(feedback.values) > 2
    first, last = feedback.texts[0], feedback.texts[-1]
    assert first.startswith("Counting: 0 of 20 steps")
    assert last.startswith("Counting: 20 of 20 steps, ")
    assert "/s" in last
    assert last.endswith("s left")


def test_progress_text_comes_at_a_sane_rate(toys, worker):
    feedback = Recording()
    run(feedback, ACTION="count")  # 0.6 s, several events
    assert 2 <= len(feedback.texts) <= 3


def test_what_libraries_print_is_not_taken_for_events(toys, worker, feedback):
    run(feedback, ACTION="print")
    assert "forged" not in feedback.infos
    assert "toy runs" in feedback.infos


def test_the_workers_environment_is_clean(toys, worker, feedback, monkeypatch):
    for name in (
        "PYTHONPATH",
        "PROJ_LIB",
        "GDAL_DATA",
        "QT_PLUGIN_PATH",
        "QGIS_PREFIX_PATH",
        "LD_LIBRARY_PATH",
    ):
        monkeypatch.setenv(name, "/wrong")
    seen = json.loads(run(feedback, ACTION="environment")["SEEN"])
    assert "PATH" in seen["environment"]
    assert "/wrong" not in seen["environment"].values()


def test_cancel_reaches_the_worker_in_time(toys, worker, scratch):
    feedback = Recording(cancel_at=lambda text: text.startswith("Waiting"))
    with pytest.raises(QgsProcessingException, match="Cancelled"):
        run(feedback, ACTION="slow")
    assert time.monotonic() - feedback.cancelled_at < 2.0
    assert job_folders(scratch) == []


def test_a_worker_deaf_to_cancel_is_ended(toys, worker):
    feedback = Recording(cancel_at=lambda text: text == "deaf now")
    with pytest.raises(QgsProcessingException, match="Cancelled"):
        run(feedback, ACTION="deaf")
    assert time.monotonic() - feedback.cancelled_at < 5.0


def test_what_the_worker_started_ends_with_it(toys, worker):
    feedback = Recording(cancel_at=lambda text: text.startswith("child"))
    with pytest.raises(QgsProcessingException, match="Cancelled"):
        run(feedback, ACTION="parent")
    (child,) = (int(text.split()[1]) for text in feedback.infos if text.startswith("child"))
    assert gone_within(child, 2.0)


def test_a_refusal_of_the_engine_keeps_its_words(toys, worker, feedback):
    with pytest.raises(QgsProcessingException) as caught:
        run(feedback, ACTION="refuse")
    assert "scene.tif has no bands. Give another raster." in str(caught.value)


def test_a_dead_worker_leaves_its_last_words(toys, worker, feedback, scratch):
    with pytest.raises(QgsProcessingException) as caught:
        run(feedback, ACTION="die segmentation of the fault")
    assert "exit status 7" in str(caught.value)
    assert "last words: segmentation of the fault" in str(caught.value)
    assert "imagerydl:checkruntime" in str(caught.value)
    assert job_folders(scratch) == []


def test_a_killed_worker_hints_at_memory(toys, worker, feedback):
    with pytest.raises(QgsProcessingException) as caught:
        run(feedback, ACTION="kill")
    assert "signal 9" in str(caught.value)
    assert "memory" in str(caught.value)
    assert "BATCH_SIZE" in str(caught.value)


def test_a_bug_is_reported_as_one_and_its_traceback_goes_to_the_debug_log(toys, worker, feedback):
    with pytest.raises(QgsProcessingException, match="ZeroDivisionError: one by none"):
        run(feedback, ACTION="bug")
    assert "Traceback" in feedback.debug[0]
    assert not any("Traceback" in line for line in feedback.infos)


def test_a_python_that_cannot_start_is_named(toys, feedback, monkeypatch, tmp_path):
    broken = tmp_path / "python"
    broken.write_text("not a program")
    monkeypatch.setenv("IMAGERYDL_PYTHON", str(broken))
    with pytest.raises(QgsProcessingException) as caught:
        run(feedback)
    assert str(broken) in str(caught.value)
    assert "imagerydl:setupruntime" in str(caught.value)


def test_it_runs_in_the_background_as_the_dialog_does(toys, worker, qgis_app):
    feedback, context, done = Recording(), QgsProcessingContext(), []
    task = QgsProcessingAlgRunnerTask(toys.algorithm("toy"), {"ACTION": "count"}, context, feedback)
    task.executed.connect(lambda ok, results: done.append((ok, dict(results))))
    qgis_app.taskManager().addTask(task)
    end = time.monotonic() + 20
    while not done and time.monotonic() < end:
        qgis_app.processEvents()
        time.sleep(0.02)
    assert done
    assert done[0][0] is True
    assert done[0][1]["NUMBER"] == 7


ORPHAN = """
    import sys
    sys.path[:0] = {paths!r}
    from qgis.core import QgsApplication, QgsProcessingFeedback
    app = QgsApplication([], False)
    app.initQgis()
    from imagerydl.processing_provider.worker_process import WorkerProcess
    worker = WorkerProcess({command!r})
    print(worker._process.pid, flush=True)
    worker.follow(lambda event: print(event["event"], flush=True), lambda: False)
"""


def test_killing_the_parent_leaves_no_stray_worker(scratch, worker, tmp_path):
    job = tmp_path / "job.json"
    job.write_text(json.dumps({"tool": "toy", "parameters": {"ACTION": "slow"}}))
    command = [sys.executable, "-I", "-u", str(worker), str(job)]
    code = textwrap.dedent(ORPHAN.format(paths=[str(scratch / "plugins")], command=command))
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    while parent.stdout.readline().strip() != "progress":
        assert parent.poll() is None
    assert alive(pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert gone_within(pid, 3.0)
