"""All scores of one table and the marks of its best rows."""

from __future__ import annotations

from collections.abc import Sequence
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
from workflow_src.tables.protocols import TRAIN_UNITS
from workflow_src.tables.results import Results
from workflow_src.tables.statistics import CEILING, Ranking, rank
from workflow_src.tasks.scores import Metric

SANITY = f"sanity columns, where every network reaches {CEILING:g}"


@dataclass(frozen=True)
class Grid:
    """All scores of a table: ``scores[i][j][k]`` of row i, column j, metric k (the main first).

    ``without`` are the columns that no row has or can have a score in: why, and their labels.
    """

    task: str
    rows: list[DataRow]
    columns: list[DataColumn]
    metrics: tuple[Metric, ...]
    scores: list[list[list[Score]]]
    rankings: list[Ranking]
    without: dict[str, list[str]]

    def of(self, kept: Sequence[int]) -> Grid:
        """The columns `kept` alone; what none of them has is said with the first."""
        return replace(
            self,
            columns=[self.columns[j] for j in kept],
            scores=[[by_column[j] for j in kept] for by_column in self.scores],
            rankings=[self.rankings[j] for j in kept],
        )

    def sections(self) -> list[tuple[str, Grid]]:
        """The columns in tables of their own, with what each is called.

        First what a paper claims something of (""); then each protocol beyond train and test; then
        what says nothing, as all networks are at the ceiling. The first of them is never empty,
        unless all are.
        """
        of: dict[str, list[int]] = {"": []}
        for j, (column, ranking) in enumerate(zip(self.columns, self.rankings, strict=True)):
            whole = column.protocol == TRAIN_UNITS  # a curve that ends at the ceiling
            says_nothing = ranking.at_ceiling and not whole
            of.setdefault(SANITY if says_nothing else column.protocol, []).append(j)
        of = {name: of[name] for name in sorted(of, key=lambda name: (name == SANITY, name != ""))}
        found = [(name, self.of(kept)) for name, kept in of.items() if kept]
        return found or [("", self.of([]))]


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
    grid = Grid(task, rows, columns, metrics, scores, rankings, {})
    return _without_empty(grid)


def _without_empty(grid: Grid) -> Grid:
    """The columns where some row has a score, or a cell that was not run could give it one."""
    kept: list[int] = []
    without: dict[str, list[str]] = {}
    for j, column in enumerate(grid.columns):
        places = [by_column[j][0] for by_column in grid.scores]
        if places and all(place.settled and place.stand_in is None for place in places):
            why = "; ".join(dict.fromkeys(place.note for place in places))
            without.setdefault(why, []).append(column.label)
        else:
            kept.append(j)
    return replace(grid.of(kept), without=without)


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
