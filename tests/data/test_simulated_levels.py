"""Are the simulated rigs neither trivial nor hopeless? Levels over seeds, units held out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import butter, hilbert, sosfiltfilt
from scipy.stats import kurtosis, skew
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import balanced_accuracy_score, f1_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.tree import DecisionTreeClassifier

from workflow_src.data.recordings import NORMAL, Recording
from workflow_src.data.sources.simulated import SimulatedOptions, simulate
from workflow_src.data.sources.simulated.bearing import DEFECT_ORDERS, FAULTS

WINDOW, SPAN = 1024, 1024 + 64
AR_ORDER, STEPS = 32, 32
SEEDS = (1, 2, 3)
# Envelope lines: defect frequencies of the bearing; turns of the pinion of the gearbox.
ORDERS = {
    "bearing": [DEFECT_ORDERS[fault] for fault in FAULTS],
    "gearbox": [1.0, 2.0, 3.0, 4.0],
    "run_to_failure": [DEFECT_ORDERS[fault] for fault in FAULTS],
}


def spans(recording: Recording) -> np.ndarray:
    """(windows, SPAN, channels), one after the other."""
    count = len(recording.signal) // SPAN
    return recording.signal[: count * SPAN].reshape(count, SPAN, -1).astype(np.float64)


def shape_features(x: np.ndarray) -> np.ndarray:
    """Shape of normalised windows (n, WINDOW): (n, 5)."""
    size = np.abs(x)
    return np.stack(
        [
            kurtosis(x, axis=1),
            skew(x, axis=1),
            size.max(axis=1),
            size.max(axis=1) / size.mean(axis=1),
            1 / size.mean(axis=1),
        ],
        axis=1,
    )


def envelope_features(x: np.ndarray, rate: float, shaft_hz: float, orders: list) -> np.ndarray:
    """Lines near each order's first three multiples over the median line; shape of the envelope."""
    sos = butter(4, [1800 / (rate / 2), 0.95], "band", output="sos")
    filtered = sosfiltfilt(sos, x, axis=1)
    envelope = np.abs(hilbert(filtered, axis=1)) ** 2
    envelope /= envelope.mean(axis=1, keepdims=True)
    taper = np.hanning(WINDOW)
    spectrum = np.abs(np.fft.rfft((envelope - 1) * taper, 4 * WINDOW, axis=1))
    hz = np.fft.rfftfreq(4 * WINDOW, 1 / rate)
    floor = np.median(spectrum[:, (hz > 20) & (hz < 800)], axis=1)
    columns = []
    for order in orders:
        for multiple in (1, 2, 3):
            near = np.abs(hz / (multiple * order * shaft_hz) - 1) < 0.03
            near[np.argmin(np.abs(hz - multiple * order * shaft_hz))] = True
            columns.append(spectrum[:, near].max(axis=1) / floor)
    filtered /= filtered.std(axis=1, keepdims=True)
    shapes = [shape_features(envelope), shape_features(filtered)]
    return np.concatenate([np.stack(columns, axis=1), *shapes], axis=1)


def standardised(x: np.ndarray) -> np.ndarray:
    """Each window (n, WINDOW) by its own mean and deviation."""
    return (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)


def features(recording: Recording, orders: list[float]) -> np.ndarray:
    """Shape and envelope features of every window and channel, free of amplitude: (n, F)."""
    windows = spans(recording)[:, :WINDOW]
    shaft_hz = float(recording.attributes["speed_rpm"]) / 60
    parts = []
    for channel in range(windows.shape[2]):
        x = standardised(windows[:, :, channel])
        parts += [shape_features(x), envelope_features(x, recording.rate_hz, shaft_hz, orders)]
    return np.concatenate(parts, axis=1)


def table(kind: str, seed: int) -> dict[str, np.ndarray]:
    """Features, log RMS and labels of every window of a rig."""
    rows = defaultdict(list)
    for recording in simulate(SimulatedOptions(kind=kind, seed=seed)):
        rows["x"].append(features(recording, ORDERS[kind]))
        rows["log_rms"].append(np.log(spans(recording)[:, :WINDOW].std(axis=1)))
        labels = {
            "fault": recording.fault,
            "unit": recording.unit_id,
            "time": recording.time_s or 0.0,
            "life": recording.life_s or 1.0,
        }
        for name, value in labels.items():
            rows[name].append(np.full(len(rows["x"][-1]), value))
    return {name: np.concatenate(parts) for name, parts in rows.items()}


