"""Replicates per place of a table: mean over seeds and rotations, on the same draws of units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from workflow_src import cells as paths
from workflow_src.cells import Cell
from workflow_src.predictions import read_predictions
from workflow_src.tables.bootstrap import replicates
from workflow_src.tables.grid import Grid
from workflow_src.tables.plan import TablePlan
from workflow_src.tables.protocols import DRAWN
from workflow_src.tables.results import Results
from workflow_src.tasks.scores import Floats, UndefinedError

Drawn = Floats | str  # (resamples,), or `n/a` and the reason
_NONE = "n/a (no predictions)"


class _Part(NamedTuple):
    """The share of one predictions file in a place; ``file`` is None if there is none."""

    file: Path | None
    task: str
    row: str


class Replicates:
    """Replicates of the main metric for each row and column of `grids` with a score.

    Trivial rows are left out. So are columns of draws, whose range stands in the task's table.
    Each predictions file is read once. Memory holds one file at a time, and 8 kB of replicates per
    cell, task and row.
    """

    def __init__(self, plan: TablePlan, results: Results, grids: Sequence[Grid]) -> None:
        self._study, self._cells = plan.study, set(plan.cells) - set(results.missing)
        places = {
            (grid.task, i, j): self._parts(grid, i, j)
            for grid in grids
            for i, row in enumerate(grid.rows)
            for j, column in enumerate(grid.columns)
            if row.group != "trivial" and column.protocol not in DRAWN
        }
        by_file: dict[Path | None, dict[_Part, None]] = {}
        for parts in places.values():
            for part in parts:
                by_file.setdefault(part.file, {})[part] = None
        drawn: dict[_Part, Drawn] = {}
        for file, wanted in by_file.items():
            drawn.update(_drawn(file, wanted))
        self._known = {
            place: _mean([drawn[part] for part in parts])
            for place, parts in places.items()
            if parts
        }

    def of(self, task: str, i: int, j: int) -> Drawn:
        """(resamples,) of row i in column j, or ``n/a`` and the reason."""
        return self._known[task, i, j]

    def gain(self, task: str, first: int, second: int, columns: list[int], sign: float) -> Drawn:
        """(resamples,) by how much the first row is better, mean over columns of one rig."""
        found: list[Drawn] = []
        for j in columns:
            one, other = self.of(task, first, j), self.of(task, second, j)
            if isinstance(one, str) or isinstance(other, str):
                return one if isinstance(one, str) else str(other)
            found.append(sign * (one - other))
        return _mean(found)

    def _parts(self, grid: Grid, i: int, j: int) -> list[_Part]:
        """One part per rotation and seed behind a score; none without a score."""
        row, summary = grid.rows[i], grid.scores[i][j][0].summary
        return [
            _Part(self._file(dataset, row.model, row.task_sets, seed), grid.task, row.row)
            for dataset in grid.columns[j].datasets
            for seed in (summary.seeds if summary is not None else ())
        ]

    def _file(self, dataset: str, model: str, task_sets: tuple[str, ...], seed: int) -> Path | None:
        """The predictions of the first task set that has some, as for scores."""
        for task_set in task_sets:
            cell = Cell(dataset, model, task_set, seed)
            path = paths.results(self._study, cell) / "predictions.h5"
            if cell in self._cells and path.exists():
                return path
        return None


def _drawn(file: Path | None, wanted: Iterable[_Part]) -> dict[_Part, Drawn]:
    """The replicates of each part of one file; frees the file on return."""
    if file is None:
        return dict.fromkeys(wanted, _NONE)
    predictions = read_predictions(file)
    found: dict[_Part, Drawn] = {}
    for part in wanted:
        try:
            found[part] = replicates(predictions, part.task, part.row)
        except UndefinedError as reason:
            said = str(reason)
            found[part] = said if said.startswith("n/a") else f"n/a ({said})"
    return found


def _mean(found: Sequence[Drawn]) -> Drawn:
    """Mean over the draws that all have, or the first reason why one has none."""
    values = []
    for one in found:
        if isinstance(one, str):
            return one
        values.append(one)
    count = min(map(len, values))
    mean: Floats = np.mean([one[:count] for one in values], 0)
    return mean
