"""Where a cell stands is read from what real journals, locks and histories say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from workflow_src import cells as paths
from workflow_src.__main__ import main
from workflow_src.cells import Cell
from workflow_src.configuration import load, snapshot
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.cause import Cause
from workflow_src.scheduling.events import Ended, Started
from workflow_src.scheduling.journal import Journal
from workflow_src.scheduling.lock import SILENCE_S, Lock
from workflow_src.scheduling.status import Planned, State, Status, last_run, look
from workflow_src.scheduling.status_page import table

from ..examples import examples

ROOT = Path(__file__).resolve().parents[2]
STUDY, CELL = "demo", Cell("bearing", "fno", "all", 42)
WANTED = Planned(CELL, "now", 10)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cell's folder below runs/, in a study of its own."""
    monkeypatch.chdir(tmp_path)
    runs = paths.runs(STUDY, CELL)
    runs.mkdir(parents=True)
    return runs


def attempted(folder: Path, cause: str | None, identity: str = "now", **facts: Any) -> None:
    journal = Journal(folder / "attempts.jsonl")
    journal.append(Started(identity=identity, request=AttemptRequest(hardware="local")))
    if cause is not None:
        journal.append(Ended(cause=cause, message="what it said", **facts))


def history(folder: Path, epochs: int, **columns: object) -> Path:
    """A history of so many epochs, the n-th of which took n seconds."""
    columns = {"val_loss": 0.5, **columns}
    lines = [",".join(["epoch", "seconds", *columns])]
    lines += [f"{n},{n}.000," + ",".join(map(str, columns.values())) for n in range(1, epochs + 1)]
    path = folder / "history.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def scored(identity: str = "now") -> None:
    file = paths.results(STUDY, CELL) / "metrics.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"identity": identity}), encoding="utf-8")


def state() -> State:
    return look(STUDY, WANTED).state


def test_nothing_there_is_not_started() -> None:
    assert look(STUDY, WANTED) == Status(CELL, State.NOT_STARTED, epochs=10)


@pytest.mark.parametrize(
    ("cause", "found"),
    [
        ("done", State.TRAINED),
        ("gpu_oom", State.FAILED),
        ("host_oom", State.FAILED),
        ("diverged", State.FAILED),
        ("bad_data", State.FAILED),
        ("error", State.FAILED),
        ("deadline", State.INTERRUPTED),
        ("terminated", State.INTERRUPTED),
        ("node_lost", State.INTERRUPTED),
    ],
)
def test_each_end_is_a_state_until_there_are_scores(folder: Path, cause: str, found: State) -> None:
    attempted(folder, cause)
    status = look(STUDY, WANTED)
    assert (status.state, status.attempts) == (found, 1)
    words = "" if cause == "done" else f"{Cause[cause.upper()].words}: what it said"
    assert status.why == words
    scored()
    assert state() is State.DONE


def test_what_other_settings_left_counts_for_nothing(folder: Path) -> None:
    attempted(folder, "diverged", identity="before")
    history(folder, 7)
    scored("before")
    assert look(STUDY, WANTED) == Status(CELL, State.NOT_STARTED, epochs=10)


def test_a_running_cell_tells_epoch_speed_memory_and_time_left(folder: Path) -> None:
    attempted(folder, "host_oom")
    attempted(folder, None)
    path = history(folder, 7)
    lock = Lock(folder)
    lock.take()
    lock.beat(time=time.time(), used_mb=300, limit_mb=4000)
    os.utime(path, (time.time() - 2, time.time() - 2))
    status = look(STUDY, WANTED)
    assert (status.state, status.attempts, status.epoch) == (State.RUNNING, 2, 7)
    assert (status.used_mb, status.limit_mb, status.loss) == (300, 4000, 0.5)
    assert status.epoch_s == 5.0  # the median of the last five
    assert status.left_s is not None
    assert 3 * 5.0 - 5.0 <= status.left_s <= 3 * 5.0 - 2
    assert status.last is not None
    assert status.last.cause is Cause.HOST_OOM
    lock.release()
    assert state() is State.INTERRUPTED


