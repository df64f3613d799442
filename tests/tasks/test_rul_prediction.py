import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from workflow_src.tasks.rul_prediction.score import METRICS, score

from ..examples import examples

LIFE = 50.0
PHM = {"phm2012", "phm2012_full_run"}  # of truncated runs alone: test_phm2012.py


def draw(seed, runs=3):
    """Runs of unequal numbers of snapshots of unequal numbers of windows."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(4, 12, runs)
    run = np.repeat(np.arange(runs), counts)  # of a snapshot
    true = np.concatenate([np.linspace(1, 0, count) for count in counts])
    recording = np.repeat(np.arange(len(run)), rng.integers(1, 5, len(run)))
    output = np.clip(true[recording] + rng.normal(0, 0.2, len(recording)), 0, 1)
    return output.astype(np.float32), true[recording], recording, run[recording]


@given(st.integers(0, 10_000))
@examples(20)
def test_metrics_are_of_snapshots_then_runs(predictions, seed):
    output, true, recording, run = draw(seed)
    values = score(
        predictions(
            "rul_prediction",
            output,
            true,
            recording=recording,
            run=run,
            time_s=100 * (1 - true),
            mean_training_life_s=LIFE,
        ),
        "model",
    ).values
    found = {name: [] for name in values}
    clocks = []
    for one in np.unique(run):
        ids = np.unique(recording[run == one])
        p = np.array([output[recording == r].astype(np.float64).mean() for r in ids])
        y = np.array([true[recording == r][0] for r in ids])
        found["rmse"].append(sk.root_mean_squared_error(y, p))
        found["mae"].append(sk.mean_absolute_error(y, p))
        found["median_absolute_error"].append(sk.median_absolute_error(y, p))
        found["max_error"].append(sk.max_error(y, p))
        found["rmse_last_30"].append(sk.root_mean_squared_error(y[y <= 0.3], p[y <= 0.3]))
        found["bias"].append(np.mean(p - y))
        found["late_share"].append(np.mean(p > y))
        found["r2"].append(sk.r2_score(y, p))
        found["pearson"].append(stats.pearsonr(y, p).statistic)
        found["spearman"].append(stats.spearmanr(y, p).statistic)
        half = np.flatnonzero(y <= 0.5)[0]
        found["alpha_lambda_accuracy"].append(0.8 * y[half] <= p[half] <= 1.2 * y[half])
        found["relative_accuracy"].append(1 - abs(p[half] - y[half]) / y[half])
        found["cumulative_relative_accuracy"].append(
            np.mean([1 - abs(a - b) / b for a, b in zip(p, y, strict=True) if b > 0])
        )
        near = [b for a, b in zip(p, y, strict=True) if abs(a - b) <= 0.2]
        found["prognostic_horizon"].append(near[0] if near else 0)
        clocks.append(sk.root_mean_squared_error(y, np.maximum(0, 1 - 100 * (1 - y) / LIFE)))
    for name in set(found) - {"skill_clock", *PHM}:
        assert values[name] == pytest.approx(np.mean(found[name]), abs=1e-9), name
    assert values["skill_clock"] == pytest.approx(1 - values["rmse"] / np.mean(clocks))


@given(st.integers(0, 10_000), st.integers(1, 4))
@examples(15)
def test_neither_order_nor_repeated_windows_change_scores(
    predictions, repeat, same_scores, seed, times
):
    output, true, recording, run = draw(seed)
    once = predictions("rul_prediction", output, true, recording=recording, run=run)
    first = recording == recording[0]
    repeated = predictions(
        "rul_prediction",
        np.append(output, np.tile(output[first], times)),
        np.append(true, np.tile(true[first], times)),
        recording=np.append(recording, np.tile(recording[first], times)),
        run=np.append(run, np.tile(run[first], times)),
    )
    rows = np.random.default_rng(seed).permutation(len(repeated.spans))
    same_scores(score(once, "model"), score(repeat(repeated, rows), "model"))


def test_a_late_prediction_is_one_that_promises_too_much(predictions):
    table = predictions("rul_prediction", [0.9, 0.2], [0.5, 0.5], run=[0, 0])
    values = score(table, "model").values
    assert values["late_share"] == 0.5
    assert values["bias"] == pytest.approx(0.05)


def test_a_run_censored_early_has_no_error_at_the_end_and_no_clock(predictions):
    scores = score(predictions("rul_prediction", [0.9, 0.8], [0.9, 0.7], run=[0, 0]), "model")
    later = {"rmse_last_30", "alpha_lambda_accuracy", "relative_accuracy"}
    assert set(scores.undefined) == {*later, "skill_clock", *PHM}


def test_what_never_varies_has_no_correlation(predictions):
    facts = {"run": [0, 0, 0], "recording": [0, 1, 2]}
    constant = score(predictions("rul_prediction", [0.3] * 3, [0.8, 0.5, 0.2], **facts), "model")
    assert {"pearson", "spearman"} <= set(constant.undefined)
    assert constant.values["r2"] == pytest.approx(1 - (0.25 + 0.04 + 0.01) / 0.18, abs=1e-6)
    single = score(predictions("rul_prediction", [0.3], [0.5], run=[0]), "model")
    assert {"r2", "pearson", "spearman"} <= set(single.undefined)


def test_ranks_forgive_what_is_monotone_and_ties_share_theirs(predictions):
    facts = {"run": [0] * 4, "recording": range(4)}
    true = [0.9, 0.6, 0.4, 0.1]
    bent = score(predictions("rul_prediction", np.power(true, 3), true, **facts), "model").values
    assert bent["spearman"] == pytest.approx(1.0)
    assert bent["pearson"] < 0.99
    tied = score(predictions("rul_prediction", [0.9, 0.5, 0.5, 0.1], true, **facts), "model").values
    assert tied["spearman"] == pytest.approx(stats.spearmanr([3, 2, 2, 1], true).statistic)


@pytest.mark.parametrize(
    ("half", "near", "relative"),
    [
        (0.5, 1, 1.0),
        (0.59, 1, 0.82),
        (0.61, 0, 0.78),
        (0.39, 0, 0.78),
        (0.0, 0, 0.0),
        (1.0, 0, 0.0),
    ],
)
def test_half_way_through_life_a_fifth_of_the_truth_is_near(predictions, half, near, relative):
    facts = {"run": [0] * 4, "recording": range(4)}
    table = predictions("rul_prediction", [0.9, half, 0.0, 0.7], [0.9, 0.5, 0.4, 0.0], **facts)
    values = score(table, "model").values
    assert values["alpha_lambda_accuracy"] == pytest.approx(near)
    assert values["relative_accuracy"] == pytest.approx(relative, abs=1e-6)
    # that of 0.4 is 0, and at the end there is none
    assert values["cumulative_relative_accuracy"] == pytest.approx((1 + relative) / 3, abs=1e-6)


@pytest.mark.parametrize(
    ("predicted", "horizon"),
    [([0.9, 0.6, 0.1], 0.9), ([0.3, 0.6, 0.1], 0.6), ([0.3, 0.0, 0.9], 0.0)],
)
def test_the_horizon_begins_with_the_first_error_within_a_fifth_of_a_life(
    predictions, predicted, horizon
):
    facts = {"run": [0] * 3, "recording": range(3)}
    table = predictions("rul_prediction", predicted, [0.9, 0.6, 0.1], **facts)
    assert score(table, "model").values["prognostic_horizon"] == pytest.approx(horizon)


@given(st.integers(0, 10_000))
@examples(20)
def test_values_lie_in_the_range_that_is_declared(predictions, seed):
    output, true, recording, run = draw(seed)
    table = predictions("rul_prediction", output, true, recording=recording, run=run)
    values = score(table, "model").values
    for metric in METRICS:
        value = values[metric.name]
        assert value is None or metric.low - 1e-9 <= value <= metric.high + 1e-9, metric.name


def test_no_run_in_test_is_undefined(predictions):
    scores = score(predictions("rul_prediction", [0.9], [0.9], part="val"), "model")
    assert len(scores.undefined) == len(METRICS)
