"""Which GPU an attempt takes: real processes, and names in the place of devices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import types
import uuid
from pathlib import Path
from typing import Any

import pytest

from workflow_src import limits
from workflow_src.errors import UserError
from workflow_src.scheduling.devices import held, own_gpus

REPOSITORY = Path(__file__).parents[2]
HOLDER = """
import sys
from workflow_src.scheduling.devices import held
count, *names = sys.argv[1:]
with held(int(count), names, say=lambda text: print("waits", flush=True)) as taken:
    print(*taken, flush=True)
    sys.stdin.read()
"""


class Attempt:
    """A process that holds GPUs until its input ends."""

    def __init__(self, count: int, names: list[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(count), *names],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def says(self) -> list[str]:
        assert self.process.stdout is not None
        return self.process.stdout.readline().split()

    def ends(self) -> None:
        self.process.communicate()


@pytest.fixture
def names() -> list[str]:
    return [f"GPU-{uuid.uuid4()}" for _ in range(4)]


@pytest.mark.slow
def test_each_attempt_has_its_own_and_the_next_waits(names: list[str]) -> None:
    first, second = Attempt(1, names[:3]), Attempt(2, names[:3])
    taken = first.says() + second.says()
    assert sorted(taken) == sorted(names[:3])
    third = Attempt(1, names[:3])
    assert third.says() == ["waits"]
    first.ends()
    assert third.says() == [taken[0]]
    second.ends()
    third.ends()


def test_what_a_killed_attempt_held_is_free(names: list[str]) -> None:
    killed = Attempt(4, names)
    assert killed.says() == names
    killed.process.send_signal(signal.SIGKILL)
    killed.process.wait()
    with held(4, names, pytest.fail) as taken:
        assert taken == names


# Proves by files that nobody else has the same at the same time.
RACER = """
import sys
from pathlib import Path
from workflow_src.scheduling import devices
devices._POLL_S = 0.01
folder, *names = sys.argv[1:]
for _ in range(10):
    with devices.held(2, names, say=lambda text: None) as taken:
        for name in taken:
            Path(folder, name).touch(exist_ok=False)
        for name in taken:
            Path(folder, name).unlink()
"""


def test_many_that_race_never_hold_the_same_and_all_come_to_their_turn(
    names: list[str], tmp_path: Path
) -> None:
    """Two of three each: who kept one while it waits would block all others."""
    command = [sys.executable, "-c", RACER, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    orders = (names[:3], names[2::-1], names[:3], names[2::-1])
    racers = [subprocess.Popen([*command, *order], env=environment) for order in orders]
    assert [racer.wait(60) for racer in racers] == [0, 0, 0, 0]


def test_a_process_that_an_attempt_started_does_not_hold_on(names: list[str]) -> None:
    with held(1, names[:1]):
        child = subprocess.Popen(["sleep", "60"])
    try:
        with held(1, names[:1], pytest.fail) as taken:
            assert taken == names[:1]
    finally:
        child.kill()
        child.wait()


def test_more_than_there_are(names: list[str]) -> None:
    with pytest.raises(UserError, match=r"request: \{devices: 4\}"), held(5, names):
        pass


class FakeNvml(types.SimpleNamespace):
    """Two GPUs; a handle is its own number."""

    class NVMLError(Exception):
        pass

    def __init__(self, names: list[str]) -> None:
        super().__init__(
            nvmlDeviceGetCount=lambda: len(names),
            nvmlDeviceGetHandleByIndex=lambda index: index,
            nvmlDeviceGetUUID=lambda handle: names[handle],
        )


@pytest.fixture
def two(names: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    nvml: Any = FakeNvml(names[:2])
    monkeypatch.setattr(limits, "_nvml", lambda: nvml)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return names[:2]


def test_the_processes_within_see_no_other(two: list[str]) -> None:
    with own_gpus(1):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == two[0]
        assert limits.device_names() == [two[0]]
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_of_those_that_the_user_lets_it_see(
    two: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with own_gpus(1):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == two[1]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"


@pytest.mark.parametrize(("visible", "own"), [("1", "1"), ("0,1", None)])
def test_what_slurm_gives_to_one_job_alone_is_left(
    two: list[str], monkeypatch: pytest.MonkeyPatch, visible: str, own: str | None
) -> None:
    """A job with more than an attempt takes is one in which cells run side by side."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with held(1, two[1:]), own_gpus(1):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == (own or two[0])


def test_without_a_gpu_torch_has_the_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_nvml", lambda: None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with own_gpus(1):
        assert "CUDA_VISIBLE_DEVICES" not in os.environ
