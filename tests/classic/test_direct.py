"""The direct ridge is the ridge regression of every place in the training spans."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from workflow_src.classic.direct import PLACES, DirectRidge
from workflow_src.features.autoregression import forecast, normalise


def spans(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    noise = np.random.default_rng(seed).standard_normal((40, 92, 2))
    noise[:, 1:] += 0.9 * noise[:, :-1]
    noise[:, :, 1] = 7.0  # dead
    return noise[:, :80].astype(np.float32), noise[:, 80:].astype(np.float32)


def fitted(batch: int) -> DirectRidge:
    windows, horizons = spans()
    model = DirectRidge(16, 0.1)
    for start in range(0, len(windows), batch):
        model.add(windows[start : start + batch], horizons[start : start + batch])
    return model


def test_it_is_scikit_learns() -> None:
    windows, horizons = spans()
    inputs, mean, deviation = normalise(windows)
    whole = np.concatenate([inputs, (horizons - mean[:, None]) / deviation[:, None].clip(1e-9)], 1)
    places = np.unique(np.linspace(16, 80, PLACES).round().astype(int))
    x = np.concatenate([whole[:, at - 16 : at, 0] for at in places])
    y = np.concatenate([whole[:, at : at + 12, 0] for at in places])
    penalty = 0.1 * (x**2).sum() / 16
    expected = Ridge(penalty, fit_intercept=False).fit(x, y).coef_
    np.testing.assert_allclose(fitted(40).matrices()[0], expected, atol=1e-9)


def test_batches_change_nothing_and_a_dead_channel_keeps_its_mean() -> None:
    one, other = fitted(40).matrices(), fitted(7).matrices()
    np.testing.assert_allclose(one, other, atol=1e-12)
    made = forecast(one, spans(1)[0])
    assert made.shape == (40, 12, 2)
    assert made[:, :, 1] == pytest.approx(7.0)


def test_a_window_shorter_than_the_past_is_seen_whole() -> None:
    windows, horizons = spans()
    model = DirectRidge(1000, 0.1)
    model.add(windows, horizons)
    assert model.matrices().shape == (2, 12, 80)
