"""Groups dealt into folds, each of which is held out once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workflow_src.configuration.patterns import natural_key
from workflow_src.configuration.schema import Split
from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.data.draws import COLUMN_OF, FOLDS_DRAW, groups_of
from workflow_src.errors import UserError

_TRIES = 50  # deals, until one leaves each class in training in every fold


def held_out(used: pd.DataFrame, split: Split, where: str) -> tuple[set[str], list[str]]:
    """The recordings of the fold that ``split.rotation`` names, and what its training part lacks.

    Every group of the strategy's column is in exactly one fold. Raises ``UserError`` with the
    number that fits where there are too few groups for the folds, and where one rig is to be
    rotated by rig.
    """
    rotation = split.rotation
    assert rotation is not None
    assert rotation.fold is not None
    column = COLUMN_OF[split.strategy]
    if column not in used.columns:
        raise UserError(
            "Recordings of one rig cannot be held out by rig.",
            where=f"{where}, key `split.strategy`",
            found=f"strategy: {split.strategy}, and recordings without a column {column}",
            expected="a rig with the key `union`",
            remedy=as_yaml(("split", "strategy"), "unit"),
        )
    groups = groups_of(used, column)
    _require_enough(groups, split, column, where)
    dealt = deal(groups, rotation.folds, (split.seed, FOLDS_DRAW))
    fold = dealt[rotation.fold]
    chosen = used["recording_id"][used[column].astype(str).isin(fold)]
    told = f"fold {rotation.fold} of {rotation.folds}"
    bearers = Counter(label for labels in groups.values() for label in labels)
    inside = Counter(label for group in fold for label in groups[group])
    lacking = sorted(label for label in inside if inside[label] == bearers[label])
    noun = column.removesuffix("_id")
    reasons = [
        f"{told}: training lacks {label}, which no other {noun} than "
        f"{', '.join(group for group in fold if label in groups[group])} bears"
        for label in lacking
    ]
    return set(chosen), reasons


def deal(groups: Mapping[str, frozenset[str]], folds: int, seed: Sequence[int]) -> list[list[str]]:
    """The groups in `folds` parts, none of them empty; `folds` is at most the number of groups.

    As many folds as groups: one each, in natural order. Fewer: of groups that bear one label
    each, the counts of a label differ by one at most between folds, and so do the sizes; a label
    that two groups bear is in two folds, wherever one of the deals that are tried allows it.
    """
    names = sorted(groups, key=lambda name: (natural_key(name), name))
    if folds == len(names):
        return [[name] for name in names]
    rng = np.random.default_rng(list(seed))
    totals = Counter(label for labels in groups.values() for label in labels)
    best: tuple[int, list[list[str]]] | None = None

    def rarity(name: str) -> tuple[int, list[str]]:
        return min((totals[label] for label in groups[name]), default=0), sorted(groups[name])

    for i in range(_TRIES):
        order = [names[j] for j in rng.permutation(len(names))]
        if i == 0:  # groups with the rarest label first: hardly ever is a second deal needed
            order = sorted(order, key=rarity)
        dealt = _dealt(order, groups, totals, folds)
        whole = sum(
            sum(label in groups[group] for group in fold) == totals[label] > 1
            for fold in dealt
            for label in totals
        )
        if best is None or whole < best[0]:
            best = whole, dealt
        if not whole:
            break
    assert best is not None
    return [sorted(fold, key=lambda name: (natural_key(name), name)) for fold in best[1]]


def _dealt(
    order: Sequence[str],
    groups: Mapping[str, frozenset[str]],
    totals: Mapping[str, int],
    folds: int,
) -> list[list[str]]:
    """One deal: each group, in this order, to the fold that has least of its labels.

    Of folds that have equally little, to the smallest: so none stays empty.
    """
    counts: list[Counter[str]] = [Counter() for _ in range(folds)]
    dealt: list[list[str]] = [[] for _ in range(folds)]
    for name in order:
        labels = groups[name]
        least = min(
            range(folds),
            key=lambda i: (
                sum(counts[i][label] / totals[label] for label in labels),
                len(dealt[i]),
            ),
        )
        dealt[least].append(name)
        counts[least].update(labels)
    return dealt


def _require_enough(
    groups: Mapping[str, frozenset[str]], split: Split, column: str, where: str
) -> None:
    rotation = split.rotation
    assert rotation is not None
    count = len(groups)
    if rotation.folds <= count and (rotation.folds == count or not rotation.leave_one_out):
        return
    keys = {"folds": count, **({"leave_one_out": True} if rotation.leave_one_out else {})}
    too_many = f"There are fewer groups than folds of strategy {split.strategy}."
    raise UserError(
        too_many
        if rotation.folds > count
        else "Leave one out takes a fold for each group, no more and no fewer.",
        where=f"{where}, key `split.rotation`",
        found=f"folds: {rotation.folds}, and {count} different {column}: "
        + ", ".join(sorted(groups, key=natural_key)[:20]),
        remedy=as_yaml(("split", "rotation"), keys)
        if count > 1
        else "another strategy: one group cannot be held out of itself",
    )
