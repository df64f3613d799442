"""Keys of rotations, shots, truncation and naive windows, seen in the splits that they make."""

from __future__ import annotations

from typing import Any

import pytest

from workflow_src.errors import UserError

NO_VALIDATION = {"validation": {"strategy": "none"}}
BY_UNIT = {"strategy": "unit", "rotation": {"folds": 9}, **NO_VALIDATION}
BY_SPEED = {"strategy": "condition", "test": {"condition": ["fast"]}, **NO_VALIDATION}
BY_HELD = {"strategy": "unit", "test": {"unit_id": ["normal0", "inner0", "b0"]}, **NO_VALIDATION}
NAIVE = {"strategy": "naive_windows", "validation": {"strategy": "naive_windows"}}


def made(world: Any, split: dict[str, Any], **keys: Any) -> Any:
    return world.split({"split": split, **keys}, new=True)


def names(world: Any, split: dict[str, Any]) -> list[str]:
    """The datasets that the configuration makes of `split` alone."""
    own = {"rig": "bench", "span": {"window": 40, "horizon": 8}, "split": split}
    return list(world.load({"datasets": ["alone"]}, datasets__alone=own).datasets)


def units(world: Any, split: dict[str, Any]) -> set[str]:
    return tested(world, split, "unit_id")


def tested(world: Any, split: dict[str, Any], column: str) -> set[str]:
    rows = made(world, split).rows
    return set(rows[column][rows["part"] == "test"])


def rotation(world: Any) -> None:
    assert names(world, {"strategy": "unit"}) == ["alone"]
    assert names(world, BY_UNIT) == [f"alone.fold{i}" for i in range(9)]


def rotation_folds(world: Any) -> None:
    assert len(names(world, {**BY_UNIT, "rotation": {"folds": 3}})) == 3
    for folds, count in ((9, 1), (3, 3)):
        split = {**BY_UNIT, "rotation": {"folds": folds, "fold": 0}}
        assert len(units(world, split)) == count


def rotation_leave_one_out(world: Any) -> None:
    few = {**BY_UNIT, "rotation": {"folds": 3, "fold": 0}}
    assert len(units(world, few)) == 3
    one = {**BY_UNIT, "rotation": {"folds": 3, "fold": 0, "leave_one_out": True}}
    with pytest.raises(UserError, match="folds: 9") as caught:
        made(world, one)
    assert "rotation: {folds: 9, leave_one_out: true}" in str(caught.value)


def rotation_fold(world: Any) -> None:
    folds = [{**BY_UNIT, "rotation": {"folds": 9, "fold": i}} for i in range(9)]
    assert set.union(*(units(world, fold) for fold in folds)) == {
        *(f"{fault}{u}" for fault in ("normal", "inner", "b") for u in range(3))
    }
    assert names(world, folds[4]) == ["alone"]


def shots(world: Any) -> None:
    assert names(world, BY_SPEED) == ["alone"]
    few = {**BY_SPEED, "shots": {"per_class": 1}}
    assert names(world, few) == [f"alone.fold{i}" for i in range(5)]
    rows = made(world, few).rows
    assert len(set(rows["recording_id"][rows["part"] == "test"])) == 4  # of six


def shots_per_class(world: Any) -> None:
    for count in (1, 2):
        split = {**BY_SPEED, "shots": {"per_class": count}}
        assert len(tested(world, split, "recording_id")) == 6 - 2 * count
        drawn = made(world, split).summary.shots.drawn
        assert {label: len(names) for label, names in drawn.items()} == {
            "normal": count,
            "inner": count,
        }


def shots_of(world: Any) -> None:
    whole, blocks = (
        made(world, {**BY_SPEED, "shots": {"per_class": 1, "of": of}})
        for of in ("recordings", "blocks")
    )
    assert (whole.summary.strength, blocks.summary.strength) == ("run", "time_block")


def shots_spans(world: Any) -> None:
    for spans in (1, 2):
        keys = {"per_class": 1, "of": "blocks", "spans": spans}
        rows = made(world, {**BY_SPEED, "shots": keys}).rows
        fast = rows[(rows["condition"] == "fast") & (rows["part"] == "train")]
        assert len(fast) == 2 * spans


def shots_draws(world: Any) -> None:
    assert len(names(world, {**BY_SPEED, "shots": {"per_class": 1, "draws": 2}})) == 2


def shots_draw(world: Any) -> None:
    drawn = {
        str(made(world, {**BY_SPEED, "shots": {"per_class": 1, "draw": i}}).summary.shots.drawn)
        for i in range(5)
    }
    assert len(drawn) > 1


def train_units(world: Any) -> None:
    assert names(world, {**BY_HELD, "train_units": [1, "all"]}) == [
        f"alone.fold{i}" for i in range(6)
    ]
    for number in (1, 2):
        split = {**BY_HELD, "train_units": [number], "draw": 0}
        rows = made(world, split).rows
        assert len(set(rows["unit_id"][rows["part"] == "train"])) == 3 * number


def draws(world: Any) -> None:
    assert len(names(world, {**BY_HELD, "train_units": [1, 2, "all"], "draws": 3})) == 7


def draw(world: Any) -> None:
    drawn = {
        str(made(world, {**BY_HELD, "train_units": [1], "draw": i}).summary.train_units.drawn)
        for i in range(5)
    }
    assert len(drawn) > 1


def truncation(world: Any) -> None:
    (world.folder / "cut.csv").write_text("run_id,truncation_s,official_rul_s\nb1,250,50\n")
    split = {"strategy": "unit", "test": {"unit_id": ["b1"]}, **NO_VALIDATION}
    assert tested(world, split, "recording_id") == {f"b1_{k}" for k in range(4)}
    split["truncation"] = "cut.csv"
    assert tested(world, split, "recording_id") == {"b1_2"}  # at 200 s of 300


def allow_leakage(world: Any) -> None:
    with pytest.raises(UserError, match="allow_leakage: true"):
        names(world, NAIVE)
    assert names(world, {**NAIVE, "allow_leakage": True}) == ["alone"]
    summary = made(world, {**NAIVE, "allow_leakage": True}, span={"stride": 8}).summary
    assert summary.leaky.sharing_samples > 0


PROBES = {
    "Split.rotation": rotation,
    "Split.shots": shots,
    "Split.train_units": train_units,
    "Split.draws": draws,
    "Split.draw": draw,
    "Split.truncation": truncation,
    "Split.allow_leakage": allow_leakage,
    "Rotation.folds": rotation_folds,
    "Rotation.leave_one_out": rotation_leave_one_out,
    "Rotation.fold": rotation_fold,
    "Shots.per_class": shots_per_class,
    "Shots.of": shots_of,
    "Shots.spans": shots_spans,
    "Shots.draws": shots_draws,
    "Shots.draw": shots_draw,
}
