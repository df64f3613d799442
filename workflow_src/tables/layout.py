"""Which rows and columns a paper's table has, before any number is filled in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pandas as pd

from workflow_src.cells import rotation_of
from workflow_src.predictions import MODEL_ROW
from workflow_src.tables.plan import ModelEntry, TablePlan
from workflow_src.tables.protocols import heading, strength_in_words
from workflow_src.tables.results import Results
from workflow_src.tasks.anomaly_detection import score as anomaly_detection
from workflow_src.tasks.classification import score as classification
from workflow_src.tasks.rul_prediction import score as rul_prediction
from workflow_src.tasks.scores import Metric
from workflow_src.tasks.signal_prediction import score as signal_prediction

SCORES: dict[str, ModuleType] = {
    module.TASK: module
    for module in (classification, anomaly_detection, signal_prediction, rul_prediction)
}
# An area under the curve says nothing of the alarms that a threshold gives.
_COMPANIONS = {"anomaly_detection": ("false_alarm_rate",)}
# With a class absent from test no score over the classes exists, but the share that is right does.
_STAND_INS = {"classification": ("accuracy", "acc")}
_UNKNOWN = "strength not proven yet"


@dataclass(frozen=True)
class DataColumn:
    """One dataset, all its rotations together; ``facts`` are the lines beneath its label."""

    label: str
    datasets: tuple[str, ...]
    strength: str
    facts: tuple[str, ...]


@dataclass(frozen=True)
class DataRow:
    """One model (row ``model``) or one row of a classic model.

    ``group`` is model, trivial or reference. A row of a classic model that no task set changes
    has several ``task_sets``, and its score is that of the first which has one.
    """

    label: str
    group: str
    model: str
    task_sets: tuple[str, ...]
    row: str


def metrics_of(task: str) -> tuple[Metric, ...]:
    """The main metric of a task, then those that must stand beside it."""
    by_name = {metric.name: metric for metric in SCORES[task].METRICS}
    return tuple(by_name[name] for name in (SCORES[task].MAIN, *_COMPANIONS.get(task, ())))


def stand_in_of(task: str) -> tuple[Metric, str] | None:
    """The metric that is shown where the main one is undefined, and its short name in a place."""
    if task not in _STAND_INS:
        return None
    name, short = _STAND_INS[task]
    return next(metric for metric in SCORES[task].METRICS if metric.name == name), short


# ------------------------------------------------------------------------------- columns


def columns_of(plan: TablePlan, results: Results, task: str, origin: str) -> list[DataColumn]:
    """A column a dataset of `origin`.

    Rotations of unlike strength stand apart, never averaged; so do those that hold out a rig,
    since another rig is another problem and not one more draw of the same. Draws of shots from one
    held-out rig are averaged.
    """
    groups: dict[str, list[str]] = {}
    for name, entry in plan.datasets.items():
        if entry.origin == origin:
            groups.setdefault(rotation_of(name)[0], []).append(name)
    labels = Counter(plan.datasets[names[0]].label for names in groups.values())
    columns = []
    for base, names in groups.items():
        label = plan.datasets[names[0]].label
        label = f"{label} ({base})" if labels[label] > 1 else label
        strengths = {name: results.splits.get(name, {}).get("strength") for name in names}
        known = {s for s in strengths.values() if s is not None}
        if len(known) > 1 or known == {"rig"}:
            columns += [
                _column(plan, results, task, f"{label}, {_part_of(name, results)}", [name])
                for name in names
            ]
        else:
            columns += [
                _column(plan, results, task, label + tested_on, alike)
                for tested_on, alike in _by_rig(names, results).items()
            ]
    return columns


def _by_rig(names: list[str], results: Results) -> dict[str, list[str]]:
    """Rotations by the rigs that they test on, in words; all in one unless rigs are held out.

    With shots from them in training, the strength does not say that they were.
    """
    found: dict[str, list[str]] = {}
    for name in names:
        split = results.splits.get(name, {})
        held = split.get("declared") == "rig" and "test_rigs" in split
        tested_on = f", test on {' and '.join(split['test_rigs'])}" if held else ""
        found.setdefault(tested_on, []).append(name)
    return found if len(found) > 1 else {"": names}


def _part_of(dataset: str, results: Results) -> str:
    """A rotation in words: the rigs held out, where it holds out whole rigs, or its number."""
    split = results.splits.get(dataset, {})
    if split.get("strength") == "rig":
        return f"{' and '.join(split['test_rigs'])} held out"
    return f"fold {rotation_of(dataset)[1]}"


def _column(
    plan: TablePlan, results: Results, task: str, label: str, names: list[str]
) -> DataColumn:
    splits = [results.splits[name] for name in names if name in results.splits]
    strength = str(splits[0]["strength"]) if splits else _UNKNOWN
    n = len({cell.seed for cell in plan.cells if cell.dataset in names})
    seeds = f"{n} seed{'s' * (n != 1)}"
    rotations = f", {len(names)} rotations" if len(names) > 1 else ""
    units = _units(splits, task)
    facts = (strength_in_words(strength, splits), *([units] if units else []), seeds + rotations)
    return DataColumn(heading(label, splits), tuple(names), strength, facts)


def _units(splits: list[dict[str, Any]], task: str) -> str:
    """Units per class in train/test; for RUL the runs to failure in train/test."""
    if not splits:
        return ""
    if task == "rul_prediction":
        runs = [s["runs_to_failure"] for s in splits if "runs_to_failure" in s]
        if len(runs) == len(splits):
            return "/".join(_span(r[part] for r in runs) for part in ("train", "test")) + " runs"
        return f"{_span(len(s['training_lives_s']) for s in splits)} training runs"
    counts = {
        fault: "/".join(
            _span(s["units_per_class"].get(fault, {}).get(part, 0) for s in splits)
            for part in ("train", "test")
        )
        for fault in dict.fromkeys(f for s in splits for f in s["units_per_class"])
    }
    if len(set(counts.values())) == 1:
        return f"{next(iter(counts.values()))} units a class"
    return ", ".join(f"{fault} {count}" for fault, count in counts.items())


def _span(values: Iterable[int]) -> str:
    found = sorted(set(values))
    return str(found[0]) if len(found) == 1 else f"{found[0]}–{found[-1]}"


# ------------------------------------------------------------------------------- rows


def rows_of(plan: TablePlan, results: Results, task: str) -> list[DataRow]:
    """Networks, then trivial rows, then references; a task set without `task` gives no row."""
    sets = [name for name, entry in plan.task_sets.items() if task in entry.tasks]
    used = {(cell.model, cell.task_set) for cell in plan.cells}
    several = len(plan.task_sets) > 1
    rows = []
    for model, entry in plan.models.items():
        for name in sets:
            if entry.kind == "network" and (model, name) in used:
                age = task == "rul_prediction" and plan.task_sets[name].age
                label = entry.label + " +age" * age + f" ({name})" * several
                rows.append(DataRow(label, "model", model, (name,), MODEL_ROW))
    for model, entry in plan.models.items():
        own = tuple(name for name in sets if (model, name) in used)
        if entry.kind == "classic" and own:
            rows += _classic_rows(results.frame, task, model, entry, own)
    order = {"model": 0, "trivial": 1, "reference": 2}
    return sorted(rows, key=lambda row: order[row.group])


def _classic_rows(
    frame: pd.DataFrame, task: str, model: str, entry: ModelEntry, task_sets: tuple[str, ...]
) -> list[DataRow]:
    module = SCORES[task]
    own = frame[(frame["model"] == model) & frame["task_set"].isin(task_sets)]
    known = [*module.TRIVIAL, *module.REFERENCE] if entry.method == "trivial" else [MODEL_ROW]
    if entry.method != "trivial" and len(own) and task not in set(own["task"]):
        return []  # it does other tasks alone
    own = own[own["task"] == task]
    present = set(own["row"]) or set(known)
    names = [r for r in known if r in present] + sorted(present - set(known))
    rows = []
    for name in names:
        group = "trivial" if name in module.TRIVIAL else "reference"
        first = name.split(" ")[0] == MODEL_ROW  # "model", or "model" and what it knows more
        label = entry.label + name.removeprefix(MODEL_ROW) if first else name
        if len(task_sets) == 1 or _alike(own[own["row"] == name]):
            rows.append(DataRow(label, group, model, task_sets, name))
        else:
            rows += [DataRow(f"{label} ({s})", group, model, (s,), name) for s in task_sets]
    return rows


def _alike(scores: pd.DataFrame) -> bool:
    """Is no score of a classic row changed by the task set?"""
    values = scores.groupby(["dataset", "fold", "seed", "metric"], dropna=False)["value"]
    return bool((values.nunique(dropna=False) <= 1).all())
