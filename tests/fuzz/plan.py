"""Which run a seed is: its family, its kind, and every draw within it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from . import (
    array_mutants,
    clock_mutants,
    configurations,
    damage_mutants,
    folder_mutants,
    hdf5_mutants,
    header_mutants,
    number_mutants,
    passengers,
    row_mutants,
    selector_mutants,
    sheet_mutants,
    table_mutants,
    valid,
)
from .draw import Draw
from .yaml_mutants import KINDS as CONFIGURATION

RECORDINGS = {
    **row_mutants.KINDS,
    **number_mutants.KINDS,
    **header_mutants.KINDS,
    **clock_mutants.KINDS,
    **folder_mutants.KINDS,
    **array_mutants.KINDS,
    **hdf5_mutants.KINDS,
    **damage_mutants.KINDS,
    **sheet_mutants.KINDS,
    **table_mutants.KINDS,
    **selector_mutants.KINDS,
    **passengers.KINDS,
}
FAMILIES = {
    "shipped": [""],
    "valid": list(valid.KINDS),
    "recordings": list(RECORDINGS),
    "configuration": list(CONFIGURATION),
}
MUTANTS = ("recordings", "configuration")
# Of four runs one is a valid recording, two are mutants of recordings, one is of a configuration.
_DEALT = ("valid", "recordings", "recordings", "configuration")
_RUNS = 10**6  # runs that one seed of a campaign has room for


@dataclass(frozen=True)
class Plan:
    """One run; `seed` alone makes it again."""

    seed: int
    family: str
    kind: str

    def draw(self) -> Draw:
        """The source of every draw of this run."""
        return Draw(f"run {self.seed}")


def plan_of(seed: int) -> Plan:
    """The run of a seed; below zero they are the shipped texts."""
    if seed < 0:
        return Plan(seed, "shipped", configurations.shipped()[-seed - 1].whence)
    campaign, index = divmod(seed, _RUNS)
    turn, place = divmod(index, len(_DEALT))
    family = _DEALT[place]
    own = [p for p, name in enumerate(_DEALT) if name == family]
    count = turn * len(own) + own.index(place)
    kinds = list(FAMILIES[family])
    cycle, card = divmod(count, len(kinds))
    # Dealt like shuffled cards, so that each kind comes as often as any other.
    random.Random(f"{campaign} {family} {cycle}").shuffle(kinds)
    return Plan(seed, family, kinds[card])


def plans(campaign: int, runs: int) -> Iterator[Plan]:
    """The shipped texts, then the runs of a campaign."""
    for place in range(len(configurations.shipped())):
        yield plan_of(-place - 1)
    for index in range(runs):
        yield plan_of(campaign * _RUNS + index)
