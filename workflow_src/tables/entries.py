"""The score of one row in one column, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from workflow_src.cells import Cell, rotation_of
from workflow_src.tables.layout import DataColumn, DataRow
from workflow_src.tables.plan import TablePlan
from workflow_src.tables.results import Results
from workflow_src.tables.statistics import Summary, summarise
from workflow_src.tables.table import DASH

_UNDEFINED, _DROPPED = "undefined: ", "task dropped: "
_SETTLED = (_UNDEFINED, _DROPPED)


@dataclass(frozen=True)
class Score:
    """A summary, or why there is none.

    Attributes:
        summary: None where no seed has a score in every rotation.
        note: what is missing; "" if nothing is.
        lack: shown in place of a missing score: OOM, time, error or a dash.
        stand_in: another metric, shown if the main metric is undefined.
        settled: running the missing cells would give no score here.
    """

    summary: Summary | None
    note: str = ""
    lack: str = DASH
    stand_in: Summary | None = None
    settled: bool = False


class _Key(NamedTuple):
    cell: Cell
    task: str
    row: str
    metric: str


class ScoreBook:
    """Looks up the scores of a study."""

    def __init__(self, plan: TablePlan, results: Results) -> None:
        self.plan, self.results = plan, results
        self._cells = set(plan.cells)
        self._values: dict[_Key, tuple[float, str]] = {}
        for r in results.frame.to_dict("records"):
            fold = "" if pd.isna(r["fold"]) else f".fold{r['fold']}"
            cell = Cell(r["dataset"] + fold, r["model"], r["task_set"], int(r["seed"]))
            key = _Key(cell, r["task"], r["row"], r["metric"])
            self._values[key] = (float(r["value"]), r["undefined"])

    def score(self, row: DataRow, column: DataColumn, task: str, metric: str) -> Score:
        """Mean over the seeds that have a value in every rotation of `column`.

        A seed that lacks a rotation is left out: its mean would cover other test parts.
        """
        seeds = sorted(
            {
                cell.seed
                for cell in self._cells
                if cell.dataset in column.datasets
                and cell.model == row.model
                and cell.task_set in row.task_sets
            }
        )
        if not seeds:
            return Score(None, "not part of this study")
        scores: dict[int, list[float]] = {}
        lacks: dict[str, list[tuple[int, str]]] = {}
        for seed in seeds:
            values = []
            for dataset in column.datasets:
                value, reason = self._value(row, dataset, seed, task, metric)
                if reason:
                    lacks.setdefault(reason, []).append((seed, dataset))
                values.append(value)
            if not any(math.isnan(value) for value in values):
                scores[seed] = values
        if not scores:
            return Score(
                None,
                _told(lacks, seeds, column.datasets),
                self._lack(row, column, seeds),
                settled=all(reason.startswith(_SETTLED) for reason in lacks),
            )
        notes = []
        if lacks:
            lacking = _told(lacks, seeds, column.datasets)
            notes.append(f"{len(scores)} of {len(seeds)} seeds; {lacking}")
        if assumed := self._assumed(row, column):
            notes.append(f"geometry assumed: {', '.join(assumed)}")
        return Score(summarise(scores), "; ".join(notes))

    def _assumed(self, row: DataRow, column: DataColumn) -> list[str]:
        """The rigs whose geometry is a guess that the row's scores depend on."""
        if not self.plan.models[row.model].uses_geometry:
            return []
        datasets = [self.plan.datasets[name] for name in column.datasets]
        return list(dict.fromkeys(rig for entry in datasets for rig in entry.assumed_geometry))

    def _value(
        self, row: DataRow, dataset: str, seed: int, task: str, metric: str
    ) -> tuple[float, str]:
        """One number, or NaN and the reason; from the first task set with a number."""
        reasons = []
        for task_set in row.task_sets:
            cell = Cell(dataset, row.model, task_set, seed)
            value, undefined = self._values.get(_Key(cell, task, row.row, metric), (math.nan, ""))
            if not math.isnan(value):
                return value, ""
            reasons.append(self._reason(cell, task, undefined))
        return math.nan, reasons[0]

    def _lack(self, row: DataRow, column: DataColumn, seeds: Sequence[int]) -> str:
        """The first failure among the cells behind a place without a score, else a dash."""
        cells = (
            Cell(dataset, row.model, task_set, seed)
            for dataset in column.datasets
            for task_set in row.task_sets
            for seed in seeds
        )
        told = [m.lack for cell in cells if (m := self.results.missing.get(cell)) and m.lack]
        return told[0] if told else DASH

    def _reason(self, cell: Cell, task: str, undefined: str) -> str:
        if undefined:
            return f"{_UNDEFINED}{undefined}"
        if cell not in self._cells:
            return "not part of this study"
        split = self.results.splits.get(cell.dataset)
        if split is not None and (reason := split.supported.get(task)):
            return f"{_DROPPED}{reason}"  # whatever becomes of the cell
        if cell in self.results.missing:
            return f"no result: {self.results.missing[cell].words}"
        return "not given by this model"


def _told(
    lacks: dict[str, list[tuple[int, str]]], seeds: Sequence[int], datasets: Sequence[str]
) -> str:
    """The reasons, each with its seeds and folds unless it holds for all of them."""
    parts = []
    for reason, places in lacks.items():
        of_seeds = sorted({seed for seed, _ in places})
        folds = sorted({rotation_of(dataset)[1] or 0 for _, dataset in places})
        where = []
        if len(of_seeds) < len(seeds):
            where.append("seed " + ", ".join(map(str, of_seeds)))
        if len({dataset for _, dataset in places}) < len(datasets):
            where.append("fold " + ", ".join(map(str, folds)))
        parts.append(f"{reason} ({'; '.join(where)})" if where else reason)
    return "; ".join(parts)
