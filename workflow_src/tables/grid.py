"""All scores of one table and the marks of its best rows."""

from __future__ import annotations

from dataclasses import dataclass

from workflow_src.tables.entries import Score, ScoreBook
from workflow_src.tables.layout import DataColumn, DataRow, columns_of, metrics_of, rows_of
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
    scores = [
        [[book.score(row, column, task, metric.name) for metric in metrics] for column in columns]
        for row in rows
    ]
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
