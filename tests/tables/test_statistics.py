from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.tables.statistics import beats_trivial, rank, summarise

SCORES = st.floats(0, 0.97)


def marks(
    means: list[float | None], *, higher: bool = True, networks: int | None = None
) -> list[str]:
    count = len(means) if networks is None else networks
    is_network = [i < count for i in range(len(means))]
    return rank(means, is_network, higher_is_better=higher, digits=3).marks


def test_spread_is_of_the_sample_and_takes_three_seeds() -> None:
    three = summarise({1: [0.8], 2: [0.85], 3: [0.9]})
    assert (three.mean, three.sd, three.n) == (pytest.approx(0.85), pytest.approx(0.05), 3)
    assert summarise({1: [0.8], 2: [0.9]}).sd is None
    assert three.low is None


def test_rotations_are_averaged_within_a_seed_and_their_range_is_over_rotations() -> None:
    found = summarise({1: [0.2, 0.8], 2: [0.4, 1.0], 3: [0.6, 0.6]})
    assert found.seeds == pytest.approx({1: 0.5, 2: 0.7, 3: 0.6})
    assert found.sd == pytest.approx(0.1)
    assert (found.low, found.high) == (pytest.approx(0.4), pytest.approx(0.8))


def test_best_and_second_in_the_direction_of_the_metric() -> None:
    assert marks([0.5, 0.9, 0.7, None]) == ["", "best", "second", ""]
    assert marks([0.5, 0.9, 0.7, None], higher=False) == ["best", "", "second", ""]


def test_what_is_shown_as_equal_ties() -> None:
    assert marks([0.9001, 0.9004, 0.5]) == ["best", "best", "second"]
    assert marks([0.5]) == [""]


def test_models_that_all_reach_the_ceiling_are_not_ranked() -> None:
    found = rank([0.99, 1.0, 0.4], [True, True, False], higher_is_better=True, digits=3)
    assert found.at_ceiling
    assert found.marks == ["", "", ""]
    assert marks([0.99, 1.0, 0.9]) == ["best", "best", "second"]  # no order between the first two
    assert marks([0.979, 0.99]) == ["second", "best"]
    assert marks([1.5, 0.99], higher=False) == ["second", "best"]  # an error has no ceiling


@given(st.lists(st.none() | SCORES, min_size=1, max_size=8), st.booleans())
def test_no_unmarked_row_is_better_than_a_marked_one(
    means: list[float | None], higher: bool
) -> None:
    found = marks(means, higher=higher)
    sign = 1 if higher else -1
    best = [m for m, mark in zip(means, found, strict=True) if mark == "best" and m is not None]
    rest = [m for m, mark in zip(means, found, strict=True) if mark != "best" and m is not None]
    assert all(sign * b > sign * r for b in best for r in rest)
    assert all(m is not None or mark == "" for m, mark in zip(means, found, strict=True))


def test_beats_takes_three_seeds_and_two_standard_errors() -> None:
    trivial = [dict.fromkeys((1, 2, 3), 0.5), dict.fromkeys((1, 2, 3), 0.3)]
    error = 0.1 / math.sqrt(3)  # of scores that lie 0.1 around their mean
    for gain, expected in ((2.01 * error, True), (1.99 * error, False)):
        model = {1: 0.4 + gain, 2: 0.5 + gain, 3: 0.6 + gain}
        assert beats_trivial(model, trivial, higher_is_better=True) is expected
    assert beats_trivial({1: 0.9, 2: 0.9}, trivial, higher_is_better=True) is None
    assert beats_trivial({1: 0.9, 2: 0.9, 3: 0.9}, [], higher_is_better=True) is None


def test_beats_the_lowest_error() -> None:
    clock, mean = dict.fromkeys((1, 2, 3), 0.2), dict.fromkeys((1, 2, 3), 0.3)
    model = {1: 0.25, 2: 0.25, 3: 0.25}
    assert beats_trivial(model, [clock, mean], higher_is_better=False) is False
    assert beats_trivial(model, [mean], higher_is_better=False) is True


@given(st.dictionaries(st.integers(0, 9), SCORES, min_size=3))
def test_nothing_beats_itself(scores: dict[int, float]) -> None:
    assert beats_trivial(scores, [scores], higher_is_better=True) is False
