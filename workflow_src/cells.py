"""The grid of cells, their names, and every path of the workflow (relative to its folder)."""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

from workflow_src.configuration import Configuration
from workflow_src.configuration.cell import Cell as Cell
from workflow_src.errors import UserError

DATA = Path("data")


def combine(
    datasets: Iterable[str],
    models: Iterable[str],
    task_sets: Iterable[str],
    seeds: Iterable[int],
    include: Sequence[str] = ("*",),
    exclude: Sequence[str] = (),
) -> list[Cell]:
    """datasets x models x task sets x seeds, as far as included and not excluded."""
    cells = itertools.starmap(Cell, itertools.product(datasets, models, task_sets, seeds))
    return [cell for cell in cells if _chosen(cell.name, include, exclude)]


def grid(configuration: Configuration) -> list[Cell]:
    """The cells of the run.

    Raises UserError for a pattern of `include`, `exclude`, `overrides` or `requests` that matches
    no cell, and for an empty grid.
    """
    run = configuration.run
    axes = (configuration.datasets, run.models, run.task_sets, run.seeds)
    names = [cell.name for cell in combine(*axes)]
    for key, patterns in (
        ("include", run.include),
        ("exclude", run.exclude),
        ("overrides", [override.cells for override in run.overrides]),
        ("requests", [request.cells for request in run.requests]),
    ):
        for pattern in patterns:
            if not fnmatch.filter(names, pattern):
                raise UserError(
                    f"The pattern `{pattern}` of `{key}` matches no cell.",
                    expected=f"dataset/model/task_set/seed, such as {names[0]}",
                    remedy=f"correct or remove the pattern under `{key}:`",
                )
    chosen = combine(*axes, run.include, run.exclude)
    if not chosen:
        raise UserError(
            "No cell is left: `exclude` takes away all that `include` names.",
            where="`exclude:` of the run, in its file or by --config",
            found=f"include: {run.include}, exclude: {run.exclude}; {len(names)} cells, the first "
            f"{names[0]}",
            expected="patterns over dataset/model/task_set/seed that leave a cell",
            remedy="exclude: []",
        )
    return chosen


def _chosen(name: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, p) for p in include) and not any(
        fnmatch.fnmatchcase(name, p) for p in exclude
    )


def rotation_of(dataset: str) -> tuple[str, int | None]:
    """`name.fold3` -> (`name`, 3); a dataset without rotations -> (its name, None)."""
    name, dot, fold = dataset.rpartition(".fold")
    return (name, int(fold)) if dot and fold.isdigit() else (dataset, None)


def results(study: str, cell: Cell) -> Path:
    """Declared outputs of a cell."""
    return Path(study, "results") / cell.folder


def runs(study: str, cell: Cell) -> Path:
    """What survives a failure: checkpoints, attempts, history, final weights and predictions."""
    return Path(study, "runs") / cell.folder


def forecast_file(study: str, dataset: str) -> Path:
    """What the networks of a dataset are expected to need."""
    return Path(study, "forecasts", f"{dataset}.json")


def observed_file(study: str) -> Path:
    """What finished attempts used."""
    return Path(study, "observed.csv")


def tables(study: str) -> Path:
    """Tables of a study."""
    return Path(study, "tables")


def rig_folder(rig: str) -> Path:
    """The store of a rig, shared by all studies."""
    return DATA / rig


def split_folder(dataset: str) -> Path:
    """The split of a dataset, shared by all studies."""
    return DATA / dataset


def features_file(dataset: str) -> Path:
    """What was measured on the spans of a dataset."""
    return split_folder(dataset) / "features.h5"


def runs_beside(cell_file: Path) -> Path:
    """The runs/ folder of the cell whose `<study>/results/.../cell.json` is given."""
    study = cell_file.parents[5]
    return study / "runs" / cell_file.parent.relative_to(study / "results")
