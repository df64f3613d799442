import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal as sp
from scipy import stats
from sklearn import metrics as sk

from workflow_src.features.autoregression import REFERENCE
from workflow_src.tasks.signal_prediction.score import METRICS, score, weighted_median
from workflow_src.tasks.signal_prediction.span_statistics import (
    GROUPS,
    QUANTILES,
    STATISTICS,
    forecast_statistics,
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


PERIODS = {"BPFO": 4.5, "FTF": 0.5}  # of a cage, which modulates, nothing is asked


def table(predictions, window, horizon, forecast, recording, periods=PERIODS, **more):
    found = predictions(
        "signal_prediction",
        statistics(window, horizon, forecast),
        recording=recording,
        columns=STATISTICS,
        fault_periods_per_horizon=periods,
        **more,
    )
    found.spans[REFERENCE] = 100.0
    return found


def quantile(errors, weights, share):
    """Smallest of all errors (n, V) at or below which that share of the weight lies."""
    order = np.argsort(errors.ravel())
    below = np.repeat(weights / weights.sum() / errors.shape[1], errors.shape[1])[order].cumsum()
    return errors.ravel()[order][np.searchsorted(below, share - 1e-12)]


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

    def total(values):
        return np.average(values.sum((1, 2)), weights=weight)

    def decibels(values):
        return 10 * np.log10(
            np.maximum(abs(np.fft.rfft(values, axis=1)) ** 2 / values.shape[1], 1e-6)
        )

    def envelope(values):
        modulus = abs(sp.hilbert(values - values.mean(1, keepdims=True), axis=1))
        return modulus - modulus.mean(1, keepdims=True)

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
        "mse": sk.mean_squared_error(
            horizon.reshape(len(y), -1).T, forecast.reshape(len(y), -1).T, multioutput=weight
        ),
        "max_error": sk.max_error(y.ravel(), p.ravel()),
        "smape": average(2 * abs(p - y) / (abs(p) + abs(y))),
        "log_spectral_distance": np.average(
            np.sqrt(np.mean((decibels(p) - decibels(y)) ** 2, 1)).mean(1), weights=weight
        ),
        "spectral_convergence": np.sqrt(
            total((abs(np.fft.rfft(p, axis=1)) - abs(np.fft.rfft(y, axis=1))) ** 2)
            / total(abs(np.fft.rfft(y, axis=1)) ** 2)
        ),
        "envelope_correlation": total(envelope(p) * envelope(y))
        / np.sqrt(total(envelope(p) ** 2) * total(envelope(y) ** 2)),
        "skill_ar": 1 - average(((p - y) ** 2)[:, :32]) / (100 / 64),
    }
    errors = abs(p - y).reshape(len(y), -1)
    median = values.pop("median_absolute_error")
    off = 0.5 / QUANTILES
    assert quantile(errors, weight, 0.5 - off) <= median * (1 + 1e-6)
    assert median <= quantile(errors, weight, 0.5 + off) * (1 + 1e-6)
    assert set(expected) == {metric.name for metric in METRICS} - {"median_absolute_error"}
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
    before = score(table(predictions, window, horizon, forecast, recording), "model")
    after = score(table(predictions, *moved, recording), "model")
    in_unit = after.values.pop("mse")
    assert in_unit == pytest.approx(gain**2 * before.values.pop("mse"), rel=1e-5)
    same_scores(before, after)


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


LATE = {"nmse_steps_9_32", "nmse_steps_33_end"}
SPECTRAL = {"log_spectral_distance", "spectral_convergence"}


@pytest.mark.parametrize(
    ("steps", "undefined"),
    [
        (1, {*SPECTRAL, "skill", "skill_ar", "nmse_steps_2_8", *LATE}),
        (31, {"skill", "skill_ar", *LATE}),
        (32, {"nmse_steps_33_end"}),
        (33, set()),
    ],
)
def test_steps_beyond_the_horizon_are_undefined(predictions, steps, undefined):
    scores = score(table(predictions, *draw(0, steps=steps)), "model")
    if steps == 1:
        assert "constant" in scores.undefined.pop("envelope_correlation")
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
    assert scores.undefined.keys() >= {
        "r2",
        "pearson",
        "explained_variance",
        "spectral_convergence",
        "envelope_correlation",
    }
    assert all(value is None or np.isfinite(value) for value in scores.values.values())


CORRELATIONS = {"pearson", "envelope_correlation"}
OFFSETS = st.floats(-1e3, 1e3)  # of a rig's signal, whose windows deviate by about 1


def rounded_constant(window, steps, level):
    """(n, steps, C) `level` deviations above the mean of each window, as float32 holds it."""
    value = window.mean(1, keepdims=True) + level * window.std(1, keepdims=True)
    jitter = np.random.default_rng(0).choice([-1, 0, 1], (len(window), steps, window.shape[2]))
    return (value * (1 + jitter * np.finfo(np.float32).eps / 2)).astype(np.float32)


@given(st.integers(0, 10_000), st.just(0.0) | st.floats(-10, 10), OFFSETS)
@examples(30)
def test_a_constant_forecast_correlates_with_nothing(predictions, seed, level, offset):
    window, horizon, _, recording = draw(seed)
    window, horizon = window + offset, horizon + offset
    forecast = rounded_constant(window, horizon.shape[1], level)
    scores = score(table(predictions, window, horizon, forecast, recording), "model")
    assert set(scores.undefined) == CORRELATIONS
    assert all("constant" in reason for reason in scores.undefined.values())
    assert scores.values["r2"] < 1e-3
    assert scores.values["explained_variance"] == pytest.approx(0, abs=1e-3)


