"""Which cells a command of Snakemake is told to train again: from their first step.

Snakemake tells a job nothing of it, and counts jobs that were interrupted among those it forces.
So its settings are read where they were given, and jobs are told by what their run has kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_src import cells as paths
from workflow_src.cells import Cell

if TYPE_CHECKING:
    from snakemake.settings.types import DAGSettings

TRAINED = ("model.safetensors", "predictions.h5", "training.json")


def forced_cells(settings: DAGSettings, study: str, cells: Sequence[Cell]) -> list[Cell]:
    """The cells of `cells` whose training `settings`, Snakemake's of its graph, forces.

    That is `--forcerun train` (-R), `--forceall` (-F), or a file that training declares, named
    with `--forcerun` or, as a target, with `--force` (-f).
    """
    named = set(settings.forcerun) | (set(settings.targets) if settings.forcetargets else set())
    if settings.forceall or "train" in named:
        return list(cells)
    files = {str(Path(name)) for name in named}
    return [cell for cell in cells if files.intersection(trained_files(study, [cell]))]


def trained_files(study: str, cells: Iterable[Cell]) -> list[str]:
    """What training declares of these cells."""
    return [str(paths.results(study, cell) / name) for cell in cells for name in TRAINED]
