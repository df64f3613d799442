"""What the varying parts of file names are: fault, speed, load, rate, number of a snapshot."""

from __future__ import annotations

import keyword
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TypeVar

from workflow_src.configuration.folder import OWN_FIELDS
from workflow_src.data.inspection.names import Names, Slot
from workflow_src.data.inspection.words import faults_of, load_in, rate_in, speed_in

T = TypeVar("T")
K = TypeVar("K")

SNAPSHOTS = 10  # so many files that differ by one number alone are a run, where no fault is named
SPEEDS_RPM = (100, 30_000)
_NO_NAMES = {*OWN_FIELDS, "file", "length", "channels", "channel_kinds"}


@dataclass
class Roles:
    """Slots by what they seem to be. ``unit`` are those that tell specimens apart."""

    name_of: dict[Slot, str] = field(default_factory=dict)
    fault: Slot | None = None
    faults: dict[str, str] = field(default_factory=dict)
    speed: Slot | None = None
    speeds_rpm: dict[str, float] = field(default_factory=dict)
    speed_is_named: bool = False
    load: Slot | None = None
    loads: dict[str, str] = field(default_factory=dict)
    rate: Slot | None = None
    rates_hz: dict[str, float | None] = field(default_factory=dict)
    number: Slot | None = None
    is_life: bool = False
    unit: list[Slot] = field(default_factory=list)
    redundant: list[Slot] = field(default_factory=list)

    @property
    def conditions(self) -> list[Slot]:
        """The slots of speed and load, each once."""
        return list(dict.fromkeys(slot for slot in (self.speed, self.load) if slot is not None))


def find_roles(names: Names, files: Sequence[str]) -> Roles:
    """Guess what each slot is, by the words in it and beside it and by how values combine."""
    slots, roles = names.slots, Roles()
    _find_fault(slots, roles)
    _find_quantities(slots, roles)
    _find_rate(slots, files, roles)
    _find_speed_without_unit(slots, roles)
    _find_number(slots, roles)
    _find_units(slots, roles)
    _give_names(slots, roles)
    return roles


def _find_fault(slots: Sequence[Slot], roles: Roles) -> None:
    found = [(slot, faults_of(slot.values)) for slot in slots if not slot.digits]
    named = [(slot, faults) for slot, faults in found if faults is not None]
    if named:
        roles.fault, roles.faults = max(named, key=lambda one: len(set(one[1].values())))


def _find_quantities(slots: Sequence[Slot], roles: Roles) -> None:
    for slot in slots:
        if slot is roles.fault:
            continue
        text = {value: f"{value}{slot.after}" for value in slot.values}
        speeds = _each(text, speed_in)
        loads = _each(text, load_in)
        if slot.digits and not speeds and slot.before.lower() in ("rpm", "speed"):
            speeds = {value: float(value) for value in text}
        if slot.digits and not loads and slot.before.lower() == "load":
            loads = {value: value for value in text}
        if speeds and roles.speed is None:
            roles.speed, roles.speeds_rpm, roles.speed_is_named = slot, speeds, True
        if loads and roles.load is None:
            roles.load, roles.loads = slot, loads


def _each(text: dict[str, str], read: Callable[[str], T | None]) -> dict[str, T]:
    """What each value says; empty where one of them says nothing."""
    found = {value: said for value, whole in text.items() if (said := read(whole)) is not None}
    return found if len(found) == len(text) else {}


def _find_rate(slots: Sequence[Slot], files: Sequence[str], roles: Roles) -> None:
    """The slot whose values decide the rate that names state, where names state several."""
    rates = [rate_in(file) for file in files]
    if len(set(rates)) < 2:
        return
    for slot in slots:
        by_value = _partition(slot.values, rates)
        if all(len(set(found)) == 1 for found in by_value.values()):
            roles.rate = slot
            roles.rates_hz = {value: found[0] for value, found in by_value.items()}
            return


def _find_number(slots: Sequence[Slot], roles: Roles) -> None:
    """The last number without another meaning, where it alone tells some files apart."""
    taken = {roles.fault, roles.speed, roles.load, roles.rate}
    for slot in reversed([s for s in slots if s.digits and s not in taken]):
        others = [other for other in slots if other is not slot]
        alike = _partition(_keys(others, len(slot.values)), slot.values)
        sizes = [len(numbers) for numbers in alike.values()]
        if max(sizes) > 1:
            roles.number = slot
            roles.is_life = roles.fault is None and median(sizes) >= SNAPSHOTS
            return


def _find_speed_without_unit(slots: Sequence[Slot], roles: Roles) -> None:
    taken = {roles.fault, roles.load, roles.rate}
    for slot in slots:
        values = sorted(set(slot.values))
        if roles.speed is None and slot.digits and slot not in taken and len(values) <= 12:
            numbers = [int(value) for value in values]
            low, high = SPEEDS_RPM
            if all(low <= n <= high and n % 10 == 0 for n in numbers):
                roles.speed, roles.speeds_rpm = slot, {v: float(v) for v in values}


def _find_units(slots: Sequence[Slot], roles: Roles) -> None:
    """What is left tells specimens apart, but for what adds nothing to the rest of it.

    A number that each file has its own is that of an acquisition, and no specimen's either.
    """
    about = {roles.speed, roles.load, roles.number}
    if roles.rate is not roles.fault:
        about.add(roles.rate)
    left = [slot for slot in slots if slot not in about]
    # A name's own number first, then folders; the fault last.
    for slot in sorted(left, key=lambda s: (s is roles.fault, not s.digits, -s.level)):
        count = len(slot.values)
        rest = [other for other in left if other is not slot]
        own = slot.digits and len(set(slot.values)) == count and roles.fault is not None
        adds = len(set(_keys(rest, count))) < len(set(_keys(left, count)))
        if rest and (own or not adds):
            left = rest
            if slot is not roles.fault:
                roles.redundant.append(slot)
    roles.unit = left


def _keys(slots: Sequence[Slot], count: int) -> list[tuple[str, ...]]:
    return list(zip(*(slot.values for slot in slots), strict=True)) if slots else [()] * count


def _partition(keys: Iterable[K], values: Iterable[T]) -> dict[K, list[T]]:
    found: dict[K, list[T]] = defaultdict(list)
    for key, value in zip(keys, values, strict=True):
        found[key].append(value)
    return dict(found)


def _give_names(slots: Sequence[Slot], roles: Roles) -> None:
    wanted: dict[Slot, str] = {}
    for slot, name in (
        (roles.rate, "rate"),
        (roles.load, "load"),
        (roles.speed, "speed"),
        (roles.number, "index" if roles.is_life else "part"),
        (roles.fault, "state"),
    ):
        if slot is not None:
            wanted[slot] = name
    if roles.speed is not None and roles.speed is roles.load:
        wanted[roles.speed] = "condition"
    for slot in slots:
        before = re.sub(r"\W", "", slot.before).lower()
        free = before and before not in _NO_NAMES and not keyword.iskeyword(before)
        default = "number" if slot.digits else "name"
        name = wanted.get(slot) or (before if slot.digits and free else default)
        taken = set(roles.name_of.values())
        roles.name_of[slot] = next(
            n for n in (name, *(f"{name}{i}" for i in range(2, 99))) if n not in taken
        )
