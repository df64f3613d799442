"""Cells of a shipped simulated rig, prepared and trained by the verbs that the rules call."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_src.cells import runs_beside
from workflow_src.configuration import Configuration, load
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.events import Ended, Started
from workflow_src.scheduling.journal import Journal

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
DATASET, TASK_SET, SEED = "bearing_sim", "all", 42


@dataclass(frozen=True)
class Study:
    """A working folder of the verbs, which holds `data/` and the studies.

    Attributes:
        folder: where the verbs run.
        accelerator: cpu or cuda.
    """

    folder: Path
    accelerator: str

    def prepare(self) -> None:
        """Make the rig's recordings and the dataset's split."""
        configuration = _configuration("prepare", "dlinear", {}, {})
        rig = configuration.datasets[DATASET].rig
        place = ["--config-folder", str(CONFIG)]
        of_rig = json.dumps(configuration.rig_part(rig))
        self.verb("recordings", "--name", rig, "--rig", of_rig, *place)
        of_split = json.dumps(configuration.split_part(DATASET))
        self.verb("split", "--name", DATASET, "--dataset", of_split, *place)

    def cell(self, study: str, model: str, sizes: dict[str, Any], **training: Any) -> Path:
        """Write a cell.json: `sizes` and `training` replace keys of the model and of training."""
        configuration = _configuration(study, model, sizes, training)
        resolved = configuration.resolve(DATASET, model, TASK_SET, SEED)
        path = Path(study, "results", DATASET, model, TASK_SET, f"seed{SEED}", "cell.json")
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(resolved.to_json(), encoding="utf-8")
        return self.folder / path

    def train(self, cell: Path, **options: Any) -> float:
        """Run the verb `train` to its end; seconds. A failure raises with the end of its log."""
        start = time.perf_counter()
        self.verb("train", str(cell.relative_to(self.folder)), *self._request(options))
        return time.perf_counter() - start

    def attempt(self, cell: Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run the verb `train`, which may fail: its exit code and log."""
        arguments = [str(cell.relative_to(self.folder)), *self._request(options)]
        return self._run("train", *arguments)

    def until_checkpoint(self, cell: Path, end: signal.Signals, **options: Any) -> int:
        """Start `train`, and send its session `end` once it has a checkpoint; its exit code."""
        arguments = [str(cell.relative_to(self.folder)), *self._request(options)]
        with (self.folder / "until_checkpoint.log").open("w") as log:
            process = subprocess.Popen(
                _command("train", *arguments),
                cwd=self.folder,
                env=_environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                while process.poll() is None and not (runs_beside(cell) / "last.ckpt").exists():
                    time.sleep(0.02)
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, end)
                return process.wait()
            finally:
                process.kill()

    def until_deadline(self, cell: Path, seconds: float) -> str:
        """What the training process reports as its cause when its job ends in `seconds`."""
        read, write = os.pipe()
        told = AttemptRequest(accelerator=self.accelerator, checkpoint_minutes=1e9)
        command = _command("attempt", str(cell.relative_to(self.folder)))
        command += ["--request", told.model_dump_json(), "--report", str(write)]
        command += ["--until", repr(time.time() + seconds)]
        identity = json.loads(cell.read_text(encoding="utf-8"))["identity"]
        journal = Journal(runs_beside(cell) / "attempts.jsonl")
        journal.append(Started(request=told, identity=identity))
        subprocess.run(
            command,
            cwd=self.folder,
            env=_environment(),
            pass_fds=[write],
            capture_output=True,
            check=False,
        )
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            report = json.loads(pipe.read() or b"{}")
        cause = str(report.get("cause", "none"))
        journal.append(Ended(cause=cause, message=report.get("message", "")))
        return cause

    def verb(self, *arguments: str) -> None:
        """Run a verb; a failure raises with the end of its log."""
        done = self._run(*arguments)
        if done.returncode:
            raise RuntimeError(
                f"{arguments[0]} ended with {done.returncode}: {done.stdout[-2000:]}"
            )

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            _command(*arguments),
            cwd=self.folder,
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def _request(self, options: dict[str, Any]) -> list[str]:
        asked = {"accelerator": self.accelerator, **options}
        words = ([f"--{name.replace('_', '-')}", str(value)] for name, value in asked.items())
        return [word for pair in words for word in pair]


def _configuration(
    study: str, model: str, sizes: dict[str, Any], training: dict[str, Any]
) -> Configuration:
    values: dict[str, Any] = {
        "study": study,
        "datasets": [DATASET],
        "models": [model],
        "task_sets": [TASK_SET],
        "seeds": [SEED],
        "hardware": "local",
        "training": training,
    }
    if sizes:
        values["overrides"] = [{"cells": "*", "model": sizes}]
    return load(values, CONFIG)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "workflow_src", *arguments]


def _environment() -> dict[str, str]:
    """Put the project on PYTHONPATH: a bare machine has not installed it."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path}
