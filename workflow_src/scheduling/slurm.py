"""What Slurm says of a job (squeue, which every cluster has)."""

from __future__ import annotations

import os
import shutil
import subprocess

_ANSWER_S = 30.0  # a controller under load


def squeue(job: str, field: str) -> subprocess.CompletedProcess[str] | None:
    """The answer to `squeue -o field` for one job; None where Slurm cannot be asked.

    Times come in ISO 8601, whatever format a user has chosen.
    """
    if shutil.which("squeue") is None:
        return None
    command = ["squeue", "-h", "-j", job, "-o", field]
    variables = {**os.environ, "SLURM_TIME_FORMAT": "standard"}
    try:
        return subprocess.run(
            command, env=variables, capture_output=True, text=True, timeout=_ANSWER_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
