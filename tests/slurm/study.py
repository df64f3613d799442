"""A study of six cells that runs on the cluster, and what is known of it afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..workflow.conftest import RUN, STUDY, Kept, Outcome, Project
from .cluster import Cluster

STAND_IN = Path(__file__).parent / "stand_in"
EPOCHS = 6
# Twice what one training process needs.
MEMORY_MB, INNER_MB = 1300, 200
SITE: dict[str, dict[str, Any]] = {
    "cpu": {"partition": "cpu"},
    "v100-16g": {"partition": "v100", "modules": ["rehearsed/1.0"]},
    "a100-80g": {"partition": "a100", "constraint": "gpu80g"},
}
CLASSES = {"slurm-cpu": "cpu", "slurm-v100": "v100-16g", "slurm-a100": "a100-80g"}
STUDY_RUN = {
    **RUN,
    "seeds": [1, 2],
    "training": {"epochs": EPOCHS, "batch_size": 64},
    "request": {"memory_mb": MEMORY_MB, "runtime_minutes": 5},
}
# Asked sooner than a real cluster should be; a shared file system is waited for no longer.
QUICK = ("--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10")
QUICK += ("--max-jobs-per-timespan", "100/1s")


@dataclass(frozen=True)
class Cell(Kept):
    """What a project holds of one cell."""

    seed: int = 1

    def _below(self, kind: str) -> Path:
        return self.folder / STUDY / kind / STUDY / self.model / "all" / f"seed{self.seed}"

    @property
    def name(self) -> str:
        return f"{self.model}/all/seed{self.seed}"

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Events of one kind; none where nothing has begun."""
        if not (self.runs / "attempts.jsonl").exists():
            return []
        return [event for event in self.events if event["event"] == kind]

    @property
    def causes(self) -> list[str]:
        """How its attempts ended."""
        return [event["cause"] for event in self.of("ended")]

    def told(self, key: str) -> list[Any]:
        """What its attempts were told of one key."""
        return [event["told"][key] for event in self.of("started")]


@dataclass(frozen=True)
class Study(Project):
    """A project whose commands reach the cluster.

    Attributes:
        cluster: the one that it reaches.
    """

    cluster: Cluster = field(kw_only=True)
    patience_s: float = 600

    @property
    def variables(self) -> dict[str, str]:
        path = os.pathsep.join([str(STAND_IN), os.environ.get("PYTHONPATH", "")])
        own = {"PYTHONPATH": path, "REHEARSAL": str(self._plan)}
        own["MODULESHOME"] = str(self.folder / "modulefiles")
        return {**super().variables, **self.cluster.environment, **own}

    def command(self, *arguments: str, profile: str = "slurm-cpu") -> list[str]:
        quick = () if profile == "local" else QUICK
        return super().command(*quick, *arguments, profile=profile)

    def snakemake(
        self, *arguments: str, profile: str = "slurm-cpu", where: Path | None = None
    ) -> Outcome:
        return super().snakemake(*arguments, profile=profile, where=where)

    def offer_modules(self) -> None:
        """Define `module` where clusters do; it writes down what it is asked."""
        init = self.folder / "modulefiles" / "init" / "bash"
        init.parent.mkdir(parents=True, exist_ok=True)
        asked = self.folder / "modules"
        init.write_text(f'module() {{ echo "$@" >> {asked}; }}\n', encoding="utf-8")

    @property
    def _plan(self) -> Path:
        return self.folder / "rehearsal.json"

    def rehearse(self, plan: Mapping[str, Any]) -> None:
        """What happens in the training of which cells from now on (see stand_in)."""
        self._plan.write_text(json.dumps(plan), encoding="utf-8")

    def cell(self, model: str, seed: int = 1) -> Cell:
        return Cell(self.folder, model, seed)

    @property
    def modules(self) -> set[str]:
        """What `module` was asked in jobs."""
        asked = self.folder / "modules"
        return set(asked.read_text(encoding="utf-8").splitlines()) if asked.exists() else set()

    @property
    def trained(self) -> list[Cell]:
        """The cells that train a network."""
        run = yaml.safe_load((self.folder / "config" / "config.yaml").read_text(encoding="utf-8"))
        models = [model for model in run["models"] if model != "trivial"]
        return [self.cell(model, seed) for model in models for seed in run["seeds"]]

    def asked(self, rule: str, cell: Cell | None = None) -> list[dict[str, str]]:
        """What Slurm was asked for a rule's jobs."""
        return self.cluster.of_rule(self.folder, rule, cell.name if cell else "")

    @contextlib.contextmanager
    def begun(self, *arguments: str, profile: str = "slurm-cpu") -> Iterator[subprocess.Popen[str]]:
        """A command that runs, with what it says in `said.log`; killed at the end of this."""
        with (self.folder / "said.log").open("w", encoding="utf-8") as said:
            master = subprocess.Popen(
                self.command(*arguments, profile=profile),
                cwd=self.folder,
                env=self.variables,
                stdout=said,
                stderr=subprocess.STDOUT,
                text=True,
            )
        try:
            yield master
        finally:
            if master.poll() is None:
                master.send_signal(signal.SIGKILL)
                master.wait()

    def finish(self, master: subprocess.Popen[str], seconds: float = 300) -> Outcome:
        """The end of a command that has begun."""
        code = master.wait(seconds)
        return Outcome(code, (self.folder / "said.log").read_text(encoding="utf-8"))

    def status(self) -> str:
        """What `status` shows at this moment."""
        command = [sys.executable, "-m", "workflow_src", "status"]
        done = subprocess.run(
            command, cwd=self.folder, env=self.variables, capture_output=True, text=True, check=True
        )
        return done.stdout

    def wait(self, until: Callable[[], object], what: str, seconds: float = 120) -> None:
        """Return when `until` comes true."""
        end = time.monotonic() + seconds
        while not until():
            if time.monotonic() > end:
                said = (self.folder / "said.log").read_text(encoding="utf-8")
                raise AssertionError(f"{what} did not come:\n{said}")
            time.sleep(0.1)


def minutes(limit: str) -> int:
    """Slurm's [days-]hours:minutes:seconds as minutes."""
    days, _, rest = limit.rpartition("-")
    hours, of_hour, _ = rest.split(":")
    return (int(days or 0) * 24 + int(hours)) * 60 + int(of_hour)


def megabytes(memory: str) -> int:
    """Slurm's 1500M or 2G as MB."""
    return int(float(memory[:-1]) * {"M": 1, "G": 1024}[memory[-1]])


def attempts_running(project: Path) -> Sequence[str]:
    """The cell of each training process of a project that lives now."""
    found: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().decode().split("\0")
            own = os.readlink(folder / "cwd") == str(project)
            if own and "workflow_src" in words and "attempt" in words:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                (cell,) = (word for word in words if word.endswith("cell.json"))
                found[int(folder.name)] = parent, cell
    # Between fork and exec a process that one of them starts bears its words.
    return [cell for parent, cell in found.values() if parent not in found]
