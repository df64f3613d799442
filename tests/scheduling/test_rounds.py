"""Snakemake looks for jobs once a time span, however many jobs have ended."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.scheduling.job_scheduler import JobScheduler

from workflow_src.scheduling.rounds import _schedule_once

SNAKEFILE = """
import json
from snakemake.scheduling.job_scheduler import JobScheduler
{patch}
NAMES = range(12)
ROUNDS = []
select = JobScheduler.job_selector

def counted(scheduler, jobs):
    ROUNDS.append(len(jobs))
    return select(scheduler, jobs)

JobScheduler.job_selector = counted

onsuccess:
    open("rounds.json", "w").write(json.dumps(ROUNDS))

rule all:
    input: expand("out{{name}}", name=NAMES)

rule one:
    output: touch("out{{name}}")
    shell: "sleep 1"
"""


def test_the_name_that_is_replaced_is_there() -> None:
    assert callable(JobScheduler._schedule_reevalutation)


def test_a_round_is_due_once_and_then_again() -> None:
    released: list[float] = []
    jobs = SimpleNamespace(release=lambda: released.append(time.monotonic()))
    scheduler = SimpleNamespace(_open_jobs=jobs)
    for count in (1, 2):
        for _ in range(5):
            _schedule_once(scheduler, 0.05)
        end = time.monotonic() + 10
        while len(released) < count and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.2)
        assert len(released) == count


@pytest.mark.slow
def test_rounds_do_not_grow_with_the_jobs_that_have_ended(tmp_path: Path) -> None:
    patched = (
        "from workflow_src.scheduling.rounds import one_timer_at_a_time\none_timer_at_a_time()"
    )
    rounds = {}
    for name, patch in (("as it is", ""), ("patched", patched)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "Snakefile").write_text(SNAKEFILE.format(patch=patch), encoding="utf-8")
        command = [sys.executable, "-m", "snakemake", "--cores", "1", "--quiet", "all"]
        subprocess.run([*command, "--max-jobs-per-timespan", "100/1s"], cwd=folder, check=True)
        rounds[name] = len(json.loads((folder / "rounds.json").read_text(encoding="utf-8")))
    # One a second, and one a job; else each second as many as jobs have ended.
    assert rounds["patched"] >= 12
    assert rounds["as it is"] > 1.5 * rounds["patched"]
