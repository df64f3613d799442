"""The cost of the study: of training each network, and of each rule as Snakemake measured it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from workflow_src.artifacts.training_report import TrainingReport
from workflow_src.cells import DATA, Cell, rotation_of
from workflow_src.errors import BadData
from workflow_src.tables.asked import tex_label
from workflow_src.tables.plan import TablePlan
from workflow_src.tables.results import Record, Results
from workflow_src.tables.table import DASH, Column, Entry, Paper, Row, Table

# Heading, key of training.json, how cells are combined, digits after the point.
_FIGURES = (
    ("parameters", "parameters", "max", 0),
    ("epochs", "epochs", "mean", 1),
    ("steps", "steps", "mean", 0),
    ("s/epoch", "seconds_per_epoch", "mean", 2),
    ("total s", "seconds", "sum", 1),
    ("peak MB", "peak_rss_mb", "max", 0),
    ("attempts", "attempts", "sum", 0),
    ("micro-batch", "micro_batch_size", "min", 0),
)
_Group = tuple[tuple[str, str, str], list[Cell]]  # model, task set and dataset, with the cells
_RULE_FIGURES = (("jobs", 0), ("total s", 1), ("peak MB", 0))


def cost_table(plan: TablePlan, results: Results) -> Paper:
    """One row per network, task set and dataset, over its seeds and rotations."""
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in plan.cells:
        if plan.models[cell.model].kind == "network":
            key = (cell.model, cell.task_set, rotation_of(cell.dataset)[0])
            groups.setdefault(key, []).append(cell)
    blocks: dict[str, list[Row]] = {}
    records: list[Record] = []
    lacking = False
    for (model, task_set, base), cells in sorted(groups.items(), key=_order(plan)):
        trained = [results.training[cell] for cell in cells if cell in results.training]
        lacking |= len(trained) < len(cells)
        dataset = plan.datasets[cells[0].dataset]
        label = f"{plan.models[model].label}, {dataset.label}"
        label += f" ({task_set})" if len(plan.task_sets) > 1 else ""
        figures = [_combined(trained, key, how) for _, key, how, _ in _FIGURES]
        hardware = ", ".join(sorted({t.accelerator or "unknown" for t in trained}))
        counted = f"{len(trained)}/{len(cells)}"
        texts = [_text(v, f[3]) for v, f in zip(figures, _FIGURES, strict=True)]
        entries = tuple(Entry(text) for text in (counted, *texts, hardware or DASH))
        blocks.setdefault(model, []).append(Row(label, entries))
        head: Record = {
            "model": plan.models[model].label,
            "task_set": task_set,
            "dataset": base,
        }
        head |= {"origin": dataset.origin, "cells": len(cells), "trained": len(trained)}
        values = dict(zip([f[1] for f in _FIGURES], figures, strict=True))
        records.append({**head, **values, "hardware": hardware})
    notes = [
        "Over seeds and rotations: sum of seconds and attempts; mean of epochs, steps and s/epoch; "
        "largest parameters and peak (resident memory of the training process); smallest "
        "micro-batch.",
        "Classic models are not trained; their time is in cost_rules.",
    ]
    if lacking:
        notes.append("Cells without a finished training are left out: see trained/cells.")
    columns = ["cells", *[f[0] for f in _FIGURES], "device"]
    table = Table(
        title="Cost of training",
        columns=tuple(Column("trained/cells" if c == "cells" else c) for c in columns),
        blocks=tuple(map(tuple, blocks.values())),
        notes=tuple(notes),
    )
    return Paper("cost", tex_label("cost"), (table,), pd.DataFrame(records))


def _order(plan: TablePlan) -> Callable[[_Group], tuple[int, int, int]]:
    """Sort by the order of models, then task sets, then datasets in the plan."""
    models, sets = list(plan.models), list(plan.task_sets)
    bases = [rotation_of(name)[0] for name in plan.datasets]

    def key(item: _Group) -> tuple[int, int, int]:
        model, task_set, base = item[0]
        return models.index(model), sets.index(task_set), bases.index(base)

    return key


def _combined(trained: Sequence[TrainingReport], key: str, how: str) -> float | None:
    values = [float(v) for report in trained if (v := getattr(report, key)) is not None]
    if not values:
        return None
    mean = sum(values) / len(values)
    return {"max": max(values), "min": min(values), "sum": sum(values), "mean": mean}[how]


def _text(value: float | None, digits: int) -> str:
    return DASH if value is None else f"{value:,.{digits}f}"


# ------------------------------------------------------------------------------- rules


def rules_table(plan: TablePlan) -> Paper:
    """One row per rule: jobs, wall time and peak resident memory from Snakemake's benchmarks."""
    records: list[Record] = []
    rows = []
    for rule, paths in sorted(_benchmarks(plan).items()):
        measured = [_benchmark(path) for path in paths]
        peaks = [peak for _, peak in measured if peak is not None]
        seconds, peak = round(sum(seconds for seconds, _ in measured), 4), max(peaks, default=None)
        records.append(
            {"rule": rule, "jobs": len(measured), "seconds": seconds, "peak_rss_mb": peak}
        )
        figures = (len(measured), seconds, peak)
        texts = [_text(v, d) for v, (_, d) in zip(figures, _RULE_FIGURES, strict=True)]
        rows.append(Row(rule, tuple(Entry(text) for text in texts)))
    table = Table(
        title="Cost of each rule",
        columns=tuple(Column(heading) for heading, _ in _RULE_FIGURES),
        blocks=(tuple(rows),),
        notes=(
            "Snakemake's benchmarks of each job's last run: sum of wall time, largest resident "
            "memory. A job too short to be sampled has no memory.",
        ),
    )
    data = pd.DataFrame(records, columns=["rule", "jobs", "seconds", "peak_rss_mb"])
    return Paper("cost_rules", tex_label("cost_rules"), (table,), data)


def _benchmarks(plan: TablePlan) -> dict[str, list[Path]]:
    """Files by rule: of the plan's cells, of the whole study, of the plan's rigs and datasets.

    They are `<study>/benchmarks/<rule>/<cell>.tsv`, `<study>/benchmarks/<rule>.tsv` and
    `data/benchmarks/<name>.<rule>.tsv`. Files of cells that left the study are ignored.
    """
    study = Path(plan.study, "benchmarks")
    found = {path.stem: [path] for path in study.glob("*.tsv")}
    for folder in study.glob("*/"):
        files = [Path(f"{folder / cell.folder}.tsv") for cell in sorted(plan.cells)]
        there = [path for path in files if path.exists()]
        found |= {folder.name: there} if there else {}
    entries = plan.datasets.values()
    rigs = sorted({rig for entry in entries for rig in (entry.rig, *entry.parts)})
    datasets = sorted(plan.datasets)
    for rule, names in (("recordings", rigs), ("split", datasets), ("features", datasets)):
        there = [path for n in names if (path := DATA / "benchmarks" / f"{n}.{rule}.tsv").exists()]
        found |= {rule: there} if there else {}
    return found


def _benchmark(path: Path) -> tuple[float, float | None]:
    """Seconds and peak MB of one file; no peak if the job was too short to be sampled."""
    try:
        table = pd.read_csv(path, sep="\t", usecols=["s", "max_rss"])
        seconds = float(table["s"].sum())
    except (ValueError, TypeError) as error:
        raise BadData(
            "A benchmark cannot be read.",
            where=str(path),
            found=str(error),
            expected="Snakemake's columns s and max_rss",
            remedy=f"rm {path}",
        ) from error
    peak = pd.to_numeric(table["max_rss"], errors="coerce").max()
    return seconds, None if pd.isna(peak) else float(peak)
