"""Averages and mean ranks as the last columns of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from workflow_src.tables.averages import Average
from workflow_src.tables.grid import Grid
from workflow_src.tables.plan import TablePlan
from workflow_src.tables.results import Record
from workflow_src.tables.statistics import rank
from workflow_src.tables.table import DASH, Column, Entry, Row, Table, letter, number

_RANK, _RANK_DIGITS = "mean_rank", 2


def with_averages(table: Table, grid: Grid, found: Sequence[Average], plan: TablePlan) -> Table:
    """Add two places per average to each row of `table`, which shows `grid`."""
    letters = {text: key for key, text in table.lettered}
    behind: list[list[Entry]] = [[] for _ in grid.rows]
    for average in found:
        columns = f"the {len(average.columns)} columns"
        why = f"not averaged: in {columns} a score is missing or has a note"
        for entries, texts, marks in zip(
            behind, _texts(grid, average), _marks(grid, average), strict=True
        ):
            key = "" if texts else letters.setdefault(why, letter(len(letters)))
            entries += [
                Entry(text, mark, key)
                for text, mark in zip(texts or (DASH, DASH), marks, strict=True)
            ]
    rows = iter(behind)  # blocks hold the rows in the order of the grid
    return replace(
        table,
        columns=(*table.columns, *(_column(grid, average) for average in found)),
        blocks=tuple(
            tuple(Row(row.label, (*row.entries, *next(rows))) for row in block)
            for block in table.blocks
        ),
        notes=(*table.notes[:1], *_notes(grid, found, plan), *table.notes[1:]),
        lettered=tuple((key, text) for text, key in letters.items()),
    )


def average_records(grid: Grid, found: Sequence[Average]) -> Iterator[Record]:
    """The same for the CSV: one row for the metric and one for its mean rank."""
    for average in found:
        columns = [grid.columns[j] for j in average.columns]
        marks = _marks(grid, average)
        for i, row in enumerate(grid.rows):
            for k, (metric, value) in enumerate(
                (
                    (grid.metrics[grid.ranked[0]].name, average.means[i]),
                    (_RANK, average.ranks[i]),
                )
            ):
                yield {
                    "row": row.label,
                    "group": row.group,
                    "label": _column(grid, average).label,
                    "datasets": " ".join(name for c in columns for name in c.datasets),
                    "strength": average.strength,
                    "counted": "",
                    "metric": metric,
                    "mean": value,
                    "n": min(column.seeds for column in columns) if value is not None else 0,
                    "mark": marks[i][k],
                    "note": "",
                }


def _column(grid: Grid, average: Average) -> Column:
    of = f" {grid.metrics[grid.ranked[0]].label}" * (len(grid.ranked) > 1)
    label = f"{len(average.columns)} columns"
    return Column(label, average.strength, (f"average{of}", "mean rank"))


def _texts(grid: Grid, average: Average) -> list[tuple[str, ...]]:
    """The average and mean rank of each row; empty for a row without them."""
    digits = grid.metrics[grid.ranked[0]].digits
    return [
        () if mean is None or its is None else (number(mean, digits), number(its, _RANK_DIGITS))
        for mean, its in zip(average.means, average.ranks, strict=True)
    ]


def _marks(grid: Grid, average: Average) -> list[tuple[str, str]]:
    """Marks of the averages; mean ranks have none, since no test shows that they differ."""
    networks = [row.group == "model" for row in grid.rows]
    metric = grid.metrics[grid.ranked[0]]
    means = rank(
        average.means,
        networks,
        higher_is_better=metric.higher_is_better,
        digits=metric.digits,
    )
    return [(mark, "") for mark in means.marks]


def _notes(grid: Grid, found: Sequence[Average], plan: TablePlan) -> list[str]:
    told = [
        f"Average and mean rank over the {len(average.columns)} columns of strength "
        f"{average.strength}{_which(grid, average, plan)} that {average.networks} networks have in "
        "full."
        for average in found
    ]
    several = f", by {grid.metrics[grid.ranked[0]].label}" if len(grid.ranked) > 1 else ""
    return [*told, f"Rank 1 is the best{several}; equal scores share theirs."] if told else []


def _which(grid: Grid, average: Average, plan: TablePlan) -> str:
    """Name the columns if they are not all of this strength; count rigs with several columns."""
    own = [grid.columns[j] for j in average.columns]
    labels = [column.label for column in own]
    part = labels != [c.label for c in grid.columns if c.strength == average.strength]
    text = f" ({'; '.join(labels)})" if part else ""
    rigs = {plan.datasets[column.datasets[0]].rig for column in own}
    # Columns that hold out a rig of a union are each of another one.
    few = average.strength != "rig" and len(rigs) < len(own)
    return text + f", of {len(rigs)} rig{'s' * (len(rigs) > 1)}," * few
