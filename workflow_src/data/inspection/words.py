"""What the words of file names and of columns usually mean on test benches."""

from __future__ import annotations

import re
from collections.abc import Iterable

from workflow_src.configuration.folder import ChannelKind

FAULTS = {
    "normal": ("normal", "norm", "healthy", "health", "good", "baseline", "ok", "n", "h"),
    "inner": ("inner", "innerrace", "ir", "i"),
    "outer": ("outer", "outerrace", "or", "o"),
    "ball": ("ball", "roller", "rolling", "re", "b"),
    "cage": ("cage", "fto"),
    "broken_tooth": ("brokentooth",),
    "broken": ("broken", "break"),
    "chipped": ("chipped", "chip"),
    "missing": ("missing", "miss"),
    "crack": ("crack", "cracked", "root"),
    "wear": ("wear", "worn", "surface"),
    "eccentric": ("eccentric", "eccentricity"),
    "unbalance": ("unbalance", "unbalanced", "imbalance"),
    "misalignment": ("misalignment", "misaligned"),
    "looseness": ("looseness", "loose"),
}
_MEANING = {word: fault for fault, words in FAULTS.items() for word in words}
_LETTERS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_QUANTITY = r"(?<![0-9.])([0-9]+(?:\.[0-9]+)?)\s?({})(?![a-z])"
_RATE = re.compile(_QUANTITY.format("khz|hz|k|ks|ksps"), re.IGNORECASE)
_SPEED = re.compile(_QUANTITY.format("rpm|hz"), re.IGNORECASE)
_LOAD = re.compile(_QUANTITY.format("kn|n|nm|hp|kg|lbs?|percent|pct|w|kw"), re.IGNORECASE)
LOWEST_RATE_HZ = 1000.0  # what names say below this is the turning of a shaft

KINDS: dict[ChannelKind, tuple[str, ...]] = {
    "current": ("current", "amp", "phase"),
    "encoder": ("encoder", "angle"),
    "tacho": ("tacho", "tachometer", "speed", "rpm", "key", "pulse"),
    "load": ("load", "force", "torque"),
    "temperature": ("temp", "temperature", "thermo", "thermocouple"),
    "acoustic": ("mic", "microphone", "acoustic", "sound", "audio", "noise"),
}


def faults_of(values: Iterable[str]) -> dict[str, str] | None:
    """Class by value, where at least half of the values name one; None where they do not.

    A value that names none stands for itself. Codes of one letter count only beside others, as
    parts may be named a, b and c. ``b`` is broken where nothing but ``h`` or ``n`` is beside it.
    """
    values = sorted(set(values))
    meant = {value: [_MEANING[w] for w in _words(value) if w in _MEANING] for value in values}
    known = [value for value in values if meant[value]]
    short = [v for v in known if max(len(w) for w in _words(v) if w in _MEANING) == 1]
    if len(values) < 2 or 2 * len(known) < len(values):
        return None
    if short and (len(known) < len(values) or len({meant[v][0] for v in known}) < 2):
        return None
    found = {v: "_".join(dict.fromkeys(meant[v])) or v for v in values}
    if set(found.values()) == {"normal", "ball"} and len(short) == len(values):
        found = {v: "broken" if fault == "ball" else fault for v, fault in found.items()}
    return found


def _words(text: str) -> list[str]:
    return [word.lower() for word in _LETTERS.findall(text)]


def rate_in(text: str) -> float | None:
    """The sampling rate that a name states, such as 12k or 25600Hz, in Hz."""
    for number, unit in _RATE.findall(text):
        rate = float(number) * (1000 if unit.lower().startswith("k") else 1)
        if rate >= LOWEST_RATE_HZ:
            return rate
    return None


def speed_in(text: str) -> float | None:
    """The turning of a shaft that a name states, such as 900rpm or 35Hz, in turns a minute."""
    for number, unit in _SPEED.findall(text):
        if unit.lower() == "rpm":
            return float(number)
        if float(number) < LOWEST_RATE_HZ:
            return 60 * float(number)
    return None


def load_in(text: str) -> str | None:
    """The load that a name states, such as 12kN or 3hp."""
    found = _LOAD.search(text)
    return None if found is None else f"{found[1]} {found[2]}"


def kind_of(column: str) -> ChannelKind | None:
    """The kind of channel that a column's name speaks of, None for none."""
    words = _words(column)
    return next((kind for kind, known in KINDS.items() if set(words) & set(known)), None)
