"""Fault lines stand where a fault repeats itself."""

from __future__ import annotations

import numpy as np
import pytest

from workflow_src.features.fault_lines import fault_lines

RATE, SHAFT, ORDERS = 12000.0, 25.0, {"BPFO": 3.58, "BPFI": 5.42}


def impacts(order: float, seed: int = 0) -> np.ndarray:
    """Noise, and a resonance at 3.5 kHz struck `order` times in a turn."""
    rng = np.random.default_rng(seed)
    time = np.arange(8192) / RATE
    signal = 0.3 * rng.standard_normal(len(time))
    for at in np.arange(0, time[-1], 1 / (order * SHAFT)):
        late = time[time >= at] - at
        signal[time >= at] += np.exp(-600 * late) * np.sin(2 * np.pi * 3500 * late)
    return signal


@pytest.mark.parametrize("which", [0, 1])
def test_the_line_of_the_fault_stands_out_in_both_bands(which: int) -> None:
    order = list(ORDERS.values())[which]
    for slip in (0.99, 1.0, 1.01):
        found = fault_lines(impacts(order * slip), RATE, SHAFT, ORDERS).reshape(2, 2)
        assert (found[:, which] > found[:, 1 - which] + 1).all()
    healthy = fault_lines(np.random.default_rng(1).standard_normal(8192), RATE, SHAFT, ORDERS)
    assert found[0, which] > healthy.reshape(2, 2)[0, which] + 1


def test_gain_changes_nothing_and_what_is_unknown_is_nan() -> None:
    signal = impacts(3.58)
    found = fault_lines(signal, RATE, SHAFT, ORDERS)
    np.testing.assert_allclose(fault_lines(1e-3 * signal, RATE, SHAFT, ORDERS), found)
    assert np.isnan(fault_lines(signal, RATE, np.nan, ORDERS)).all()
    assert np.isnan(fault_lines(signal, RATE, SHAFT, {"BPFO": np.nan})).all()
    low = fault_lines(signal, 3900.0, SHAFT, ORDERS)  # no band above 2 kHz
    assert np.isfinite(low[:2]).all()
    assert np.isnan(low[2:]).all()
    assert np.isnan(fault_lines(signal, RATE, SHAFT, {"mesh": 1e4})).all()
