import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from workflow_src.tasks.signal_prediction.score import (
    GROUPS,
    METRICS,
    STATISTICS,
    forecast_statistics,
    score,
)

from ..examples import examples


def draw(seed, steps=40, channels=2, recordings=5):
    rng = np.random.default_rng(seed)
    recording = np.repeat(np.arange(recordings), rng.integers(1, 6, recordings))
    shape = (len(recording), 64 + steps, channels)
    signal = rng.normal(size=shape).cumsum(1) * 0.1 + rng.normal(size=shape) + 3
    window, horizon = signal[:, :64], signal[:, 64:]
    forecast = horizon + rng.normal(size=horizon.shape)
    return window, horizon, forecast, recording


def statistics(window, horizon, forecast):
    return forecast_statistics(
        forecast, horizon, mean=window.mean(1), deviation=window.std(1), last=window[:, -1]
    )


def table(predictions, window, horizon, forecast, recording, **more):
    return predictions(
        "signal_prediction",
        statistics(window, horizon, forecast),
        recording=recording,
        columns=STATISTICS,
        **more,
    )


@given(st.integers(0, 10_000))
@examples(15)
def test_scores_from_statistics_equal_those_of_the_signals(predictions, seed):
    window, horizon, forecast, recording = draw(seed)
    values = score(table(predictions, window, horizon, forecast, recording), "model").values
    mean, deviation = window.mean(1, keepdims=True), window.std(1, keepdims=True)
    y, p, last = ((s - mean) / deviation for s in (horizon, forecast, window[:, -1:]))
    weight = 1 / np.bincount(recording)[recording]

    def average(errors):
        return np.average(errors.mean((1, 2)), weights=weight)

    flat = np.repeat(weight, y[0].size)
    moments = np.cov(np.stack([y.ravel(), p.ravel()]), aweights=flat, ddof=0)
    expected = {
        "nmse": average((p - y) ** 2),
        "nmse_step_1": average(((p - y) ** 2)[:, :1]),
        "nmse_steps_2_8": average(((p - y) ** 2)[:, 1:8]),
        "nmse_steps_9_32": average(((p - y) ** 2)[:, 8:32]),
        "nmse_steps_33_end": average(((p - y) ** 2)[:, 32:]),
        "skill": 1 - average(((p - y) ** 2)[:, :32]) / average((y**2)[:, :32]),
        "mae": average(abs(p - y)),
        "mase": average(abs(p - y)) / average(abs(last - y)),
        "r2": sk.r2_score(y.ravel(), p.ravel(), sample_weight=flat),
        "explained_variance": sk.explained_variance_score(y.ravel(), p.ravel(), sample_weight=flat),
        "pearson": moments[0, 1] / np.sqrt(moments[0, 0] * moments[1, 1]),
    }
    assert set(expected) == {metric.name for metric in METRICS}
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, rel=2e-5, abs=2e-6), name


@given(st.integers(0, 10_000), st.integers(1, 4))
@examples(10)
def test_neither_order_nor_repeated_windows_change_scores(
    predictions, repeat, same_scores, seed, times
):
    once = table(predictions, *draw(seed))
    ids = once.spans["recording_id"].to_numpy()
    rows = np.concatenate([np.arange(len(ids))] + [np.flatnonzero(ids == "0")] * times)
    shuffled = np.random.default_rng(seed).permutation(rows)
    same_scores(score(once, "model"), score(repeat(once, shuffled), "model"))


@given(st.floats(1e-3, 1e3), st.floats(-10, 10))
@examples(15)
def test_gain_and_offset_of_a_rig_change_nothing(predictions, same_scores, gain, offset):
    window, horizon, forecast, recording = draw(1)
    moved = (gain * s + gain * offset for s in (window, horizon, forecast))
    same_scores(
        score(table(predictions, window, horizon, forecast, recording), "model"),
        score(table(predictions, *moved, recording), "model"),
    )


def test_the_mean_has_no_skill_and_the_truth_has_all(predictions):
    window, horizon, _, recording = draw(2)
    mean = np.broadcast_to(window.mean(1, keepdims=True), horizon.shape)
    assert score(table(predictions, window, horizon, mean, recording), "model").values[
        "skill"
    ] == pytest.approx(0, abs=1e-6)
    assert (
        score(table(predictions, window, horizon, horizon, recording), "model").values["skill"]
        == 1.0
    )


@pytest.mark.parametrize(
    ("steps", "undefined"),
    [
        (1, {"skill", "nmse_steps_2_8", "nmse_steps_9_32", "nmse_steps_33_end"}),
        (31, {"skill", "nmse_steps_9_32", "nmse_steps_33_end"}),
        (32, {"nmse_steps_33_end"}),
        (33, set()),
    ],
)
def test_steps_beyond_the_horizon_are_undefined(predictions, steps, undefined):
    scores = score(table(predictions, *draw(0, steps=steps)), "model")
    assert set(scores.undefined) == undefined
    assert all(f"{steps} steps" in reason for reason in scores.undefined.values())


def test_a_channel_that_does_not_move_is_left_out(predictions, same_scores):
    window, horizon, forecast, recording = draw(4)
    dead = [np.concatenate([s, np.full_like(s[..., :1], 0.1)], 2) for s in (window, horizon)]
    forecast = np.concatenate([forecast, forecast[..., :1]], 2)
    same_scores(
        score(table(predictions, window, horizon, forecast[..., :2], recording), "model"),
        score(table(predictions, *dead, forecast, recording), "model"),
    )


def test_windows_that_never_move_are_undefined(predictions):
    still = np.ones((3, 64, 1)), np.ones((3, 40, 1)), np.zeros((3, 40, 1))
    scores = score(table(predictions, *still, np.arange(3)), "model")
    assert len(scores.undefined) == len(METRICS)


def test_a_horizon_on_the_mean_leaves_ratios_undefined(predictions):
    window, _, forecast, recording = draw(5)
    horizon = np.broadcast_to(window.mean(1, keepdims=True), forecast.shape)
    scores = score(table(predictions, window, horizon, forecast, recording), "model")
    assert scores.undefined.keys() >= {"r2", "pearson"}
    assert all(value is None or np.isfinite(value) for value in scores.values.values())


def test_groups_cover_every_step_once():
    steps = np.arange(96)
    assert np.array_equal(np.concatenate([steps[a:b] for a, b in GROUPS.values()]), steps)
