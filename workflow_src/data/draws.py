"""Draws of units, conditions or runs that leave each label on both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from workflow_src.configuration.schema import Span

STRENGTHS = ("rig", "unit", "condition", "run", "time_block")  # strongest first
# Recordings of one rig have no column `rig`: those of a union do.
COLUMN_OF = {"rig": "rig", "unit": "unit_id", "condition": "condition", "run": "run_id"}
# So that the draws of one seed differ.
TEST_DRAW, VALIDATION_DRAW, FOLDS_DRAW, SHOTS_DRAW, UNITS_DRAW = range(5)
_NEAR = 0.1  # of the share asked: draws of equal groups stay as they are
_TRIES = 100
_EXCHANGES = 10_000  # pairs that are looked at, at most, for each step nearer
RUN_TO_FAILURE = "run to failure"


def groups_of(table: pd.DataFrame, column: str) -> dict[str, frozenset[str]]:
    """The labels that each group (unit, condition, run) bears: its classes, and whether it fails.

    A group without any label has the empty set.
    """
    groups: dict[str, set[str]] = {}
    columns = (table[column], table["fault"], table["life_s"].notna())
    for group, fault, fails in zip(*columns, strict=True):
        labels = groups.setdefault(str(group), set())
        labels |= ({fault} if fault else set()) | ({RUN_TO_FAILURE} if fails else set())
    return {group: frozenset(labels) for group, labels in groups.items()}


def _spans_of(table: pd.DataFrame, column: str, span: Span) -> dict[str, int]:
    """How many spans each group holds in whole recordings; 1 at least, to have a size at all."""
    samples = span.window + span.horizon
    counts = ((table["length"] - samples) // (span.stride or samples) + 1).clip(lower=0)
    if span.per_recording is not None:
        counts = counts.clip(upper=span.per_recording)
    summed = counts.groupby(table[column].astype(str)).sum()
    return {str(group): max(int(count), 1) for group, count in summed.items()}


def obstacle(groups: Mapping[str, frozenset[str]], column: str) -> str | None:
    """Why no draw can leave each label on both sides, or None."""
    noun = column.removesuffix("_id")
    if len(groups) < 2:
        return f"there is only one {noun}"
    counts = Counter(label for labels in groups.values() for label in labels)
    alone = sorted(label for label, count in counts.items() if count < 2)
    return f"only one {noun} bears {', '.join(alone)}" if alone else None


def draw(
    groups: Mapping[str, frozenset[str]],
    sizes: Mapping[str, int],
    share: float,
    rng: np.random.Generator,
) -> set[str]:
    """Groups that hold about `share` of all spans, so that each label stands on both sides.

    `sizes` counts the spans of each group. A draw of that share of the groups stands where no
    other is nearer to `share` by a tenth of it, so that groups of about one size give the draw
    that they always gave. The set is empty where no draw is found.
    """
    first = _by_count(groups, share, rng)
    if not first:
        return set()
    whole = sum(sizes.values())

    def miss(taken: set[str]) -> float:
        return abs(sum(sizes[name] for name in taken) / whole - share)

    if miss(first) <= _NEAR * share:
        return first
    tried = [first, *filter(None, (_by_size(groups, sizes, share, rng) for _ in range(_TRIES)))]
    nearest = _improved(groups, min(tried, key=miss), miss)
    return nearest if miss(nearest) < miss(first) - _NEAR * share else first


def _by_size(
    groups: Mapping[str, frozenset[str]],
    sizes: Mapping[str, int],
    share: float,
    rng: np.random.Generator,
) -> set[str]:
    """Groups in drawn order, of each set of labels until its share of the spans is reached.

    Of each set of labels one group at least is taken and one is left, where it has two.
    """
    names = sorted(groups)
    strata: dict[frozenset[str], list[str]] = {}
    for i in rng.permutation(len(names)):
        strata.setdefault(groups[names[i]], []).append(names[i])
    taken: set[str] = set()
    for members in strata.values():
        goal, held = share * sum(sizes[name] for name in members), 0
        for name in members[:-1]:
            # The last one only where it leads nearer.
            if held and held + sizes[name] / 2 > goal:
                continue
            taken.add(name)
            held += sizes[name]
    return taken if _divides(groups, taken) else set()


def _divides(groups: Mapping[str, frozenset[str]], taken: set[str]) -> bool:
    """Whether each label, and a group at all, stands on both sides."""
    inside = [labels for name, labels in groups.items() if name in taken]
    outside = [labels for name, labels in groups.items() if name not in taken]
    if not inside or not outside:
        return False
    return frozenset().union(*inside) == frozenset().union(*outside)


def _improved(
    groups: Mapping[str, frozenset[str]], taken: set[str], miss: Callable[[set[str]], float]
) -> set[str]:
    """`taken` with one group more, less or exchanged, as long as that leads nearer."""
    while True:
        free = sorted(set(groups) - taken)
        moves = [taken | {name} for name in free]
        moves += [taken - {name} for name in sorted(taken)]
        if len(free) * len(taken) <= _EXCHANGES:
            moves += [taken - {a} | {b} for a in sorted(taken) for b in free]
        better = [move for move in moves if miss(move) < miss(taken)]
        better.sort(key=miss)  # stable: the draw does not depend on the order of rows
        nearest = next((move for move in better if _divides(groups, move)), None)
        if nearest is None:
            return taken
        taken = nearest


def _by_count(
    groups: Mapping[str, frozenset[str]], share: float, rng: np.random.Generator
) -> set[str]:
    """About `share` of the groups, so that each label stands on both sides.

    Greedy: the next group is one that bears the label least drawn so far, among those that leave
    each of their labels behind at least once. The set is empty where that leads nowhere.
    """
    strata: dict[frozenset[str], list[str]] = {}
    names = sorted(groups)
    for i in rng.permutation(len(names)):
        strata.setdefault(groups[names[i]], []).append(names[i])
    totals = Counter(label for labels in groups.values() for label in labels)
    drawn: Counter[str] = Counter()
    taken: set[str] = set()
    goal = min(max(round(share * len(groups)), 1), len(groups) - 1)

    def urgency(labels: frozenset[str]) -> tuple[float, list[str]]:
        shares = [drawn[label] / totals[label] for label in labels]
        return min(shares, default=len(taken) / len(groups)), sorted(labels)

    while len(taken) < goal or any(not drawn[label] for label in totals):
        free = [
            labels
            for labels, members in strata.items()
            if members and all(drawn[label] + 2 <= totals[label] for label in labels)
        ]
        if not free or len(taken) + 1 == len(groups):
            break
        labels = min(free, key=urgency)
        taken.add(strata[labels].pop())
        drawn.update(labels)
    return taken if all(drawn[label] for label in totals) else set()


def draw_strongest(
    table: pd.DataFrame, span: Span, strategy: str, share: float, seed: tuple[int, int]
) -> tuple[str, set[str], list[str]]:
    """The first strategy, from `strategy` downwards, whose draw leaves each label on both sides.

    `share` is one of the spans of `table`. Returns the strategy, the recordings drawn (none for
    ``time_block``), and why others were passed over.
    """
    passed: list[str] = []
    for candidate in STRENGTHS[STRENGTHS.index(strategy) : -1]:
        column = COLUMN_OF[candidate]
        if column not in table.columns:
            passed.append(f"not by {candidate}: there is only one {candidate}")
            continue
        groups = groups_of(table, column)
        reason = obstacle(groups, column)
        if reason is None:
            sizes = _spans_of(table, column, span)
            taken = draw(groups, sizes, share, np.random.default_rng(seed))
            chosen = table[table[column].isin(list(taken))]
            rest = table[~table[column].isin(list(taken))]
            torn = set(chosen["run_id"]) & set(rest["run_id"])
            if taken and not torn:
                return candidate, set(chosen["recording_id"]), passed
            reason = (
                f"run {min(torn)} would be torn apart"
                if torn
                else "no draw leaves each class on both sides"
            )
        passed.append(f"not by {candidate}: {reason}")
    return "time_block", set(), passed
