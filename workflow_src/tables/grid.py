"""All scores of one table and the marks of its best rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from workflow_src.tables.asked import AskedTable
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
from workflow_src.tables.protocols import TRAIN_UNITS
from workflow_src.tables.results import Results
from workflow_src.tables.statistics import CEILING, Ranking, rank
from workflow_src.tasks.registry import task_of
from workflow_src.tasks.scores import Metric

SANITY = f"sanity columns, where every network reaches {CEILING:g}"


@dataclass(frozen=True)
class Grid:
    """All scores of a table: ``scores[i][j][k]`` of row i, column j, metric k.

    ``rankings[j][k]`` marks the rows. ``shown[j]`` lists the metrics of column j for which some
    row has, or can get, a score. ``without`` maps a reason to the labels of the other metrics.
    """

    task: str
    rows: list[DataRow]
    columns: list[DataColumn]
    metrics: tuple[Metric, ...]
    scores: list[list[list[Score]]]
    rankings: list[list[Ranking]]
    shown: list[tuple[int, ...]]
    without: dict[str, list[str]]

    @property
    def ranked(self) -> list[int]:
        """The metrics that rank rows; companions say nothing alone. The first one ranks columns."""
        companions = task_of(self.task).companions
        return [k for k, metric in enumerate(self.metrics) if metric.name not in companions]

    def of(self, kept: Sequence[int]) -> Grid:
        """Only the columns `kept`; ``without`` stays complete, for the first table."""
        return replace(
            self,
            columns=[self.columns[j] for j in kept],
            scores=[[by_column[j] for j in kept] for by_column in self.scores],
            rankings=[self.rankings[j] for j in kept],
            shown=[self.shown[j] for j in kept],
        )

    def sections(self) -> list[tuple[str, Grid]]:
        """The columns divided into tables, each with its name.

        First the columns that a paper makes claims about (""). Then each protocol beyond train and
        test. Last the sanity columns, where all networks are at the ceiling. Empty tables are left
        out, unless all are empty.
        """
        of: dict[str, list[int]] = {"": []}
        for j, (column, rankings) in enumerate(zip(self.columns, self.rankings, strict=True)):
            is_curve = column.protocol == TRAIN_UNITS  # stays whole if it ends at the ceiling
            at_ceiling = any(rankings[k].at_ceiling for k in self.ranked[:1])
            is_sanity = at_ceiling and not is_curve
            of.setdefault(SANITY if is_sanity else column.protocol, []).append(j)
        of = {name: of[name] for name in sorted(of, key=lambda name: (name == SANITY, name != ""))}
        found = [(name, self.of(kept)) for name, kept in of.items() if kept]
        return found or [("", self.of([]))]


def grid_of(plan: TablePlan, results: Results, table: AskedTable) -> Grid:
    """The scores and marks of one table."""
    own, task = plan.of(table), table.task
    columns, rows = columns_of(own, results, task), rows_of(own, results, task)
    metrics, book = metrics_of(task, table.metrics), ScoreBook(own, results)
    scores = [[_scores(book, row, column, task, metrics) for column in columns] for row in rows]
    all_shown = [tuple(range(len(metrics)))] * len(columns)
    grid = Grid(task, rows, columns, metrics, scores, [], all_shown, {})
    return _without_empty(replace(grid, rankings=[_rankings(grid, j) for j in range(len(columns))]))


def _rankings(grid: Grid, j: int) -> list[Ranking]:
    """The marks of a column by each metric; none if the first ranking metric is at the ceiling."""
    networks = [row.group == "model" for row in grid.rows]
    found = [Ranking([""] * len(networks)) for _ in grid.metrics]
    for k in grid.ranked:
        summaries = [by_column[j][k].summary for by_column in grid.scores]
        found[k] = rank(
            [None if s is None else s.mean for s in summaries],
            networks,
            higher_is_better=grid.metrics[k].higher_is_better,
            digits=grid.metrics[k].digits,
        )
        if k == grid.ranked[0] and found[k].at_ceiling:
            break
    return found


def _without_empty(grid: Grid) -> Grid:
    """Drop columns and metrics in which no row has a score and no missing cell could give one.

    A column is dropped if all ranking metrics are. Companions are dropped together only.
    """
    kept: dict[int, tuple[int, ...]] = {}
    without: dict[str, list[str]] = {}
    every = set(range(len(grid.metrics)))
    needed, companions = set(grid.ranked) or every, every - set(grid.ranked)
    for j, column in enumerate(grid.columns):
        lacking = {k: why for k in every if (why := _why_empty(grid, j, k))}
        if needed <= set(lacking):
            without.setdefault(lacking[min(needed)], []).append(column.label)
            continue
        if not companions <= set(lacking):
            lacking = {k: why for k, why in lacking.items() if k not in companions}
        for k, why in lacking.items():
            without.setdefault(why, []).append(f"{column.label}, {grid.metrics[k].label}")
        kept[j] = tuple(k for k in grid.shown[j] if k not in lacking)
    return replace(grid.of(list(kept)), shown=list(kept.values()), without=without)


def _why_empty(grid: Grid, j: int, k: int) -> str:
    """Why no row can get a score of metric k in column j; "" if one has or can get it."""
    places = [by_column[j][k] for by_column in grid.scores]
    if not places or not all(place.settled and place.stand_in is None for place in places):
        return ""
    return "; ".join(dict.fromkeys(place.note for place in places))


def _scores(
    book: ScoreBook, row: DataRow, column: DataColumn, task: str, metrics: Sequence[Metric]
) -> list[Score]:
    """One score per metric for one place; an undefined main metric gets a stand-in."""
    scores = [book.score(row, column, task, metric.name) for metric in metrics]
    found = stand_in_of(task)
    if found is None or found[0] in metrics:
        return scores
    metric, short = found
    for k, main in enumerate(scores):
        if metrics[k].name != task_of(task).main or main.summary is not None:
            continue
        stand_in = book.score(row, column, task, metric.name).summary
        if stand_in is not None:
            note = f"{main.note}; in its place the {metric.label} ({short})"
            tested = _tested_classes(book.results, column)
            note += f", here the recall of {tested[0]}" if len(tested) == 1 else ""
            scores[k] = replace(main, note=f"{note}; not ranked", stand_in=stand_in)
    return scores


def _tested_classes(results: Results, column: DataColumn) -> list[str]:
    """Classes with a unit in a test part of `column`."""
    splits = [results.splits[name] for name in column.datasets if name in results.splits]
    return list(
        dict.fromkeys(
            fault for s in splits for fault, units in s.units_per_class.items() if units.test
        )
    )
