"""The watch says which phase needs how much, warns at a limit, and ends with the training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.errors import UserError
from workflow_src.limits import MB
from workflow_src.scheduling.events import NearLimit
from workflow_src.training import watch as watch_module
from workflow_src.training.watch import REARM, SAVE, WARN, Gauge, Watch, show

from ..waiting import eventually

ROOT = Path(__file__).resolve().parents[2]


class Fake:
    """Memory whose use the test sets."""

    def __init__(self, use: float = 0.0, limit: int = 1000 * MB) -> None:
        self.limit = limit
        self.source = "a file"
        self.use = use
        self.reads = 0

    def used(self) -> int:
        self.reads += 1
        return int(self.use * self.limit)

    def hold(self, use: float) -> None:
        """Set the use, and return once a sample has seen it."""
        self.use = use
        seen = self.reads + 2
        eventually(lambda: self.reads >= seen)


def silent(event: NearLimit) -> None:
    raise AssertionError(f"nothing was to be told, but {event}")


def run(code: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


STEP = """
import json, sys, time
from workflow_src.limits import MB
from workflow_src.training.watch import Watch

def hold(megabytes, seconds=0.0):
    # From 32 MB on, malloc returns what is freed to the kernel at once.
    kept = bytearray(b"x") * (megabytes * MB)
    time.sleep(seconds)

def step(watch, seconds=0.0):
    watch.mark("data")
    watch.mark("forward", "trunk")
    hold(40, seconds)
    watch.mark("forward", "head:rul_prediction")
    hold(90, seconds)
    watch.mark("backward", None)
    hold(50, seconds)
    watch.mark("optimizer", "optimizer")
"""

EXPECTED = {
    "phase_data_mb": 0,
    "phase_forward_mb": 90,
    "phase_backward_mb": 50,
    "phase_optimizer_mb": 0,
    "component_trunk_mb": 40,
    "component_head_rul_prediction_mb": 90,
    "component_optimizer_mb": 0,
    "host_mb": 90,
}


def check(found: dict[str, float]) -> None:
    assert found.keys() == EXPECTED.keys()
    above = {name: found[name] - found["phase_data_mb"] for name in EXPECTED}
    assert above == pytest.approx(EXPECTED, abs=4)


@pytest.mark.slow
def test_a_probed_step_attributes_each_peak_to_its_phase_and_component() -> None:
    # Without one sample: the kernel keeps the peaks, however short they were.
    code = """
with Watch(print, every_s=1000) as watch:
    watch.probe(True)
    step(watch)
    watch.probe(False)
    first = watch.epoch_peaks()
    step(watch)
    second = watch.epoch_peaks()
    third = watch.epoch_peaks()
print(json.dumps([first, second, third, watch.peaks()]))
"""
    first, second, third, attempt = run(STEP + code)
    check(first)
    # A step that is not probed: what was held at most, but not by whom.
    assert second.keys() == third.keys() == {"host_mb"}
    assert second["host_mb"] == pytest.approx(first["host_mb"], abs=4)
    assert third["host_mb"] == pytest.approx(first["phase_data_mb"], abs=4)
    assert attempt == pytest.approx({**first, "host_mb": attempt["host_mb"]}, abs=0.1)
    assert attempt["host_mb"] >= first["host_mb"]


@pytest.mark.slow
def test_without_a_probe_samples_attribute_what_lasts() -> None:
    code = """
with Watch(print, every_s=0.005) as watch:
    step(watch, 0.15)
    time.sleep(0.1)
    found = watch.epoch_peaks()
    watch.mark("data")
    time.sleep(0.1)
    found["phase_data_mb"] = watch.epoch_peaks()["phase_data_mb"]
print(json.dumps(found))
"""
    check(run(STEP + code))


@pytest.mark.slow
def test_where_peaks_cannot_be_reset_the_end_of_a_phase_counts() -> None:
    code = """
import builtins
real = open
def refuse(path, *rest, **named):
    if "clear_refs" in str(path):
        raise PermissionError(13, "refused", path)
    return real(path, *rest, **named)
builtins.open = refuse
with Watch(print, every_s=1000) as watch:
    watch.probe(True)
    watch.mark("data")
    watch.mark("forward")
    kept = bytearray(b"x") * (50 * MB)
    watch.mark("backward")
    del kept
    hold(90)
    watch.probe(False)
    print(json.dumps(watch.peaks()))
