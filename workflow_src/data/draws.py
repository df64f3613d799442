"""Draws of units, conditions or runs that leave each label on both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd

STRENGTHS = ("rig", "unit", "condition", "run", "time_block")  # strongest first
# Recordings of one rig have no column `rig`: those of a union do.
COLUMN_OF = {"rig": "rig", "unit": "unit_id", "condition": "condition", "run": "run_id"}
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


def obstacle(groups: Mapping[str, frozenset[str]], column: str) -> str | None:
    """Why no draw can leave each label on both sides, or None."""
    noun = column.removesuffix("_id")
    if len(groups) < 2:
        return f"there is only one {noun}"
    counts = Counter(label for labels in groups.values() for label in labels)
    alone = sorted(label for label, count in counts.items() if count < 2)
    return f"only one {noun} bears {', '.join(alone)}" if alone else None


def draw(groups: Mapping[str, frozenset[str]], share: float, rng: np.random.Generator) -> set[str]:
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
    table: pd.DataFrame, strategy: str, share: float, seed: tuple[int, int]
) -> tuple[str, set[str], list[str]]:
    """The first strategy, from `strategy` downwards, whose draw leaves each label on both sides.

    Returns it, the recordings drawn (none for ``time_block``), and why others were passed over.
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
            taken = draw(groups, share, np.random.default_rng(seed))
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
