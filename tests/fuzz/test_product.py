"""The product against the fuzzer: mutants, valid recordings of every format, shipped texts."""

from __future__ import annotations

import pytest

from .campaign import results
from .plan import MUTANTS, plans
from .report import failed, refused_share, report
from .verdict import Verdict

pytestmark = pytest.mark.slow

SEED, RUNS = 11, 268  # of which 201 are mutants


def test_no_mutant_is_misread_in_silence() -> None:
    planned = [plan for plan in plans(SEED, RUNS) if plan.family in MUTANTS]
    assert len(planned) >= 200
    found = list(results(planned, seconds=60.0))
    assert not failed(found), report(found)
    assert round(refused_share(found), 2) <= 0.6, report(found)


def test_valid_recordings_and_shipped_texts_are_read_as_they_are() -> None:
    planned = [plan for plan in plans(SEED, 1200) if plan.family not in MUTANTS]
    assert sum(plan.family == "valid" for plan in planned) >= 300
    found = list(results(planned, seconds=60.0))
    assert {result.verdict for result in found} == {Verdict.EQUAL}, report(found)
