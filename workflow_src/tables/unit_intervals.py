"""Replicates of the places of a table: over seeds and rotations, on the same draws of units."""

from __future__ import annotations

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

_DRAWS = "n/a (draws)"  # their range stands in the table


class Replicates:
    """Replicates of the main metric of one task, each place computed once."""

    def __init__(self, plan: TablePlan, results: Results, grid: Grid) -> None:
        self._plan, self._results, self._grid = plan, results, grid
        self._cells = set(plan.cells)
        self._known: dict[tuple[int, int], Floats | str] = {}

    def of(self, i: int, j: int) -> Floats | str:
        """(resamples,) of row i in column j, or ``n/a`` and the reason."""
        if (i, j) not in self._known:
            try:
                self._known[i, j] = self._mean(i, j)
            except UndefinedError as reason:
                said = str(reason)
                self._known[i, j] = said if said.startswith("n/a") else f"n/a ({said})"
        return self._known[i, j]

    def gain(self, first: int, second: int, columns: list[int], sign: float) -> Floats | str:
        """(resamples,) by how much the first row is better, mean over columns of one rig."""
        found = []
        for j in columns:
            one, other = self.of(first, j), self.of(second, j)
            if isinstance(one, str) or isinstance(other, str):
                return one if isinstance(one, str) else str(other)
            found.append(sign * (one - other))
        return _mean(found)

    def _mean(self, i: int, j: int) -> Floats:
        row, column = self._grid.rows[i], self._grid.columns[j]
        summary = self._grid.scores[i][j][0].summary
        if column.protocol in DRAWN:
            raise UndefinedError(_DRAWS)
        if summary is None:
            raise UndefinedError("no score")
        return _mean(
            [
                self._of_cell(dataset, row.model, row.task_sets, seed, row.row)
                for dataset in column.datasets
                for seed in summary.seeds
            ]
        )

    def _of_cell(
        self, dataset: str, model: str, task_sets: tuple[str, ...], seed: int, row: str
    ) -> Floats:
        """Of the first task set that has predictions, as the scores are."""
        for task_set in task_sets:
            cell = Cell(dataset, model, task_set, seed)
            path = paths.results(self._plan.study, cell) / "predictions.h5"
            if cell in self._cells and cell not in self._results.missing and path.exists():
                return replicates(read_predictions(path), self._grid.task, row)
        raise UndefinedError("n/a (no predictions)")


def _mean(found: list[Floats]) -> Floats:
    """Mean over draws of equal number; where one has fewer, of those."""
    count = min(map(len, found))
    mean: Floats = np.mean([values[:count] for values in found], 0)
    return mean
