"""Why an attempt is to end before its work is done: a signal, or the end of its time."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Literal

from workflow_src.scheduling.slurm import squeue

# Slurm signals each process of a job, and the supervisor passes its own signal on: both are one.
SAME_S = 2.0
# Two Snakemakes shut down after the training process: a finished job was taken for timed out.
MARGIN_S = 15.0
_LOOK_S = 1.0  # a shared file system is not to be asked at every step

Reason = Literal["terminated", "deadline"]


class Stop:
    """Asked between steps whether to leave, with time enough to save.

    Args:
        until: when the job ends, seconds since the epoch; None: it may run for ever. From here on
            the time that is left is counted by a clock that nobody can set.
        look: called now and then by `reason`, which raises what it raises: to leave at once.
    """

    def __init__(
        self, until: float | None = None, look: Callable[[], object] = lambda: None
    ) -> None:
        self._look, self._looked = look, -math.inf
        self._end = None if until is None else time.monotonic() + (until - time.time())
        self._asked: float | None = None
        self._waits = False

    def ask(self, *_: object) -> None:
        """Take a signal: inside `at_step_ends` the step is finished first, the second time not.

        Signals within `SAME_S` of the first are the first once more.
        """
        now = time.monotonic()
        if self._asked is None:
            self._asked = now
            if not self._waits:
                raise KeyboardInterrupt
        elif now - self._asked >= SAME_S:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def at_step_ends(self) -> Iterator[None]:
        """While this holds, somebody calls `reason` after each step."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False

    def reason(self, needed_s: float) -> Reason | None:
        """Why to leave now, if `needed_s` seconds pass until the next time this is asked."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_S:
            self._looked = now
            self._look()
        if self._asked is not None:
            return "terminated"
        if self._end is not None and self._end - now < needed_s + MARGIN_S:
            return "deadline"
        return None


def end_of_time(environment: Mapping[str, str]) -> float | None:
    """When Slurm ends the job that the environment names, seconds since the epoch; else None.

    Slurm itself is asked: a job step is not told, and a time limit may be changed while it runs.
    """
    job = environment.get("SLURM_JOB_ID")
    answer = squeue(job, "%e") if job else None
    try:
        return None if answer is None else datetime.fromisoformat(answer.stdout.strip()).timestamp()
    except ValueError:  # NONE or N/A
        return None
