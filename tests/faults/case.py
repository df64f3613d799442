"""One cell that is driven to its end, attempt by attempt, as Snakemake would."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

from workflow_src.cells import runs_beside
from workflow_src.limits import descendants
from workflow_src.scheduling.journal import Journal

from ..journal_lines import lines
from .cell import Variant, write_cell
from .machine import MemoryGroup, SmallDisk
from .moments import Touched
from .processes import Process, living

ROOT = Path(__file__).resolve().parents[2]
CLOCK = Path(__file__).parent / "clock"
OUTPUTS = ("model.safetensors", "predictions.h5", "training.json")
HANGS_S = 180


class Violation(AssertionError):
    """Something that is promised did not hold."""


@dataclass
class Running:
    """One process of a verb; a context manager gives it up for lost if it is left early."""

    case: Case
    process: subprocess.Popen[bytes]
    begun: float = field(default_factory=time.time)

    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def trainer(self) -> int | None:
        """The training process that this supervisor has started, if it lives."""
        found = descendants(self.process.pid)
        return found[0] if found else None

    def strike(self, number: signal.Signals, *victims: str) -> str | None:
        """Send a signal to `training`, `supervisor` or both; where it struck, None if nobody."""
        where = self.case.phase(self)
        trainer = self.trainer() if "training" in victims else None
        struck = trainer is not None
        if trainer is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(trainer, number)
        if "supervisor" in victims and self.alive():
            self.process.send_signal(number)
            struck = True
        return where if struck else None

    def end(self, expected: Set[int]) -> int:
        """Wait for the end; an unexpected exit code or none at all is a Violation."""
        try:
            code = self.process.wait(HANGS_S)
        except subprocess.TimeoutExpired as error:
            raise Violation(f"no end within {HANGS_S} s") from error
        if code not in expected:
            raise Violation(f"exit code {code}, expected {sorted(expected)}")
        return code


class Case:
    """A cell in a folder of its own.

    Args:
        folder: where it lies; data is a link in it.
        data: the folder of `write_data`.
        variant: which cell.
        small_disk: put runs/ and results/ on a file system of their own.
    """

    def __init__(
        self, folder: Path, data: Path, variant: Variant, *, small_disk: bool = False
    ) -> None:
        self.folder = folder.resolve()
        self.variant = variant
        (folder / "data").symlink_to(data / "data")
        self.disk = SmallDisk(self.folder / "study") if small_disk else None
        self.cell = write_cell(self.folder, variant)
        self.results = (self.folder / self.cell).parent
        self.runs = self.folder / runs_beside(self.cell)
        self.runs.mkdir(parents=True)
        self.journal = Journal(self.runs / "attempts.jsonl")
        self.log = self.folder / "log"
        self.checkpoint_minutes = 0.002
        self.memory_mb = 0
        self.whole_history = True
        self.attempts = 0
        self._started: list[subprocess.Popen[bytes]] = []

    def train(
        self, group: MemoryGroup | None = None, clock: tuple[float, float] | None = None
    ) -> Running:
        """Start `train`, without the outputs that an attempt before has left."""
        self.attempts += 1
        options = {
            "--accelerator": "cpu",
            "--micro-batch-size": 0,
            "--checkpoint-minutes": self.checkpoint_minutes,
            "--memory-mb": self.memory_mb,
            "--activation-checkpointing": 0,
            "--devices": 1,
            "--workers": self.variant.workers,
        }
        words = [str(word) for pair in options.items() for word in pair]
        environment = {} if clock is None else {"FAULTS_CLOCK": "{} {}".format(*clock)}
        return self._start("train", *words, group=group, environment=environment)

    def evaluate(self) -> Running:
        """Start `evaluate`."""
        return self._start("evaluate")

    def _start(
        self,
        verb: str,
        *options: str,
        group: MemoryGroup | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Running:
        words = [sys.executable, "-m", "workflow_src", verb, str(self.cell), *options]
        added = dict(environment or {})
        path = [str(ROOT)] + [str(CLOCK)] * ("FAULTS_CLOCK" in added)
        added |= {"PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"}
        with self.log.open("ab") as log:
            log.write(f"--- {verb}\n".encode())
            log.flush()
            process = subprocess.Popen(
                group.command(*words) if group else words,
                env={**os.environ, **added},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return Running(self, process)

    def forget_outputs(self) -> None:
        """Remove the declared outputs, as Snakemake does after a failure and before an attempt."""
        for name in OUTPUTS:
            (self.results / name).unlink(missing_ok=True)

    def begin_anew(self) -> None:
        """Remove what a finished cell keeps: the next fault shall find something to interrupt."""
        for folder in (self.runs, self.results):
            for name in OUTPUTS:
                (folder / name).unlink(missing_ok=True)

    def finish(self) -> None:
        """Nothing strikes any more: the first attempt and the first evaluation must succeed."""
        self.forget_outputs()
        self.train().end({0})
        self.evaluate().end({0})

    def touched(self) -> Touched:
        """A watch over the cell's folders."""
        return Touched([self.runs, self.results])

    @property
    def finished(self) -> bool:
        """Whether training has come to its end."""
        return all((self.runs / name).exists() for name in OUTPUTS)

    def temporaries(self) -> list[Path]:
        """Files that are being written, or were when their process died."""
        return [path for folder in (self.runs, self.results) for path in folder.glob(".*")]

    def phase(self, running: Running) -> str:
        """What the attempt is doing, as its processes and files tell."""
        trainer = running.trainer()
        pid = trainer or running.process.pid
        for path in self.temporaries():
            if path.name.startswith(f".{pid}."):
                name = re.sub(rf"^\.{pid}\.([0-9a-f]{{32}}\.)?", "", path.name)
                return "writing " + ("best weights" if name.startswith("best.") else name)
        if trainer is None:
            return "supervisor alone"
        if (self.results / "training.json").exists():
            return "outputs laid"
        if (self.runs / "model.safetensors").exists():
            return "predicting"
        history = self.runs / "history.csv"
        with contextlib.suppress(FileNotFoundError):
            if history.stat().st_mtime >= running.begun:
                return "training"
        return "importing"

    def causes(self) -> list[str]:
        """Causes of all ends that attempts wrote themselves, not the next one for them."""
        ends = [event for event in lines(self.journal.path) if event["event"] == "ended"]
        return [str(event["cause"]) for event in ends if "found_later" not in event]

    def shrunk(self) -> bool:
        """Whether the micro-batch became smaller, so that rounding differs."""
        return any(event["event"] == "out_of_memory" for event in lines(self.journal.path))

    def still_living(self, wait_s: float = 10.0) -> list[Process]:
        """Processes of the case that do not end within `wait_s`."""
        until = time.monotonic() + wait_s
        while (found := living(self.folder)) and time.monotonic() < until:
            time.sleep(0.05)
        return found

    def unbalanced(self) -> str | None:
        """What is wrong with the journal: each start has one end, before the next start."""
        open_start = False
        for event in lines(self.journal.path):
            if event["event"] == "started":
                if open_start:
                    return "an attempt was started before the one before had its end line"
                open_start = True
            elif event["event"] == "ended":
                if not open_start:
                    return f"an end without a start: {json.dumps(event)}"
                open_start = False
        return "the last attempt has no end line" if open_start else None

    def close(self) -> None:
        """End what still runs, and give the file system back."""
        for process in living(self.folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        for started in self._started:
            if started.poll() is None:
                started.kill()
            started.wait()
        if self.disk is not None:
            self.disk.unmount()
