"""The part of a table that ranks and differences use: complete columns of one strength."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from workflow_src.tables.grid import Grid
from workflow_src.tables.layout import DataColumn
from workflow_src.tables.plan import TablePlan
from workflow_src.tables.results import Results
from workflow_src.tasks.scores import Floats


@dataclass(frozen=True)
class Comparison:
    """Scores of rows on rigs.

    Attributes:
        strength: of the split.
        rows: of the grid, without trivial ones.
        rigs: the columns of the grid by rig.
        scores: (rows, rigs), each the mean over the columns of a rig.
        incomplete: labels of the columns of this strength in which a row has no score.
        at_ceiling: labels of the columns in which all networks are at the ceiling.
    """

    strength: str
    rows: list[int]
    rigs: dict[str, list[int]]
    scores: Floats
    incomplete: list[str]
    at_ceiling: list[str]

    def pairs(self, grid: Grid) -> Iterator[tuple[int, int]]:
        """Yield the positions in `rows` of each pair that includes a network."""
        for a, first in enumerate(self.rows):
            for b, second in enumerate(self.rows[a + 1 :], start=a + 1):
                if "model" in (grid.rows[first].group, grid.rows[second].group):
                    yield a, b


def comparisons(plan: TablePlan, results: Results, grid: Grid) -> list[Comparison]:
    """One per strength with a network and another row; without rigs if no column is complete.

    Protocols beyond train and test are left out. So are columns in which all networks are at the
    ceiling: nothing is ranked there.
    """
    of: dict[str, list[int]] = {}
    sanity: dict[str, list[str]] = {}
    for j, (column, rankings) in enumerate(zip(grid.columns, grid.rankings, strict=True)):
        if column.protocol:
            continue
        if rankings[0].at_ceiling:
            sanity.setdefault(column.strength, []).append(column.label)
        else:
            of.setdefault(column.strength, []).append(j)
    found = [
        Comparison(strength, *_complete(plan, results, grid, columns), sanity.get(strength, []))
        for strength, columns in of.items()
    ]
    return [one for one in found if any(one.pairs(grid))]


def _complete(
    plan: TablePlan, results: Results, grid: Grid, columns: list[int]
) -> tuple[list[int], dict[str, list[int]], Floats, list[str]]:
    """Rows, rigs, scores and incomplete columns: see `Comparison`."""

    def mean(i: int, j: int) -> float | None:
        summary = grid.scores[i][j][0].summary
        return None if summary is None else summary.mean

    rows = [
        i
        for i, row in enumerate(grid.rows)
        if row.group != "trivial" and any(mean(i, j) is not None for j in columns)
    ]
    rigs: dict[str, list[int]] = {}
    incomplete = []
    for j in columns:
        if any(mean(i, j) is None for i in rows):
            incomplete.append(grid.columns[j].label)
        else:
            rigs.setdefault(_rig(plan, results, grid.columns[j]), []).append(j)
    scores = [
        [np.mean([m for j in of if (m := mean(i, j)) is not None]) for of in rigs.values()]
        for i in rows
    ]
    return rows, rigs, np.array(scores, np.float64), incomplete


def _rig(plan: TablePlan, results: Results, column: DataColumn) -> str:
    """The rig of the test part; for a union, the rig that is held out."""
    first = column.datasets[0]
    split = results.splits.get(first)
    if split is not None and split.strength == "rig" and split.test_rigs is not None:
        return " and ".join(split.test_rigs)
    return plan.datasets[first].rig
