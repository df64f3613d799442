"""Windows that lie stacked in one file and may overlap: no split divides those of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_src.configuration.schema import Dataset
from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.data.draws import TEST_DRAW, VALIDATION_DRAW, draw_strongest
from workflow_src.errors import UserError

STACKED_IN = "stacked_in"  # attribute of a window that may overlap others: what it was stacked in

_MORE = "more files of each class, with a `run_id` each"
_NO_GAPS = (
    "only where each window begins where the one before ends, in the rig:\n"
    + as_yaml(("folder", "stacked", "gaps"), "none")
)  # fmt: skip


def may_overlap(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Which recordings of `table` (a row a recording) are such windows: (n,) bool."""
    if STACKED_IN not in table.columns:
        return table["recording_id"].isna().to_numpy()
    return (table[STACKED_IN] != "").to_numpy()


def require_whole(
    used: pd.DataFrame,
    dataset: Dataset,
    parts: Mapping[str, str],
    strategies: tuple[str, str],
    where: str,
) -> None:
    """Raise ``UserError`` where windows that may overlap would be cut by time.

    A gap between blocks is one of samples within a recording: it says nothing of the window that
    holds the same samples again. `strategies` are those of test and validation.
    """
    part = used["recording_id"].map(dict(parts))
    shots = dataset.split.shots
    if strategies[0] == "time_block":
        key, cut = "split", used
    elif strategies[1] == "time_block":
        key, cut = "split.validation", used[part == "train"]
    elif shots is not None and shots.of == "blocks":
        key, cut = "split.shots", used[part == "test"]
    else:
        return
    windows = cut[may_overlap(cut)]
    if windows.empty:
        return
    if key == "split.shots":
        ways = [as_yaml(("split", "shots", "of"), "recordings")]
    else:
        ways = _allowed(used, dataset, used[part == "train"], in_blocks=key == "split")
    raise UserError(
        "Windows of one file may overlap, and this split divides them between parts.",
        where=f"{where}, key `{key}`",
        found=f"{len(windows)} windows of {windows[STACKED_IN].nunique()} files, to be cut into "
        "blocks (`stacked:` of the rig says no `gaps: none`)",
        expected="all windows of a file in one part",
        remedy="\nor ".join([*ways, _MORE, _NO_GAPS]),
    )


def _allowed(
    used: pd.DataFrame, dataset: Dataset, train: pd.DataFrame, *, in_blocks: bool
) -> list[str]:
    """The keys of a split that holds whole files out, by a draw that is possible; else none."""
    split, keys = dataset.split, dict[str, Any]()
    if in_blocks:
        seed = (split.seed, TEST_DRAW)
        strategy, drawn, _ = draw_strongest(used, dataset.span, "unit", split.test_share, seed)
        if strategy == "time_block":
            return []
        keys["strategy"], train = strategy, used[~used["recording_id"].isin(list(drawn))]
    asked = split.validation
    if asked.strategy != "none":
        seed = (split.seed, VALIDATION_DRAW)
        strategy, _, _ = draw_strongest(train, dataset.span, "unit", asked.share, seed)
        keys["validation"] = {"strategy": "none" if strategy == "time_block" else strategy}
    return [as_yaml(("split",), keys)]
