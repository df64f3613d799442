"""Two processes that write one rig's store, one of them killed: the files that land are of one."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workflow_src.data.recordings import Recording
from workflow_src.data.store import Heading, Store, write_store
from workflow_src.errors import UserError
from workflow_src.scheduling.holding import held

from ..waiting import eventually, gone

REPOSITORY = Path(__file__).parents[2]
FILES, LENGTH = 60, 40_000
WAIT_S = 150.0  # a process that is to import much starts slowly on a busy machine
FACTS = Heading("bench", "test")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Path]:
    """A folder with recordings that take a moment to read; what is started in it is ended."""
    (tmp_path / "raw").mkdir()
    samples = np.random.default_rng(0).standard_normal((LENGTH, 2)).astype(np.float32)
    np.save(tmp_path / "raw" / "0.npy", samples)
    for number in range(1, FILES):
        os.link(tmp_path / "raw" / "0.npy", tmp_path / "raw" / f"{number}.npy")
    yield tmp_path
    for process in _STARTED:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait()
    _STARTED.clear()


_STARTED: list[subprocess.Popen[str]] = []


def start(bench: Path, rate_hz: float, channels: list[int]) -> subprocess.Popen[str]:
    """`recordings` of the rig with these settings, as a rule calls it."""
    fields = {"unit_id": "{unit}", "condition": "c", "run_id": "{unit}"}
    folder = {"path": ".", "files": "{unit}.npy", "fields": fields}
    settings = {"rate_hz": rate_hz, "channels": channels}
    rig = {"source": "folder", "unit": "g", "amplitude_comparable": True}
    part = {"rig": {**rig, "folder": {**folder, **settings}}, "table": None}
    command = [sys.executable, "-m", "workflow_src", "recordings", "--name", "bench"]
    command += ["--rig", json.dumps(part), "--data-root", str(bench / "raw")]
    command += ["--config-folder", str(bench)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}
    out = (bench / f"{len(_STARTED)}.log").open("w")
    process = subprocess.Popen(
        command, cwd=bench, env=environment, stdout=out, stderr=subprocess.STDOUT, text=True
    )
    out.close()
    _STARTED.append(process)
    return process


def log(bench: Path, number: int) -> str:
    return (bench / f"{number}.log").read_text()


def unfinished(bench: Path) -> list[Path]:
    return sorted((bench / "data" / "bench").glob(".*.partial"))


def writing(bench: Path, process: subprocess.Popen[str]) -> None:
    """Wait until it is in the midst of the signals."""

    def begun() -> bool:
        assert process.poll() is None, log(bench, 0)
        return any(path.stat().st_size > 4 * LENGTH for path in unfinished(bench))

    eventually(begun, WAIT_S)


def require_whole(bench: Path, rate_hz: float, channels: list[int]) -> None:
    """The store is that of these settings: table, manifest and each sample."""
    with Store(bench / "data" / "bench") as store:
        assert set(store.table["rate_hz"]) == {rate_hz}
        assert len(store.table) == store.manifest.recordings == FILES
        expected = np.load(bench / "raw" / "0.npy")[:, channels]
        for name in store.table["recording_id"]:
            np.testing.assert_array_equal(store.read(name, 0, LENGTH), expected)
    assert unfinished(bench) == []
    report = (bench / "data" / "bench" / "data-report.md").read_text()
    assert f"{FILES} recordings." in report


@pytest.mark.slow
def test_the_second_waits_for_the_first_and_writes_its_own(bench: Path) -> None:
    first = start(bench, 1000.0, [0, 1])
    writing(bench, first)
    first.send_signal(signal.SIGSTOP)  # its Snakemake was killed, and it takes its time
    second = start(bench, 2000.0, [1])
    eventually(lambda: f"waiting: process {first.pid}" in log(bench, 1), WAIT_S)
    assert len(unfinished(bench)) == 1
    first.send_signal(signal.SIGCONT)
    assert first.wait(WAIT_S) == 0, log(bench, 0)
    assert second.wait(WAIT_S) == 0, log(bench, 1)
    require_whole(bench, 2000.0, [1])


@pytest.mark.slow
def test_what_a_killed_writer_left_is_not_used(bench: Path) -> None:
    first = start(bench, 1000.0, [0, 1])
    writing(bench, first)
    first.kill()
    eventually(lambda: gone(first.pid))
    assert len(unfinished(bench)) == 1
    second = start(bench, 2000.0, [1])
    assert second.wait(WAIT_S) == 0, log(bench, 1)
    require_whole(bench, 2000.0, [1])


@pytest.mark.slow
def test_one_that_is_killed_while_it_waits_leaves_the_other_alone(bench: Path) -> None:
    first = start(bench, 1000.0, [0, 1])
    writing(bench, first)
    first.send_signal(signal.SIGSTOP)
    second = start(bench, 2000.0, [1])
    eventually(lambda: "waiting" in log(bench, 1), WAIT_S)
    second.kill()
    first.send_signal(signal.SIGCONT)
    assert first.wait(WAIT_S) == 0, log(bench, 0)
    require_whole(bench, 1000.0, [0, 1])


@pytest.mark.slow
def test_one_that_was_taken_for_dead_lands_nothing(bench: Path) -> None:
    """As seen from a host that heard nothing of it for two minutes."""
    first = start(bench, 1000.0, [0, 1])
    writing(bench, first)
    first.send_signal(signal.SIGSTOP)
    lock = bench / "data" / "bench" / ".lock"
    (lock / "lock.2").write_text(json.dumps({"token": "another's", "released": True}))
    second = start(bench, 2000.0, [1])
    assert second.wait(WAIT_S) == 0, log(bench, 1)
    first.send_signal(signal.SIGCONT)
    assert first.wait(WAIT_S) != 0
    assert "Another process took this one for dead" in log(bench, 0)
    require_whole(bench, 2000.0, [1])


# -- where nobody holds the folder ----------------------------------------------------------------


def _made(value: float, count: int, between: Any = lambda: None) -> Iterator[Recording]:
    for number in range(count):
        signal_ = np.full((5000, 1), value + number, np.float32)
        yield Recording(f"r{number}", "u", f"c{value}", "r", signal_, ("vibration",), 100.0)
        between()


def _write(folder: Path, value: float, count: int, begun: Any, go_on: Any) -> None:
    def between() -> None:
        begun.set()
        assert go_on.wait(WAIT_S)

    write_store(_made(value, count, between), folder, FACTS)


@pytest.mark.parametrize("killed", [False, True])
def test_two_writers_never_share_a_file(tmp_path: Path, killed: bool) -> None:
    context = multiprocessing.get_context("fork")
    begun, go_on = context.Event(), context.Event()
    other = context.Process(target=_write, args=(tmp_path, 0.5, 3, begun, go_on))
    other.start()
    assert begun.wait(WAIT_S)
    write_store(_made(7.0, 5), tmp_path, FACTS)
    if killed:
        other.kill()
    else:
        go_on.set()
    other.join()
    value, count = (7.0, 5) if killed else (0.5, 3)  # who lands last
    with Store(tmp_path) as store:
        assert set(store.table["condition"]) == {f"c{value}"}
        assert len(store.table) == count
        for number in range(count):
            assert np.all(store.read(f"r{number}", 0, 5000) == value + number)


def test_what_lands_is_asked_for_last(tmp_path: Path) -> None:
    write_store(_made(1.0, 2), tmp_path, FACTS)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def refuse() -> None:
        raise UserError("no longer")

    with pytest.raises(UserError, match="no longer"):
        write_store(_made(2.0, 2), tmp_path, FACTS, before_landing=refuse)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), held(tmp_path):
        _ = 1 / 0
    with held(tmp_path) as require_held:
        require_held()