"""
    found = run(STEP + code)
    base = found["phase_data_mb"]
    assert found["phase_forward_mb"] - base == pytest.approx(50, abs=4)
    assert found["phase_backward_mb"] - base == pytest.approx(0, abs=4)
    assert found["host_mb"] - base == pytest.approx(90, abs=4)


@pytest.mark.slow
def test_memory_of_workers_counts() -> None:
    code = """
import subprocess, time
with Watch(print, every_s=0.02) as watch:
    alone = watch.epoch_peaks()["host_mb"]
    grow = "kept = bytearray(b'x') * (60 << 20); print(flush=True); input()"
    pipe = subprocess.PIPE
    worker = subprocess.Popen([sys.executable, "-c", grow], stdin=pipe, stdout=pipe)
    worker.stdout.readline()
    time.sleep(0.3)
    both = watch.epoch_peaks()["host_mb"]
    worker.communicate(b"")
print(json.dumps([alone, both]))
"""
    alone, both = run(STEP + code)
    assert 55 < both - alone < 90


@pytest.mark.slow
def test_the_thread_ends_with_the_block_and_the_process_does_not_wait_for_it() -> None:
    with Watch(silent, host=Fake(), every_s=0.01):
        assert "memory watch" in {thread.name for thread in threading.enumerate()}
    assert "memory watch" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(ZeroDivisionError), Watch(silent, host=Fake()):
        _ = 1 / 0
    assert "memory watch" not in {thread.name for thread in threading.enumerate()}
    code = "watch = Watch(print, every_s=0.01).__enter__(); print('1')"
    assert run(STEP + code) == 1


def test_thresholds_warn_once_and_ask_for_a_checkpoint_each_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told: list[dict[str, Any]] = []
    host = Fake()
    with Watch(lambda event: told.append(event.to_json()), host=host, every_s=0.005) as w:
        host.use = 0.86
        eventually(lambda: len(told) == 1)
        assert not w.checkpoint_due()
        host.use = 0.93
        eventually(lambda: len(told) == 2)
        eventually(w.checkpoint_due)
        assert not w.checkpoint_due()
        host.hold(0.89)
        host.hold(0.95)
        assert not w.checkpoint_due()
        host.hold(0.80)
        host.use = 0.95
        eventually(w.checkpoint_due)
        eventually(lambda: len(told) == 3)
        assert w.now() == {"host_used_mb": 950.0, "host_limit_mb": 1000.0}
    facts = {"event": "memory", "of": "host", "limit_mb": 1000.0, "source": "a file"}
    assert told == [
        {**facts, "crossed": "warning", "used_mb": 860.0},
        {**facts, "crossed": "checkpoint", "used_mb": 930.0},
        {**facts, "crossed": "checkpoint", "used_mb": 950.0},
    ]
    assert capsys.readouterr().err == (
        "host memory is at 86 % of its limit: 860 of 1000 MB (a file); if it runs out, give this "
        "cell a larger memory_mb under requests:\n"
    )


@given(shares=st.lists(st.floats(0.0, 1.2), max_size=30))
def test_any_course_of_use(shares: list[float]) -> None:
    memory = Fake()
    gauge = Gauge("device", memory)
    warned, armed = False, True
    for share in shares:
        memory.use = share
        used = gauge.used()
        share = used / memory.limit
        crossed = gauge.crossed(used)
        assert ("warning" in crossed) == (share >= WARN and not warned)
        assert ("checkpoint" in crossed) == (share >= SAVE and armed)
        warned = warned or share >= WARN
        armed = share < REARM or (armed and share < SAVE)


def test_unknown_limit_and_unused_bytes_cross_nothing() -> None:
    assert Gauge("device", Fake(limit=0)).crossed(10**9) == []
    gauge = Gauge("device", Fake(use=0.99), lambda: 800 * MB)
    assert gauge.used() == 190 * MB
    assert gauge.crossed(gauge.used()) == []


class FakeAllocator:
    """Stands for torch's on a GPU: tensors that the test sets, and their peak."""

    tensors = 0
    peak = 0

    def __init__(self, index: int) -> None:
        pass

    def now(self) -> int:
        return FakeAllocator.tensors

    def highest(self) -> int:
        return max(FakeAllocator.peak, FakeAllocator.tensors)

    def reset(self) -> None:
        FakeAllocator.peak = FakeAllocator.tensors

    def unused(self) -> int:
        return 40 * MB


