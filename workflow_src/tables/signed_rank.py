"""Bayesian signed-rank test of paired differences, with a region of practical equivalence."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from workflow_src.tasks.scores import Floats

REGION = 0.01  # scores that differ by no more are practically equal
MIN_PAIRS = 3  # below, no probability: two rigs that agree would give 0.96
_ROUNDING = 1e-9  # of differences between scores
_PRIOR = 0.5  # weight of the pseudo-observation 0
_SAMPLES = 50_000
_SEED = 0  # so that a table is the same whenever it is made


class Posterior(NamedTuple):
    """Probabilities that the first is better, that both are equal, that the second is better."""

    better: float
    equal: float
    worse: float


def counts(gains: Floats, region: float = REGION) -> tuple[int, int, int]:
    """Wins, ties (within `region`) and losses of the first in paired `gains` (n,)."""
    wins, losses = (int((side > region + _ROUNDING).sum()) for side in (gains, -gains))
    return wins, len(gains) - wins - losses, losses


def signed_rank(gains: Floats, region: float = REGION) -> Posterior:
    """The posterior of paired `gains` (n,), which are positive if the first is better.

    Dirichlet weights over the differences and a pseudo-observation 0 weigh the pairwise Walsh
    averages: those above `region`, within it, and below (Benavoli, Corani, Demsar & Zaffalon
    2017, section 4.2.1). The probability of each is the share of draws in which it weighs most.
    """
    beyond = region + _ROUNDING
    values = np.append(0.0, gains)  # (n + 1,)
    averages = (values[:, None] + values) / 2
    alpha = np.append(_PRIOR, np.ones(len(gains)))
    weights = np.random.default_rng(_SEED).dirichlet(alpha, _SAMPLES)  # (samples, n + 1)
    better, worse = (
        np.einsum("si,ij,sj->s", weights, side.astype(np.float64), weights, optimize=True)
        for side in (averages > beyond, averages < -beyond)
    )
    most = np.argmax([better, 1 - better - worse, worse], 0)
    shares = np.bincount(most, minlength=3) / _SAMPLES
    return Posterior(*map(float, shares))