def held_out(model, x: np.ndarray, labels: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Predictions for each unit by a model fitted without it."""
    predicted = np.empty_like(labels)
    folds = StratifiedGroupKFold(3, shuffle=True, random_state=0)
    for train, test in folds.split(x, labels, units):
        predicted[test] = model.fit(x[train], labels[train]).predict(x[test])
    return predicted


def rul_errors(rows: dict[str, np.ndarray], unit: str) -> dict[str, float]:
    """RMSE of one run's fraction of life left, by snapshot, with the unit held out."""
    test = rows["unit"] == unit
    units, inverse, counts = np.unique(rows["unit"], return_inverse=True, return_counts=True)
    target = 1 - rows["time"] / rows["life"]
    x = np.concatenate([rows["x"], rows["log_rms"]], axis=1)
    forest = RandomForestRegressor(60, min_samples_leaf=5, n_jobs=1, random_state=0)
    forest.fit(x[~test], target[~test], sample_weight=1 / counts[inverse][~test])
    mean_life = np.mean(
        [rows["life"][rows["unit"] == other][0] for other in units if other != unit]
    )
    windows = len(target[test]) // len(np.unique(rows["time"][test]))
    guesses = {
        "clock": np.maximum(0, 1 - rows["time"][test] / mean_life),
        "forest": forest.predict(x[test]),
    }
    # (snapshots windows,) -> (snapshots,)
    error = {k: (v - target[test]).reshape(-1, windows).mean(axis=1) for k, v in guesses.items()}
    return {name: float(np.sqrt(np.mean(e**2))) for name, e in error.items()}


def ar_skill(kind: str, seed: int) -> float:
    """1 - MSE / MSE(mean) over the first 32 steps of an AR(32) run forward, units held out."""
    recordings = list(simulate(SimulatedOptions(kind=kind, seed=seed)))
    held = {u for u in {r.unit_id for r in recordings} if u.endswith("u0")}
    train = normalised(r for r in recordings if r.unit_id not in held)
    test = normalised(r for r in recordings if r.unit_id in held)
    lagged = sliding_window_view(train[::4, :WINDOW], AR_ORDER + 1, axis=1)[:, ::5].reshape(
        -1, AR_ORDER + 1
    )
    weights, *_ = np.linalg.lstsq(lagged[:, :-1], lagged[:, -1], rcond=None)
    past = test[:, WINDOW - AR_ORDER : WINDOW].copy()
    for _ in range(STEPS):
        past = np.concatenate([past, past[:, -AR_ORDER:] @ weights[:, np.newaxis]], axis=1)
    truth = test[:, WINDOW : WINDOW + STEPS]
    return float(1 - np.mean((past[:, AR_ORDER:] - truth) ** 2) / np.mean(truth**2))


def normalised(recordings: Iterable[Recording]) -> np.ndarray:
    """Spans of every channel, (n, SPAN), by the mean and deviation of their window."""
    rows = []
    for recording in recordings:
        x = np.moveaxis(spans(recording), 2, 1).reshape(-1, SPAN)  # (n, S, C) -> (n C, S)
        past = x[:, :WINDOW]
        rows.append((x - past.mean(axis=1, keepdims=True)) / past.std(axis=1, keepdims=True))
    return np.concatenate(rows)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["bearing", "gearbox"])
def test_faults_are_seen_in_the_envelope_and_not_in_the_amplitude(kind, seed):
    rows = table(kind, seed)
    fault, units = rows["fault"], rows["unit"]
    forest = RandomForestClassifier(100, min_samples_leaf=2, n_jobs=1, random_state=0)
    guess = held_out(forest, rows["x"], fault, units)
    assert 0.70 <= f1_score(fault, guess, average="macro") <= 0.95

    tree = DecisionTreeClassifier(max_depth=4, min_samples_leaf=20, class_weight="balanced")
    guess = held_out(tree, rows["log_rms"], fault, units)
    assert balanced_accuracy_score(fault, guess) <= 1 / len(np.unique(fault)) + 0.10
    stump = DecisionTreeClassifier(max_depth=1, class_weight="balanced")
    faulty = (fault != NORMAL).astype(np.int64)
    guess = held_out(stump, rows["log_rms"], faulty, units)
    assert balanced_accuracy_score(faulty, guess) <= 0.60


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_life_left_is_told_better_by_the_signal_than_by_the_clock(seed):
    rows = table("run_to_failure", seed)
    errors = [rul_errors(rows, unit) for unit in np.unique(rows["unit"])]
    forest, clock = (np.mean([e[name] for e in errors]) for name in ("forest", "clock"))
    assert forest < 0.9 * clock
    # and yet it does not read the answer off the data
    assert forest > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(ORDERS))
def test_an_autoregressive_model_forecasts_better_than_the_mean(kind):
    assert 0.1 < ar_skill(kind, seed=1) < 0.9
