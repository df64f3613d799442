"""When an attempt leaves: in time, at the end of a step, and what Slurm says of its end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.scheduling import slurm
from workflow_src.scheduling.stop import MARGIN_S, SAME_S, Stop, end_of_time


class Clocks:
    """Both clocks, to be set at will."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.wall, self.counted = 1.7e9, 5000.0
        patch.setattr(time, "time", lambda: self.wall)
        patch.setattr(time, "monotonic", lambda: self.counted)

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.counted += seconds


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


def test_without_an_end_nothing_ends() -> None:
    assert Stop().reason(1e12) is None


@given(left=st.integers(0, 10**6), needed=st.integers(0, 10**6))
def test_it_leaves_when_another_step_would_not_fit(left: int, needed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clocks = Clocks(patch)
        stop = Stop(clocks.wall + left)
        expected = "deadline" if left < needed + MARGIN_S else None
        assert stop.reason(needed) == expected


def test_time_that_passes_counts(clocks: Clocks) -> None:
    stop = Stop(clocks.wall + 100)
    assert stop.reason(80) is None
    clocks.passes(10)
    assert stop.reason(80) == "deadline"
    assert stop.reason(70) is None
    clocks.passes(1e6)
    assert stop.reason(0) == "deadline"


@pytest.mark.parametrize("hours", [-1000, 1000])
def test_setting_the_clock_changes_nothing(clocks: Clocks, hours: int) -> None:
    stop = Stop(clocks.wall + 100)
    clocks.wall += hours * 3600
    assert stop.reason(80) is None
    clocks.passes(10)
    assert stop.reason(80) == "deadline"


@pytest.fixture
def signalled() -> Iterator[Callable[[Stop], None]]:
    """Lets a real SIGTERM of this process reach a Stop."""
    before = signal.getsignal(signal.SIGTERM)

    def connect(stop: Stop) -> None:
        signal.signal(signal.SIGTERM, stop.ask)

    yield connect
    signal.signal(signal.SIGTERM, before)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_outside_of_steps_a_signal_ends_at_once(signalled: Callable[[Stop], None]) -> None:
    stop = Stop()
    signalled(stop)
    with pytest.raises(KeyboardInterrupt):
        terminate()


def test_inside_the_step_is_finished_first(signalled: Callable[[Stop], None]) -> None:
    stop = Stop()
    signalled(stop)
    with stop.at_step_ends():
        assert stop.reason(0) is None
        terminate()
        assert stop.reason(0) == "terminated"


def test_a_signal_goes_before_the_deadline(signalled: Callable[[Stop], None]) -> None:
    stop = Stop(time.time())
    signalled(stop)
    with stop.at_step_ends():
        assert stop.reason(0) == "deadline"
        terminate()
        assert stop.reason(0) == "terminated"


def test_what_slurm_and_the_supervisor_send_at_once_is_one(
    signalled: Callable[[Stop], None],
) -> None:
    stop = Stop()
    signalled(stop)
    with stop.at_step_ends():
        terminate()
        terminate()
        assert stop.reason(0) == "terminated"
    terminate()  # while it leaves


def test_an_end_at_once_is_not_cut_short_by_the_same_signal(
    signalled: Callable[[Stop], None],
) -> None:
    stop, reported = Stop(), []
    signalled(stop)

    def report_the_end() -> None:
        try:
            terminate()
        finally:
            terminate()
            reported.append("terminated")

    with pytest.raises(KeyboardInterrupt):
        report_the_end()
    assert reported


@pytest.mark.parametrize("inside", [True, False])
def test_a_second_signal_does_not_wait(clocks: Clocks, inside: bool) -> None:
    stop = Stop()
    with stop.at_step_ends():
        stop.ask(signal.SIGTERM, None)
        clocks.passes(SAME_S)
        if inside:
            with pytest.raises(KeyboardInterrupt):
                stop.ask(signal.SIGTERM, None)
    if not inside:
        with pytest.raises(KeyboardInterrupt):
            stop.ask(signal.SIGTERM, None)


def test_after_the_steps_a_signal_ends_at_once_again() -> None:
    stop = Stop()
    with stop.at_step_ends():
        pass
    with pytest.raises(KeyboardInterrupt):
        stop.ask()


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a real script of this name first on PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def make(text: str) -> None:
        script = tmp_path / "squeue"
        script.write_text(text, encoding="utf-8")
        script.chmod(0o755)

    return make


JOB = {"SLURM_JOB_ID": "4711"}


def test_slurm_tells_the_end_of_the_job(
    squeue: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_TIME_FORMAT", "relative")
    squeue(
        '#!/bin/sh\ntest "$*" = "-h -j 4711 -o %e" || exit 1\n'
        'test "$SLURM_TIME_FORMAT" = standard && echo 2031-05-06T07:08:09\n'
    )
    assert end_of_time(JOB) == datetime(2031, 5, 6, 7, 8, 9).timestamp()


@pytest.mark.parametrize(
    "script",
    [
        "#!/bin/sh\necho NONE",
        "#!/bin/sh\necho N/A",
        "#!/bin/sh\ntrue",
        "#!/bin/sh\necho 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1",
        "#!/no/such/interpreter",
        "no script",
    ],
)
def test_without_an_answer_there_is_no_end(squeue: Callable[[str], None], script: str) -> None:
    squeue(script)
    assert end_of_time(JOB) is None


def test_an_answer_that_does_not_come_is_not_waited_for(
    squeue: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "_ANSWER_S", 0.1)
    monkeypatch.setattr(slurm, "_asked_again_at", {})
    squeue("#!/bin/sh\nexec sleep 60")
    assert end_of_time(JOB) is None


def test_outside_of_slurm_nobody_is_asked(
    squeue: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    squeue(f"#!/bin/sh\ntouch {tmp_path}/asked; echo 2031-05-06T07:08:09")
    assert end_of_time({}) is None
    assert end_of_time({"SLURM_JOB_ID": ""}) is None
    assert not (tmp_path / "asked").exists()
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert end_of_time(JOB) is None
