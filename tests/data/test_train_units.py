"""A curve over the number of training units: how many, which within which, and what stays."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.configuration.rotations import rotations
from workflow_src.configuration.schema import Dataset
from workflow_src.data.splits import make_split
from workflow_src.errors import UserError

TEST = {"unit_id": ["normal_0", "inner_0"]}
FAILING = "run to failure"


def rig(units: dict[str, int], speeds: int = 2) -> pd.DataFrame:
    """So many units of each class, each with a recording at each speed; "" are runs to failure."""
    rows = [
        {"recording_id": f"{fault}_{u}_{speed}", "unit_id": f"{fault}_{u}", "fault": fault,
         "condition": f"c{speed}", "run_id": f"{fault}_{u}_{speed}",
         "life_s": np.nan if fault else 9.0}
        for fault, count in units.items() for u in range(count) for speed in range(speeds)
    ]  # fmt: skip
    unknown = dict.fromkeys(("time_s", "onset_s"), np.nan)
    known = {"length": 60, "rate_hz": 100.0, "channels": 1, "channel_kinds": "vibration"}
    return pd.DataFrame(rows).assign(**unknown, **known)


def dataset_of(**split: Any) -> Dataset:
    keys = {"strategy": "unit", "test": TEST, "validation": {"strategy": "none"}, **split}
    span = {"window": 8, "horizon": 2, "stride": 1}
    return Dataset.model_validate({"rig": "bench", "span": span, "split": keys})


def splits_of(table: pd.DataFrame, **split: Any) -> dict[tuple[Any, int], Any]:
    """The split of each number and draw."""
    made = {}
    for name, dataset in rotations("d", dataset_of(**split)).items():
        assert dataset.split.train_units is not None
        assert dataset.split.draw is not None
        (number,) = dataset.split.train_units
        made[number, dataset.split.draw] = make_split(table, dataset, name)
    return made


def units_of(split: Any, part: str) -> set[str]:
    rows = split.rows
    return set(rows["unit_id"][rows["part"] == part])


def test_each_number_and_draw_is_a_dataset_and_all_takes_one() -> None:
    made = rotations("d", dataset_of(train_units=[1, "all", 3], draws=2))
    assert list(made) == [f"d.fold{i}" for i in range(5)]
    found = [(d.split.train_units, d.split.draw) for d in made.values()]
    assert found == [([1], 0), ([1], 1), (["all"], 0), ([3], 0), ([3], 1)]
    assert len(rotations("d", dataset_of(train_units=[1, 2]))) == 10
    rotated = dataset_of(train_units=[1], draws=2, test=None, rotation={"folds": 3})
    found = [d.split for d in rotations("d", rotated).values()]
    assert [(s.rotation and s.rotation.fold, s.draw) for s in found] == list(
        itertools.product(range(3), range(2))
    )


def test_more_draws_make_no_other_dataset_of_those_before() -> None:
    few, many = (rotations("d", dataset_of(train_units=[2], draws=n)) for n in (2, 4))
    assert few["d.fold1"] == many["d.fold1"]
    assert Dataset.model_validate(few["d.fold1"].model_dump()) == few["d.fold1"]


def test_a_dataset_without_the_key_is_the_one_of_before() -> None:
    assert not {"train_units", "draws", "draw"} & dataset_of().split.model_dump().keys()


@given(
    counts=st.lists(st.integers(2, 5), min_size=2, max_size=3),
    runs=st.integers(0, 4),
    seed=st.integers(0, 5),
    validation=st.sampled_from(["none", "time_block", "unit"]),
)
def test_units_are_nested_and_the_rest_stays(
    counts: list[int], runs: int, seed: int, validation: str
) -> None:
    units = {**dict(zip(("normal", "inner", "outer"), counts, strict=False)), "": runs}
    table = rig({fault: count for fault, count in units.items() if count}, speeds=1)
    keys = {"test": TEST, "seed": seed, "validation": {"strategy": validation}}
    whole = splits_of(table, train_units=["all"], **keys)["all", 0]
    pool = units_of(whole, "train")
    held = {k: sum(u.startswith(f"{k}_") for u in pool) for k in units if units[k]}
    assert {k or FAILING: len(v) for k, v in whole.summary.train_units.drawn.items()} == {
        k or FAILING: count for k, count in held.items()
    }
    numbers = list(range(1, min(held.values()) + 1))
    made = splits_of(table, train_units=numbers, draws=2, **keys) if numbers else {}
    for (number, draw), split in made.items():
        drawn = units_of(split, "train")
        assert {k: sum(u.startswith(f"{k}_") for u in drawn) for k in held} == dict.fromkeys(
            held, number
        )
        assert drawn <= pool
        smaller = made.get((number - 1, draw))
        assert smaller is None or units_of(smaller, "train") < drawn
        assert {u for us in split.summary.train_units.drawn.values() for u in us} == drawn
        assert units_of(split, "test") == units_of(whole, "test")
        cut = split.summary.validation.strategy == "time_block"  # else drawn from the whole pool
        assert units_of(split, "val") == (drawn if cut else units_of(whole, "val"))
        assert split.rows["recording_id"].nunique() + sum(split.summary.excluded.values()) == len(
            table
        )
        assert split.summary.shares == {}
        assert split.summary.strength == "unit"


def test_draws_differ_and_repeat_in_any_order_of_rows() -> None:
    table = rig({"normal": 6, "inner": 6})
    made = splits_of(table, train_units=[2])
    drawn = {draw: units_of(split, "train") for (_, draw), split in made.items()}
    assert len({frozenset(one) for one in drawn.values()}) > 1
    again = splits_of(table.iloc[::-1], train_units=[2])
    assert {draw: units_of(split, "train") for (_, draw), split in again.items()} == drawn
    other = splits_of(table, train_units=[2], seed=1)
    assert {draw: units_of(split, "train") for (_, draw), split in other.items()} != drawn


def test_a_unit_of_several_classes_counts_for_each() -> None:
    table = rig({"normal": 3, "inner": 3})
    both = ["normal_1", "normal_2"]
    table.loc[table["unit_id"].isin(both) & (table["condition"] == "c1"), "fault"] = "inner"
    made = splits_of(table, train_units=[1, 2], draws=3)
    for (number, _), split in made.items():
        counts = {k: len(v) for k, v in split.summary.train_units.drawn.items()}
        assert counts["normal"] == number
        assert counts["inner"] >= number
        told = [f"units bear several classes: {counts['inner']} of inner"]
        assert list(split.summary.reasons) == told * (counts["inner"] > number)


def test_units_without_a_label_are_a_class_of_their_own() -> None:
    table = rig({"normal": 3, "inner": 3, "none": 4})
    table.loc[table["fault"] == "none", "fault"] = ""
    split = splits_of(table, train_units=[2], draws=1)[2, 0]
    counts = {k: len(v) for k, v in split.summary.train_units.drawn.items()}
    assert counts == {"inner": 2, "no label": 2, "normal": 2}


@pytest.mark.parametrize(
    ("number", "units", "mended"),
    [
        (3, {"normal": 3, "inner": 6}, [1, 2, "all"]),
        (9, {"normal": 8, "inner": 6}, [1, 2, 4, "all"]),
    ],
)
def test_too_few_units_are_told_with_what_works(
    number: int, units: dict[str, int], mended: list[Any]
) -> None:
    table = rig(units)
    with pytest.raises(UserError, match="too few units of class") as caught:
        splits_of(table, train_units=[1, number], draws=1)
    label = min(units, key=lambda fault: units[fault])
    most = units[label] - 1
    text = str(caught.value)
    assert f"too few units of class {label}" in text
    assert f"{number}, and {most} in training" in text
    remedy = yaml.safe_load(text.partition("remedy:")[2])
    assert remedy == {"split": {"train_units": mended}}
    assert len(splits_of(table, **remedy["split"])) == 5 * (len(mended) - 1) + 1


def test_there_must_be_a_group_held_out() -> None:
    table = rig({"normal": 1, "inner": 1}, speeds=1)
    with pytest.raises(UserError, match="no draw holds one out"):
        splits_of(table, train_units=["all"], test=None)


@pytest.mark.parametrize(
    ("split", "says"),
    [
        ({"strategy": "time_block", "test": None, "train_units": [1]}, "strategy that holds out"),
        ({"draws": 3}, "is one of `train_units`"),
        ({"draw": 0}, "is one of `train_units`"),
        ({"train_units": [1, 2, 1]}, "names 1 twice"),
        ({"train_units": [1], "shots": {"per_class": 1}}, "one or the other"),
        ({"train_units": [1, 2], "draw": 0}, "one draw of one number"),
        ({"train_units": [1], "draw": 0, "draws": 2}, "one draw of one number"),
        ({"train_units": [0]}, "greater than or equal to 1"),
        ({"train_units": ["every"]}, "'all'"),
        ({"train_units": [True]}, "no numbers"),
        ({"train_units": []}, "at least 1"),
    ],
)
def test_keys_that_exclude_each_other(split: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        dataset_of(**split)


def test_the_example_of_the_page_is_made_as_it_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "splits.md").read_text(encoding="utf-8")
    section = page.partition("## Score over the number of training units")[2]
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", section.partition("\n## ")[0], re.M | re.S)
    table = rig(dict.fromkeys(("normal", "inner", "outer"), 12), speeds=1).assign(length=4096)
    made = rotations("d", Dataset.model_validate(yaml.safe_load(text)))
    assert len(made) == 16
    assert "here sixteen" in section
    splits = [make_split(table, dataset, name) for name, dataset in made.items()]
    assert {split.summary.validation.strategy for split in splits} == {"unit"}
    for part in ("test", "val"):
        assert len({frozenset(units_of(split, part)) for split in splits}) == 1
    counts = [len(units_of(split, "train")) for split in splits]
    assert counts == [3] * 5 + [6] * 5 + [12] * 5 + [counts[-1]]
    assert counts[-1] > 12
