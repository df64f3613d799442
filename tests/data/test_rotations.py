"""Rotations: balanced, complete, and a wrong number is told with the right one."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.configuration.rotations import rotations
from workflow_src.configuration.schema import Dataset
from workflow_src.data.rotations import deal
from workflow_src.data.splits import make_split
from workflow_src.errors import UserError

from ..examples import examples

NONE = {"validation": {"strategy": "none"}}


def rig(units: list[str], faults: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "recording_id": [f"r_{unit}" for unit in units],
            "unit_id": units,
            "run_id": [f"run_{unit}" for unit in units],
            "condition": "c0",
            "fault": faults,
            "length": 40,
            "rate_hz": 100.0,
            "channels": 1,
            "channel_kinds": "vibration",
            "time_s": np.nan,
            "life_s": np.nan,
            "onset_s": np.nan,
        }
    )


def dataset(split: dict[str, Any]) -> Dataset:
    keys = {"rig": "bench", "span": {"window": 8, "horizon": 2}, "split": {**NONE, **split}}
    return Dataset.model_validate(keys)


@given(
    classes=st.lists(st.sampled_from("abc"), min_size=2, max_size=14),
    data=st.data(),
    seed=st.integers(0, 9),
)
def test_folds_are_balanced_by_class_and_by_size(
    classes: list[str], data: st.DataObject, seed: int
) -> None:
    groups = {f"u{i}": frozenset(label) for i, label in enumerate(classes)}
    folds = data.draw(st.integers(2, len(groups)))
    dealt = deal(groups, folds, (seed, 2))
    assert sorted(itertools.chain(*dealt)) == sorted(groups)
    sizes = [len(fold) for fold in dealt]
    assert max(sizes) - min(sizes) <= 1
    for label in set(classes):
        counts = [sum(label in groups[name] for name in fold) for fold in dealt]
        if folds < len(groups):
            assert max(counts) - min(counts) <= 1
    assert dealt == deal(dict(reversed(groups.items())), folds, (seed, 2))


LABELS = st.sets(st.sampled_from("abcd"), max_size=3).map(frozenset)


@examples(150)
@given(labels=st.lists(LABELS, min_size=3, max_size=6), folds=st.integers(2, 3))
def test_training_keeps_every_class_where_some_deal_does(
    labels: list[frozenset[str]], folds: int
) -> None:
    """Held against every deal that there is."""
    groups = {f"u{i}": own for i, own in enumerate(labels)}
    totals = Counter(label for own in labels for label in own)

    def loses(dealt: list[list[str]]) -> bool:
        return any(
            all(label not in groups[n] for other in dealt if other is not fold for n in other)
            for fold in dealt
            for label in totals
            if totals[label] > 1
        )

    found = deal(groups, folds, (0, 2))
    assert all(found)
    possible = (
        [[n for n, at in zip(groups, places, strict=True) if at == f] for f in range(folds)]
        for places in itertools.product(range(folds), repeat=len(groups))
    )
    assert not loses(found) or all(loses(d) for d in possible if all(d))


def test_leave_one_out_takes_groups_in_natural_order() -> None:
    table = rig(["b10", "b9", "b1"], ["inner", "inner", "inner"])
    made = rotations("d", dataset({"strategy": "unit", "rotation": {"folds": 3}}))
    assert list(made) == ["d.fold0", "d.fold1", "d.fold2"]
    tested = [
        set(split.rows["unit_id"][split.rows["part"] == "test"])
        for split in (make_split(table, one, name) for name, one in made.items())
    ]
    assert tested == [{"b1"}, {"b9"}, {"b10"}]


def test_a_class_that_training_lacks_is_said() -> None:
    table = rig(["a", "b", "c"], ["inner", "inner", "outer"])
    made = rotations("d", dataset({"strategy": "unit", "rotation": {"folds": 3}}))
    summary = make_split(table, made["d.fold2"], "d.fold2").summary
    assert list(summary.reasons) == [
        "fold 2 of 3: training lacks outer, which no other unit than c bears"
    ]
    assert summary.supported["classification"] is not None
    assert make_split(table, made["d.fold0"], "d.fold0").summary.reasons == ()


@pytest.mark.parametrize(
    ("rotation", "says", "mends"),
    [
        ({"folds": 4}, "fewer groups than folds", "rotation: {folds: 3}"),
        ({"folds": 2, "leave_one_out": True}, "a fold for each group", "{folds: 3, leave_one_out:"),
        ({"folds": 4, "leave_one_out": True}, "fewer groups", "{folds: 3, leave_one_out: true}"),
    ],
)
def test_a_wrong_number_of_folds(rotation: dict[str, Any], says: str, mends: str) -> None:
    table = rig(["a", "b", "c"], ["inner", "inner", "outer"])
    made = rotations("d", dataset({"strategy": "unit", "rotation": rotation}))
    with pytest.raises(UserError, match=says) as caught:
        make_split(table, made["d.fold0"], "d.fold0")
    assert mends in str(caught.value)
    assert "key `split.rotation`" in str(caught.value)
    assert "a, b, c" in str(caught.value)


def test_one_rig_has_no_rigs_to_rotate() -> None:
    table = rig(["a", "b", "c"], ["inner", "inner", "outer"])
    made = rotations("d", dataset({"strategy": "rig", "rotation": {"folds": 2}}))
    with pytest.raises(UserError, match="one rig cannot be held out") as caught:
        make_split(table, made["d.fold0"], "d.fold0")
    assert "split: {strategy: unit}" in str(caught.value)


@pytest.mark.parametrize(
    ("split", "says"),
    [
        ({"strategy": "time_block", "rotation": {"folds": 2}}, "needs a strategy that holds out"),
        ({"strategy": "time_block", "shots": {"per_class": 1}}, "needs a strategy that holds out"),
        (
            {"strategy": "unit", "rotation": {"folds": 2}, "folds": [{"test": {"unit_id": ["a"]}}]},
            "excludes `folds`",
        ),
        (
            {"strategy": "unit", "rotation": {"folds": 2}, "test": {"unit_id": ["a"]}},
            "excludes `test`",
        ),
        ({"strategy": "unit", "rotation": {"folds": 2, "fold": 2}}, "no fold 2 of 2"),
        ({"strategy": "unit", "shots": {"per_class": 1, "spans": 2}}, "no blocks of `spans`"),
        ({"strategy": "unit", "allow_leakage": True}, "nothing to allow"),
        (
            {"strategy": "unit", "validation": {"strategy": "naive_windows"}},
            "or neither of them is",
        ),
        (
            {"strategy": "unit", "truncation": "a.csv", "shots": {"per_class": 1}},
            "one prediction and no shots",
        ),
    ],
)
def test_keys_that_exclude_each_other(split: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        dataset(split)


def test_draws_of_one_rotation_stand_together() -> None:
    split = {"strategy": "unit", "rotation": {"folds": 2}, "shots": {"per_class": 1, "draws": 3}}
    made = rotations("d", dataset(split))
    assert list(made) == [f"d.fold{i}" for i in range(6)]
    found = [(d.split.rotation.fold, d.split.shots.draw) for d in made.values()]  # type: ignore[union-attr]
    assert found == list(itertools.product(range(2), range(3)))
