"""What the predictions file keeps of a forecast: sums over a span's horizon, of constant size.

Signals are less the mean of their window and over its standard deviation, channel by channel;
channels that do not move within the window have no scale and are left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GROUPS = {"step_1": (0, 1), "steps_2_8": (1, 8), "steps_9_32": (8, 32), "steps_33_end": (32, None)}
# Of a span's absolute errors. A distribution that is put together of them is off by at most
# 1 / (2 QUANTILES) = 0.031 in rank, whatever the errors of the spans are.
QUANTILES = 16
STATISTICS = (
    "steps",  # H
    "channels",  # that move within the window
    *(f"squared_{group}" for group in GROUPS),  # sum of (forecast - truth)^2
    *(f"mean_squared_{group}" for group in GROUPS),  # the same of the mean as forecast
    "absolute",  # sum of |forecast - truth|
    "last_absolute",  # the same of the last value as forecast
    "truth",
    "truth_squared",
    "forecast",
    "forecast_squared",
    "product",
    "squared_unit",  # sum of (forecast - truth)^2 in the rig's unit
    "maximum",  # of |forecast - truth|
    "smape",  # sum of 2 |forecast - truth| / (|forecast| + |truth|), 0 where both are 0
    "log_spectral",  # sum over channels of the distance of the spectra, dB
    "spectral_error",  # sum of (|spectrum of the forecast| - |spectrum of the truth|)^2
    "spectral_power",  # sum of |spectrum of the truth|^2
    "envelope_product",  # sums of products of the envelopes less their means
    "envelope_truth",
    "envelope_forecast",
    *(f"quantile_{k}" for k in range(QUANTILES)),  # of |forecast - truth|
)
_STILL = 1e-6  # a deviation below this share of the mean is rounding of a constant
_FLOOR = 1e-6  # power below -60 dB of white noise like the window counts as that


def forecast_statistics(
    forecast: NDArray[Any],
    truth: NDArray[Any],
    *,
    mean: NDArray[Any],
    deviation: NDArray[Any],
    last: NDArray[Any],
) -> NDArray[np.float32]:
    """(n, S) sums over steps and channels, columns STATISTICS.

    `forecast` and `truth` (n, H, C), `mean`, `deviation` and `last` value of the window (n, C),
    all in the rig's unit.
    """
    moving = deviation > _STILL * np.abs(mean)  # (n, C)
    gain = np.where(moving, 1 / np.where(moving, deviation.astype(np.float64), 1), 0)[:, None]
    p, y = (gain * (signal - mean[:, None].astype(np.float64)) for signal in (forecast, truth))
    held = gain * (last - mean.astype(np.float64))[:, None]  # (n, 1, C)
    error, size = np.abs(p - y), np.abs(p) + np.abs(y)
    columns = {
        "steps": np.full(len(y), y.shape[1]),
        "channels": moving.sum(1),
        "absolute": error.sum((1, 2)),
        "last_absolute": np.abs(held - y).sum((1, 2)),
        "truth": y.sum((1, 2)),
        "truth_squared": (y**2).sum((1, 2)),
        "forecast": p.sum((1, 2)),
        "forecast_squared": (p**2).sum((1, 2)),
        "product": (p * y).sum((1, 2)),
        "squared_unit": ((error * np.where(moving, deviation, 0)[:, None]) ** 2).sum((1, 2)),
        "maximum": error.max((1, 2)),
        "smape": np.divide(2 * error, size, out=np.zeros_like(size), where=size > 0).sum((1, 2)),
        **_spectra(p, y, moving),
        **_envelopes(p, y),
        **_quantiles(error, moving),
    }
    for group, (start, stop) in GROUPS.items():
        columns[f"squared_{group}"] = ((p - y)[:, start:stop] ** 2).sum((1, 2))
        columns[f"mean_squared_{group}"] = (y[:, start:stop] ** 2).sum((1, 2))
    return np.stack([columns[name] for name in STATISTICS], 1).astype(np.float32)


def _spectra(p: Floats, y: Floats, moving: NDArray[np.bool_]) -> dict[str, Floats]:
    """How far the spectra of forecast and truth (n, H, C) are apart."""
    forecast, truth = (np.abs(np.fft.rfft(signal, axis=1)) for signal in (p, y))  # (n, F, C)
    levels = [np.log10(np.maximum(s**2 / p.shape[1], _FLOOR)) for s in (forecast, truth)]
    distance = 10 * np.sqrt(((levels[0] - levels[1]) ** 2).mean(1))  # (n, C), dB
    return {
        "log_spectral": (distance * moving).sum(1),
        "spectral_error": ((forecast - truth) ** 2).sum((1, 2)),
        "spectral_power": (truth**2).sum((1, 2)),
    }


def _envelopes(p: Floats, y: Floats) -> dict[str, Floats]:
    """Products of the envelopes of forecast and truth (n, H, C) about their means."""
    from scipy.signal import hilbert  # a second of import, which scores can do without

    moduli = [np.abs(hilbert(s - s.mean(1, keepdims=True), axis=1)) for s in (p, y)]
    forecast, truth = (modulus - modulus.mean(1, keepdims=True) for modulus in moduli)
    return {
        "envelope_product": (forecast * truth).sum((1, 2)),
        "envelope_truth": (truth**2).sum((1, 2)),
        "envelope_forecast": (forecast**2).sum((1, 2)),
    }


def _quantiles(error: Floats, moving: NDArray[np.bool_]) -> dict[str, Floats]:
    """Errors (n, H, C) of rank (k + 1/2) / QUANTILES among those of channels that move."""
    count = error.shape[1] * moving.sum(1)  # (n,)
    flat = np.where(moving[:, None], error, np.inf).reshape(len(error), -1)
    flat.sort(1)
    ranks = ((np.arange(QUANTILES) + 0.5) / QUANTILES * count[:, None]).astype(np.int64)  # (n, Q)
    found = np.where(count[:, None] > 0, np.take_along_axis(flat, ranks, 1), 0.0)
    return {f"quantile_{k}": values for k, values in enumerate(found.T)}
