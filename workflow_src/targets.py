"""What the rules ask: patterns, inputs, params and resources of every target (no torch)."""

from __future__ import annotations

import functools
import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError

from workflow_src import cells as paths
from workflow_src.cells import Cell
from workflow_src.configuration import REVISIONS, Configuration, load, snapshot
from workflow_src.errors import UserError
from workflow_src.scheduling.journal import Journal
from workflow_src.scheduling.lock import newest
from workflow_src.scheduling.request import (
    INNER_SNAKEMAKE_MB,
    Forecast,
    Policy,
    Request,
    decide,
    site_resources,
)
from workflow_src.scheduling.supervisor import cause_of_silence
from workflow_src.tables.plan import TablePlan, table_files, table_folder

CELL = "{dataset}/{model}/{task_set}/seed{seed}"


class Targets:
    """Everything that a rule needs to know of the run."""

    def __init__(self, configuration: Configuration, basedir: Path) -> None:
        self.configuration = configuration
        self.basedir = basedir
        self.study = configuration.run.study
        self.cells = paths.grid(configuration)
        self.plan = TablePlan.from_configuration(configuration, self.cells)
        for cell in self.cells:  # Keys that contradict each other in a cell are told at once.
            configuration.resolve(*cell.key)
        self._check_data_root()
        self._check_requests()

    def keep(self) -> None:
        """Keep the configuration for the jobs of this run; called when it begins."""
        snapshot.keep(self.configuration)

    # ------------------------------------------------------------------ names

    @property
    def command(self) -> str:
        """The interpreter that runs Snakemake, with the package beside the Snakefile."""
        return f"PYTHONPATH={shlex.quote(str(self.basedir))}:${{PYTHONPATH:-}} " + shlex.join(
            [sys.executable, "-m", "workflow_src"]
        )

    def result(self, name: str) -> str:
        """Pattern of a file of a cell's results."""
        return f"{self.study}/results/{CELL}/{name}"

    def log(self, rule: str) -> str:
        """Pattern of a rule's log for a cell."""
        return f"{self.study}/logs/{rule}/{CELL}.log"

    def benchmark(self, rule: str) -> str:
        """Pattern of a rule's benchmark for a cell."""
        return f"{self.study}/benchmarks/{rule}/{CELL}.tsv"

    @staticmethod
    def one_of(names: Iterable[str]) -> str:
        """A wildcard constraint that matches exactly `names`; without one, nothing."""
        return "|".join(re.escape(name) for name in names) or "(?!)"

    def models(self, kind: str) -> list[str]:
        """Names of the models of one kind."""
        models = self.configuration.models
        return [name for name, model in models.items() if model.kind == kind]

    # ------------------------------------------------------------------ inputs

    def stores(self) -> list[str]:
        """Every rig's store."""
        return [str(paths.rig_folder(r) / "recordings.h5") for r in self.configuration.rigs]

    def splits(self) -> list[str]:
        """Every dataset's split."""
        return [str(paths.split_folder(d) / "split.csv") for d in self.configuration.datasets]

    def table_of(self, wildcards: Any) -> str:
        """Labels of the recordings of a dataset's rig."""
        return self._of_rig(wildcards, "recordings.csv")

    def store_of(self, wildcards: Any) -> str:
        """Store of a dataset's rig."""
        return self._of_rig(wildcards, "recordings.h5")

    def _of_rig(self, wildcards: Any, name: str) -> str:
        rig = self.configuration.datasets[wildcards.dataset].rig
        return str(paths.rig_folder(rig) / name)

    def every(self, name: str) -> list[str]:
        """One file of the results of every cell."""
        return [str(paths.results(self.study, cell) / name) for cell in self.cells]

    # ------------------------------------------------------------------ params

    def cell_json(self, wildcards: Any) -> str:
        """The resolved configuration of a cell."""
        return _json(self.configuration.resolve(*_of(wildcards)))

    def rig_json(self, wildcards: Any) -> str:
        """What decides a rig's recordings."""
        return _json(self.configuration.rig_part(wildcards.rig))

    def split_json(self, wildcards: Any) -> str:
        """What decides a dataset's split."""
        return _json(self.configuration.split_part(wildcards.dataset))

    def score_revision(self) -> int:
        """Raised by hand when the same predictions would score otherwise."""
        return REVISIONS["scores"]

    def plan_json(self) -> str:
        """What decides the tables."""
        return self.plan.to_json()

    def table_files(self) -> list[str]:
        """Every table of the study."""
        return [str(path) for path in table_files(self.plan)]

    def cell_files(self) -> list[str]:
        """Every result of every cell.

        Asked for beside the tables: Snakemake passes over a missing file that lies between files
        which are there and up to date.
        """
        networks = set(self.models("network"))
        common = ["cell.json", "predictions.h5", "training.json", "metrics.json"]
        return [
            str(paths.results(self.study, cell) / name)
            for cell in self.cells
            for name in common + (["model.safetensors"] if cell.model in networks else [])
        ]

    def shell_prefix(self) -> str:
        """What every rule's shell text may use: `verb`, and `sources` (where files are found).

        Not params: a moved environment or folder changes no number.
        """
        root = self.configuration.data_root()
        options = ["--config-folder", str(self.configuration.folder)]
        sources = shlex.join(options + (["--data-root", str(root)] if root else []))
        prefix = f'verb() {{ {self.command} "$@"; }}; sources=({sources}); '
        return prefix.replace("{", "{{").replace("}", "}}")  # Snakemake formats it

    def show_tables(self) -> None:
        """Print the tables, where all are there and none of an unfinished study is younger.

        An older one is then of the past, and removed.
        """
        tables = [Path(file) for file in self.table_files()]
        if not all(file.exists() for file in tables):
            return
        partial = table_folder(self.study, partial=True)
        youngest = max((file.stat().st_mtime for file in partial.glob("*")), default=0.0)
        if youngest < min(file.stat().st_mtime for file in tables):
            shutil.rmtree(partial, ignore_errors=True)
            self._call("show", "--plan", self.plan_json())

    def write_partial_tables(self) -> None:
        """Write and print the tables of what exists; a failure here hides no other one.

        Tables that are older than the settings of a cell go: no number without its cell.
        """
        settings = [Path(file) for file in self.every("cell.json")]
        newest = max((file.stat().st_mtime for file in settings if file.exists()), default=0.0)
        for file in (*map(Path, self.table_files()), Path(self.study, "results.csv")):
            if file.exists() and file.stat().st_mtime < newest:
                file.unlink()
        self._call("tables", "--partial", "--plan", self.plan_json())

    def _call(self, *arguments: str) -> None:
        path = os.pathsep.join(filter(None, [str(self.basedir), os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-m", "workflow_src", *arguments]
        subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False)

    # ------------------------------------------------------------------ resources

    def request(self, cell: Cell, attempt: int = 1) -> Request:
        """What the next attempt of `cell` asks for, the `attempt`-th of this invocation."""
        journal = paths.runs(self.study, cell) / "attempts.jsonl"
        return self._decided(cell, attempt, journal.stat().st_size if journal.exists() else 0)

    # Snakemake asks for each resource by itself; the past has not changed while the journal has not
    # grown.
    @functools.cache  # noqa: B019 - lives as long as the process
    def _decided(self, cell: Cell, attempt: int, journal_bytes: int) -> Request:
        resolved = self.configuration.resolve(*cell.key)
        training = resolved.get("training", {})
        policy = Policy(
            threads=training.get("torch_threads", 1),
            site=self.configuration.site,
            hardware=self.configuration.run.hardware,
            identity=resolved["identity"],
            attempt=attempt,
        )
        return decide(
            Forecast.configured(
                self.configuration.request(*cell.key), training.get("batch_size", 1)
            ),
            self._events(cell, attempt) if journal_bytes else [],
            self.configuration.hardware,
            policy,
        )

    def _events(self, cell: Cell, attempt: int) -> list[dict[str, Any]]:
        """The journal; a start without an end, which Snakemake calls failed, gets its end."""
        folder = paths.runs(self.study, cell)
        events = Journal(folder / "attempts.jsonl").events()
        framing = [event for event in events if event["event"] in ("started", "ended")]
        if attempt > 1 and framing and framing[-1]["event"] == "started":
            sample = (newest(folder)[1] or {}).get("sample") or {}
            cause = cause_of_silence(framing[-1], sample)
            events.append({"event": "ended", "cause": cause.text, "message": "no end was written"})
        return events

    def training_resources(self) -> dict[str, Callable[..., int | str]]:
        """A callable for each resource of the training rule."""

        def resource(name: str) -> Callable[..., int | str]:
            def value(wildcards: Any, attempt: int) -> int | str:
                return self._asked(Cell(*_of(wildcards)), attempt)[name]

            return value

        return {name: resource(name) for name in self._asked(self.cells[0])}

    def _asked(self, cell: Cell, attempt: int = 1) -> dict[str, int | str]:
        """The request, and what else training is told that changes no number."""
        minutes = self.configuration.request(*cell.key).checkpoint_minutes
        return self.request(cell, attempt).resources() | {
            "attempt": attempt,
            "hardware": self.configuration.run.hardware,
            "accelerator": self.configuration.hardware.accelerator,
            "checkpoint_minutes": f"{minutes:g}",
        }

    def training_threads(self, wildcards: Any, attempt: int) -> int:
        """CPU threads of a training target."""
        return self.request(Cell(*_of(wildcards)), attempt).cores

    def light_resources(self, memory_mb: int, minutes: int) -> dict[str, int | str]:
        """Resources of a rule that needs no GPU: the site's class `cpu`, where it names one."""
        asked: dict[str, int | str] = {"mem_mb": memory_mb, "runtime": minutes}
        return asked | site_resources(self.configuration.light_site)

    def _check_data_root(self) -> None:
        folders = {
            name: rig.folder.path
            for name, rig in self.configuration.rigs.items()
            if rig.folder is not None and not Path(rig.folder.path).is_absolute()
        }
        root = self.configuration.data_root()
        if folders and (root is None or not root.is_dir()):
            raise UserError(
                f"The folder of the real rigs ({', '.join(folders)}) "
                + ("is not known." if root is None else "does not exist."),
                found=None if root is None else str(root),
                expected="a folder that holds " + ", ".join(folders.values()),
                remedy="data_root: /path/to/recordings   # in the config, or\n"
                "export PHM_DATA_ROOT=/path/to/recordings",
            )

    def _check_requests(self) -> None:
        """What is more than a node offers is refused: Snakemake would trim it silently."""
        hardware, name = self.configuration.hardware, self.configuration.run.hardware
        for cell in self.cells:
            asked = self.configuration.request(*cell.key)
            for key, most in (
                ("memory_mb", (hardware.host_memory_mb or math.inf) - INNER_SNAKEMAKE_MB),
                ("runtime_minutes", hardware.max_runtime_minutes or math.inf),
            ):
                if getattr(asked, key) > most:
                    raise UserError(
                        f"A request is more than a node of class {name} offers.",
                        where=f"cell {cell.name}, key `request.{key}`",
                        found=str(getattr(asked, key)),
                        expected=f"at most {most} (config/hardware/{name}.yaml)",
                        remedy=f"request: {{{key}: {most}}}",
                    )


def build(config: Mapping[str, Any], basedir: str, files: Sequence[str | Path]) -> Targets:
    """The targets of a run; UserError names the first wrong key."""
    folder = Path(basedir)
    return Targets(load(config, folder / "config", [Path(file) for file in files]), folder)


def of_workflow(workflow: Any, config: Mapping[str, Any]) -> Targets:
    """The targets of Snakemake's `workflow`; a job's are those that its run has kept."""
    try:
        if not workflow.is_main_process:
            return Targets(snapshot.kept(), Path(workflow.basedir))
        return build(config, workflow.basedir, workflow.overwrite_configfiles)
    except UserError as error:
        raise WorkflowError(str(error)) from None


def _of(wildcards: Any) -> tuple[str, str, str, int]:
    return wildcards.dataset, wildcards.model, wildcards.task_set, int(wildcards.seed)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
