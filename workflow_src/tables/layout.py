"""The rows and columns of a paper's table, before any number is filled in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from workflow_src.artifacts.split_summary import ByPart, SplitSummary
from workflow_src.cells import rotation_of
from workflow_src.predictions import MODEL_ROW
from workflow_src.tables.plan import ModelEntry, TablePlan
from workflow_src.tables.protocols import (
    heading,
    label_with_units,
    protocol_of,
    strength_in_words,
)
from workflow_src.tables.results import Results
from workflow_src.tasks.registry import label_of, task_of
from workflow_src.tasks.scores import Metric

_UNKNOWN = "strength not proven yet"
_NONE = ByPart(0, 0, 0)


@dataclass(frozen=True)
class DataColumn:
    """One dataset with all its rotations.

    Attributes:
        label: its name in a paper.
        datasets: the rotations, one or more.
        strength: of the split.
        beneath: the strength in words, with the number of shots.
        counted: units of each class, or runs to failure, in train/test; "" if not known.
        seeds: their number in the study.
        protocol: its name, beyond train and test; "" for none.
    """

    label: str
    datasets: tuple[str, ...]
    strength: str
    beneath: str
    counted: str
    seeds: int
    protocol: str


@dataclass(frozen=True)
class DataRow:
    """One model (row ``model``) or one row of a classic model.

    ``group`` is model, trivial or reference. A classic row that is the same in all task sets has
    several ``task_sets``; its score comes from the first one that has it.
    """

    label: str
    group: str
    model: str
    task_sets: tuple[str, ...]
    row: str


def metrics_of(task: str, asked: Sequence[str] = ()) -> tuple[Metric, ...]:
    """The metrics of a table: those `asked` for, else the main metric and its companions.

    Companions say nothing alone: if one is asked for, the others follow it.
    """
    spec = task_of(task)
    names = list(asked or (spec.main, *spec.companions))
    named = [i for i, name in enumerate(names) if name in spec.companions]
    if named:
        behind = named[0] + 1
        names[behind:behind] = [name for name in spec.companions if name not in names]
    return tuple(map(spec.metric, names))


def stand_in_of(task: str) -> tuple[Metric, str] | None:
    """The metric shown if the main one is undefined, and its short name in an entry."""
    spec = task_of(task)
    return None if spec.stand_in is None else (spec.metric(spec.stand_in[0]), spec.stand_in[1])


# ------------------------------------------------------------------------------- columns


def columns_of(plan: TablePlan, results: Results, task: str) -> list[DataColumn]:
    """One column per dataset.

    Rotations of different strength are never averaged: each has its own column. Rotations that
    hold out a rig have one column per rig, because another rig is another problem. Draws of shots
    from one held-out rig are averaged. So are draws of one number of training units.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for name, entry in plan.datasets.items():
        groups.setdefault((rotation_of(name)[0], entry.train_units), []).append(name)
    labels = Counter(label_with_units(plan.datasets[names[0]]) for names in groups.values())
    columns = []
    for (base, _), names in groups.items():
        label = label_with_units(plan.datasets[names[0]])
        label = f"{label} ({base})" if labels[label] > 1 else label
        known = {results.splits[name].strength for name in names if name in results.splits}
        if len(known) > 1:
            columns += [
                _column(plan, results, task, label + _part_of(name, results), [name])
                for name in names
            ]
        else:
            columns += [
                _column(plan, results, task, label + tested_on, alike)
                for tested_on, alike in _by_rig(names, results).items()
            ]
    return columns


def _by_rig(names: list[str], results: Results) -> dict[str, list[str]]:
    """Rotations by the rigs that they test on, in words; one group if no rig is held out.

    Shots of a rig in training lower the strength, so the strength alone cannot tell.
    """
    found: dict[str, list[str]] = {}
    for name in names:
        split = results.splits.get(name)
        tested_on = _held_out(split)
        if not tested_on and split is not None and split.declared == "rig" and split.test_rigs:
            tested_on = f", test on {' and '.join(split.test_rigs)}"
        found.setdefault(tested_on, []).append(name)
    return found if len(found) > 1 or _held_out(results.splits.get(names[0])) else {"": names}


