"""Some runs of the campaign with a fixed seed; `python -m tests.faults` makes as many as wished."""

from __future__ import annotations

from collections import Counter

import pytest

from .campaign import Campaign, Plan, Result, describe, plans, unavailable
from .kinds import CANNOT, KINDS

SEED, RUNS = 11, 3


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    campaign = Campaign(tmp_path_factory.mktemp("faults").resolve())
    return list(campaign.all(plans(SEED, RUNS), jobs=2))


@pytest.mark.faults
@pytest.mark.parametrize("index", range(RUNS))
def test_a_cell_comes_to_its_end_whatever_strikes(results: list[Result], index: int) -> None:
    """Scores, predictions, weights and history are those of the undisturbed run."""
    assert not results[index].broken, describe(results[index])


@pytest.mark.faults
def test_most_faults_struck(results: list[Result]) -> None:
    hits = [hit for result in results for _, hit, _ in result.hits]
    assert sum(hit.where is not None for hit in hits) > len(hits) / 2


@pytest.mark.faults
@pytest.mark.parametrize("name", CANNOT)
def test_every_kind_is_offered_here(name: str) -> None:
    """A skip tells which faults this user or machine cannot provoke."""
    if name in unavailable():
        pytest.skip(f"{name}: {unavailable()[name]}")


def test_plans_follow_from_the_seed_alone() -> None:
    def told(found: list[Plan]) -> list[tuple[object, ...]]:
        return [(plan.kinds, plan.variant.name, plan.draw().random()) for plan in found]

    assert told(plans(3, 20)) == told(plans(3, 20))
    assert told(plans(3, 20))[:5] == told(plans(3, 5))  # one run of many can be made again
    assert told(plans(3, 20)) != told(plans(4, 20))


def test_kinds_are_dealt_evenly() -> None:
    counts = Counter(kind for plan in plans(5, 200) for kind in plan.kinds)
    assert set(counts) == set(KINDS) - set(unavailable())
    assert max(counts.values()) - min(counts.values()) <= 1
