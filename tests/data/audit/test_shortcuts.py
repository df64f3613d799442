"""A feature that gives the label away is told; one that does not, or only by chance, is not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workflow_src.data.audit.features import pieces
from workflow_src.data.audit.shortcuts import LIFE, Shortcut, shortcuts
from workflow_src.data.splits import make_split

from .benches import bench, dataset_of, noise, stored


def rows(units: int = 24, seed: int = 0, **features: Any) -> pd.DataFrame:
    """Units of normal, inner and outer in turn, half of them in test, a recording each."""
    drawn = np.random.default_rng(seed).standard_normal(units)
    faults = np.array(["normal", "inner", "outer"])[np.arange(units) % 3]
    frame = pd.DataFrame(
        {
            "recording_id": [f"r{i}" for i in range(units)],
            "part": ["train" if i < units // 2 else "test" for i in range(units)],
            "unit_id": [f"u{i}" for i in range(units)],
            "run_id": [f"r{i}" for i in range(units)],
            "fault": faults,
            "time_s": np.nan,
            "life_s": np.nan,
            "sampling rate": 12000.0,
            "length": 5000.0,
            "RMS": drawn,
        }
    )
    return frame.assign(**{name: make(faults) for name, make in features.items()})


def warned(frame: pd.DataFrame) -> set[tuple[str, str]]:
    return {(one.feature, one.target) for one in shortcuts(frame) if one.warns}


@pytest.mark.parametrize("feature", ["sampling rate", "length", "RMS", "offset"])
def test_a_feature_that_separates_healthy_from_fault_is_told(feature: str) -> None:
    frame = rows(**{feature: lambda faults: np.where(faults == "normal", 48000.0, 12000.0)})
    assert (feature, "normal from fault") in warned(frame)
    text = next(one.text for one in shortcuts(frame) if one.warns)
    assert text.startswith(f"{feature} alone tells normal from fault: balanced accuracy 1.00")
    assert "12 test units" in text


def test_an_unknown_rate_tells_too() -> None:
    unknown = {"sampling rate": lambda faults: np.where(faults == "normal", np.nan, 12000.0)}
    assert ("sampling rate", "normal from fault") in warned(rows(**unknown))


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_the_rule_says() -> None:
    alarms = sum(bool(warned(rows(seed=seed))) for seed in range(100))
    assert alarms <= 12  # 5 are expected; more than 12 come once in a thousand


def test_with_too_few_units_only_a_separation_warns() -> None:
    few = rows(6)  # three units in test: one of each class
    assert not any(one.testable for one in shortcuts(few))
    separated = rows(6, RMS=lambda faults: np.where(faults == "normal", 0.0, 9.0))
    assert warned(separated) == {("RMS", "normal from fault")}
    (text,) = (one.text for one in shortcuts(separated) if one.warns)
    assert "3 test units, too few for a test" in text


def test_recordings_of_one_unit_are_no_evidence_of_their_own() -> None:
    """Forty recordings a side of three units are three units."""
    frame = rows(80, RMS=lambda faults: np.arange(80) % 3)
    frame["unit_id"] = frame["fault"]
    assert {one.units for one in shortcuts(frame)} == {3}
    assert not any(one.testable for one in shortcuts(frame))


@pytest.mark.parametrize("target", ["normal from fault", "the class"])
def test_the_rule_at_its_edge(target: str) -> None:
    def one(score: float, p: float, least_p: float = 0.001) -> bool:
        return Shortcut("RMS", target, score, 0.5, 9, p, least_p, 0.01).warns

    assert one(0.61, 0.01)
    assert not one(0.59, 0.01)
    assert not one(0.61, 0.011)
    assert one(0.9, 0.3, least_p=0.25)
    assert not one(0.89, 0.3, least_p=0.25)


def lives(spacing: Any, snapshots: Any) -> pd.DataFrame:
    """Runs to failure of lives 1000 s, 2000 s, ..., of which some snapshots are kept."""
    made = []
    for i in range(9):
        step, count = spacing(1000.0 * (i + 1)), snapshots(1000.0 * (i + 1))
        made += [
            {"recording_id": f"{i}_{k}", "run_id": f"run{i}", "unit_id": f"run{i}", "fault": "",
             "part": "test" if i < 3 else "train", "time_s": k * step, "life_s": 1000.0 * (i + 1),
             "length": 2560.0}
            for k in range(count)
        ]  # fmt: skip
    return pd.DataFrame(made)


def test_a_spacing_or_a_count_that_is_the_life_is_told() -> None:
    spaced = lives(lambda life: life / 50, lambda life: 50)
    assert warned(spaced) == {("spacing of recordings", LIFE)}
    counted = lives(lambda life: 10.0, lambda life: int(life // 100))
    assert warned(counted) == {("number of recordings", LIFE)}


def test_a_subset_that_hides_the_life_is_not_told() -> None:
    counts = iter([31, 12, 44, 25, 18, 50, 9, 39, 21] * 2)
    steps = iter([10.0, 30.0, 20.0, 5.0, 25.0, 12.0, 40.0, 8.0, 15.0])
    assert warned(lives(lambda life: next(steps), lambda life: next(counts))) == set()


def test_levels_are_those_of_what_the_part_uses(tmp_path: Any) -> None:
    loud = 4 * noise(2000, 1, 2) + np.float32(7)
    store, split = bench(tmp_path, {"a": ("train", noise(2000, 0, 2)), "b": ("test", loud)})
    found = pieces(store, split).set_index("recording_id")
    assert found.loc["b", "RMS of channel 1"] == pytest.approx(math.log(loud[:, 1].std()), abs=1e-4)
    assert found.loc["b", "offset of channel 0"] == pytest.approx(loud[:, 0].mean(), abs=1e-4)
    assert found.loc["a", "offset of channel 0"] == pytest.approx(0, abs=0.1)
    assert found.loc["a", "sampling rate"] == 1000
    assert set(found["length"]) == {2000}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rig", "name", "keys", "feature"),
    [
        ("uestc", "uestc_speed", {"test": {"speed_rpm": [1200]}}, "RMS"),
        ("hit_sm", "hit_speed", {"test": {"speed_rpm": [600]}}, "RMS"),
        ("cwru", "cwru_blocks", {}, "sampling rate"),
    ],
)
def test_the_known_shortcuts_of_public_rigs_are_told(
    tmp_path: Any, rig: str, name: str, keys: dict[str, Any], feature: str
) -> None:
    dataset = dataset_of(name, **keys)
    if feature == "sampling rate":  # the healthy recording is at 48 kHz, these faults are at 12
        mixed = ["normal_0_97", "12k_IR007_2_107", "12k_B007_2_120", "12k_OR007@6_2_132"]
        dataset = dataset.model_copy(update={"select": {"recording_id": mixed}})
    with stored(tmp_path, rig) as store:
        found = shortcuts(pieces(store, make_split(store.table, dataset, name)))
    (one,) = (s for s in found if (s.feature, s.target) == (feature, "normal from fault"))
    assert one.warns
    assert one.score == 1
