"""One holder at a time: real processes that race, die, are suspended or cannot be asked for."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from workflow_src.errors import Stopped, UserError
from workflow_src.scheduling import lock as module
from workflow_src.scheduling.lock import Lock, is_dead, newest

from ..examples import examples

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_POLL_S", 0.01)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


def content(number: int, folder: Path) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads((folder / f"lock.{number}").read_text(encoding="utf-8"))
    return kept


def write(folder: Path, number: int, **changed: Any) -> dict[str, Any]:
    """A lock file of a living holder (this process), but for what is changed."""
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    Lock(scratch).take()
    said = content(1, scratch) | changed
    (scratch / "lock.1").unlink()
    scratch.rmdir()
    (folder / f"lock.{number}").write_text(json.dumps(said), encoding="utf-8")
    return said


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# A racer opens the probe exclusively: an overlap with any other ends it with FileExistsError.
RACER = """if True:
    import os, random, sys, time
    from pathlib import Path
    from workflow_src.scheduling import lock
    lock._POLL_S = 0.002
    folder, rounds, dies = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "dies"
    probe = folder.parent / "probe"

    def hold():
        held = lock.Lock(folder)
        held.take()
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL))
        time.sleep(random.uniform(0, 0.003))
        assert held.beat(number=1)
        probe.unlink()
        return held

    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(rounds):
        if not dies:
            hold().release()
        elif child := os.fork():
            time.sleep(random.uniform(0, 0.01))  # meanwhile it may be a zombie
            assert os.waitpid(child, 0)[1] == 0
        else:
            try:
                hold()
            except BaseException as error:
                print(error, file=sys.stderr)
                os._exit(1)
            os._exit(0)
    """


def race(folder: Path, processes: int, rounds: int, how: str) -> None:
    command = [sys.executable, "-c", RACER, str(folder), str(rounds), how]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = [
        subprocess.Popen(command, env=ENVIRONMENT, text=True, **pipes)  # type: ignore[call-overload]
        for _ in range(processes)
    ]
    try:
        for each in running:
            assert each.stdout.readline() == "ready\n"
        for each in running:
            each.stdin.write("\n")
            each.stdin.flush()
        ends = [(each.communicate(timeout=100)[1], each.returncode) for each in running]
    finally:
        for each in running:
            each.kill()
            each.wait()
    assert ends == [("", 0)] * processes


@pytest.mark.fast_cases("4-8-dies")
@pytest.mark.parametrize("how", ["releases", "dies"])
@pytest.mark.parametrize(
    ("processes", "rounds"), [(4, 8), pytest.param(8, 60, marks=pytest.mark.slow)]
)
def test_racing_processes_hold_it_one_at_a_time(
    tmp_path: Path, how: str, processes: int, rounds: int
) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    race(folder, processes, rounds, how)
    number, last = newest(folder)
    assert number == processes * rounds  # each hold had a number of its own
    assert names(folder) == {f"lock.{each}" for each in range(1, number + 1)}
    assert last is not None
    assert ("released" in last) == (how == "releases")


def test_the_first_of_all_has_no_one_before(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    lock.take()
    assert lock.before is None
    assert names(tmp_path) == {"lock.1"}
    assert content(1, tmp_path)["pid"] == os.getpid()
    assert not is_dead(content(1, tmp_path))


def test_a_release_lets_the_next_in_and_numbers_go_on(tmp_path: Path) -> None:
    for number in range(1, 6):
        lock = Lock(tmp_path)
        lock.take()
        assert newest(tmp_path)[0] == number
        assert lock.before is None
        lock.release()
        assert content(number, tmp_path)["released"]


def test_what_a_dead_holder_saw_last_is_kept(tmp_path: Path) -> None:
    code = """if True:
        import sys
        from pathlib import Path
        from workflow_src.scheduling.lock import Lock
        lock = Lock(Path(sys.argv[1]))
        lock.take()
        lock.beat(used_mb=17)
        lock.beat(used_mb=18)
        """
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=ENVIRONMENT, check=True)
    lock = Lock(tmp_path)
    lock.take()
    assert lock.before is not None
    assert lock.before["sample"] == {"used_mb": 18}
    assert lock.before["beat"] == 2


@pytest.mark.parametrize("torn", [b"", b'{"host": "a", "to', b"[]", b"{}", b"\xff\xfe", b"3"])
def test_a_torn_file_holds_nobody_up(tmp_path: Path, torn: bytes) -> None:
    (tmp_path / "lock.7").write_bytes(torn)
    lock = Lock(tmp_path)
    lock.take()
    assert newest(tmp_path)[0] == 8
    assert lock.before is None


def test_other_files_are_no_locks(tmp_path: Path) -> None:
    for name in ("lock.txt", "lock.09", "lock.0", "lock.-3", "lock.9.tmp", "lock.٣", "xlock.5"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    Lock(tmp_path).take()
    assert newest(tmp_path)[0] == 1


def test_links_that_a_kill_left_are_swept_away(tmp_path: Path) -> None:
    for name in (".4711.lock.0123abcd", ".4711.lock.3", ".4711..4711.lock.0123abcd"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    (tmp_path / ".4711.last.ckpt").write_text("not a lock's")
    Lock(tmp_path).take()
    assert names(tmp_path) == {"lock.1", ".4711.last.ckpt"}


def test_a_waiter_whose_link_is_swept_away_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, tries = os.link, []

    def sweep_first(source: Path, target: Path) -> None:
        tries.append(target)
        if len(tries) == 1:
            source.unlink()
        link(source, target)

    monkeypatch.setattr(os, "link", sweep_first)
    Lock(tmp_path).take()
    assert len(tries) == 2
    assert names(tmp_path) == {"lock.1"}


def test_a_link_that_nfs_makes_and_denies_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def twice(source: Path, target: Path) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", twice)
    Lock(tmp_path).take()
    assert newest(tmp_path)[0] == 1


def stopped_after(polls: int) -> Callable[[], bool]:
    left = iter([False] * polls)
    return lambda: next(left, True)


def test_who_waits_says_once_for_whom_and_leaves_when_its_time_is_over(tmp_path: Path) -> None:
    Lock(tmp_path).take()
    said: list[str] = []
    second = Lock(tmp_path)
    with pytest.raises(Stopped, match=f"process {os.getpid()} on") as stopped:
        second.take(left=stopped_after(3), say=said.append)
    assert stopped.value.reason == "terminated"
    assert len(said) == 1
    assert f"process {os.getpid()} on {platform.node()}" in said[0]
    assert str(tmp_path) in said[0]
    assert names(tmp_path) == {"lock.1"}


def test_a_living_holder_is_waited_for_also_without_beats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENCE_S", 0.0)
    Lock(tmp_path).take()
    with pytest.raises(Stopped):
        Lock(tmp_path).take(left=stopped_after(5))


def test_a_number_that_another_process_has_now_is_dead(tmp_path: Path) -> None:
    said = write(tmp_path, 1)
    assert not is_dead(said)
    ticks = int(said["began"])
    assert is_dead(said | {"began": str(ticks - 1)})
    lock = Lock(tmp_path)
    write(tmp_path, 2, began=str(ticks - 1))
    lock.take()
    assert newest(tmp_path)[0] == 3


def test_a_zombie_is_dead(tmp_path: Path) -> None:
    process = subprocess.Popen(["true"])
    stat = Path(f"/proc/{process.pid}/stat")
    while stat.read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.005)
    began = stat.read_text().rpartition(")")[2].split()[19]
    assert is_dead(write(tmp_path, 1, pid=process.pid, began=began))
    process.wait()
    assert is_dead(content(1, tmp_path))


def test_a_suspended_process_is_alive(tmp_path: Path) -> None:
    process = subprocess.Popen(["sleep", "60"])
    try:
        process.send_signal(19)  # SIGSTOP
        stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        assert not is_dead(write(tmp_path, 1, pid=process.pid, began=stat[19]))
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("elsewhere", [{"host": "elsewhere"}, {"system": "another boot"}])
def test_elsewhere_without_slurm_only_silence_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: dict[str, str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "SILENCE_S", 0.3)
    beats = [*range(40)]  # 0.4 s of heartbeats, longer than the silence that is dead
    write(tmp_path, 3, **elsewhere, job="77", beat=0)
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() - 1e6 * len(beats))  # nobody's wall clock
    heard = []

    def left() -> bool:
        if beats:
            write(tmp_path, 3, **elsewhere, job="77", beat=beats.pop(), token="same")
            heard.append(time.monotonic())
        return False

    lock = Lock(tmp_path)
    lock.take(left=left)
    assert not beats
    assert time.monotonic() - heard[-1] >= 0.3
    assert newest(tmp_path)[0] == 4
    assert lock.before is not None
    assert lock.before["beat"] == 0


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a real script of this name first on PATH; it counts its calls in the file returned."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def make(body: str) -> Path:
        calls = folder / "calls"
        script = folder / "squeue"
        script.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n{body}\n', encoding="utf-8")
        script.chmod(0o755)
        return calls

    return make


@pytest.mark.parametrize(
    ("body", "dead"),
    [
        ("echo RUNNING", False),
        ("echo COMPLETING", False),
        ("echo SUSPENDED", False),
        ("printf 'COMPLETED\\nRUNNING\\n'", False),  # parts of one job
        ("echo COMPLETED", True),
        ("echo PENDING", True),  # put back into the queue
        ("echo TIMEOUT", True),
        ("true", True),
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", True),
        ("echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1", None),
    ],
)
def test_the_job_of_a_holder_elsewhere_is_asked_for(
    tmp_path: Path,
    squeue: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    body: str,
    dead: bool | None,
) -> None:
    calls = squeue(body)
    said = write(tmp_path, 1, host="elsewhere", job="4711")
    assert is_dead(said) == bool(dead)
    assert calls.read_text().split() == ["-h", "-j", "4711", "-o", "%T"]
    # Where Slurm gives no answer, silence does.
    monkeypatch.setattr(module, "SILENCE_S", -1.0)
    assert is_dead(said) == (dead is not False)


def test_slurm_is_not_asked_at_every_look(tmp_path: Path, squeue: Callable[[str], Path]) -> None:
    calls = squeue("echo RUNNING")
    write(tmp_path, 1, host="elsewhere", job="4711")
    with pytest.raises(Stopped):
        Lock(tmp_path).take(left=stopped_after(20))
    assert len(calls.read_text().splitlines()) == 1


def test_slurm_is_asked_again_after_a_while(
    tmp_path: Path, squeue: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ASK_S", 0.05)
    squeue(f"test -e {tmp_path}/over || echo RUNNING")
    write(tmp_path, 1, host="elsewhere", job="4711")

    def left() -> bool:
        (tmp_path / "over").touch()
        return False

    Lock(tmp_path).take(left=left)
    assert newest(tmp_path)[0] == 2


def test_a_requeued_job_does_not_wait_for_itself(
    tmp_path: Path, squeue: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number is the one it had on the node that was lost, and its state is RUNNING."""
    squeue("echo RUNNING")
    monkeypatch.setattr(module, "SILENCE_S", 0.05)
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    write(tmp_path, 1, host="lost", job="4711")
    Lock(tmp_path).take(left=stopped_after(200))
    assert newest(tmp_path)[0] == 2