@given(st.integers(0, 10_000), st.just(0.0) | st.floats(-10, 10), OFFSETS)
@examples(30)
def test_of_a_constant_horizon_nothing_is_explained(predictions, seed, level, offset):
    window, _, forecast, recording = draw(seed)
    window, forecast = window + offset, forecast + offset
    horizon = rounded_constant(window, forecast.shape[1], level)
    scores = score(table(predictions, window, horizon, forecast, recording), "model")
    reasons = {
        name: scores.undefined.get(name, "") for name in (*CORRELATIONS, "r2", "explained_variance")
    }
    assert all("constant" in reason for reason in reasons.values()), reasons
    on_the_mean = {"skill", "spectral_convergence"}
    if level == 0:
        assert on_the_mean <= set(scores.undefined)
    elif abs(level) > 1e-2:
        assert not on_the_mean & set(scores.undefined)


def test_groups_cover_every_step_once():
    steps = np.arange(96)
    assert np.array_equal(np.concatenate([steps[a:b] for a, b in GROUPS.values()]), steps)


@pytest.mark.parametrize(
    ("periods", "reason"),
    [
        ({}, "not known"),
        (None, "not known"),
        ({"FTF": 9.0}, "not known"),
        ({"BPFO": 9.0, "BPFI": 3.9}, "horizon too short: 3.9 periods of BPFI"),
    ],
)
def test_envelopes_of_a_short_horizon_are_undefined(predictions, periods, reason):
    scores = score(table(predictions, *draw(3), periods=periods), "model")
    assert reason in scores.undefined["envelope_correlation"]


def test_the_envelope_of_one_channel_of_one_span_is_correlated_as_scipy_does(predictions):
    window, horizon, forecast, _ = draw(6, channels=1)
    scores = score(table(predictions, window[:1], horizon[:1], forecast[:1], [0]), "model")
    moduli = [abs(sp.hilbert(s[0, :, 0] - s[0, :, 0].mean())) for s in (horizon, forecast)]
    expected = stats.pearsonr(*moduli).statistic
    assert scores.values["envelope_correlation"] == pytest.approx(expected, abs=1e-5)


def test_without_a_reference_its_skill_is_undefined(predictions):
    found = table(predictions, *draw(7))
    del found.spans[REFERENCE]
    assert "AR(32)" in score(found, "model").undefined["skill_ar"]


def test_perfect_and_constant_forecasts_are_at_the_ends(predictions):
    window, horizon, _, recording = draw(8)
    best = score(table(predictions, window, horizon, horizon, recording), "model").values
    zero = ("mse", "median_absolute_error", "max_error", "smape", *SPECTRAL)
    assert [best[name] for name in zero] == [0.0] * 6
    assert best["envelope_correlation"] == pytest.approx(1)
    mean = np.broadcast_to(window.mean(1, keepdims=True), horizon.shape)
    worst = score(table(predictions, window, horizon, mean, recording), "model")
    assert worst.values["spectral_convergence"] == pytest.approx(1)
    assert worst.values["smape"] == pytest.approx(2)
    assert 20 < worst.values["log_spectral_distance"] < 80  # the floor is at -60 dB
    assert "constant" in worst.undefined["envelope_correlation"]


@given(st.integers(0, 10_000), st.integers(1, 40), st.sampled_from([1, 5, 16, 400]), st.booleans())
@examples(30)
def test_a_median_of_quantiles_is_off_by_no_more_than_is_stated(seed, spans, values, tied):
    """In rank: whatever the errors, few or tied, and however spans differ in size and weight."""
    rng = np.random.default_rng(seed)
    errors = rng.exponential(np.exp(rng.normal(size=(spans, 1, 1))), (spans, values, 1))
    errors = np.round(errors, 1) if tied else errors
    weights = rng.dirichlet(np.ones(spans))
    one = np.ones((spans, 1))
    kept = forecast_statistics(
        errors, 0 * errors, mean=0 * one, deviation=one, last=0 * one
    )  # of mean 0 and deviation 1: errors are what they are
    quantiles = np.stack([kept[:, STATISTICS.index(f"quantile_{k}")] for k in range(QUANTILES)], 1)
    median = weighted_median(quantiles, weights)
    flat = errors.reshape(spans, -1).astype(np.float32)
    below = weights @ (flat < median).mean(1), weights @ (flat <= median).mean(1)
    assert below[0] <= 0.5 + 0.5 / QUANTILES + 1e-6
    assert below[1] >= 0.5 - 0.5 / QUANTILES - 1e-6


@given(st.integers(0, 10_000), st.integers(1, 60))
@examples(20)
def test_a_weighted_median_is_that_of_sorted_values(seed, count):
    rng = np.random.default_rng(seed)
    values = np.round(rng.exponential(size=(count, 3)), 1).astype(np.float32)
    weights = rng.dirichlet(np.ones(count))
    assert weighted_median(values, weights) == quantile(values, weights, 0.5)
    assert weighted_median(0 * values, weights) == 0.0
