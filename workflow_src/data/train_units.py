"""A curve over the number of training units: some units of each class stay in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from workflow_src.artifacts.split_summary import UnitSummary
from workflow_src.configuration.patterns import natural_key
from workflow_src.configuration.schema import Split
from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.data.draws import UNITS_DRAW, groups_of
from workflow_src.data.selection import listed
from workflow_src.errors import UserError

_UNLABELLED = "no label"


class DrawnUnits(NamedTuple):
    """The parts of recordings without those of units that were not drawn, and how many these are.

    ``reasons`` tell of classes that have more units than were asked for.
    """

    parts: dict[str, str]
    summary: UnitSummary
    left_out: int
    reasons: list[str]


def draw_units(
    used: pd.DataFrame, parts: Mapping[str, str], split: Split, where: str
) -> DrawnUnits:
    """Leave the one number of ``split.train_units`` of each class in training.

    Units are whole, and those of a smaller number are among those of a larger one of the same
    draw. A unit of several classes counts for each of them, so that one may have more. The other
    parts stay as they are. Raises ``UserError`` with the number that there is where a class has
    fewer.
    """
    assert split.train_units is not None
    (number,) = split.train_units
    train = used[used["recording_id"].map(dict(parts)) == "train"]
    groups = {
        unit: labels or frozenset({_UNLABELLED})
        for unit, labels in groups_of(train, "unit_id").items()
    }
    bearers = {
        label: sorted((u for u in groups if label in groups[u]), key=natural_key)
        for label in sorted(frozenset().union(*groups.values()))
    }
    taken = set(groups)
    if number != "all":
        _require_enough(bearers, number, where)
        rng = np.random.default_rng([split.seed, UNITS_DRAW, split.draw or 0])
        names = sorted(groups)
        taken = _in_rounds([names[i] for i in rng.permutation(len(names))], groups, number)
    drawn = {label: tuple(u for u in units if u in taken) for label, units in bearers.items()}
    gone = set(train["recording_id"][~train["unit_id"].astype(str).isin(list(taken))])
    more = {k: len(v) for k, v in drawn.items() if number != "all" and len(v) > number}
    return DrawnUnits(
        {name: part for name, part in parts.items() if name not in gone},
        UnitSummary(number=number, draw=split.draw or 0, drawn=drawn),
        len(gone),
        [f"units bear several classes: {count} of {label}" for label, count in more.items()],
    )


def _in_rounds(order: Sequence[str], groups: Mapping[str, frozenset[str]], number: int) -> set[str]:
    """Units in this order, in each round one of every class that has fewer than rounds."""
    taken: set[str] = set()
    labels = sorted(frozenset().union(*groups.values()))
    for rounds in range(1, number + 1):
        for label in labels:
            bearing = [unit for unit in order if label in groups[unit]]
            if len(taken.intersection(bearing)) < rounds:
                taken.add(next(unit for unit in bearing if unit not in taken))
    return taken


def _require_enough(bearers: Mapping[str, Sequence[str]], number: int, where: str) -> None:
    label = min(bearers, key=lambda name: len(bearers[name]))
    most = len(bearers[label])
    if number <= most:
        return
    doubled = [2**i for i in range(most.bit_length())]
    what = "class " * (label in bearers) + label
    raise UserError(
        f"The training part has too few units of {what}.",
        where=f"{where}, key `split.train_units`",
        found=f"{number}, and {most} in training beside validation and test: "
        f"{listed(bearers[label])}",
        expected=f"at most {most}, or all",
        remedy=as_yaml(("split", "train_units"), [*doubled, "all"]),
    )