def test_who_was_overtaken_finds_out_and_changes_nothing(tmp_path: Path) -> None:
    first = Lock(tmp_path)
    first.take()
    assert first.beat(step=1)
    kept = write(tmp_path, 2)
    before = content(1, tmp_path)
    assert not first.beat(step=2)
    first.release()
    assert (content(1, tmp_path), content(2, tmp_path)) == (before, kept)


def test_who_is_overtaken_inside_a_beat_finds_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new holder sweeps away what looks like a kill's leftover."""
    first = Lock(tmp_path)
    first.take()

    def swept(path: Path, text: str) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(module, "write_text", swept)
    assert not first.beat(step=1)
    first.release()


def test_a_folder_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    lock = Lock(folder)
    lock.take()
    (folder / "lock.1").unlink()
    folder.rmdir()
    assert not lock.beat()
    lock.release()
    assert not folder.exists()


def test_a_holder_that_shows_life_late_stays_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A waiter was slow between its judgement and its link."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "SILENCE_S", 0.05)
    said = write(tmp_path, 1, host="elsewhere", beat=1)
    write_text = module.write_text

    def slow(path: Path, text: str) -> None:
        write_text(path, text)
        (tmp_path / "lock.1").write_text(json.dumps(said | {"beat": 2}), encoding="utf-8")

    monkeypatch.setattr(module, "write_text", slow)
    waiter = Lock(tmp_path)
    assert not waiter._create(1, said)
    assert names(tmp_path) == {"lock.1"}


