"""All scores of one table and the marks of its best rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

from workflow_src.tables.entries import Score, ScoreBook
from workflow_src.tables.layout import (
    DataColumn,
    DataRow,
    columns_of,
    metrics_of,
    rows_of,
    stand_in_of,
)
from workflow_src.tables.plan import TablePlan
from workflow_src.tables.results import Results
from workflow_src.tables.statistics import Ranking, rank
from workflow_src.tasks.scores import Metric


@dataclass(frozen=True)
class Grid:
    """All scores of a table: ``scores[i][j][k]`` of row i, column j, metric k (the main first)."""

    task: str
    rows: list[DataRow]
    columns: list[DataColumn]
    metrics: tuple[Metric, ...]
    scores: list[list[list[Score]]]
    rankings: list[Ranking]


def grid_of(plan: TablePlan, results: Results, task: str, origin: str) -> Grid:
    """The scores and marks of one table."""
    columns, rows = columns_of(plan, results, task, origin), rows_of(plan, results, task)
    metrics, book = metrics_of(task), ScoreBook(plan, results)
    scores = [[_scores(book, row, column, task) for column in columns] for row in rows]
    networks = [row.group == "model" for row in rows]
    rankings = []
    for j in range(len(columns)):
        summaries = [by_column[j][0].summary for by_column in scores]
        rankings.append(
            rank(
                [None if s is None else s.mean for s in summaries],
                networks,
                higher_is_better=metrics[0].higher_is_better,
                digits=metrics[0].digits,
            )
        )
    return Grid(task, rows, columns, metrics, scores, rankings)


def _scores(book: ScoreBook, row: DataRow, column: DataColumn, task: str) -> list[Score]:
    """One place of the table, a score a metric; a main metric that is undefined has a stand-in."""
    main, *companions = (book.score(row, column, task, m.name) for m in metrics_of(task))
    found = stand_in_of(task)
    if main.summary is None and found is not None:
        metric, short = found
        stand_in = book.score(row, column, task, metric.name).summary
        if stand_in is not None:
            note = f"{main.note}; in its place the {metric.label} ({short})"
            tested = _tested_classes(book.results, column)
            note += f", here the recall of {tested[0]}" if len(tested) == 1 else ""
            main = replace(main, note=f"{note}; not ranked", stand_in=stand_in)
    return [main, *companions]


def _tested_classes(results: Results, column: DataColumn) -> list[str]:
    """Classes of which a test part of `column` has a unit."""
    splits = [results.splits[name] for name in column.datasets if name in results.splits]
    return list(
        dict.fromkeys(
            fault for s in splits for fault, units in s.units_per_class.items() if units.test
        )
    )
