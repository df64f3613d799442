"""Averages and mean ranks over columns of one strength, as far as rows have them without a gap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from scipy.stats import rankdata

from workflow_src.data.draws import STRENGTHS
from workflow_src.tables.grid import Grid
from workflow_src.tables.statistics import CEILING
from workflow_src.tasks.scores import Metric

_COLUMNS, _NETWORKS = 3, 2  # of fewer nothing is averaged


@dataclass(frozen=True)
class Average:
    """Over ``columns`` of a grid that are of one ``strength``, by its first metric that ranks.

    ``means`` and mean ``ranks`` (1 is the best) are by row, None where it lacks a score;
    ``networks`` have them all.
    """

    strength: str
    columns: list[int]
    networks: int
    means: list[float | None]
    ranks: list[float | None]


def averages(grid: Grid) -> Iterator[Average]:
    """One for each strength of which at least 3 columns are complete for at least 2 networks."""
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
    """The networks and columns without a gap between them, as many scores as there can be.

    `having` are by column the networks that have a score; of equally many scores those of more
    networks. None where no 3 columns are complete for 2 networks.
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


def mean_ranks(columns: Sequence[Sequence[float]], metric: Metric) -> list[float]:
    """Mean over `columns` of the rank of each row, 1 the best; what is shown as equal ties."""
    sign = -1.0 if metric.higher_is_better else 1.0
    ranks = [rankdata([sign * _shown(v, metric) for v in column]) for column in columns]
    return [fmean(map(float, of_row)) for of_row in zip(*ranks, strict=True)]


def _shown(value: float, metric: Metric) -> float:
    """As marks compare it: rounded, and from the ceiling on as good as can be."""
    return 1.0 if metric.higher_is_better and value >= CEILING else round(value, metric.digits)


def _full(grid: Grid, i: int, j: int) -> float | None:
    """A score over all seeds; nothing stands in for one."""
    score = grid.scores[i][j][grid.ranked[0]]
    return None if score.summary is None or score.note else score.summary.mean


def _averaged(grid: Grid, columns: Sequence[int]) -> tuple[list[float | None], list[float | None]]:
    """Mean and mean rank of each row that has a score in every column."""
    rows = [[_full(grid, i, j) for j in columns] for i in range(len(grid.rows))]
    full = {
        i: values
        for i, row in enumerate(rows)
        if len(values := [v for v in row if v is not None]) == len(row)
    }
    by_column = list(zip(*full.values(), strict=True))
    ranks = dict(zip(full, mean_ranks(by_column, grid.metrics[grid.ranked[0]]), strict=True))
    numbers = range(len(rows))
    return [fmean(full[i]) if i in full else None for i in numbers], [ranks.get(i) for i in numbers]