def fill(folder: Path) -> None:
    with (folder / "filler").open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while file.write(b"\0" * size) == size:
                    pass
            except OSError:
                pass


def test_a_full_disk_is_said_at_take_and_survived_later(small_disk: Path) -> None:
    runs = small_disk / "runs"
    runs.mkdir()
    held = Lock(runs)
    held.take()
    fill(small_disk)
    assert held.beat(step=1)
    assert held.beat(step=2)
    held.release()
    assert "released" not in content(1, runs)
    assert names(runs) == {"lock.1"}

    with pytest.raises(Stopped):  # this process lives, so its lock counts
        Lock(runs).take(left=stopped_after(2))
    (runs / "lock.1").unlink()
    fill(small_disk)
    with pytest.raises(UserError, match="The disk is full") as error:
        Lock(runs).take()
    assert str(runs) in str(error.value)
    assert names(runs) == set()

    (small_disk / "filler").unlink()
    Lock(runs).take()
    assert newest(runs)[0] == 1


class CurtainFalls(BaseException):
    """Ends an actor in the middle of a step, as a kill does."""


class Theatre:
    """Actors that take, hold and leave the lock, one step at a time in an order that is drawn.

    A step goes from one look at the folder, or link, to the next: a process may be suspended at
    any of them for as long as the others like.
    """

    def __init__(self, folder: Path, actors: int) -> None:
        self.folder = folder
        self.alive: set[str] = set()
        self.overlaps: list[set[str]] = []
        self.holds = 0
        self._turn = [threading.Semaphore(0) for _ in range(actors)]
        self._back = threading.Semaphore(0)
        self._closed = False
        self._index = threading.local()
        self._threads = [threading.Thread(target=self._act, args=(i,)) for i in range(actors)]
        for thread in self._threads:
            thread.start()

    def pause(self, *_: object) -> None:
        index = getattr(self._index, "value", None)
        if index is None:
            return
        self._back.release()
        self._turn[index].acquire()
        if self._closed:
            raise CurtainFalls

    def step(self, index: int) -> None:
        self._turn[index].release()
        self._back.acquire()

    def close(self) -> None:
        self._closed = True
        for turn in self._turn:
            turn.release()
        for thread in self._threads:
            thread.join()

    def _act(self, index: int) -> None:
        self._turn[index].acquire()
        if self._closed:
            return
        self._index.value = index
        with contextlib.suppress(CurtainFalls):
            self._play(index)

    def _play(self, index: int) -> None:
        for number in range(1000):
            lock = Lock(self.folder)
            lock.take()
            token = lock._content["token"]
            self.alive.add(token)
            self.holds += 1
            if len(self.alive) > 1:
                self.overlaps.append(set(self.alive))
            self.pause()
            if not lock.beat():
                self.overlaps.append({token})
            self.pause()
            self.alive.discard(token)
            if (index + number) % 2:  # else it dies
                lock.release()


