"""The PHM 2012 score: its formula, the life that a fraction stands for, and where it is none."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.tasks.rul_prediction.phm2012 import accuracy, remaining_s
from workflow_src.tasks.rul_prediction.score import score

NAMES = ("phm2012", "phm2012_full_run")


@pytest.mark.parametrize(
    ("predicted", "expected"), [(100, 1.0), (80, 0.5), (105, 0.5), (110, 0.25), (60, 0.25)]
)
def test_five_percent_late_cost_as_much_as_twenty_early(predicted: float, expected: float) -> None:
    assert accuracy(100.0, predicted) == pytest.approx(expected)


@given(actual=st.floats(1, 1e5), predicted=st.floats(0, 1e6))
def test_it_is_the_published_formula(actual: float, predicted: float) -> None:
    error = 100 * (actual - predicted) / actual
    if error <= 0:
        expected = math.exp(-math.log(0.5) * error / 5)
    else:
        expected = math.exp(math.log(0.5) * error / 20)
    assert accuracy(actual, predicted) == pytest.approx(expected, rel=1e-9, abs=1e-300)
    assert 0 <= accuracy(actual, predicted) <= 1


def test_a_fraction_becomes_the_life_left_at_the_truncation() -> None:
    assert remaining_s(0.25, 300, 300, 1e9) == pytest.approx(100)  # 300 s are three quarters
    assert remaining_s(0.25, 300, 340, 1e9) == pytest.approx(60)  # 40 s of these have passed
    assert remaining_s(1.0, 300, 300, 1e9) == pytest.approx(300 * 99)  # at most 0.99
    assert remaining_s(1.0, 300, 310, 5000) == 4990  # at most the longest training life
    assert remaining_s(-0.2, 300, 300, 1e9) == 0
    assert remaining_s(0.01, 300, 340, 1e9) == 0


def test_both_lives_are_scored_over_windows_averaged_by_run(predictions) -> None:
    truncation = {
        "a": {"truncation_s": 300.0, "official_rul_s": 100.0, "full_run_rul_s": 100.0},
        "b": {"truncation_s": 300.0, "official_rul_s": 100.0, "full_run_rul_s": 125.0},
    }
    table = predictions(
        "rul_prediction",
        [0.2, 0.3, 0.25],  # a: 0.25 on average
        [0.25, 0.25, 0.3],
        recording=[0, 0, 1],
        run=["a", "a", "b"],
        time_s=[300.0, 300.1, 300.0],
        truncation=truncation,
        longest_training_life_s=1e9,
    )
    values = score(table, "model").values
    assert values["phm2012"] == pytest.approx(1.0)
    assert values["phm2012_full_run"] == pytest.approx((1.0 + 0.5) / 2)


def test_elsewhere_there_is_none(predictions) -> None:
    table = predictions("rul_prediction", [0.2, 0.3], [0.25, 0.25], run=["a", "a"], time_s=1.0)
    scores = score(table, "model")
    assert all("only of test runs that are truncated" in scores.undefined[name] for name in NAMES)
    unknown = {"truncation_s": 300.0, "official_rul_s": 100.0, "full_run_rul_s": None}
    table = predictions(
        "rul_prediction",
        [0.25],
        [0.25],
        run=["a"],
        time_s=300.0,
        truncation={"a": unknown},
        longest_training_life_s=1e9,
    )
    scores = score(table, "model")
    assert scores.values["phm2012"] == pytest.approx(1.0)
    assert "unknown" in scores.undefined["phm2012_full_run"]


def test_a_run_without_a_known_life_is_not_left_out_of_the_mean(predictions) -> None:
    both = {"truncation_s": 300.0, "official_rul_s": 100.0, "full_run_rul_s": None}
    table = predictions(
        "rul_prediction",
        [0.25, 0.9],
        [0.25, 0.3],
        recording=[0, 1],
        mask=[True, False],
        run=["a", "b"],
        time_s=300.0,
        truncation={"a": both, "b": both},
        longest_training_life_s=1e9,
    )
    scores = score(table, "model")
    assert "the test run b" in scores.undefined["phm2012"]
