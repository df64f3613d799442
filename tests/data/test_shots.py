"""Few-shot: what is drawn, what stays in test, and how far apart they lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from workflow_src.artifacts.split_summary import ByPart
from workflow_src.configuration.schema import Dataset
from workflow_src.data.disjointness import require_disjoint
from workflow_src.data.splits import make_split
from workflow_src.errors import UserError
from workflow_src.tables.protocols import strength_in_words

NONE = {"validation": {"strategy": "none"}}
SPAN = 10


def rig(pieces: int = 1, length: int = 400) -> pd.DataFrame:
    """Two classes, each at two speeds in four runs of some pieces."""
    rows = [
        {"recording_id": f"{fault}_{speed}_{run}_{piece}", "unit_id": fault, "fault": fault,
         "condition": speed, "run_id": f"{fault}_{speed}_{run}"}
        for fault in ("normal", "inner") for speed in ("slow", "fast")
        for run in range(4) for piece in range(pieces)
    ]  # fmt: skip
    unknown = dict.fromkeys(("time_s", "life_s", "onset_s"), np.nan)
    known = {"length": length, "rate_hz": 100.0, "channels": 1, "channel_kinds": "vibration"}
    return pd.DataFrame(rows).assign(**unknown, **known)


def split_of(table: pd.DataFrame, shots: dict[str, Any], **split: Any) -> Any:
    keys = {
        "rig": "bench",
        "span": {"window": 8, "horizon": 2, "stride": 1},
        "split": {
            "strategy": "condition",
            "test": {"condition": ["fast"]},
            "shots": shots,
            **NONE,
            **split,
        },
    }
    return make_split(table, Dataset.model_validate(keys), "d")


def test_recordings_leave_test_with_their_runs() -> None:
    split = split_of(rig(pieces=3), {"per_class": 2, "draw": 1})
    summary = split.summary
    assert summary.shots is not None
    assert (summary.shots.per_class, summary.shots.of, summary.shots.draw) == (2, "recordings", 1)
    assert summary.excluded == {"in a run that shots are of": 2}  # one piece a class
    assert summary.recordings == ByPart(24 + 4, 0, 18)
    assert summary.strength == "run"
    assert list(summary.reasons) == [
        "2-shot: 2 recordings of each class of the held-out group are in training, and absent "
        "from test"
    ]
    assert strength_in_words("run", [summary]) == "run, 2-shot"


def test_shots_are_not_cut_for_validation() -> None:
    validation = {"strategy": "time_block", "share": 0.3}
    split = split_of(rig(), {"per_class": 1}, validation=validation)
    shots = {name for names in split.summary.shots.drawn.values() for name in names}
    parts = split.rows.groupby("recording_id")["part"].agg(set)
    assert all(parts[name] == {"train"} for name in shots)
    assert all(parts[name] == {"train", "val"} for name in parts.index if "slow" in name)


@pytest.mark.fast_cases("3")
@pytest.mark.parametrize("pieces", [1, 3])
def test_blocks_keep_their_gap_in_any_order_of_the_pieces(pieces: int) -> None:
    table = rig(pieces=pieces)
    split = split_of(table, {"per_class": 3, "of": "blocks", "spans": 5}, gap=7)
    assert split.summary.gap == SPAN + 7
    assert split.summary.strength == "time_block"
    rows = split.rows
    shot = rows[(rows["condition"] == "fast") & (rows["part"] == "train")]
    assert len(shot) == 2 * 3 * 5
    for name, own in shot.groupby("recording_id"):
        test = rows[(rows["recording_id"] == name) & (rows["part"] == "test")]["start"].to_numpy()
        for start in own["start"]:
            assert (abs(test - start) >= 2 * SPAN + 7).all()
            assert start >= SPAN + 7
            assert start + SPAN <= 400 - SPAN - 7
    names = rows["recording_id"].drop_duplicates().sample(frac=1, random_state=1)
    for i, name in enumerate(names):  # whichever follows which
        table.loc[table["recording_id"] == name, "time_s"] = float(i)
    require_disjoint(rows, table, SPAN, SPAN + 7)


def test_the_guard_refuses_a_block_at_the_end_of_a_piece() -> None:
    table = rig(pieces=2)
    split = split_of(table, {"per_class": 1, "of": "blocks"})
    rows = split.rows.copy()
    shot = rows.index[(rows["condition"] == "fast") & (rows["part"] == "train")][0]
    rows.loc[shot, "start"] = 0
    mine = rows["recording_id"] == rows.loc[shot, "recording_id"]
    rows = rows[~(mine & (rows["part"] == "test") & (rows["start"] < 2 * SPAN))]
    with pytest.raises(UserError, match="lie in different parts"):
        require_disjoint(rows, table, SPAN, SPAN)


@pytest.mark.slow
def test_draws_differ_and_repeat() -> None:
    drawn = [split_of(rig(), {"per_class": 1, "draw": i}).summary.shots.drawn for i in range(5)]
    assert len({str(one) for one in drawn}) > 1
    again = split_of(rig().iloc[::-1], {"per_class": 1, "draw": 3}).summary.shots.drawn
    assert again == drawn[3]


@pytest.mark.parametrize(
    ("shots", "mends"),
    [
        ({"per_class": 4}, "shots: {per_class: 3}"),
        ({"per_class": 4}, "shots: {per_class: 4, of: blocks}"),
        ({"per_class": 400, "of": "blocks"}, "of: blocks"),
    ],
)
def test_too_few_are_told_with_the_number_there_is(shots: dict[str, Any], mends: str) -> None:
    with pytest.raises(UserError, match="too few") as caught:
        split_of(rig(), shots)
    assert mends in str(caught.value)


def test_a_group_without_classes_has_no_shots() -> None:
    table = rig()
    table.loc[table["condition"] == "fast", "fault"] = ""
    with pytest.raises(UserError, match="no recording of the test part has a class"):
        split_of(table, {"per_class": 1})
