"""Friedman and Nemenyi against scipy, scikit-posthocs and the formulas of the papers."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import friedmanchisquare, studentized_range

from workflow_src.tables.rank_test import rank_test, ranks_of
from workflow_src.tables.statistics import rank
from workflow_src.tasks.scores import Metric

HIGHER = Metric("f1", "F1", higher_is_better=True, low=0, high=1)
LOWER = Metric("rmse", "RMSE", higher_is_better=False, low=0, high=9)
FINE = {metric: replace(metric, digits=12) for metric in (HIGHER, LOWER)}
SIZES = {"rows": st.integers(3, 6), "rigs": st.integers(6, 14), "seed": st.integers(0, 99)}


@given(**SIZES, levels=st.sampled_from([3, 10**6]), higher=st.booleans())
def test_it_agrees_with_the_libraries(
    rows: int, rigs: int, seed: int, levels: int, higher: bool
) -> None:
    scores = 0.9 * np.random.default_rng(seed).integers(levels, size=(rows, rigs)) / levels
    found = rank_test(scores, FINE[HIGHER if higher else LOWER])
    ranks = pd.DataFrame(scores).rank(axis=0, ascending=not higher)
    np.testing.assert_allclose(found.mean, ranks.mean(axis=1), atol=1e-12)
    expected = friedmanchisquare(*scores)
    assert found.statistic == pytest.approx(expected.statistic, abs=1e-9)
    assert found.p == pytest.approx(expected.pvalue, abs=1e-9)
    np.testing.assert_allclose(
        found.pairwise, scikit_posthocs.posthoc_nemenyi_friedman(scores.T), atol=1e-12
    )


@given(**SIZES)
def test_it_is_the_formula_without_ties(rows: int, rigs: int, seed: int) -> None:
    """Friedman 1937 and Demsar 2006, section 3.2.2."""
    scores = 0.9 * np.random.default_rng(seed).random((rows, rigs))
    found = rank_test(scores, FINE[HIGHER])
    k, n = rows, rigs
    chi = 12 * n / (k * (k + 1)) * ((found.mean**2).sum() - k * (k + 1) ** 2 / 4)
    assert found.statistic == pytest.approx(chi, abs=1e-9)
    for a, b in itertools.combinations(range(k), 2):
        q = abs(found.mean[a] - found.mean[b]) / math.sqrt(k * (k + 1) / (6 * n))
        p = studentized_range.sf(q * math.sqrt(2), k, math.inf)
        assert found.pairwise[a, b] == pytest.approx(p, abs=1e-9)
        apart = abs(found.mean[a] - found.mean[b]) > found.critical_difference
        assert apart == (p < 0.05)


@pytest.mark.parametrize(("rows", "q"), [(3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_the_critical_difference_is_that_of_demsars_table(rows: int, q: float) -> None:
    scores = np.random.default_rng(0).random((rows, 14))
    found = rank_test(scores, HIGHER).critical_difference
    assert found == pytest.approx(q * math.sqrt(rows * (rows + 1) / (6 * 14)), abs=1e-3)


def test_his_example_has_a_difference_of_1_25() -> None:
    """Four classifiers on fourteen data sets."""
    found = rank_test(np.random.default_rng(0).random((4, 14)), HIGHER)
    assert round(found.critical_difference, 2) == 1.25


def test_where_all_rows_tie_there_is_nothing_to_test() -> None:
    scores = np.tile(np.arange(6.0), (3, 1))
    found = rank_test(scores, HIGHER)
    assert (found.statistic, found.p) == (None, None)
    assert found.mean.tolist() == [2.0, 2.0, 2.0]
    np.testing.assert_array_equal(found.pairwise, np.ones((3, 3)))


@given(**SIZES, higher=st.booleans())
def test_scores_that_are_marked_as_equal_share_a_rank(
    rows: int, rigs: int, seed: int, higher: bool
) -> None:
    """One rule for marks and ranks: the printed digits, and one value from the ceiling on."""
    rng = np.random.default_rng(seed)
    scores = rng.choice([0.5, 0.501, 0.975, 0.99], (rows, rigs)) + rng.uniform(
        -4e-4, 4e-4, (rows, rigs)
    )
    metric = HIGHER if higher else LOWER
    ranks = ranks_of(scores, metric)
    for column, of_column in zip(scores.T.tolist(), ranks.T, strict=True):
        marks = rank(column, [False] * rows, higher_is_better=higher, digits=metric.digits).marks
        best = {r for r, mark in zip(of_column, marks, strict=True) if mark == "best"}
        assert best == {of_column.min()}
        assert (of_column == of_column.min()).sum() == marks.count("best")


def test_a_difference_that_is_not_printed_is_no_rank() -> None:
    """Without it, six rigs that print the same scores would tell two rows apart."""
    scores = np.array([[0.7003] * 6, [0.7001] * 6, [0.6999] * 6])
    assert rank_test(scores, HIGHER).p is None
    assert rank_test(scores, FINE[HIGHER]).p == pytest.approx(0.0025, abs=1e-4)
    high = np.array([[1.0] * 6, [0.985] * 6, [0.5] * 6])
    assert rank_test(high, HIGHER).mean.tolist() == [1.5, 1.5, 3.0]
