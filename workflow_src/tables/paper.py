"""The paper's tables: a file per task and origin, a row per model, a column per dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from workflow_src.cells import Cell
from workflow_src.files import write_text
from workflow_src.tables.cost import cost_table, rules_table
from workflow_src.tables.grid import Grid, grid_of
from workflow_src.tables.html import to_html
from workflow_src.tables.latex import to_latex
from workflow_src.tables.layout import stand_in_of
from workflow_src.tables.markdown import to_markdown
from workflow_src.tables.notes import notes_of
from workflow_src.tables.plan import (
    FORMATS,
    PlanSource,
    TablePlan,
    table_files,
    table_folder,
    table_name,
)
from workflow_src.tables.results import Record, Results, read_results
from workflow_src.tables.statistics import Summary
from workflow_src.tables.table import Column, Entry, Paper, Row, Table, number
from workflow_src.tables.uncertainty import statistics_paper
from workflow_src.tasks.registry import task_of
from workflow_src.tasks.scores import Metric

DATA_COLUMNS = (
    "row", "group", "label", "datasets", "strength", "counted",
    "metric", "mean", "sd", "n", "min", "max", "mark", "note",
)  # fmt: skip
RENDER: dict[str, Callable[[Paper], str]] = {
    "csv": lambda paper: paper.data.to_csv(index=False, lineterminator="\n"),
    "md": to_markdown,
    "html": to_html,
    "tex": to_latex,
}


def write_tables(
    plan: PlanSource, partial: bool = False, identity_of: Callable[[Cell], str] | None = None
) -> list[Path]:
    """Write every table in every format; returns the files, those of `table_files`.

    Raises BadData where a cell has no scores, or not of the settings that `identity_of` gives,
    unless `partial`.
    """
    read = TablePlan.from_json(plan)
    results = read_results(read.cells, read.study, partial=partial, identity_of=identity_of)
    folder = table_folder(read.study, partial)
    statistics = [statistics_paper(read, results, origin) for origin in read.origins()]
    costs = [cost_table(read, results), rules_table(read)]
    for paper in [*main_tables(read, results), *statistics, *costs]:
        for ending in FORMATS:
            write_text(folder / f"{paper.name}.{ending}", RENDER[ending](paper))
    return table_files(read, partial)


def main_tables(plan: TablePlan, results: Results) -> list[Paper]:
    """The tables of each task: of real rigs, then of simulated ones, never both in one file."""
    return [
        task_tables(plan, results, task, origin)
        for task in plan.tasks()
        for origin in plan.origins()
    ]


def task_tables(plan: TablePlan, results: Results, task: str, origin: str) -> Paper:
    """The tables of `task` on the rigs of `origin` (real or simulated)."""
    grid = grid_of(plan, results, task, origin)
    title = f"{task_of(task).title}, {grid.metrics[0].label}"
    title += " (simulated rigs)" if origin == "simulated" else ""
    return Paper(
        name=table_name(task, origin),
        tables=tuple(
            _table(title + f": {section}" * (section != ""), part, plan, results, is_first=i == 0)
            for i, (section, part) in enumerate(grid.sections())
        ),
        data=_data(grid),
    )


def _table(title: str, grid: Grid, plan: TablePlan, results: Results, *, is_first: bool) -> Table:
    letters: dict[str, str] = {}
    rows = [_row(grid, i, letters) for i in range(len(grid.rows))]
    blocks = tuple(
        tuple(row for row, data in zip(rows, grid.rows, strict=True) if data.group == group)
        for group in ("model", "trivial", "reference")
    )
    subs = tuple(metric.label for metric in grid.metrics) if len(grid.metrics) > 1 else ("",)
    return Table(
        title=title,
        columns=tuple(Column(column.label, column.beneath, subs) for column in grid.columns),
        blocks=blocks,
        notes=tuple(notes_of(plan, results, grid, is_first=is_first)),
        lettered=tuple((letter, text) for text, letter in letters.items()),
    )


def _row(grid: Grid, i: int, letters: dict[str, str]) -> Row:
    entries = []
    for j in range(len(grid.columns)):
        for k, metric in enumerate(grid.metrics):
            score = grid.scores[i][j][k]
            letter = ""
            if score.note:
                letter = letters.setdefault(score.note, _letter(len(letters)))
            if k > 0:  # one that only stands beside the main metric
                text = number(score.summary.mean, metric.digits) if score.summary else score.lack
                entries.append(Entry(text, letter=letter))
                continue
            classic = grid.rows[i].group != "model"
            text = _text(score.summary, metric.digits, classic) if score.summary else score.lack
            shown = score.summary
            if score.stand_in is not None and (other := stand_in_of(grid.task)):
                shown, short = score.stand_in, other[1]
                text = f"{short} {_text(shown, other[0].digits, classic)}"
            mark = grid.rankings[j].marks[i]
            entries.append(Entry(text, mark, letter, _span(shown, metric.digits)))
    return Row(grid.rows[i].label, tuple(entries))


def _letter(i: int) -> str:
    """a to z, then aa, ab, ..."""
    first = _letter(i // 26 - 1) if i >= 26 else ""
    return first + chr(ord("a") + i % 26)


def _text(summary: Summary, digits: int, classic: bool) -> str:
    """`0.912 ± 0.013`: mean and spread over seeds."""
    text = number(summary.mean, digits)
    # What no seed enters has no spread that is worth a place.
    if summary.sd is not None and not (classic and summary.sd == 0):
        text += f" ± {number(summary.sd, digits)}"
    return text


def _span(summary: Summary | None, digits: int) -> str:
    """`[0.850, 0.960]`: the least and greatest mean of a rotation; "" for a single one."""
    if summary is None or summary.low is None or summary.high is None:
        return ""
    return f"[{number(summary.low, digits)}, {number(summary.high, digits)}]"


def _data(grid: Grid) -> pd.DataFrame:
    """Unrounded, a row a place: ``row``, ``group``, ``label`` and ``datasets`` of the column,
    its ``strength`` and ``counted`` units in train/test, ``metric``, then ``mean``, ``sd``, ``n``
    (seeds), ``min`` and ``max`` (over rotations), ``mark`` and ``note``.
    """
    return pd.DataFrame(list(_records(grid)), columns=list(DATA_COLUMNS))


def _records(grid: Grid) -> Iterator[Record]:
    for i, row in enumerate(grid.rows):
        for j, column in enumerate(grid.columns):
            head = {
                "row": row.label,
                "group": row.group,
                "label": column.label,
                "datasets": " ".join(column.datasets),
                "strength": column.strength,
                "counted": column.counted,
            }
            for k, metric in enumerate(grid.metrics):
                score = grid.scores[i][j][k]
                mark = grid.rankings[j].marks[i] if k == 0 else ""
                yield {**head, "mark": mark, "note": score.note, **_figures(metric, score.summary)}
                if score.stand_in is not None and (other := stand_in_of(grid.task)):
                    yield {**head, "mark": "", "note": "", **_figures(other[0], score.stand_in)}


def _figures(metric: Metric, summary: Summary | None) -> Record:
    return {
        "metric": metric.name,
        "mean": summary.mean if summary else None,
        "sd": summary.sd if summary else None,
        "n": summary.n if summary else 0,
        "min": summary.low if summary else None,
        "max": summary.high if summary else None,
    }
