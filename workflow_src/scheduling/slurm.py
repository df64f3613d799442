"""What Slurm says of a job: squeue, which every cluster has; sacct, where there is accounting."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence

from workflow_src.scheduling.cause import Cause

_ANSWER_S = 30.0  # a controller under load
_LEFT_ALONE_S = 300.0  # after a silence: a study's cells would wait for one answer each
_asked_again_at: dict[str, float] = {}  # by program: accounting may answer where squeue does not

_CAUSES = {
    "NODE_FAIL": Cause.NODE_LOST,
    "BOOT_FAIL": Cause.NODE_LOST,
    "TIMEOUT": Cause.DEADLINE,
    "DEADLINE": Cause.DEADLINE,
    "OUT_OF_MEMORY": Cause.HOST_OOM,
    "CANCELLED": Cause.TERMINATED,
    "PREEMPTED": Cause.TERMINATED,
}


def squeue(job: str, field: str) -> subprocess.CompletedProcess[str] | None:
    """The answer to `squeue -o field` for one job; None where Slurm cannot be asked.

    Times come in ISO 8601, whatever format a user has chosen.
    """
    return _asked(["squeue", "-h", "-j", job, "-o", field])


def cause_of_job(job: str) -> Cause | None:
    """How a job ended, as far as Slurm knows it; None: it does not, or only that it failed.

    squeue remembers a job for some minutes (MinJobAge), accounting for good.
    """
    commands = [["squeue", "-h", "-j", job, "-o", "%T", "-t", "all"]]
    commands += [["sacct", "-n", "-X", "-P", "-j", job, "-o", "State"]]
    for answer in map(_asked, commands):
        said = answer.stdout.split() if answer is not None and not answer.returncode else []
        if said:
            return _CAUSES.get(said[0])  # sacct: "CANCELLED by 0"
    return None


def _asked(command: Sequence[str]) -> subprocess.CompletedProcess[str] | None:
    """The answer to a command; None where there is none, also for a while after a silence."""
    program = command[0]
    if shutil.which(program) is None or time.monotonic() < _asked_again_at.get(program, 0.0):
        return None
    variables = {**os.environ, "SLURM_TIME_FORMAT": "standard"}
    try:
        return subprocess.run(
            command, env=variables, capture_output=True, text=True, timeout=_ANSWER_S, check=False
        )
    except subprocess.TimeoutExpired:
        _asked_again_at[program] = time.monotonic() + _LEFT_ALONE_S
        return None
    except OSError:
        return None
