"""The paper's tables: one row per model, one column per dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from workflow_src.cells import Cell
from workflow_src.files import write_text
from workflow_src.tables.asked import AskedTable
from workflow_src.tables.average_columns import average_records, with_averages
from workflow_src.tables.averages import averages
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
)
from workflow_src.tables.results import Record, Results, read_results
from workflow_src.tables.statistics import Summary
from workflow_src.tables.table import Column, Entry, Paper, Row, Table, letter, number
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
    """Write every table in every format, and return the files (see `table_files`).

    Unless `partial`, raises BadData for a cell without scores, or with scores of other settings
    than `identity_of` gives.
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
    """The files of tables that the study writes, without statistics and cost."""
    return [task_tables(plan, results, table) for table in plan.tables()]


def task_tables(plan: TablePlan, results: Results, table: AskedTable) -> Paper:
    """The tables of one file: one task, on real or on simulated rigs."""
    grid = grid_of(plan, results, table)
    title = table.caption or f"{task_of(table.task).title}, {_metrics_in_words(grid)}"
    title += " (simulated rigs)" if plan.is_simulated(table) else ""
    sections = grid.sections()
    tables = [
        _table(title + f": {section}" * (section != ""), part, plan, results, is_first=i == 0)
        for i, (section, part) in enumerate(sections)
    ]
    records = list(_records(grid))
    if sections[0][0] == "":  # protocols and sanity columns are not averaged
        claimed = sections[0][1]
        found = list(averages(claimed))
        tables[0] = with_averages(tables[0], claimed, found, plan)
        records += average_records(claimed, found)
    return Paper(
        name=table.name,
        label=table.tex_label,
        tables=tuple(tables),
        data=pd.DataFrame(records, columns=list(DATA_COLUMNS)),
    )


def _metrics_in_words(grid: Grid) -> str:
    shown = grid.ranked or range(len(grid.metrics))
    return ", ".join(grid.metrics[k].label for k in shown)


def _table(title: str, grid: Grid, plan: TablePlan, results: Results, *, is_first: bool) -> Table:
    letters: dict[str, str] = {}
    rows = [_row(grid, i, letters) for i in range(len(grid.rows))]
    blocks = tuple(
        tuple(row for row, data in zip(rows, grid.rows, strict=True) if data.group == group)
        for group in ("model", "trivial", "reference")
    )
    return Table(
        title=title,
        columns=tuple(_column(grid, j) for j in range(len(grid.columns))),
        blocks=blocks,
        notes=tuple(notes_of(plan, results, grid, is_first=is_first)),
        lettered=tuple((letter, text) for text, letter in letters.items()),
    )


def _column(grid: Grid, j: int) -> Column:
    several = len(grid.metrics) > 1
    subs = tuple(grid.metrics[k].label if several else "" for k in grid.shown[j])
    return Column(grid.columns[j].label, grid.columns[j].beneath, subs)


def _row(grid: Grid, i: int, letters: dict[str, str]) -> Row:
    entries = []
    for j in range(len(grid.columns)):
        for k in grid.shown[j]:
            note = grid.scores[i][j][k].note
            key = letters.setdefault(note, letter(len(letters))) if note else ""
            entries.append(_entry(grid, i, j, k, key))
    return Row(grid.rows[i].label, tuple(entries))


def _entry(grid: Grid, i: int, j: int, k: int, key: str) -> Entry:
    score, metric = grid.scores[i][j][k], grid.metrics[k]
    if k not in grid.ranked:  # one that only stands beside another
        text = number(score.summary.mean, metric.digits) if score.summary else score.lack
        return Entry(text, letter=key)
    classic = grid.rows[i].group != "model"
    text = _text(score.summary, metric.digits, classic) if score.summary else score.lack
    shown = score.summary
    if score.stand_in is not None and (other := stand_in_of(grid.task)):
        shown, short = score.stand_in, other[1]
        text = f"{short} {_text(shown, other[0].digits, classic)}"
    return Entry(text, grid.rankings[j][k].marks[i], key, _span(shown, metric.digits))


def _text(summary: Summary, digits: int, classic: bool) -> str:
    """`0.912 ± 0.013`: mean and spread over seeds."""
    text = number(summary.mean, digits)
    # What no seed enters has no spread that is worth a place.
    if summary.sd is not None and not (classic and summary.sd == 0):
        text += f" ± {number(summary.sd, digits)}"
    return text


def _span(summary: Summary | None, digits: int) -> str:
    """`[0.850, 0.960]`: the lowest and highest mean of a rotation; "" without rotations."""
    if summary is None or summary.low is None or summary.high is None:
        return ""
    return f"[{number(summary.low, digits)}, {number(summary.high, digits)}]"


def _records(grid: Grid) -> Iterator[Record]:
    """Unrounded, one row per place: ``row``, ``group``, ``label`` and ``datasets`` of the column,
    its ``strength`` and ``counted`` units in train/test, ``metric``, then ``mean``, ``sd``, ``n``
    (seeds), ``min`` and ``max`` (over rotations), ``mark`` and ``note``.
    """
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
                mark = grid.rankings[j][k].marks[i]
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