def test_on_cuda_phases_are_those_of_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "AllocatorPeak", FakeAllocator)
    monkeypatch.setattr(watch_module, "Device", lambda index: Fake(use=0.5))
    monkeypatch.setattr(FakeAllocator, "tensors", 0)
    monkeypatch.setattr(FakeAllocator, "peak", 0)
    with Watch(silent, accelerator="cuda", host=Fake(), every_s=1000) as watch:
        watch.probe(True)
        watch.mark("forward", "trunk")
        FakeAllocator.peak, FakeAllocator.tensors = 300 * MB, 200 * MB
        watch.mark("backward")
        FakeAllocator.tensors = 100 * MB
        watch.probe(False)
        found = watch.epoch_peaks()
        assert watch.now()["device_used_mb"] == 460.0
    assert found.pop("host_mb") > 0
    assert found == {
        "device_mb": 300.0,
        "device_occupied_mb": 500.0,
        "phase_forward_mb": 300.0,
        "component_trunk_mb": 300.0,
        "phase_backward_mb": 200.0,
    }


def test_a_journal_that_cannot_be_written_is_said_and_does_not_end_the_watch(
    capsys: pytest.CaptureFixture[str],
) -> None:
    host, calls = Fake(use=0.1), []

    def full(event: NearLimit) -> None:
        calls.append(event.event)
        raise OSError(28, "No space left on device")

    with Watch(full, host=host, every_s=0.005) as watch:
        host.use = 0.99
        eventually(watch.checkpoint_due)
        host.hold(0.5)
        host.use = 0.99
        eventually(watch.checkpoint_due)
        eventually(lambda: len(calls) == 2)
    assert calls == ["memory", "memory"]
    assert capsys.readouterr().err.count("No space left") == 1


def test_show_prints_until_the_process_ends(capsys: pytest.CaptureFixture[str]) -> None:
    code = "kept = bytearray(b'x') * (50 << 20); print(flush=True); import time; time.sleep(1)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        show(child.pid, 0.1)
    first, *lines, last = capsys.readouterr().out.splitlines()
    assert str(child.pid) in first
    assert "limit" in first
    assert last.endswith("has ended")
    assert len(lines) >= 3
    shown = int(lines[0].split("process ")[1].split(" MB")[0])
    assert 50 < shown < 100
    assert "0 children" in lines[0]


def test_show_ends_at_an_interrupt(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupt)
    show(os.getpid(), 1.0)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_show_of_no_process_is_a_clear_error() -> None:
    with pytest.raises(UserError, match="no process 4194305") as raised:
        show(2**22 + 1, 1.0)
    assert "remedy" in str(raised.value)


@pytest.mark.slow
def test_the_watch_needs_no_torch_on_a_cpu() -> None:
    code = "with Watch(print): pass\nprint(json.dumps('torch' in sys.modules))"
    assert run(STEP + code) is False


@pytest.fixture
def group_of_200_mb() -> Iterator[Path]:
    """A real control group (v1)."""
    mount = Path("/sys/fs/cgroup/memory")
    if not (os.access(mount, os.W_OK) and (mount / "memory.limit_in_bytes").exists()):
        pytest.skip("control groups of memory (v1) cannot be made here: root and cgroup v1 only")
    group = mount / f"watch-{uuid.uuid4().hex[:8]}"
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(str(200 * MB))
    yield group
    group.rmdir()


@pytest.mark.faults
def test_near_a_real_limit_the_journal_tells(group_of_200_mb: Path, tmp_path: Path) -> None:
    journal = tmp_path / "attempts.jsonl"
    code = f"""
import os
open({str(group_of_200_mb / "cgroup.procs")!r}, "w").write(str(os.getpid()))
from pathlib import Path
from workflow_src.scheduling.journal import Journal
with Watch(Journal(Path({str(journal)!r})).append, every_s=0.01) as watch:
    kept, due = [], False
    while not due:
        kept.append(bytearray(b"x") * MB)
        time.sleep(0.01)
        due = watch.checkpoint_due()
print(json.dumps(len(kept)))
"""
    assert 100 < run(STEP + code) < 200
    warning, checkpoint = map(json.loads, journal.read_text(encoding="utf-8").split("\n")[:2])
    assert (warning["event"], warning["crossed"]) == ("memory", "warning")
    assert checkpoint["crossed"] == "checkpoint"
    assert warning["limit_mb"] == 200
    assert warning["source"] == str(group_of_200_mb / "memory.limit_in_bytes")
    assert 170 <= warning["used_mb"] < checkpoint["used_mb"] < 200
    assert checkpoint["used_mb"] >= 184
