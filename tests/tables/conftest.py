"""A study on disk as the workflow leaves it, small and with chosen scores."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from workflow_src import cells as paths
from workflow_src.artifacts.audit_report import AuditReport
from workflow_src.artifacts.split_summary import SplitSummary
from workflow_src.artifacts.training_report import TrainingReport
from workflow_src.cells import Cell
from workflow_src.tables.plan import DatasetEntry, ModelEntry, TablePlan, TaskSetEntry

from ..split_summaries import split_summary


@dataclass
class Study:
    """Writes files below the current folder and gives the plan."""

    datasets: dict[str, DatasetEntry] = field(default_factory=dict)
    models: dict[str, ModelEntry] = field(
        default_factory=lambda: {
            "patchtst": ModelEntry("PatchTST", "network"),
            "fno": ModelEntry("FNO", "network"),
            "trivial": ModelEntry("trivial", "classic", "trivial"),
        }
    )
    task_sets: dict[str, TaskSetEntry] = field(
        default_factory=lambda: {"all": TaskSetEntry(("classification",), False)}
    )
    seeds: tuple[int, ...] = (42, 43, 44)
    name: str = "demo"

    def dataset(
        self,
        name: str,
        split: SplitSummary | None = None,
        shortcuts: dict[str, list[str]] | None = None,
        searched_from: int | None = 384,
        **entry: Any,
    ) -> None:
        """Add a dataset and write its split.json, and audit.json with the warnings by task."""
        base = paths.rotation_of(name)[0]
        given = {"label": base, "note": "", "rig": base, "origin": "real", **entry}
        self.datasets[name] = DatasetEntry(**given)
        folder = paths.split_folder(name)
        (split or split_summary()).write(folder / "split.json")
        AuditReport(
            dataset=name,
            rig=given["rig"],
            certain_from_samples=searched_from,
            declared_leaky=False,
            shared_pairs=0,
            shared=(),
            shared_spans={},
            passed_over=0,
            shortcuts=(),
            warnings=shortcuts or {},
        ).write(folder / "audit.json")

    @property
    def plan(self) -> TablePlan:
        """All combinations."""
        cells = tuple(
            Cell(d, m, t, s)
            for d in self.datasets
            for m in self.models
            for t in self.task_sets
            for s in self.seeds
        )
        return TablePlan(self.name, cells, self.models, self.datasets, self.task_sets)

    def score(
        self,
        cell: Cell,
        scores: dict[str, dict[str, dict[str, Any]]],
        identity: str = "now",
    ) -> None:
        """Write metrics.json: task -> row -> metric -> number, or the reason why there is none."""
        content = {
            task: {
                row: {
                    "values": {k: None if isinstance(v, str) else v for k, v in metrics.items()},
                    "undefined": {k: v for k, v in metrics.items() if isinstance(v, str)},
                }
                for row, metrics in rows.items()
            }
            for task, rows in scores.items()
        }
        folder = paths.results(self.name, cell)
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"cell": vars(cell), "identity": identity, "scores": content})
        (folder / "metrics.json").write_text(text)

    def classify(
        self, dataset: str, model: str, values: tuple[Any, ...], row: str = "model"
    ) -> None:
        """Macro F1 of a row, a value a seed."""
        for seed, value in zip(self.seeds, values, strict=True):
            for task_set in self.task_sets:
                cell = Cell(dataset, model, task_set, seed)
                self.score(cell, {"classification": {row: {"macro_f1": value}}})

    def train(self, cell: Cell, **report: Any) -> None:
        """Write training.json."""
        folder = paths.results(self.name, cell)
        folder.mkdir(parents=True, exist_ok=True)
        TrainingReport(cell=cell, identity="now", **report).write(folder / "training.json")


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """An empty study in a folder of its own, shown as where no terminal says how wide it is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "118")
    return Study()


@pytest.fixture
def bearing(study: Study) -> Study:
    """One real dataset: PatchTST 0.8 to 0.9, FNO 0.7 throughout, majority class 0.4."""
    study.dataset("bearing")
    study.classify("bearing", "patchtst", (0.8, 0.85, 0.9))
    study.classify("bearing", "fno", (0.7, 0.7, 0.7))
    study.classify("bearing", "trivial", (0.4, 0.4, 0.4), row="majority class")
    return study


@pytest.fixture
def one_class(study: Study) -> Study:
    """A column with one class in test beside one with all."""
    units = {
        "ball": {"train": 1, "val": 1, "test": 0},
        "inner": {"train": 1, "val": 1, "test": 1},
    }
    study.dataset("bearing")
    study.dataset("ir028", split_summary(units_per_class=units))
    for model, row, accuracy in (
        ("patchtst", "model", 0.02),
        ("fno", "model", 0.03),
        ("trivial", "majority class", 0.9),
    ):
        study.classify("bearing", model, (accuracy / 2,) * 3, row=row)
        for i, seed in enumerate(study.seeds):
            scores = {"macro_f1": "absent from test: ball", "accuracy": accuracy + 0.01 * i}
            study.score(Cell("ir028", model, "all", seed), {"classification": {row: scores}})
    return study
