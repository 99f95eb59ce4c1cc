"""The worker process: events out, cancel in, nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from imagerydl.events import decode

ENGINE = Path(__file__).resolve().parents[2] / "engine"

# A worker whose one tool does what its parameter says.
PROGRAM = textwrap.dedent(
    """
    import os, sys, time
    sys.path.insert(0, sys.argv[1])
    from pathlib import Path
    from imagerydl import outputs, tools, worker
    from imagerydl.errors import DataError
    from imagerydl.tool import Kind, Param, Tool

    def run(job, reporter):
        what = job["DO"]
        if what == "print":
            print("a library speaks"); os.system("echo a program speaks")
            reporter.message("hello"); return {"N": 3}
        if what == "fail":
            raise DataError("bad.tif is empty.", "Give another.")
        if what == "bug":
            raise KeyError("oops")
        with outputs.staged(Path(job["OUT"])) as staging:
            staging.write_text("half")
            reporter.message("writing")
            for step in range(1000):
                if what == "loop":
                    reporter.progress("Looping", step, 1000)
                time.sleep(0.05)

    TOOL = Tool("toy", "toy", "Toy", "G", "S.", "D.", (
        Param("DO", Kind.TEXT, "Do", "What."), Param("OUT", Kind.OUT_FILE, "Out", "File.", optional=True),
    ), (), run)
    tools.load = lambda tool_id: TOOL
    sys.exit(worker.main(sys.argv[2]))
    """
)


@pytest.fixture
def start(tmp_path):
    started = []

    def start(**parameters):
        job = tmp_path / "job.json"
        job.write_text(json.dumps({"tool": "toy", "parameters": parameters}), encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", PROGRAM, str(ENGINE), str(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for(process, text):
    for line in process.stdout:
        if text in line:
            return
    pytest.fail(f"the worker never said {text}")


def test_stdout_carries_events_only(start):
    process = start(DO="print")
    out, err = process.communicate(timeout=20)
    events = [decode(line) for line in out.splitlines()]
    assert [event["event"] for event in events] == ["started", "message", "result"]
    assert events[-1]["values"] == {"N": 3}
    assert "a library speaks" in err
    assert "a program speaks" in err
    assert process.returncode == 0


def test_a_deliberate_error_crosses_with_code_and_fix(start):
    out, _ = start(DO="fail").communicate(timeout=20)
    error = decode(out.splitlines()[-1])
    assert (error["code"], error["message"], error["fix"]) == ("data", "bad.tif is empty.", "Give another.")


def test_a_bug_is_reported_as_one_with_its_traceback(start):
    process = start(DO="bug")
    out, _ = process.communicate(timeout=20)
    error = decode(out.splitlines()[-1])
    assert error["code"] == "unexpected"
    assert "KeyError" in error["traceback"]
    assert process.returncode == 1


@pytest.mark.parametrize("behaviour", ["loop", "stuck"])
@pytest.mark.parametrize("how", ["cancel", "parent gone"])
def test_stops_within_two_seconds_and_removes_what_it_wrote(start, tmp_path, behaviour, how):
    """A loop that asks stops by itself; one that hangs in a library call is ended."""
    process = start(DO=behaviour, OUT=str(tmp_path / "out.txt"))
    wait_for(process, "writing")
    asked = time.monotonic()
    if how == "cancel":
        process.stdin.write("cancel\n")
        process.stdin.flush()
    else:
        process.stdin.close()
        process.stdin = None
    assert process.wait(timeout=10) == 3
    assert time.monotonic() - asked < 2.0
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_a_killed_worker_leaves_nothing_under_the_final_name(start, tmp_path):
    process = start(DO="loop", OUT=str(tmp_path / "out.txt"))
    wait_for(process, "writing")
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)
    assert not (tmp_path / "out.txt").exists()


def test_a_job_file_that_is_none_is_named(tmp_path):
    job = tmp_path / "job.json"
    job.write_text("[]", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-I", str(ENGINE / "imagerydl"), "worker", str(job)],
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "not a job file" in done.stdout
    assert done.returncode == 1
