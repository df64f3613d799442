"""Averages and mean ranks over the complete columns of one strength."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from workflow_src.data.draws import STRENGTHS
from workflow_src.tables.grid import Grid
from workflow_src.tables.rank_test import ranks_of

_COLUMNS, _NETWORKS = 3, 2  # of fewer nothing is averaged


@dataclass(frozen=True)
class Average:
    """Averages of the first ranking metric over ``columns`` of one ``strength``.

    ``means`` and mean ``ranks`` (1 is the best) have one value per row, None if the row lacks a
    score. ``networks`` is the number of networks with all scores.
    """

    strength: str
    columns: list[int]
    networks: int
    means: list[float | None]
    ranks: list[float | None]


def averages(grid: Grid) -> Iterator[Average]:
    """Yield one per strength with at least 3 columns complete for at least 2 networks."""
    strengths = dict.fromkeys(column.strength for column in grid.columns)
    for strength in strengths if grid.ranked else ():
        if strength not in STRENGTHS:  # not proven yet
            continue
        own = [j for j, column in enumerate(grid.columns) if column.strength == strength]
        networks = [i for i, row in enumerate(grid.rows) if row.group == "model"]
        having = {j: frozenset(i for i in networks if _full(grid, i, j) is not None) for j in own}
        if (found := largest_complete(having)) is not None:
            rows, columns = found
            means, ranks = _averaged(grid, columns)
            yield Average(strength, columns, len(rows), means, ranks)


def largest_complete(
    having: Mapping[int, frozenset[int]],
) -> tuple[frozenset[int], list[int]] | None:
    """The networks and columns that together have the most scores without a gap.

    `having` maps a column to the networks with a score. Ties go to the choice with more networks.
    None if no 3 columns are complete for 2 networks.
    """
    sets: set[frozenset[int]] = set()
    for own in having.values():
        sets |= {own, *(own & other for other in sets)}
    parts = [(rows, [j for j, own in having.items() if rows <= own]) for rows in sets]
    return max(
        (part for part in parts if len(part[0]) >= _NETWORKS and len(part[1]) >= _COLUMNS),
        key=lambda part: (len(part[0]) * len(part[1]), len(part[0]), [-i for i in sorted(part[0])]),
        default=None,
    )


def _full(grid: Grid, i: int, j: int) -> float | None:
    """The score if all seeds have it; a stand-in metric does not count."""
    score = grid.scores[i][j][grid.ranked[0]]
    return None if score.summary is None or score.note else score.summary.mean


def _averaged(grid: Grid, columns: Sequence[int]) -> tuple[list[float | None], list[float | None]]:
    """Mean and mean rank of each row with a score in every column."""
    rows = [[_full(grid, i, j) for j in columns] for i in range(len(grid.rows))]
    full = {
        i: values
        for i, row in enumerate(rows)
        if len(values := [v for v in row if v is not None]) == len(row)
    }
    scores = np.array(list(full.values()), np.float64)  # (rows, columns)
    mean_ranks = ranks_of(scores, grid.metrics[grid.ranked[0]]).mean(1)
    ranks = dict(zip(full, mean_ranks.tolist(), strict=True))
    numbers = range(len(rows))
    return [fmean(full[i]) if i in full else None for i in numbers], [ranks.get(i) for i in numbers]
