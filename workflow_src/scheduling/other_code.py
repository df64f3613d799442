"""Cells whose numbers are of other code than that of now: which they are, and what is said of it.

Nothing is trained for it: an edit may well change no number. Whoever edited the code knows; whoever
reads a table has to be told.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

from workflow_src import cells as paths
from workflow_src.artifacts.training_report import TrainingReport
from workflow_src.cells import Cell
from workflow_src.code_digest import KINDS, code_digest
from workflow_src.errors import BadData

WORDS = "trained with other code"
_SHOWN = 5  # cells; the rest is counted


def is_of_other_code(report: TrainingReport) -> bool:
    """Whether a training.json tells of code that is not, or not alone, that of now."""
    return report.code not in {code_digest(kind) for kind in KINDS}


def of_other_code(study: str, cells: Iterable[Cell]) -> list[Cell]:
    """The trained cells of `cells` that other code has trained."""
    return [cell for cell in cells if (r := _report(study, cell)) and is_of_other_code(r)]


def _report(study: str, cell: Cell) -> TrainingReport | None:
    # What training declares is made again of what is kept below runs/.
    for folder in (paths.results(study, cell), paths.runs(study, cell)):
        with contextlib.suppress(FileNotFoundError, BadData):
            return TrainingReport.read(folder / "training.json")
    return None


def reports(study: str, cells: Iterable[Cell]) -> list[str]:
    """The file a cell that Snakemake is to force."""
    return [str(paths.results(study, cell) / "training.json") for cell in cells]


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def retraining(study: str) -> str:
    """What stands behind the command of a run so that it trains these cells anew."""
    return f"--forcerun $(python -m workflow_src status {study} --other-code)"


def told(study: str, cells: Iterable[Cell]) -> str:
    """What is said of the cells of a study at the end of a run; "" where there is nothing."""
    names = [cell.name for cell in of_other_code(study, cells)]
    if not names:
        return ""
    whose = "1 cell was" if len(names) == 1 else f"{len(names)} cells were"
    return (
        f"{whose} {WORDS} than that of now: {listed(names)}\n"
        "  Their numbers stay. If they may have changed, train them anew by the same command with\n"
        f"  {retraining(study)}"
    )
