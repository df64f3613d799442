"""Protocols that change the training part alone: shots of the held-out group, or few units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from workflow_src.artifacts.split_summary import ShotSummary, UnitSummary
from workflow_src.configuration.schema import Dataset
from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.data.shots import Block, draw_shots
from workflow_src.data.train_units import draw_units
from workflow_src.errors import UserError


class Changed(NamedTuple):
    """What a protocol makes of the parts, and what is said of it; nothing where there is none."""

    parts: dict[str, str]
    laid: dict[str, list[Block]]
    left_out: dict[str, int]  # recordings by reason
    reasons: tuple[str, ...]
    shots: ShotSummary | None = None
    train_units: UnitSummary | None = None


def change_training(
    used: pd.DataFrame,
    parts: Mapping[str, str],
    strategy: str,
    dataset: Dataset,
    gap: int,
    where: str,
) -> Changed:
    """Add the shots, or leave out the units, that the split of `dataset` says.

    `strategy` is what the test part was drawn by. Raises ``UserError`` where that holds out no
    group, and where there are too few recordings, blocks or units.
    """
    split = dataset.split
    if split.shots is not None:
        _require_group(strategy, "shots", dataset, where)
        shots = draw_shots(used, parts, dataset, gap, where)
        k, what = shots.summary.per_class, shots.summary.of
        told = (
            f"{k}-shot: {k} {what} of each class of the "
            "held-out group are in training, and absent from test"
        )
        out = {"in a run that shots are of": shots.left_out}
        return Changed(shots.parts, shots.laid, out, (told,), shots=shots.summary)
    if split.train_units is not None:
        _require_group(strategy, "train_units", dataset, where)
        units = draw_units(used, parts, split, where)
        out = {"of training units that were not drawn": units.left_out}
        return Changed(units.parts, {}, out, tuple(units.reasons), train_units=units.summary)
    return Changed(dict(parts), {}, {}, ())


def _require_group(strategy: str, key: str, dataset: Dataset, where: str) -> None:
    if strategy == "time_block":
        raise UserError(
            f"`{key}` needs a group that is held out, and no draw holds one out.",
            where=f"{where}, key `split.{key}`",
            found=f"strategy {dataset.split.strategy}, which fell to time_block",
            remedy=as_yaml(("split", "test"), {"unit_id": ["..."]}),
        )
