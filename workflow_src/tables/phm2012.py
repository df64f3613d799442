"""The PHM 2012 scores beneath a table of remaining lives."""

from __future__ import annotations

from workflow_src.tables.entries import ScoreBook
from workflow_src.tables.grid import Grid
from workflow_src.tables.plan import TablePlan
from workflow_src.tables.results import Results
from workflow_src.tasks.registry import task_of

_PHM = ("phm2012", "phm2012_full_run")


def phm2012_notes(plan: TablePlan, results: Results, grid: Grid) -> list[str]:
    """One note per column of truncated runs: the PHM 2012 scores of its rows, by both lives."""
    if not {metric.name for metric in task_of(grid.task).metrics} >= set(_PHM):
        return []
    book, notes = ScoreBook(plan, results), []
    for column in grid.columns:
        splits = [results.splits[name] for name in column.datasets if name in results.splits]
        if all(split.truncation is None for split in splits):
            continue
        told = []
        for row in grid.rows:
            official, full = (book.score(row, column, grid.task, m).summary for m in _PHM)
            if official is not None:
                by_run = "undefined" if full is None else f"{full.mean:.3f}"
                told.append(f"{row.label} {official.mean:.3f} ({by_run})")
        if told:
            notes.append(
                f"{column.label}: PHM 2012 score (1 is best), by the official RUL and in brackets "
                f"by that of the full runs: {', '.join(told)}."
            )
    return notes