HOLDER = """
import sys, time
from pathlib import Path
from workflow_src.scheduling.lock import Lock
lock = Lock(Path(sys.argv[1]))
lock.take()
lock.beat(time=time.time(), used_mb=int(sys.argv[2]), limit_mb=1000)
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("used_mb", "cause", "found"),
    [(100, Cause.TERMINATED, State.INTERRUPTED), (950, Cause.HOST_OOM, State.FAILED)],
)
def test_a_killed_holder_runs_no_more_and_its_last_sample_tells_why(
    folder: Path, used_mb: int, cause: Cause, found: State
) -> None:
    attempted(folder, None)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), str(used_mb)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"held\n"
        assert state() is State.RUNNING
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate(timeout=30)
    status = look(STUDY, WANTED)
    assert status.state is found
    assert status.last is not None
    assert status.last.cause is cause


def test_slurm_is_not_asked_for_each_cell_that_runs(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("squeue", "sacct"):
        script = tmp_path / "bin" / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\necho {name} >> {tmp_path}/calls\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    request = AttemptRequest(hardware="local")
    journal = Journal(folder / "attempts.jsonl")
    journal.append(Started(identity="now", request=request, job="4711"))
    lock = Lock(folder)
    lock.take()
    assert state() is State.RUNNING
    assert not (tmp_path / "calls").exists()
    lock.release()
    assert state() is not State.RUNNING
    assert (tmp_path / "calls").read_text().split() == ["squeue", "sacct"]


def test_a_holder_elsewhere_lives_as_long_as_its_heart_beats(folder: Path) -> None:
    attempted(folder, None)
    Lock(folder).take()
    lock = folder / "lock.1"
    elsewhere = {**json.loads(lock.read_text()), "host": "node-of-a-cluster"}
    lock.write_text(json.dumps(elsewhere), encoding="utf-8")
    assert state() is State.RUNNING
    silent = time.time() - SILENCE_S - 1
    os.utime(lock, (silent, silent))
    assert state() is State.INTERRUPTED


def test_a_baseline_keeps_no_lock_and_runs_while_its_process_does(folder: Path) -> None:
    attempted(folder, None)
    journal = Journal(folder / "attempts.jsonl")
    process = subprocess.Popen(["sleep", "60"])
    here = os.uname().nodename
    journal.append(Started(identity="now", host=here, pid=process.pid))
    baseline = Planned(CELL, "now", None)
    assert look(STUDY, baseline).state is State.RUNNING
    process.kill()
    process.wait()
    assert look(STUDY, baseline).state is State.INTERRUPTED


def test_a_long_history_is_read_from_its_end_and_torn_rows_are_passed_over(folder: Path) -> None:
    attempted(folder, "done")
    path = history(folder, 5000, padding="x" * 40)
    assert look(STUDY, WANTED).epoch == 5000
    with path.open("a", encoding="utf-8") as file:
        file.write("5001,5001.000,0.")
    assert look(STUDY, WANTED).epoch == 5000


def test_without_validation_the_loss_is_that_of_training_and_no_nan_is_written(
    folder: Path,
) -> None:
    attempted(folder, "done")
    history(folder, 2, val_loss="", loss_a=1.5, loss_b=0.25)
    assert look(STUDY, WANTED).loss == 1.75
    history(folder, 2, val_loss="nan")
    assert look(STUDY, WANTED).to_json()["loss"] is None


@examples(40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=st.floats(0, 1),
    name=st.sampled_from(["attempts.jsonl", "history.csv", "lock.1", "metrics.json"]),
    junk=st.binary(max_size=60),
)
def test_a_torn_file_hides_nothing_of_the_others(
    folder: Path, cut: float, name: str, junk: bytes
) -> None:
    (folder / "attempts.jsonl").unlink(missing_ok=True)
    attempted(folder, "diverged")
    history(folder, 3)
    lock = {"token": "t", "released": True, "sample": {}}
    (folder / "lock.1").write_text(json.dumps(lock), encoding="utf-8")
    scored()
    path = paths.results(STUDY, CELL) / name if name == "metrics.json" else folder / name
    whole = path.read_bytes()
    path.write_bytes(whole[: int(cut * len(whole))] + junk)
    assert look(STUDY, WANTED).cell == CELL


# ------------------------------------------------------------------ the cells of a run


def kept(study: str, seeds: list[int]) -> None:
    run = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    run |= {"study": study, "seeds": seeds, "hardware": "local"}
    snapshot.keep(load(run, ROOT / "config"))


@pytest.fixture
def variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """`keep` tells the jobs of its run where; not other tests."""
    monkeypatch.setenv(snapshot.VARIABLE, "")


@pytest.mark.usefixtures("variable")
def test_the_cells_are_those_of_the_last_run_of_the_study() -> None:
    for number, (study, seeds) in enumerate((("one", [1]), ("one", [1, 2]), ("two", [3]))):
        kept(study, seeds)
        written = Path(os.environ[snapshot.VARIABLE])
        os.utime(written, (1000 + number, 1000 + number))
    study, cells = last_run()
    assert (study, {planned.cell.seed for planned in cells}) == ("two", {3})
    assert {planned.cell.seed for planned in last_run("one")[1]} == {1, 2}
    assert {planned.epochs is None for planned in cells} == {True, False}  # baselines have none
    (snapshot.FOLDER / "of-another-version.json").write_text('{"run": {}}', encoding="utf-8")
    assert last_run()[0] == "two"


def test_without_a_kept_configuration_the_cells_are_those_recorded(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert main(["status", STUDY]) == 1
    assert "python -m workflow_src status STUDY" in capsys.readouterr().err
    file = paths.results(STUDY, CELL) / "cell.json"
    file.parent.mkdir(parents=True)
    content = {"cell": vars(CELL), "identity": "now", "training": {"epochs": 10}}
    file.write_text(json.dumps(content), encoding="utf-8")
    assert last_run(STUDY) == (STUDY, [WANTED])
    attempted(folder, "error")
    history(folder, 4)
    assert main(["status", STUDY, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["cell"] == CELL.name
    assert (found["state"], found["epoch"], found["epochs"]) == ("failed", 4, 10)
    assert (found["cause"], found["message"], found["attempts"]) == ("error", "what it said", 1)
    assert main(["status", STUDY]) == 0
    assert "1 failed" in capsys.readouterr().out


def test_the_table_shows_first_what_is_to_be_looked_at() -> None:
    cells = [Cell("bearing", "fno", "all", seed) for seed in range(3)]
    states = (State.DONE, State.RUNNING, State.FAILED)
    grid = [
        Status(cell, state, epoch=3, epochs=9, left_s=left)
        for cell, state, left in zip(cells, states, (None, 3725.0, None), strict=True)
    ]
    summary, _, *rows = table(STUDY, grid).splitlines()
    assert summary == "demo, 3 cells: 1 running, 1 failed, 1 done"
    assert [row.split()[1] for row in rows] == ["running", "failed", "done"]
    assert "3/9" in rows[0]
    assert "1 h 02 min" in rows[0]


@pytest.mark.slow
def test_watch_shows_the_grid_again_until_ctrl_c(folder: Path) -> None:
    file = paths.results(STUDY, CELL) / "cell.json"
    file.parent.mkdir(parents=True)
    content = {"cell": vars(CELL), "identity": "now", "training": {"epochs": 10}}
    file.write_text(json.dumps(content), encoding="utf-8")
    master, terminal = os.openpty()
    watching = subprocess.Popen(
        [sys.executable, "-m", "workflow_src", "status", STUDY, "--watch"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "200"},
        stdout=terminal,
        stderr=terminal,
        # Tests that run in the background of a shell ignore Ctrl-C, and so would this.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(terminal)
    try:
        seen = _read_until(master, b"not started")
        attempted(folder, "gpu_oom")
        seen += _read_until(master, b"out of GPU memory")
        watching.send_signal(signal.SIGINT)
        assert watching.wait(timeout=30) == 0
    finally:
        watching.kill()
        os.close(master)
    assert b"\x1b[" in seen  # in place


def _read_until(descriptor: int, text: bytes) -> bytes:
    seen = b""
    while text not in seen:
        seen += os.read(descriptor, 1 << 16)
    return seen


@pytest.mark.slow
def test_status_needs_no_torch_and_opens_no_h5() -> None:
    code = (
        "import sys, workflow_src.scheduling.status, workflow_src.scheduling.digest\n"
        "found = {'torch', 'h5py', 'pandas', 'matplotlib'} & {*sys.modules}\n"
        "assert not found, found"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
