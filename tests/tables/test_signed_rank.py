"""The Bayesian signed-rank test against its definition, and where an answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.tables.signed_rank import signed_rank

GAINS = st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=6)


def by_definition(gains: list[float], region: float, samples: int = 3000) -> list[float]:
    """Weights from gamma variates, every pair summed by itself."""
    rng = np.random.default_rng(99)
    values = [0.0, *gains]
    wins = [0, 0, 0]
    for _ in range(samples):
        gamma = rng.gamma([0.5] + [1.0] * len(gains))
        weights = gamma / gamma.sum()
        mass = [0.0, 0.0, 0.0]
        for i, a in enumerate(values):
            for j, b in enumerate(values):
                side = 0 if (a + b) / 2 > region else 2 if (a + b) / 2 < -region else 1
                mass[side] += weights[i] * weights[j]
        wins[int(np.argmax(mass))] += 1
    return [count / samples for count in wins]


@pytest.mark.parametrize(
    "gains",
    [
        [0.05],
        [0.05, -0.033, 0.016],
        [0.005, 0.012, -0.002, 0.03],
        [-0.1, -0.02, 0.004, 0.03, 0.001],
    ],
)
def test_it_is_the_definition(gains: list[float]) -> None:
    found = signed_rank(np.array(gains), 0.01)
    np.testing.assert_allclose(found, by_definition(gains, 0.01), atol=0.03)


def test_one_difference_has_a_closed_form() -> None:
    """The first is better but for w0^2, and w0 is Beta(1/2, 1): P(w0^2 < 1/2) = (1/2)^(1/4)."""
    found = signed_rank(np.array([0.5]), 0.01)
    assert found.better == pytest.approx(0.5**0.25, abs=0.01)
    assert found.worse == 0.0


@given(GAINS)
def test_probabilities_sum_to_one_and_sides_change_places(gains: list[float]) -> None:
    found, turned = (signed_rank(s * np.array(gains)) for s in (1.0, -1.0))
    assert sum(found) == pytest.approx(1.0)
    assert found.better == pytest.approx(turned.worse, abs=1e-9)
    assert found.equal == pytest.approx(turned.equal, abs=1e-9)
    assert signed_rank(np.array(gains)) == found


def test_differences_within_the_region_are_equal() -> None:
    assert signed_rank(np.zeros(4)) == (0.0, 1.0, 0.0)
    assert signed_rank(np.full(5, 0.009)) == (0.0, 1.0, 0.0)


def test_many_clear_gains_leave_no_doubt() -> None:
    found = signed_rank(np.full(12, 0.1))
    assert found.better > 0.99
