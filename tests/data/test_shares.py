"""The share of the spans that a part holds: nearest to what was asked, stated, warned about."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workflow_src.artifacts.split_summary import ReachedShare
from workflow_src.configuration import Dataset
from workflow_src.data.draws import draw
from workflow_src.data.prepare import in_words
from workflow_src.data.splits import make_split

from ..examples import examples


def table(lengths: dict[str, list[int]]) -> pd.DataFrame:
    """A recording a unit, of the given lengths for each class."""
    rows = [
        {"recording_id": f"{fault}{u}", "unit_id": f"{fault}{u}", "run_id": f"{fault}{u}",
         "condition": "c", "length": length, "fault": fault, "life_s": np.nan, "time_s": np.nan,
         "channel_kinds": "vibration", "rate_hz": 1000.0}
        for fault, own in lengths.items() for u, length in enumerate(own)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def split(lengths: dict[str, list[int]], **keys: Any) -> Any:
    own = {"strategy": "unit", "test_share": 0.25, "validation": {"strategy": "none"}, **keys}
    dataset = {"rig": "bench", "span": {"window": 8, "horizon": 2}, "split": own}
    return make_split(table(lengths), Dataset.model_validate(dataset), "bench")


# One unit of each class holds as much as the others together.
UNEQUAL = {"normal": [3000, 400, 500, 300, 200], "inner": [2000, 600, 500, 300, 400]}


@pytest.mark.fast_cases("[0-2]")
@pytest.mark.parametrize("seed", range(20))
def test_the_share_is_one_of_the_spans(seed):
    made = split(UNEQUAL, seed=seed)
    share = made.summary.spans.test / len(made.rows)
    assert abs(share - 0.25) < 0.05
    assert made.summary.shares == {"test": ReachedShare(asked=0.25, reached=round(share, 4))}
    assert not [text for text in made.summary.warnings if "test_share" in text]
    faults = {part: set(rows["unit_id"].str[:-1]) for part, rows in made.rows.groupby("part")}
    assert faults["test"] == faults["train"] == {"normal", "inner"}


@pytest.mark.fast_cases("0")
@pytest.mark.parametrize("seed", range(5))
def test_validation_holds_its_share_of_the_training_spans(seed):
    made = split(UNEQUAL, seed=seed, validation={"strategy": "unit", "share": 0.3})
    counts = made.summary.spans
    reached = counts.val / (counts.val + counts.train)
    assert made.summary.shares["val"] == ReachedShare(asked=0.3, reached=round(reached, 4))


def test_a_share_that_cannot_be_had_is_stated_and_warned_about():
    made = split({"normal": [3000, 2900], "inner": [200, 190]}, test_share=0.1)
    reached = made.summary.shares["test"].reached
    assert reached > 0.4
    said = f"test holds {reached:.1%} of all spans; `split.test_share` asks for 10.0%"
    assert said in made.summary.warnings
    printed = in_words(made.summary)
    assert said in printed
    assert f"warning: {said}" in printed


def test_what_was_not_asked_by_share_states_none():
    made = split(UNEQUAL, test={"unit_id": ["normal1", "inner1"]})
    assert made.summary.shares == {}


def test_the_draw_does_not_depend_on_the_order_of_rows():
    keys = {"strategy": "unit", "test_share": 0.25, "validation": {"strategy": "none"}}
    dataset = Dataset.model_validate(
        {"rig": "bench", "span": {"window": 8, "horizon": 2}, "split": keys}
    )
    rows = table(UNEQUAL)
    made = [
        make_split(t, dataset, "bench").rows.set_index("recording_id")["part"].to_dict()
        for t in (rows, rows[::-1].reset_index(drop=True))
    ]
    assert made[0] == made[1]


sizes = st.lists(st.integers(1, 1000), min_size=2, max_size=5)


@examples(60)
@given(normal=sizes, inner=sizes, share=st.sampled_from([0.1, 0.25, 0.5]), seed=st.integers(0, 99))
@example(normal=[1, 1, 22], inner=[1, 173, 173, 173, 355], share=0.1, seed=0)
def test_no_other_draw_is_nearer_by_more_than_half_the_share(normal, inner, share, seed):
    """Against all draws: each class on both sides, and near, as exchanges of one group lead.

    Of 6,000 random cases the worst was off by 0.37 of the share.
    """
    counts = {f"n{i}": n for i, n in enumerate(normal)} | {f"i{i}": n for i, n in enumerate(inner)}
    groups = {name: frozenset({name[0]}) for name in counts}
    taken = draw(groups, counts, share, np.random.default_rng(seed))
    assert {name[0] for name in taken} == {name[0] for name in set(groups) - taken} == {"n", "i"}
    whole = sum(counts.values())

    def miss(names: Any) -> float:
        return abs(sum(counts[n] for n in names) / whole - share)

    every = (
        names
        for k in range(2, len(groups) - 1)
        for names in itertools.combinations(groups, k)
        if {n[0] for n in names} == {n[0] for n in set(groups) - set(names)} == {"n", "i"}
    )
    assert miss(taken) <= min(map(miss, every)) + 0.5 * share


@examples(60)
@given(
    count=st.integers(2, 12), size=st.integers(1, 100), share=st.floats(0.05, 0.95),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_groups_of_one_size_are_drawn_by_number(count, size, share, seed):
    groups = {f"u{i}": frozenset({"a"}) for i in range(count)}
    taken = draw(groups, dict.fromkeys(groups, size), share, np.random.default_rng(seed))
    assert len(taken) == min(max(round(share * count), 1), count - 1)
