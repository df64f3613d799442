"""The history of a run is of its past alone, and knows no count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.features.energies import log_energies
from workflow_src.features.history import FIRST, MEANS_S, with_history
from workflow_src.features.shape import shape_features

from ..examples import examples


def draw(seed: int, count: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 2)), rng.integers(0, 2, count), 10.0 * rng.permutation(count)


@given(st.integers(0, 10_000))
@examples(20)
def test_what_comes_later_or_in_another_run_changes_nothing(seed: int) -> None:
    values, run, time_s = draw(seed)
    before = with_history(values, run, time_s)
    at = seed % len(values)
    other = values.copy()
    other[(time_s > time_s[at]) | (run != run[at])] += 100.0
    assert np.array_equal(with_history(other, run, time_s)[at], before[at])


def test_it_is_its_formulas() -> None:
    values, time_s = np.array([[1.0], [3.0], [2.0], [9.0], [4.0]]), np.arange(5) * 600.0
    found = with_history(values, np.zeros(5, np.int64), time_s)
    assert found[:, 0].tolist() == [0.0, 1.0, 0.0, 7.0, 2.0]  # less 1, 2, then 2
    assert found[:, 1].tolist() == [0.0, 1.0, 1.0, 7.0, 7.0]
    share = np.exp(-600.0 / np.array(MEANS_S))
    assert found[1, 2:] == pytest.approx(1 - share)
    assert found[2, 2:] == pytest.approx(share * (1 - share))
    assert FIRST == 3


def test_energies_are_those_of_their_octave() -> None:
    tone = 3 * np.sin(2 * np.pi * 0.3 * np.arange(4096))
    window = tone[None, :, None].astype(np.float32)
    found = log_energies(window, shape_features(window))[0]
    assert found[-1] == pytest.approx(np.log(3 / np.sqrt(2)), abs=1e-3)
    assert found[0] == pytest.approx(found[-1], abs=1e-3)
    assert (found[1:-1] < found[0] - 3).all()
    silence = np.zeros((1, 64, 1), np.float32)
    assert np.isfinite(log_energies(silence, shape_features(silence))).all()
