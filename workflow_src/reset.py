"""Removes what is kept of a cell, so that its next run starts anew."""

from __future__ import annotations

import shutil
from pathlib import Path

from workflow_src.cells import Cell, results, runs
from workflow_src.errors import UserError


def reset(name: str) -> list[Path]:
    """Remove runs/ and results/ of `<study>/<dataset>/<model>/<task_set>/<seed>`; what went."""
    parts = name.strip("/").removesuffix("/").split("/")
    if len(parts) != 5 or not parts[4].removeprefix("seed").isdigit():
        raise UserError(
            "A cell is named by five parts.",
            found=name,
            expected="<study>/<dataset>/<model>/<task_set>/<seed>",
            remedy="python -m workflow_src reset simulated/bearing_sim/dlinear/all/42",
        )
    study, dataset, model, task_set, seed = parts
    cell = Cell(dataset, model, task_set, int(seed.removeprefix("seed")))
    kept = [path for path in (runs(study, cell), results(study, cell)) if path.exists()]
    if not kept:
        raise UserError(
            "Nothing is kept of this cell.",
            found=name,
            where=str(Path(study).resolve()),
            remedy=f"python -m workflow_src status {study}   # names the cells of the study"
            if Path(study).is_dir()
            else "run it from the folder that holds the study",
        )
    for path in kept:
        shutil.rmtree(path)
    return kept
