"""What the tables of a study show: names, labels and order, apart from configuration and scores.

Snakemake passes it as one JSON value to the job that writes the tables, so that editing a label
reruns only the tables. It is read while the workflow is planned: no pandas here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from workflow_src import cells as paths
from workflow_src.cells import Cell
from workflow_src.configuration import Configuration
from workflow_src.configuration.tasks import TASKS
from workflow_src.tables.asked import COST_TABLES, STATISTICS, AskedTable, Known, asked_tables

ORIGINS = ("real", "simulated")
FORMATS = ("csv", "md", "html", "tex")
_ASKED = TypeAdapter(tuple[AskedTable, ...])
PlanSource = str | Path | Mapping[str, Any]  # JSON text, a file that holds it, or its values


@dataclass(frozen=True)
class ModelEntry:
    """A model's label, its kind (``network`` or ``classic``), and the method of a classic model.

    ``uses_geometry`` tells whether its scores depend on the geometry of bearings and gears.
    """

    label: str
    kind: str
    method: str | None = None
    uses_geometry: bool = False


@dataclass(frozen=True)
class DatasetEntry:
    """A dataset's label, its split in words, its rig and origin (real or simulated).

    ``noise_db`` is the signal-to-noise ratio on the windows of the test part, None without noise.
    ``parts`` are the rigs of a union, none for any other rig. ``train_units`` is the number of
    training units per class on a curve over that number, "" elsewhere. ``assumed_geometry`` are
    the rigs whose geometry is a guess.
    """

    label: str
    note: str
    rig: str
    origin: str
    noise_db: float | None = None
    parts: tuple[str, ...] = ()
    train_units: str = ""
    assumed_geometry: tuple[str, ...] = ()


_DATASETS = TypeAdapter(dict[str, DatasetEntry])


@dataclass(frozen=True)
class TaskSetEntry:
    """The tasks of a task set, in the order of the tables; whether its RUL head reads the age."""

    tasks: tuple[str, ...]
    age: bool


@dataclass(frozen=True)
class TablePlan:
    """The cells of a study and how tables name them; rotations `name.foldN` are datasets here.

    ``asked`` holds the tables under `tables:`, none for the default set.
    """

    study: str
    cells: tuple[Cell, ...]
    models: dict[str, ModelEntry]
    datasets: dict[str, DatasetEntry]
    task_sets: dict[str, TaskSetEntry]
    asked: tuple[AskedTable, ...] = ()

    @staticmethod
    def from_configuration(
        configuration: Configuration, cells: Sequence[Cell] | None = None
    ) -> TablePlan:
        """The plan of `cells` (default: the run's grid); the default label is the file's name.

        Raises UserError for a name under `tables:` that no cell has.
        """
        cells = paths.grid(configuration) if cells is None else cells
        used = {
            kind: {getattr(c, kind) for c in cells} for kind in ("dataset", "model", "task_set")
        }
        datasets = {}
        for name, dataset in configuration.datasets.items():
            if name in used["dataset"]:
                parts = tuple(configuration.rigs[dataset.rig].options.member_rigs())
                first = configuration.rigs[(*parts, dataset.rig)[0]]  # parts are of one origin
                datasets[name] = DatasetEntry(
                    label=dataset.label or paths.rotation_of(name)[0],
                    note=dataset.note,
                    rig=dataset.rig,
                    origin="simulated" if first.options.SIMULATED else "real",
                    noise_db=dataset.test_noise_db,
                    parts=parts,
                    train_units=" ".join(map(str, dataset.split.train_units or ())),
                    assumed_geometry=tuple(configuration.assumed_geometry(name)),
                )
        task_sets = {}
        for name, tasks in configuration.task_sets.items():
            if name in used["task_set"]:
                given = tasks.given()
                age = any(keys.reads_age for keys in given.values())
                task_sets[name] = TaskSetEntry(tuple(given), age)
        models = {
            name: ModelEntry(
                model.label or name, model.kind, model.method, configuration.uses_geometry(name)
            )
            for name, model in configuration.models.items()
            if name in used["model"]
        }
        plan = TablePlan(configuration.run.study, tuple(cells), models, datasets, task_sets)
        origins = {name: entry.origin for name, entry in datasets.items()}
        known = Known(plan.tasks(), list(models), origins)
        asked = asked_tables(configuration.run.tables, plan.default_tables(), known)
        return replace(plan, asked=asked)

    def to_json(self) -> str:
        """The plan as one line of JSON (a rule's param).

        Cells are nested by dataset, model and task set, so that each name is written once: the
        line is the argument of a command, and the kernel takes no argument above 128 KiB.
        """
        nested: dict[str, dict[str, dict[str, list[int]]]] = {}
        for cell in self.cells:
            sets = nested.setdefault(cell.dataset, {}).setdefault(cell.model, {})
            sets.setdefault(cell.task_set, []).append(cell.seed)
        values = {**asdict(self), "cells": nested}
        if not self.asked:
            del values["asked"]
        return json.dumps(values, separators=(",", ":"))

    @staticmethod
    def from_json(source: PlanSource) -> TablePlan:
        """Read the result of `to_json`: the text, a file with it, or the parsed values."""
        if isinstance(source, Path):
            source = source.read_text(encoding="utf-8")
        values = json.loads(source) if isinstance(source, str) else source
        return TablePlan(
            study=values["study"],
            cells=tuple(
                Cell(dataset, model, task_set, seed)
                for dataset, models in values["cells"].items()
                for model, task_sets in models.items()
                for task_set, seeds in task_sets.items()
                for seed in seeds
            ),
            models={k: ModelEntry(**v) for k, v in values["models"].items()},
            datasets=_DATASETS.validate_python(values["datasets"]),
            task_sets={
                k: TaskSetEntry(tuple(v["tasks"]), v["age"]) for k, v in values["task_sets"].items()
            },
            asked=_ASKED.validate_python(values.get("asked", [])),
        )

    def tasks(self) -> list[str]:
        """The tasks of all task sets, in the order of the tables."""
        return [t for t in TASKS if any(t in s.tasks for s in self.task_sets.values())]

    def origins(self) -> list[str]:
        """The origins of the study's rigs: real, simulated or both."""
        return [o for o in ORIGINS if any(d.origin == o for d in self.datasets.values())]

    def default_tables(self) -> tuple[AskedTable, ...]:
        """One file per task and origin: real rigs, then simulated ones."""
        return tuple(
            self.default_table(task, origin) for task in self.tasks() for origin in self.origins()
        )

    def default_table(self, task: str, origin: str) -> AskedTable:
        """All models on all rigs of `origin`."""
        bases = {paths.rotation_of(name)[0]: d.origin for name, d in self.datasets.items()}
        return AskedTable(
            name=table_name(task, origin),
            task=task,
            datasets=tuple(base for base, its in bases.items() if its == origin),
            models=tuple(self.models),
        )

    def tables(self) -> tuple[AskedTable, ...]:
        """The files of tables that the study writes, without statistics and cost."""
        return self.asked or self.default_tables()

    def is_simulated(self, table: AskedTable) -> bool:
        """Whether its rigs, all of one origin, are simulated."""
        return any(d.origin == "simulated" for d in self.of(table).datasets.values())

    def of(self, table: AskedTable) -> TablePlan:
        """The cells of `table`, with its order of datasets and models, and with trivial rows.

        If the table has only some rotations of a dataset, the label names them.
        """
        chosen = {
            name: paths.rotation_of(name)
            for asked in table.datasets
            for name in self.datasets
            if asked in (name, paths.rotation_of(name)[0])
        }
        bases = [paths.rotation_of(name)[0] for name in self.datasets]
        datasets = {}
        for name, (base, _) in chosen.items():
            entry, folds = self.datasets[name], [f for b, f in chosen.values() if b == base]
            if len(folds) < bases.count(base):
                label = f"{entry.label}, fold {', '.join(map(str, folds))}"
                entry = replace(entry, label=label)
            datasets[name] = entry
        trivial = [name for name, model in self.models.items() if model.method == "trivial"]
        models = {name: self.models[name] for name in (*table.models, *trivial)}
        cells = tuple(c for c in self.cells if c.dataset in datasets and c.model in models)
        return replace(self, cells=cells, models=models, datasets=datasets)


def table_name(task: str, origin: str) -> str:
    """Stem of a table's files: simulated and real rigs never share a table."""
    return task if origin == "real" else f"{task}_{origin}"


def table_folder(study: str, partial: bool = False) -> Path:
    """The folder of the tables; an unfinished study has its own, so whole tables stay."""
    return paths.tables(study) / "partial" if partial else paths.tables(study)


def results_file(study: str, partial: bool = False) -> Path:
    """The long table of all scores."""
    return table_folder(study, True) / "results.csv" if partial else Path(study, "results.csv")


def table_files(plan: TablePlan, partial: bool = False) -> list[Path]:
    """Every file that `write_tables` writes, known from the plan alone."""
    names = [table.name for table in plan.tables()]
    names += [table_name(STATISTICS, origin) for origin in plan.origins()]
    folder = table_folder(plan.study, partial)
    return [folder / f"{name}.{ending}" for name in [*names, *COST_TABLES] for ending in FORMATS]