def _held_out(split: SplitSummary | None) -> str:
    if split is None or split.strength != "rig" or split.test_rigs is None:
        return ""
    return f", {' and '.join(split.test_rigs)} held out"


def _part_of(dataset: str, results: Results) -> str:
    """A rotation in words: the rigs that it holds out, else its number."""
    return _held_out(results.splits.get(dataset)) or f", fold {rotation_of(dataset)[1]}"


def _column(
    plan: TablePlan, results: Results, task: str, label: str, names: list[str]
) -> DataColumn:
    splits = [results.splits[name] for name in names if name in results.splits]
    strength = splits[0].strength if splits else _UNKNOWN
    return DataColumn(
        label=heading(label, splits),
        datasets=tuple(names),
        strength=strength,
        beneath=strength_in_words(strength, splits),
        counted=_units(splits, task),
        seeds=len({cell.seed for cell in plan.cells if cell.dataset in names}),
        protocol=protocol_of([plan.datasets[name] for name in names], splits),
    )


def _units(splits: list[SplitSummary], task: str) -> str:
    """Units per class in train/test; for RUL, runs to failure in train/test."""
    if not splits:
        return ""
    if label_of(task) == "rul":
        runs = [s.runs_to_failure for s in splits if s.runs_to_failure is not None]
        if len(runs) == len(splits):
            return _in_train_and_test(runs)
        return f"{_span(len(s.training_lives_s) for s in splits)} in training"
    counts = {
        fault: _in_train_and_test([s.units_per_class.get(fault, _NONE) for s in splits])
        for fault in dict.fromkeys(f for s in splits for f in s.units_per_class)
    }
    if len(set(counts.values())) == 1:
        return f"{next(iter(counts.values()))} per class"
    return ", ".join(f"{fault} {count}" for fault, count in counts.items())


def _in_train_and_test(counts: list[ByPart[int]]) -> str:
    return f"{_span(c.train for c in counts)}/{_span(c.test for c in counts)}"


def _span(values: Iterable[int]) -> str:
    found = sorted(set(values))
    return str(found[0]) if len(found) == 1 else f"{found[0]}–{found[-1]}"


# ------------------------------------------------------------------------------- rows


def rows_of(plan: TablePlan, results: Results, task: str) -> list[DataRow]:
    """Networks, then trivial rows, then references, from the task sets with `task`."""
    sets = [name for name, entry in plan.task_sets.items() if task in entry.tasks]
    used = {(cell.model, cell.task_set) for cell in plan.cells}
    several = len(plan.task_sets) > 1
    rows = []
    for model, entry in plan.models.items():
        for name in sets:
            if entry.kind == "network" and (model, name) in used:
                age = label_of(task) == "rul" and plan.task_sets[name].age
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
    spec = task_of(task)
    own = frame[(frame["model"] == model) & frame["task_set"].isin(task_sets)]
    known = [*spec.trivial, *spec.reference] if entry.method == "trivial" else [MODEL_ROW]
    if entry.method != "trivial" and len(own) and task not in set(own["task"]):
        return []  # it does other tasks alone
    own = own[own["task"] == task]
    present = set(own["row"]) or set(known)
    names = [r for r in known if r in present] + sorted(present - set(known))
    rows = []
    for name in names:
        group = "trivial" if name in spec.trivial else "reference"
        first = name.split(" ")[0] == MODEL_ROW  # "model", or "model" and what it knows more
        label = entry.label + name.removeprefix(MODEL_ROW) if first else name
        if len(task_sets) == 1 or _alike(own[own["row"] == name]):
            rows.append(DataRow(label, group, model, task_sets, name))
        else:
            rows += [DataRow(f"{label} ({s})", group, model, (s,), name) for s in task_sets]
    return rows


def _alike(scores: pd.DataFrame) -> bool:
    """Whether all task sets give a classic row the same scores."""
    values = scores.groupby(["dataset", "fold", "seed", "metric"], dropna=False)["value"]
    return bool((values.nunique(dropna=False) <= 1).all())
