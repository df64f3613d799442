"""Splits: parts are apart for any rig and strategy, and what cannot be split is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.artifacts.split_summary import AnomalyCounts, ByPart, SplitSummary
from workflow_src.configuration.schema import Dataset
from workflow_src.data.disjointness import require_disjoint, strength
from workflow_src.data.draws import draw
from workflow_src.data.label_support import require
from workflow_src.data.split_files import read_split, write_split
from workflow_src.data.splits import make_split
from workflow_src.errors import BadData, UserError

from ..examples import examples

SPAN = {"window": 48, "horizon": 16}
DENSE = {**SPAN, "stride": 1}


def table_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    base = {
        "condition": "c0",
        "fault": "",
        "rate_hz": 1000.0,
        "length": 2000,
        "channels": 1,
        "channel_kinds": "vibration",
        "time_s": np.nan,
        "life_s": np.nan,
        "onset_s": np.nan,
    }
    filled = [
        {**base, "recording_id": f"r{i}", "run_id": f"run{i}", **row} for i, row in enumerate(rows)
    ]
    return pd.DataFrame(filled)


def rig(units: int = 3, speeds: tuple[str, ...] = ("600", "1200")) -> pd.DataFrame:
    """`units` specimens of each of three classes, each recorded at each speed."""
    return table_of(
        [
            {"unit_id": f"{fault}{u}", "fault": fault, "condition": speed, "speed_rpm": speed}
            for fault in ("outer", "normal", "inner")
            for u in range(units)
            for speed in speeds
        ]
    )


def dataset(split: dict[str, Any], **keys: Any) -> Dataset:
    return Dataset.model_validate({"rig": "bench", "span": SPAN, "split": split, **keys})


def parts_of(rows: pd.DataFrame, column: str) -> dict[str, set[str]]:
    return {part: set(rows[column][rows["part"] == part]) for part in ("train", "val", "test")}


# ------------------------------------------------------------------------- for any rig


@st.composite
def rigs(draw: st.DrawFn) -> pd.DataFrame:
    units = draw(st.integers(1, 6))
    classes = draw(
        st.lists(st.sampled_from(["normal", "inner", ""]), min_size=units, max_size=units)
    )
    rows = []
    for u in range(units):
        for run in range(draw(st.integers(1, 3))):
            condition = draw(st.sampled_from(["c0", "c1", "c2"]))
            timed = draw(st.booleans())
            for part in range(draw(st.integers(1, 3))):
                length = draw(st.integers(620, 900))
                rows.append(
                    {
                        "unit_id": f"u{u}",
                        "run_id": f"u{u}_{run}",
                        "fault": classes[u],
                        "condition": condition,
                        "length": length,
                        "life_s": 50.0 if classes[u] == "" else np.nan,
                        "time_s": float(part) if timed or classes[u] == "" else np.nan,
                    }
                )
    return table_of(rows)


strategies = st.sampled_from(["unit", "condition", "run", "time_block"])


@examples(60)
@given(
    table=rigs(),
    strategy=strategies,
    validation=st.sampled_from(["unit", "condition", "run", "time_block", "none"]),
    gap=st.integers(0, 30),
    stride=st.none() | st.integers(1, 80),
    cap=st.none() | st.integers(1, 5),
    seed=st.integers(0, 5),
)
def test_no_two_parts_share_a_sample(
    table: pd.DataFrame,
    strategy: str,
    validation: str,
    gap: int,
    stride: int | None,
    cap: int | None,
    seed: int,
) -> None:
    told = {"strategy": strategy, "validation": {"strategy": validation}, "seed": seed}
    spans = {"span": {**SPAN, "stride": stride, "per_recording": cap}}
    if not make_split(table, dataset(told, **spans), "any").summary.gap:
        gap = 0  # an error where nothing is cut by time
    keys = dataset({**told, "gap": gap}, **spans)
    split = make_split(table, keys, "any")
    rows, summary = split.rows, split.summary
    lengths = dict(zip(table["recording_id"], table["length"], strict=True))
    assert (rows["start"] >= 0).all()
    assert (rows["start"] <= rows["recording_id"].map(lengths) - 64).all()
    at = (rows["recording_id"].map(laid_end_to_end(table)) + rows["start"]).to_numpy()
    reach = 64 + gap  # a span, and what a filter smears over a border
    for run in set(rows["run_id"]):
        owner = np.full(at.max() + 64 + reach, "", dtype=object)  # of each sample of the run
        own = (rows["run_id"] == run).to_numpy()
        for begin, part in zip(at[own], rows["part"][own], strict=True):
            assert set(owner[begin : begin + 64]) <= {"", part}
            owner[begin : begin + 64] = part
        one, other = owner[:-reach], owner[reach:]
        assert ((one == other) | (one == "") | (other == "")).all()
    assert set(rows["part"]) == {"train", "test"} | ({"val"} if validation != "none" else set())
    shared = {
        name: parts_of(rows, column)["test"] & set(rows[column][rows["part"] != "test"])
        for name, column in (("unit", "unit_id"), ("condition", "condition"), ("run", "run_id"))
    }
    assert summary.strength == next((s for s in shared if not shared[s]), "time_block")
    if cap is not None:
        assert rows.groupby(["recording_id", "part"]).size().max() <= cap
    again = make_split(table, keys, "any")
    pd.testing.assert_frame_equal(again.rows, rows)
    assert again.summary == summary == SplitSummary.model_validate_json(summary.to_json())


def laid_end_to_end(table: pd.DataFrame) -> dict[str, int]:
    """Where each recording begins in its run; `rigs` numbers consecutive parts upwards."""
    place, ends = {}, dict.fromkeys(table["run_id"], 0)
    for row in table.itertuples():
        place[row.recording_id] = ends[row.run_id]
        ends[row.run_id] += row.length
    return place


@examples(25)
@given(table=rigs(), strategy=strategies, shuffle=st.randoms(use_true_random=False))
def test_the_parts_do_not_depend_on_the_order_of_the_table(
    table: pd.DataFrame, strategy: str, shuffle: Any
) -> None:
    keys = dataset({"strategy": strategy, "validation": {"strategy": "run"}})
    order = list(range(len(table)))
    shuffle.shuffle(order)
    columns = ["recording_id", "start", "part"]
    one = make_split(table, keys, "any").rows[columns].sort_values(columns[:2])
    two = make_split(table.iloc[order], keys, "any").rows[columns].sort_values(columns[:2])
    assert one.to_numpy().tolist() == two.to_numpy().tolist()


@given(
    units=st.dictionaries(st.sampled_from("abcd"), st.integers(2, 7), min_size=1),
    both=st.integers(0, 3),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 20),
)
def test_a_draw_leaves_each_class_on_both_sides(
    units: dict[str, int], both: int, share: float, seed: int
) -> None:
    groups = {f"{c}{i}": frozenset(c) for c, count in units.items() for i in range(count)}
    groups |= {f"all{i}": frozenset(units) for i in range(both)}  # that bear every class
    sizes = dict.fromkeys(groups, 31)
    taken = draw(groups, sizes, share, np.random.default_rng(seed))
    rest = set(groups) - taken
    assert frozenset().union(*(groups[g] for g in taken)) == frozenset(units)
    assert frozenset().union(*(groups[g] for g in rest)) == frozenset(units)
    assert len(taken) <= max(round(share * len(groups)), len(units))
    backwards = dict(reversed(groups.items()))
    assert taken == draw(backwards, sizes, share, np.random.default_rng(seed))


# ------------------------------------------------------------------------- strategies


def test_unit_split_with_its_facts() -> None:
    split = make_split(
        rig(), dataset({"strategy": "unit", "validation": {"strategy": "unit"}}), "bench"
    )
    summary = split.summary
    assert summary.strength == summary.declared == "unit"
    assert list(summary.classes) == ["normal", "inner", "outer"]
    assert summary.units_per_class["inner"] == ByPart(1, 1, 1)
    assert summary.validation.model_dump() == {
        "declared": "unit",
        "strategy": "unit",
        "reason": "as declared",
    }
    assert summary.spans == ByPart(186, 186, 186)  # 6 recordings of 31 spans
    assert summary.training_class_counts == {"normal": 62, "inner": 62, "outer": 62}
    assert summary.anomaly_counts.test == AnomalyCounts(positive=124, negative=62)
    assert summary.window_ms == 48
    assert summary.horizon_ms == 16
    assert summary.revolutions_per_window == pytest.approx(0.48)  # 48 ms at 10 turns a second
    assert "0.48 revolutions" in summary.warnings[0]
    assert summary.mean_training_life_s is None


def test_one_unit_a_class_falls_to_the_next_strength_and_says_so() -> None:
    split = make_split(rig(units=1), dataset({"strategy": "unit"}), "bench")
    assert split.summary.declared == "unit"
    assert split.summary.strength == "condition"
    assert list(split.summary.reasons) == ["not by unit: only one unit bears inner, normal, outer"]
    alone = make_split(rig(units=1, speeds=("600",)), dataset({"strategy": "unit"}), "bench")
    assert alone.summary.strength == "time_block"
    assert len(alone.summary.reasons) == 3


def test_a_declared_strength_is_never_claimed_unless_proven() -> None:
    keys = dataset({"strategy": "unit", "test": {"speed_rpm": [600]}})
    summary = make_split(rig(), keys, "bench").summary
    assert summary.strength == "condition"
    assert "declared unit, proven condition: 9 values of unit_id" in summary.reasons[0]


def test_selectors_compare_numbers_and_texts() -> None:
    for value in (1200, "1200", 1200.0):
        keys = dataset({"strategy": "condition", "test": {"speed_rpm": [value]}})
        assert parts_of(make_split(rig(), keys, "b").rows, "condition")["test"] == {"1200"}
    named = table_of([{"unit_id": "1_2"}, {"unit_id": "12"}])
    keys = dataset({"strategy": "unit", "test": {"unit_id": ["12"]}})
    assert parts_of(make_split(named, keys, "b").rows, "unit_id")["test"] == {"12"}


def test_excluded_recordings_are_counted() -> None:
    keys = dataset(
        {
            "strategy": "unit",
            "test": {"unit_id": ["inner0", "normal0"]},
            "train": {"unit_id": ["inner1", "normal1"]},
        },
        select={"fault": ["inner", "normal"]},
    )
    summary = make_split(rig(), keys, "bench").summary
    assert summary.excluded == {"not in `select`": 6, "in no part": 4}
    assert summary.recordings == ByPart(4, 4, 4)


def test_time_blocks_stand_in_order_with_a_gap() -> None:
    keys = dataset({"strategy": "time_block", "gap": 10})
    split = make_split(rig(units=1, speeds=("600",)), keys, "bench")
    one = split.rows[split.rows["recording_id"] == "r0"]
    edges = one.groupby("part")["start"].agg(["min", "max"])
    assert edges.loc["val", "min"] - (edges.loc["train", "max"] + 64) >= 74
    assert edges.loc["test", "min"] - (edges.loc["val", "max"] + 64) >= 74
    assert split.summary.gap == 74


def consecutive(names: list[str], times: list[float]) -> pd.DataFrame:
    return table_of(
        [
            {"unit_id": "u", "run_id": "run", "recording_id": name, "time_s": time}
            for name, time in zip(names, times, strict=True)
        ]
    )


@pytest.mark.parametrize(
    ("names", "times", "order"),
    [
        (["a_10", "a_9", "a_2"], [np.nan] * 3, ["a_2", "a_9", "a_10"]),
        (["a_1", "a_2", "a_3"], [5.0, 9.0, 0.0], ["a_3", "a_1", "a_2"]),
        (["a_1", "a_2", "a_3"], [5.0, np.nan, 0.0], ["a_1", "a_2", "a_3"]),
    ],
)
def test_consecutive_recordings_keep_the_gap_at_their_seam(
    names: list[str], times: list[float], order: list[str]
) -> None:
    table = consecutive(names, times)
    split = make_split(table, dataset({"strategy": "time_block", "gap": 10}, span=DENSE), "uestc")
    edges = split.rows.groupby("recording_id")["start"].agg(["min", "max"]).loc[order]
    assert (edges["min"] == 0).all()
    assert (edges["max"] + 64).tolist() == [2000 - 74, 2000 - 74, 2000]  # the last one is whole
    assert any("cut each by itself" in reason for reason in split.summary.reasons)
    require_disjoint(split.rows, table, 64, 74)
    moved = split.rows.copy()
    moved.loc[moved.index[moved["recording_id"] == order[0]][-1], "start"] += 1
    with pytest.raises(UserError, match="73 samples apart, 74 are needed") as caught:
        require_disjoint(moved, table, 64, 74)
    assert f"recording {order[1]!r}, start 0" in str(caught.value)


def test_validation_by_time_keeps_the_gap_between_recordings_of_a_run() -> None:
    table = table_of([{"unit_id": f"u{i // 3}", "run_id": f"run{i // 3}"} for i in range(6)])
    keys = dataset({"strategy": "unit", "test": {"unit_id": ["u1"]}}, span=DENSE)
    split = make_split(table, keys, "uestc")
    ends = (split.rows.groupby("recording_id")["start"].max() + 64).to_dict()
    trained = {"r0": 2000 - 64, "r1": 2000 - 64, "r2": 2000}
    assert ends == trained | dict.fromkeys(("r3", "r4", "r5"), 2000)  # the test part is not cut
    assert "cut each by itself" in split.summary.validation.reason
    table.loc[1, "length"] = 64 * 4 - 1  # two spans, the gap between them and the one at the seam
    with pytest.raises(BadData, match="before the next recording of the run") as caught:
        make_split(table, keys, "uestc")
    assert "at least 256" in str(caught.value)


def test_parts_of_one_run_stay_together() -> None:
    table = table_of([{"unit_id": f"u{i // 5}", "run_id": f"run{i // 5}"} for i in range(20)])
    keys = dataset({"strategy": "run", "validation": {"strategy": "run"}})
    split = make_split(table, keys, "uestc")
    parts = parts_of(split.rows, "run_id")
    assert not parts["train"] & parts["val"]
    assert not parts["test"] & parts["train"]
    torn = dataset({"strategy": "run", "test": {"recording_id": ["r0"]}})
    with pytest.raises(UserError, match="run 'run0' lie in different parts") as caught:
        make_split(table, torn, "uestc")
    assert "recording 'r0', start 0" in str(caught.value)


def test_a_draw_by_unit_does_not_tear_a_run_of_two_units_apart() -> None:
    table = table_of([{"unit_id": f"u{i}", "run_id": f"run{i // 2}"} for i in range(2)])
    split = make_split(table, dataset({"strategy": "unit"}), "two bearings on one shaft")
    assert split.summary.strength == "time_block"
    assert "not by unit: run run0 would be torn apart" in split.summary.reasons


def test_fixed_split_reads_its_file(tmp_path: Path) -> None:
    table = rig(units=1)
    lines = ["recording_id,part", "r0,train", "r2,train", "r4,train", "r1,test", "r3,val"]
    (tmp_path / "my.csv").write_text("\n".join(lines))
    keys = dataset({"strategy": "fixed", "file": "my.csv"})
    split = make_split(table, keys, "bench", tmp_path)
    assert parts_of(split.rows, "recording_id") == {
        "train": {"r0", "r2", "r4"},
        "val": {"r3"},
        "test": {"r1"},
    }
    assert split.summary.excluded == {"in no part": 1}
    for bad, message in (
        ("r0,training", "part 'training' of 'r0'"),
        ("r99,test", "does not have"),
        ("r0,test", "twice"),
    ):
        (tmp_path / "my.csv").write_text("\n".join([*lines, bad]))
        with pytest.raises(UserError, match=message):
            make_split(table, keys, "bench", tmp_path)


def test_runs_to_failure_are_drawn_and_their_lives_kept() -> None:
    table = table_of(
        [
            {"unit_id": f"b{u}", "run_id": f"b{u}", "time_s": 10.0 * k, "life_s": 100.0 * (u + 1)}
            for u in range(4)
            for k in range(3)
        ]
    )
    keys = dataset(
        {"strategy": "unit", "validation": {"strategy": "unit"}, "test": {"unit_id": ["b3"]}}
    )
    summary = make_split(table, keys, "femto").summary
    lives = summary.training_lives_s
    assert len(lives) == 2
    assert summary.mean_training_life_s == np.mean(list(lives.values()))
    assert summary.runs_to_failure == ByPart(2, 1, 1)  # of 3 recordings each
    assert summary.supported["rul_prediction"] is None
    cut = make_split(table, dataset({"strategy": "unit"}), "femto").summary
    assert any("cut by time" in warning for warning in cut.warnings)
    healthy = make_split(rig(), dataset({"strategy": "unit"}), "bench").summary
    assert healthy.runs_to_failure == ByPart(0, 0, 0)


# ------------------------------------------------------------------------- tasks


def test_tasks_without_labels_are_refused_or_dropped() -> None:
    keys = dataset({"strategy": "unit", "test": {"unit_id": ["inner0", "normal0"]}})
    summary = make_split(rig(), keys, "bench").summary
    assert summary.supported["signal_prediction"] is None
    assert summary.supported["anomaly_detection"] is None
    with pytest.raises(UserError, match="class outer in the train part, but not in the") as caught:
        require(summary, ["classification", "signal_prediction"], "error")
    assert "classes_absent_from_test: [outer]" in str(caught.value)
    assert "unsupported_tasks: drop" in str(caught.value)
    kept, dropped = require(summary, ["classification", "signal_prediction"], "drop")
    assert kept == ["signal_prediction"]
    assert list(dropped) == ["classification"]
    kept, dropped = require(summary, ["rul_prediction"], "drop")  # nothing is left: a dash
    assert (kept, list(dropped)) == ([], ["rul_prediction"])
    allowed = dataset(
        {
            "strategy": "unit",
            "test": {"unit_id": ["inner0", "normal0"]},
            "classes_absent_from_test": ["outer"],
        }
    )
    assert make_split(rig(), allowed, "b").summary.supported["classification"] is None


def test_a_class_that_training_lacks_is_named() -> None:
    keys = dataset(
        {
            "strategy": "unit",
            "test": {"unit_id": ["inner0", "normal0", "outer0"]},
            "train": {"fault": ["normal"]},
        },
        select={"fault": ["normal", "inner"]},
    )
    with pytest.raises(UserError):  # outer0 is not selected
        make_split(rig(), keys, "bench")
    keys = dataset({"strategy": "unit", "test": {"fault": ["inner"]}})
    summary = make_split(rig(), keys, "bench").summary
    reason = summary.supported["classification"]
    assert reason == "class inner in the test part, but not in the train part"
    assert "fault:" in summary.remedies["classification"]
    assert summary.supported["anomaly_detection"] == (
        "no normal recording in the test part (labels: inner)"
    )


# ------------------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("split", "keys", "message"),
    [
        ({"strategy": "unit", "test": {"sped_rpm": [600]}}, {}, "nearest is `speed_rpm`"),
        ({"strategy": "unit", "test": {"speed_rpm": [601]}}, {}, "speed_rpm: 1200, 600"),
        ({"strategy": "unit"}, {"select": {"fault": ["iner"]}}, r"fault: \[inner\]"),
        (
            {"strategy": "unit", "test": {"fault": ["inner"]}, "train": {"speed_rpm": [600]}},
            {},
            "in `test` and in `train`",
        ),
        ({"strategy": "unit", "train": {"fault": ["inner"]}}, {}, "but not `test`"),
        ({"strategy": "time_block", "test": {"fault": ["inner"]}}, {}, "reads neither"),
        ({"strategy": "fixed"}, {}, "need each other"),
        ({"strategy": "unit"}, {"channel_kinds": ["current"]}, r"channel_kinds: \[vibration\]"),
        ({"strategy": "unit", "classes_absent_from_test": ["bal"]}, {}, "inner, normal, outer"),
        (
            {"strategy": "unit", "test": {"fault": ["inner"], "unit_id": ["outer0"]}},
            {},
            "No recording is selected",
        ),
        (
            {
                "strategy": "unit",
                "validation": {"strategy": "none", "select": {"fault": ["inner"]}},
            },
            {},
            "reads no `select`",
        ),
        (
            {"strategy": "unit", "test": {"fault": ["inner", "normal", "outer"]}},
            {},
            "train part has no span",
        ),
    ],
)
def test_what_does_not_fit_is_said(
    split: dict[str, Any], keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        make_split(rig(), dataset(split, **keys), "bench")


def test_short_recordings_are_named_with_a_span_that_fits() -> None:
    table = rig()
    table.loc[4, "length"] = 50
    with pytest.raises(BadData, match="shorter than a span") as caught:
        make_split(table, dataset({"strategy": "unit"}), "bench")
    assert "'r4'" in str(caught.value)
    assert "50 samples" in str(caught.value)
    assert "span: {window: 44, horizon: 6}" in str(caught.value)
    table.loc[4, "length"] = 150
    with pytest.raises(BadData, match="too short to be cut into time blocks") as caught:
        make_split(table, dataset({"strategy": "time_block"}), "bench")
    assert "at least 320" in str(caught.value)  # 3 spans and 2 gaps of 64
    assert "strategy: run\n" in str(caught.value)
    assert "validation: {strategy: run}" in str(caught.value)


def test_recordings_that_differ_in_channels_are_refused() -> None:
    table = rig()
    table.loc[5, "channel_kinds"] = "vibration|vibration"
    with pytest.raises(BadData, match="differ in their channels"):
        make_split(table, dataset({"strategy": "unit"}), "bench")


# ------------------------------------------------------------------------- proof and files


def test_the_guard_names_the_two_spans() -> None:
    table = rig()
    split = make_split(table, dataset({"strategy": "time_block"}), "bench")
    require_disjoint(split.rows, table, 64, 64)
    moved = split.rows.copy()
    first_val = moved.index[(moved["recording_id"] == "r3") & (moved["part"] == "val")][0]
    before = moved.loc[first_val - 1]
    moved.loc[first_val, "start"] = before["start"] + 63
    with pytest.raises(UserError, match="-1 samples apart, 64 are needed") as caught:
        require_disjoint(moved, table, 64, 64)
    assert f"span {before['span']}, recording 'r3'" in str(caught.value)
    moved.loc[first_val, "start"] = before["start"] + 64 + 63
    require_disjoint(moved, table, 64, 63)
    with pytest.raises(UserError, match="63 samples apart, 64 are needed"):
        require_disjoint(moved, table, 64, 64)
    moved.loc[first_val, "start"] = 1990
    with pytest.raises(UserError, match="within its recording"):
        require_disjoint(moved, table, 64, 64)


def test_strength_counts_validation_as_training() -> None:
    table = rig()
    keys = dataset({"strategy": "unit", "validation": {"strategy": "unit"}})
    rows = make_split(table, keys, "bench").rows
    assert strength(rows, table) == "unit"
    unit = rows["unit_id"][rows["part"] == "val"].iloc[0]
    rows.loc[rows.index[rows["unit_id"] == unit][0], "part"] = "test"
    assert strength(rows, table) != "unit"


def test_a_split_is_read_as_it_was_written(tmp_path: Path) -> None:
    split = make_split(rig(), dataset({"strategy": "unit"}), "bench")
    write_split(split, tmp_path / "bench")
    back = read_split(tmp_path / "bench")
    pd.testing.assert_frame_equal(back.rows.astype(split.rows.dtypes), split.rows)
    assert back.summary.model_copy(update={"sha256": None}) == split.summary
    assert sorted(p.name for p in (tmp_path / "bench").iterdir()) == ["split.csv", "split.json"]
    lines = (tmp_path / "bench/split.csv").read_text().splitlines()
    (tmp_path / "bench/split.csv").write_text("\n".join(lines[:-3]))
    with pytest.raises(BadData, match="cannot be read"):
        read_split(tmp_path / "bench")
