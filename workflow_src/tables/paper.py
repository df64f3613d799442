"""The paper's tables: a task and an origin each, a row a model, a column a dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from workflow_src.cells import Cell
from workflow_src.files import write_text
from workflow_src.tables.cost import cost_table, rules_table
from workflow_src.tables.entries import Score
from workflow_src.tables.grid import Grid, grid_of
from workflow_src.tables.layout import stand_in_of
from workflow_src.tables.notes import notes_of
from workflow_src.tables.plan import (
    FORMATS,
    PlanSource,
    TablePlan,
    table_files,
    table_folder,
    table_name,
)
from workflow_src.tables.render import DASH, RENDER, Column, Entry, Row, Table
from workflow_src.tables.results import Record, Results, read_results
from workflow_src.tables.statistics import Summary
from workflow_src.tasks.scores import Metric

TITLES = {
    "classification": "Classification",
    "anomaly_detection": "Fault detection (supervised)",
    "signal_prediction": "Signal prediction",
    "rul_prediction": "Remaining useful life",
}


def write_tables(
    plan: PlanSource, partial: bool = False, identity_of: Callable[[Cell], str] | None = None
) -> list[Path]:
    """Write every table as CSV, Markdown and LaTeX; returns the files, those of `table_files`.

    Raises BadData where a cell has no scores, or not of the settings that `identity_of` gives,
    unless `partial`.
    """
    read = TablePlan.from_json(plan)
    results = read_results(read.cells, read.study, partial=partial, identity_of=identity_of)
    tables = [*main_tables(read, results), cost_table(read, results), rules_table(read)]
    folder = table_folder(read.study, partial)
    for table in tables:
        for ending in FORMATS:
            write_text(folder / f"{table.name}.{ending}", RENDER[ending](table))
    return table_files(read, partial)


def main_tables(plan: TablePlan, results: Results) -> list[Table]:
    """Every table of the study's tasks: real rigs, then simulated ones, never both in one."""
    return [
        paper_table(plan, results, task, origin)
        for task in plan.tasks()
        for origin in plan.origins()
    ]


def paper_table(plan: TablePlan, results: Results, task: str, origin: str) -> Table:
    """The table of `task` on the rigs of `origin` (real or simulated)."""
    grid = grid_of(plan, results, task, origin)
    letters: dict[str, str] = {}
    rows = [_row(grid, i, letters) for i in range(len(grid.rows))]
    models = [r for r, data in zip(rows, grid.rows, strict=True) if data.group == "model"]
    trivial = [r for r, data in zip(rows, grid.rows, strict=True) if data.group == "trivial"]
    reference = [r for r, data in zip(rows, grid.rows, strict=True) if data.group == "reference"]
    subs = tuple(metric.label for metric in grid.metrics) if len(grid.metrics) > 1 else ("",)
    suffix = " (simulated rigs)" if origin == "simulated" else ""
    return Table(
        name=table_name(task, origin),
        title=f"{TITLES[task]}, {grid.metrics[0].label}{suffix}",
        columns=tuple(Column(c.label, c.facts, subs) for c in grid.columns),
        blocks=(tuple(models), tuple(trivial), tuple(reference)),
        notes=tuple(notes_of(plan, results, grid)),
        lettered=tuple((letter, text) for text, letter in letters.items()),
        data=_data(grid),
    )


def _row(grid: Grid, i: int, letters: dict[str, str]) -> Row:
    entries = []
    for j in range(len(grid.columns)):
        for k, metric in enumerate(grid.metrics):
            score = grid.scores[i][j][k]
            letter = ""
            if score.note:
                letter = letters.setdefault(score.note, _letter(len(letters)))
            mark = grid.rankings[j].marks[i] if k == 0 else ""
            classic = grid.rows[i].group != "model"
            text = _text(score.summary, metric.digits, classic)
            if score.stand_in is not None and (other := stand_in_of(grid.task)):
                text = f"{other[1]} {_text(score.stand_in, other[0].digits, classic)}"
            entries.append(Entry(text, mark, letter))
    return Row(grid.rows[i].label, tuple(entries))


def _letter(i: int) -> str:
    """a to z, then aa, ab, ..."""
    first = _letter(i // 26 - 1) if i >= 26 else ""
    return first + chr(ord("a") + i % 26)


def _text(summary: Summary | None, digits: int, classic: bool) -> str:
    """`0.912 ± 0.013 [0.850, 0.960]`: mean, spread over seeds, range over rotations."""
    if summary is None:
        return DASH
    text = number(summary.mean, digits)
    # What no seed enters has no spread that is worth a place.
    if summary.sd is not None and not (classic and summary.sd == 0):
        text += f" ± {number(summary.sd, digits)}"
    if summary.low is not None and summary.high is not None:
        text += f" [{number(summary.low, digits)}, {number(summary.high, digits)}]"
    return text


def number(value: float, digits: int) -> str:
    """`value` with `digits` after the point, without a negative zero."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def _data(grid: Grid) -> pd.DataFrame:
    """Wide and unrounded: `row`, `group`, then for each column its mean under the bare label, and
    `sd`, `n`, `min`, `max` (over rotations), `mark`, `note`; a companion metric has `mean` and
    `sd` under its own name, as has the metric that stands in for an undefined main one, with `n`;
    `split` repeats the lines beneath the heading.
    """
    records = [_record(grid, i) for i in range(len(grid.rows))]
    return pd.DataFrame(records, columns=list(records[0]) if records else ["row", "group"])


def _record(grid: Grid, i: int) -> Record:
    record: Record = {"row": grid.rows[i].label, "group": grid.rows[i].group}
    for j, column in enumerate(grid.columns):
        main = grid.scores[i][j][0]
        record |= {
            column.label: main.summary.mean if main.summary else None,
            f"{column.label} sd": main.summary.sd if main.summary else None,
            f"{column.label} n": main.summary.n if main.summary else 0,
            f"{column.label} min": main.summary.low if main.summary else None,
            f"{column.label} max": main.summary.high if main.summary else None,
        }
        for metric, score in _companions(grid, i, j):
            record[f"{column.label} {metric.label}"] = score.summary.mean if score.summary else None
            record[f"{column.label} {metric.label} sd"] = (
                score.summary.sd if score.summary else None
            )
        record |= _stand_in(grid, i, j)
        record[f"{column.label} mark"] = grid.rankings[j].marks[i]
        told = dict.fromkeys(score.note for score in grid.scores[i][j] if score.note)
        record[f"{column.label} note"] = "; ".join(told)
        record[f"{column.label} split"] = "; ".join(column.facts)
    return record


def _stand_in(grid: Grid, i: int, j: int) -> Record:
    """The stand-in's values, in every row of a column where some row has one."""
    found = stand_in_of(grid.task)
    if found is None or all(by_column[j][0].stand_in is None for by_column in grid.scores):
        return {}
    summary, name = grid.scores[i][j][0].stand_in, f"{grid.columns[j].label} {found[0].label}"
    return {
        name: summary.mean if summary else None,
        f"{name} sd": summary.sd if summary else None,
        f"{name} n": summary.n if summary else 0,
    }


def _companions(grid: Grid, i: int, j: int) -> Sequence[tuple[Metric, Score]]:
    return list(zip(grid.metrics, grid.scores[i][j], strict=True))[1:]