@examples(60, suppress_health_check=[HealthCheck.too_slow])
@given(
    actors=st.integers(2, 4),
    # Long runs of one actor while the others stand still are what finds holes.
    order=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 30)), min_size=5, max_size=40),
)
def test_no_order_of_steps_makes_two_holders(
    tmp_path_factory: pytest.TempPathFactory, actors: int, order: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    look, link = module.newest, module._linked
    with pytest.MonkeyPatch.context() as patch:
        theatre = Theatre(folder, actors)

        def dead(content: dict[str, Any], silence: object = None) -> bool:
            # Between its link and its first beat it lives, too.
            return content["token"] not in theatre.alive and int(content["beat"]) > 0

        def paused(call: Callable[..., Any]) -> Callable[..., Any]:
            def then(*arguments: Any) -> Any:
                theatre.pause()
                result = call(*arguments)
                theatre.pause()
                return result

            return then

        patch.setattr(module, "newest", paused(look))
        patch.setattr(module, "_linked", paused(link))
        patch.setattr(module, "is_dead", dead)
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr(module.time, "sleep", theatre.pause)
        try:
            for actor, steps in order:
                for _ in range(steps):
                    theatre.step(actor % actors)
        finally:
            theatre.close()
    assert theatre.overlaps == []
    assert look(folder)[0] in (theatre.holds, theatre.holds + 1)  # one may be on its way out
