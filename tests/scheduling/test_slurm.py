"""How a job ended, as real programs that answer in Slurm's words say it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from workflow_src.scheduling import slurm
from workflow_src.scheduling.attempt_history import cause_without_end
from workflow_src.scheduling.events import MemorySample, Started
from workflow_src.scheduling.journal import Journal
from workflow_src.scheduling.slurm import cause_of_job

Programs = Callable[..., Path]
FORGOTTEN = "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Puts scripts of these names first on PATH; they write what they are asked to a file."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def make(**bodies: str) -> Path:
        for name, body in bodies.items():
            script = folder / name
            script.write_text(f'#!/bin/sh\necho {name} "$@" >> {folder}/calls\n{body}\n')
            script.chmod(0o755)
        return folder / "calls"

    return make


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        ("NODE_FAIL", "node_lost"),
        ("BOOT_FAIL", "node_lost"),
        ("TIMEOUT", "deadline"),
        ("OUT_OF_MEMORY", "host_oom"),
        ("CANCELLED", "terminated"),
        ("PREEMPTED", "terminated"),
        ("FAILED", None),  # why, it does not know
        ("COMPLETED", None),
        ("RUNNING", None),
    ],
)
def test_what_squeue_still_knows_counts(programs: Programs, state: str, cause: str | None) -> None:
    calls = programs(squeue=f"echo {state}", sacct="echo NODE_FAIL")
    found = cause_of_job("4711")
    assert (found.text if found else None) == cause
    assert calls.read_text().splitlines() == ["squeue -h -j 4711 -o %T -t all"]


def test_what_squeue_has_forgotten_is_asked_of_accounting(programs: Programs) -> None:
    calls = programs(squeue=FORGOTTEN, sacct="echo 'CANCELLED by 1000'")
    found = cause_of_job("4711")
    assert found is not None
    assert found.text == "terminated"
    assert calls.read_text().splitlines()[1] == "sacct -n -X -P -j 4711 -o State"


@pytest.mark.parametrize("sacct", ["exit 1", "true"])
def test_without_an_answer_the_last_heartbeat_tells(
    programs: Programs, tmp_path: Path, sacct: str
) -> None:
    programs(squeue=FORGOTTEN, sacct=sacct)
    assert cause_of_job("4711") is None
    journal = Journal(tmp_path / "attempts.jsonl")
    journal.append(Started(job="4711"))
    sample = MemorySample(time=1.0, used_mb=90, limit_mb=100)
    found = cause_without_end(journal.events(), sample)
    assert found is not None
    assert found.text == "host_oom"


def test_slurms_word_beats_the_last_heartbeat(programs: Programs, tmp_path: Path) -> None:
    programs(squeue="echo NODE_FAIL")
    journal = Journal(tmp_path / "attempts.jsonl")
    journal.append(Started(job="4711"))
    sample = MemorySample(time=1.0, used_mb=90, limit_mb=100)
    found = cause_without_end(journal.events(), sample)
    assert found is not None
    assert found.text == "node_lost"


def test_a_silent_slurm_is_not_waited_for_by_every_cell(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "_ANSWER_S", 0.2)
    monkeypatch.setattr(slurm, "_asked_again_at", {})
    calls = programs(squeue="exec sleep 60", sacct="echo TIMEOUT")
    for job in ("4711", "4712"):  # accounting is another daemon, and may answer
        found = cause_of_job(job)
        assert found is not None
        assert found.text == "deadline"
    asked = [line.split()[0] for line in calls.read_text().splitlines()]
    assert asked == ["squeue", "sacct", "sacct"]

    monkeypatch.setattr(slurm, "_LEFT_ALONE_S", 0.0)
    monkeypatch.setattr(slurm, "_asked_again_at", {})
    cause_of_job("4713")
    cause_of_job("4714")  # some time after a silence it is asked again
    assert calls.read_text().count("squeue") == 3
