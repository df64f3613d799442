"""A holder that stood still while another host took over: it writes nothing more, and ends.

Real processes, SIGSTOP and SIGCONT; the successor is told that it is another system, so that only
silence tells it of the holder, as between two hosts.
"""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workflow_src import files
from workflow_src.cells import runs_beside
from workflow_src.errors import LockLost
from workflow_src.scheduling.events import Ended
from workflow_src.scheduling.journal import Journal
from workflow_src.scheduling.lock import Lock

from ..journal_lines import lines
from ..waiting import eventually, gone
from .conftest import WriteCell, attempt
from .test_resume import outcome

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = ["--checkpoint-minutes", "0.0001"]  # every write there is, as often as can be
TRAIN = [sys.executable, "-m", "workflow_src", "train"]
ELSEWHERE = [
    *(sys.executable, "-c"),
    "import sys; from workflow_src.scheduling import lock; from workflow_src.__main__ import main; "
    "lock._system = lambda: 'another boot'; lock.SILENCE_S = 1.5; lock._POLL_S = 0.05; "
    "sys.exit(main(sys.argv[1:]))",
    "train",
]

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a `train` of a cell; what still runs when the test ends is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(command: list[str], cell: Path) -> subprocess.Popen[str]:
        log = (tmp_path / f"log{len(started)}").open("w")
        process = subprocess.Popen(
            [*command, str(cell), *OPTIONS],
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        for pid in (*children(process.pid), process.pid):
            if not gone(pid):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def children(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def stop(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)


def resume(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def training(cell: Path) -> bool:
    return (runs_beside(cell) / "last.ckpt").exists()


def starts(cell: Path) -> list[dict[str, Any]]:
    events = lines(runs_beside(cell) / "attempts.jsonl")
    return [event for event in events if event["event"] == "started"]


def stamps(cell: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of each file of the cell, but the lock of who has not written it anew."""
    found = {}
    for folder in (runs_beside(cell), cell.parent):
        for path in folder.rglob("*"):
            stat = path.stat()
            found[str(path)] = (stat.st_ino, stat.st_mtime_ns)
    return found


@pytest.mark.faults
def test_who_stood_still_writes_nothing_when_it_comes_back(
    write_cell: WriteCell, start: Start
) -> None:
    """Supervisor and training both stand still until the successor has finished."""
    undisturbed, cell = write_cell("undisturbed", epochs=40), write_cell("overtaken", epochs=40)
    attempt(undisturbed)
    first = start(TRAIN, cell)
    eventually(lambda: training(cell), 120)
    both = (first.pid, *children(first.pid))
    assert len(both) == 2
    stop(*both)
    second = start(ELSEWHERE, cell)
    assert second.wait(180) == 0
    before = stamps(cell)
    resume(both[1])  # by itself: its supervisor must not be what ends it
    eventually(lambda: gone(both[1]), 60)
    assert stamps(cell) == before
    resume(first.pid)
    assert first.wait(60) == 75
    assert stamps(cell) == before
    assert len(starts(cell)) == 2
    assert outcome(cell) == outcome(undisturbed)


@pytest.mark.faults
def test_who_comes_back_beside_its_successor_ends(write_cell: WriteCell, start: Start) -> None:
    """It comes back as soon as the other has begun, and both would train for long."""
    undisturbed, cell = write_cell("undisturbed", epochs=60), write_cell("overtaken", epochs=60)
    attempt(undisturbed)
    first = start(TRAIN, cell)
    eventually(lambda: training(cell), 120)
    both = (first.pid, *children(first.pid))
    stop(*both)
    second = start(ELSEWHERE, cell)
    eventually(lambda: len(starts(cell)) == 2, 60)
    resume(*both)
    assert first.wait(30) == 75
    assert gone(both[1])
    assert second.wait(180) == 0
    assert outcome(cell) == outcome(undisturbed)


@pytest.mark.faults
def test_a_training_whose_supervisor_stands_still_finds_out_by_itself(
    write_cell: WriteCell, start: Start, tmp_path: Path
) -> None:
    undisturbed, cell = write_cell("undisturbed", epochs=400), write_cell("overtaken", epochs=400)
    first = start(TRAIN, cell)
    eventually(lambda: training(cell), 120)
    (own,) = children(first.pid)
    stop(first.pid)
    second = start(ELSEWHERE, cell)
    eventually(lambda: len(starts(cell)) == 2, 60)
    eventually(lambda: gone(own), 20)
    assert not gone(first.pid)
    assert second.poll() is None
    resume(first.pid)
    assert first.wait(30) == 75
    assert "took over" in (tmp_path / "log0").read_text()
    assert undisturbed.exists()


# ------------------------------------------------------------------ every write


def _overtaken(folder: Path) -> Lock:
    lock = Lock(folder)
    lock.take()
    (folder / "lock.2").write_text("{}", encoding="utf-8")
    return lock


WRITES: list[Callable[[Path], object]] = [
    lambda path: files.write_text(path, "new"),
    lambda path: files.remove(path),
    lambda path: files.move(path, path.with_name("moved")),
    lambda path: Journal(path).append(Ended()),
]


@pytest.mark.parametrize("write", WRITES, ids=["write", "remove", "move", "journal"])
def test_each_way_to_write_looks_first(tmp_path: Path, write: Callable[[Path], object]) -> None:
    path = tmp_path / "file"
    path.write_text("old\n")
    lock = _overtaken(tmp_path)
    with files.only_while(lock.require):
        for _ in range(2):
            with pytest.raises(LockLost, match="took over"):
                write(path)
    assert path.read_text() == "old\n"
    assert {p.name for p in tmp_path.iterdir()} == {"file", "lock.1", "lock.2"}
    write(path)
    assert not path.exists() or path.read_text() != "old\n"


def test_who_is_overtaken_while_it_writes_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_text("the successor's")
    lock = Lock(tmp_path)
    lock.take()

    def slowly(temporary: Path) -> None:
        temporary.write_text("mine")
        (tmp_path / "lock.2").write_text("{}", encoding="utf-8")

    with files.only_while(lock.require), pytest.raises(LockLost):
        files.write_whole(path, slowly)
    assert path.read_text() == "the successor's"
    assert not list(tmp_path.glob(".*"))


def test_training_writes_by_these_functions_alone() -> None:
    """A write of another kind would not look."""
    package = ROOT / "workflow_src"
    kinds = {"unlink", "rename", "rmdir", "rmtree", "write_text", "write_bytes"}
    found = []
    for path in [*(package / "training").glob("*.py"), package / "scheduling" / "supervisor.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                name = node.func.attr
                if name in kinds or (name == "replace" and len(node.args) == 1):
                    found.append(f"{path.name}:{node.lineno} {name}")
    assert found == []


def test_a_look_costs_little(tmp_path: Path) -> None:
    """Two questions to the file system: below what one `fsync` takes, by far."""
    lock = Lock(tmp_path)
    lock.take()
    begun = time.perf_counter()
    for _ in range(200):
        lock.require()
    assert (time.perf_counter() - begun) / 200 < 0.005
