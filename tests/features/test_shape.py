"""Shape features are what their formulas say, whatever the gain and the offset."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import hilbert
from scipy.stats import kurtosis, skew

from workflow_src.features.shape import NAMES, OCTAVES, shape_features

TIME = np.arange(4096)


def of(signal: np.ndarray) -> dict[str, float]:
    found = shape_features(signal[None, :, None].astype(np.float32))
    assert found.shape == (1, len(NAMES))
    return dict(zip(NAMES, found[0], strict=True))


def test_moments_and_factors_are_their_formulas() -> None:
    x = np.random.default_rng(1).standard_gamma(2.0, 4096).astype(np.float32).astype(float)
    found, centred = of(x), x - x.mean()
    modulus = np.abs(centred)
    assert found["skewness"] == pytest.approx(skew(x), rel=1e-6)
    assert found["kurtosis"] == pytest.approx(np.log(kurtosis(x, fisher=False)), rel=1e-6)
    assert found["crest"] == pytest.approx(np.log(modulus.max() / centred.std()), rel=1e-6)
    assert found["impulse"] == pytest.approx(np.log(modulus.max() / modulus.mean()), rel=1e-6)
    assert found["shape"] == pytest.approx(centred.std() / modulus.mean(), rel=1e-6)
    root = np.sqrt(modulus).mean() ** 2
    assert found["clearance"] == pytest.approx(np.log(modulus.max() / root), rel=1e-6)
    squared = np.abs(hilbert(centred)) ** 2
    depth = np.log(squared.std() / squared.mean())
    assert found["envelope depth"] == pytest.approx(depth, rel=1e-3)


@pytest.mark.parametrize("octave", range(OCTAVES))
def test_a_tone_lies_in_its_octave_and_so_does_a_modulation(octave: int) -> None:
    cycles = 0.5 * 0.75 / 2**octave  # a sample
    tone = of(np.sin(2 * np.pi * cycles * TIME))
    assert max(range(OCTAVES), key=lambda k: tone[f"spectrum octave {k}"]) == octave
    if octave >= 2:  # slower than the carrier
        carrier = np.sin(2 * np.pi * 0.3 * TIME) * (1 + 0.5 * np.sin(2 * np.pi * cycles * TIME))
        found = of(carrier)
        assert max(range(OCTAVES), key=lambda k: found[f"envelope octave {k}"]) == octave


def test_gain_and_offset_change_nothing_and_silence_is_zero() -> None:
    x = np.random.default_rng(2).standard_normal((3, 512, 2)).astype(np.float32)
    np.testing.assert_allclose(
        shape_features(1e-3 * x + 0.5), shape_features(x), rtol=1e-3, atol=2e-4
    )
    x[:, :, 1] = 7.0
    found = shape_features(x).reshape(3, 2, -1)
    assert np.isfinite(found).all()
    assert not found[:, 1].any()
