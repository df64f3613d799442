import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
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
    assert set(scores.undefined) == {"rmse_last_30", "skill_clock", *PHM}


def test_no_run_in_test_is_undefined(predictions):
    scores = score(predictions("rul_prediction", [0.9], [0.9], part="val"), "model")
    assert len(scores.undefined) == len(METRICS)
