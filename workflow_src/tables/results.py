"""Read the files of a study's cells into one long table of scores."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import pandas as pd

from workflow_src import cells as paths
from workflow_src.artifacts.audit_report import AuditReport
from workflow_src.artifacts.cell_metrics import CellMetrics
from workflow_src.artifacts.split_summary import SplitSummary
from workflow_src.artifacts.training_report import TrainingReport
from workflow_src.cells import Cell
from workflow_src.errors import BadData
from workflow_src.files import write_text
from workflow_src.json_files import JsonFile
from workflow_src.scheduling.cause import Cause
from workflow_src.scheduling.events import Ended, Started
from workflow_src.scheduling.journal import Journal
from workflow_src.tables.plan import PlanSource, TablePlan, results_file

COLUMNS = (
    "dataset",
    "fold",
    "model",
    "task_set",
    "seed",
    "task",
    "row",
    "metric",
    "value",
    "undefined",
)
KEY = list(COLUMNS[:-2])
Record = dict[str, str | int | float | None]  # by column
F = TypeVar("F", bound=JsonFile)
_STALE = "trained with other settings; not run since"


class Missing(NamedTuple):
    """Why a cell has no scores: ``words``, and the entry of a failed cell ("" for any other)."""

    words: str
    lack: str = ""


@dataclass
class Results:
    """Everything that tables show.

    ``frame`` has the columns COLUMNS and one row per score (value NaN if undefined). ``missing``
    says why a cell has no scores. ``training`` holds training.json by cell; ``splits`` and
    ``audits`` hold split.json and audit.json by dataset. Files that do not exist are left out.
    """

    frame: pd.DataFrame
    missing: dict[Cell, Missing]
    training: dict[Cell, TrainingReport]
    splits: dict[str, SplitSummary]
    audits: dict[str, AuditReport]


def read_results(
    cells: Sequence[Cell],
    study: str,
    *,
    partial: bool = False,
    identity_of: Callable[[Cell], str] | None = None,
) -> Results:
    """Read metrics.json and training.json of `cells`, split.json and audit.json of their datasets.

    Metrics, splits and audits may be missing only with `partial`; the journal then says why a cell
    has none. `identity_of` gives the identity of a cell's present settings: scores of any other
    identity do not count. Raises BadData for a file that is missing without `partial`, is damaged,
    or belongs to another cell.
    """
    rows: list[Record] = []
    found = Results(pd.DataFrame(), {}, {}, {}, {})
    for cell in sorted(cells):
        folder = paths.results(study, cell)
        with contextlib.suppress(FileNotFoundError):
            found.training[cell] = TrainingReport.read(folder / "training.json")
        metrics = _metrics(cell, folder / "metrics.json", optional=partial)
        if metrics is None:
            found.missing[cell] = _why_missing(study, cell)
            continue
        if identity_of is None or metrics.identity == identity_of(cell):
            rows += _rows(metrics)
        elif partial:
            found.missing[cell] = _why_missing(study, cell, identity_of(cell))
            found.training.pop(cell, None)
        else:
            raise _lacking(folder / "metrics.json", _STALE)
    for dataset in sorted({cell.dataset for cell in cells}):
        folder = paths.split_folder(dataset)
        if (split := _read(SplitSummary, folder / "split.json", optional=partial)) is not None:
            found.splits[dataset] = split
        if (audit := _read(AuditReport, folder / "audit.json", optional=partial)) is not None:
            found.audits[dataset] = audit
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"fold": "Int64", "value": "float64"})
    found.frame = frame.sort_values(KEY, ignore_index=True)
    return found


def write_results(
    plan: PlanSource, partial: bool = False, identity_of: Callable[[Cell], str] | None = None
) -> Path:
    """Write the long table of all scores of `plan`; `read_results` says what may be missing."""
    read = TablePlan.from_json(plan)
    collect(read.cells, read.study, partial=partial, identity_of=identity_of)
    return results_file(read.study, partial)


def collect(
    cells: Sequence[Cell],
    study: str,
    *,
    partial: bool = False,
    identity_of: Callable[[Cell], str] | None = None,
) -> Results:
    """Read the scores of `cells` and write the long table `<study>/results.csv`."""
    found = read_results(cells, study, partial=partial, identity_of=identity_of)
    write_text(results_file(study, partial), found.frame.to_csv(index=False))
    return found


def _read(kind: type[F], path: Path, *, optional: bool) -> F | None:
    try:
        return kind.read(path)
    except FileNotFoundError:
        if optional:
            return None
        raise _lacking(path, None) from None


def _lacking(path: Path, found: str | None) -> BadData:
    return BadData(
        "The tables lack an input.",
        where=str(path),
        found=found,
        expected=f"{path.name}, which the workflow writes",
        remedy="snakemake partial_tables   # or run the workflow to its end",
    )


def _metrics(cell: Cell, path: Path, *, optional: bool) -> CellMetrics | None:
    metrics = _read(CellMetrics, path, optional=optional)
    if metrics is not None and metrics.cell != cell:
        raise BadData(
            "A result cannot be read.",
            where=str(path),
            found=f"those of {metrics.cell.name}",
            remedy=CellMetrics.remedy(path),
        )
    return metrics


def _rows(metrics: CellMetrics) -> list[Record]:
    base, fold = paths.rotation_of(metrics.cell.dataset)
    head = {**asdict(metrics.cell), "dataset": base, "fold": fold}
    return [
        {
            **head,
            "task": task,
            "row": row,
            "metric": metric,
            "value": value,
            "undefined": scores.undefined.get(metric, ""),
        }
        for task, by_row in metrics.scores.items()
        for row, scores in by_row.items()
        for metric, value in scores.values.items()
    ]


def _why_missing(study: str, cell: Cell, identity: str | None = None) -> Missing:
    """Why a cell has no scores, or no scores of `identity`."""
    events = Journal(paths.runs(study, cell) / "attempts.jsonl").events()
    if identity is not None:
        own = [i for i, e in enumerate(events) if isinstance(e, Started) and e.identity == identity]
        if not own:
            return Missing(_STALE)
        events = events[own[0] :]
    if not events:
        return Missing("not run")
    if not isinstance(last := events[-1], Ended):
        return Missing("running, or stopped without an end")
    cause = last.how
    if cause is Cause.DONE:
        return Missing(cause.words)
    started = [event for event in events if isinstance(event, Started)]
    counted = f" ({len(started)} attempts)" if len(started) > 1 else ""
    words = cause.words if cause is not None else last.cause
    return Missing(f"{words}{counted}", _lack(cause, started[-1:]))


def _lack(cause: Cause | None, last: Sequence[Started]) -> str:
    """A failure as an entry; `OOM@64GB` if the limit of the last attempt is known."""
    if cause is Cause.HOST_OOM:
        limits = [f"@{event.limit_mb / 1000:.0f}GB" for event in last if event.limit_mb]
        return "OOM" + "".join(limits)
    if cause is Cause.GPU_OOM:
        return "OOM"
    if cause in (Cause.TERMINATED, Cause.NODE_LOST):
        return "stopped"
    return "time" if cause is Cause.DEADLINE else "error"
