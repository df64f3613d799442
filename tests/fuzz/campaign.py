"""Many runs in a process beside this one, which is started anew where one hangs or ends it."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from .plan import Plan
from .verdict import Result, Verdict

ROOT = Path(__file__).parents[2]
START_S = 120.0


class Child:
    """A process that makes runs, in a folder of its own."""

    def __init__(self) -> None:
        self._silent = False  # no answer within its time
        self._folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        command = [sys.executable, "-m", "tests.fuzz.child", str(self._folder)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        if self._line(START_S) != b"ready\n":
            self.close()
            raise RuntimeError(f"{' '.join(command)} did not start")

    def run(self, plan: Plan, seconds: float) -> Result | None:
        """The result of a run; None if it is not there after so many seconds, or never will be."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{plan.seed}\n".encode())
        self._process.stdin.flush()
        line = self._line(seconds)
        self._silent = line is None
        if not line:
            return None
        values = json.loads(line)
        return Result(**{**values, "verdict": Verdict(values["verdict"])})

    def _line(self, seconds: float) -> bytes | None:
        """One line, complete once it begins; empty at the end, None after `seconds`."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        return self._process.stdout.readline() if ready else None

    @property
    def ended_by(self) -> int | None:
        """The exit status, or minus the signal's number; None if the process still runs."""
        return None if self._silent else self._process.wait()

    def close(self) -> None:
        """End the process and remove its folder."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def results(planned: Iterable[Plan], seconds: float) -> Iterator[Result]:
    """The result of each run, none of which takes longer than `seconds`."""
    child = Child()
    try:
        for plan in planned:
            result = child.run(plan, seconds)
            if result is None:
                result = _lost(plan, child.ended_by, seconds)
                child.close()
                child = Child()
            yield result
    finally:
        child.close()


def _lost(plan: Plan, status: int | None, seconds: float) -> Result:
    if status is None:
        said = f"no end after {seconds:g} s"
        return Result(plan.seed, plan.family, plan.kind, Verdict.HANG, said, seconds)
    said = f"the process ended with status {status}"
    killed = Verdict.MEMORY if status == -9 else Verdict.TRACEBACK
    return Result(plan.seed, plan.family, plan.kind, killed, said, seconds)
