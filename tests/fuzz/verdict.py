"""What may come of a run, and how what was read is held against what was written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Verdict(StrEnum):
    """The end of one run."""

    EQUAL = "accepted and equal"
    REFUSED = "refused by name"
    UNNAMED = "refused without the name of file, row or key"
    INVALID = "valid, and refused"
    WRONG = "wrong value"
    SILENT = "loss in silence"
    TRACEBACK = "traceback"
    HANG = "hang"
    MEMORY = "more than 1 GB"


KEYS = "fuzz.yaml"  # the file of keys that read the recordings: to name it is to name the key
FAILING = (Verdict.INVALID, Verdict.WRONG, Verdict.SILENT, Verdict.MEMORY)
REFUSALS = (Verdict.REFUSED, Verdict.UNNAMED, Verdict.INVALID)


@dataclass(frozen=True)
class Held:
    """What one recording is, by whoever wrote it: signal (L, C) as written, rate in Hz.

    Samples agree to float32, which every store has, and a rate to `rate_rtol`.
    """

    signal: NDArray[Any]
    rate_hz: float | None
    rate_rtol: float = 1e-6
    labels: Mapping[str, str] = field(default_factory=dict)  # column of the store's table -> text


@dataclass(frozen=True)
class Reading:
    """One way in which a human may read the files: recordings by their file.

    `said`, where it is given, must be found in what the product says beside the samples, and
    `sums` are names of files whose checksums it must keep.
    """

    recordings: Mapping[str, Held]
    said: str = ""
    sums: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """Files that lie in a folder, the keys that they are read by, and what is right.

    Without `readings` only a refusal is right, and to accept is the verdict `otherwise`. A
    refusal matches each expression of `names` (any case). With `test`, the YAML behind
    `split: {test:`, the readings are of the test part alone.
    """

    options: Mapping[str, Any]
    readings: tuple[Reading, ...] = ()
    refusable: bool = True
    names: tuple[str, ...] = ()
    otherwise: Verdict = Verdict.WRONG
    about: str = ""
    source: str = "folder"
    test: str = ""


@dataclass(frozen=True)
class Got:
    """What the product read: samples, rate and labels by file, its words, the sums it keeps."""

    recordings: Mapping[str, Held]
    said: str
    sums: frozenset[str]


@dataclass(frozen=True)
class Result:
    """One run after its end."""

    seed: int
    family: str
    kind: str
    verdict: Verdict
    detail: str = ""
    seconds: float = 0.0
    peak_mb: float = 0.0


def judged(case: Case, got: Got) -> tuple[Verdict, str]:
    """The verdict on what was accepted, and in what it differs from the nearest reading."""
    if not case.readings:
        return case.otherwise, f"{case.about}: accepted, {_shapes(got)}"
    faults = [_fault(reading, got) for reading in case.readings]
    if None in faults:
        return Verdict.EQUAL, ""
    worst = next(fault for fault in faults if fault is not None)
    verdict, text = worst
    return verdict, f"{case.about}: {text}"


def refused(case: Case, message: str) -> tuple[Verdict, str]:
    """The verdict on a refusal."""
    if not case.refusable:
        return Verdict.INVALID, f"{case.about}: {message}"
    if f"{KEYS}, " in message:
        return Verdict.REFUSED, message
    lacking = [name for name in case.names if not re.search(name, message, re.IGNORECASE)]
    if lacking:
        return Verdict.UNNAMED, f"{case.about}: lacks /{'/, /'.join(lacking)}/: {message}"
    return Verdict.REFUSED, message


def _shapes(got: Got) -> str:
    return ", ".join(f"{name} {held.signal.shape}" for name, held in got.recordings.items())[:200]


def _fault(reading: Reading, got: Got) -> tuple[Verdict, str] | None:
    lost = sorted(set(reading.recordings) - set(got.recordings))
    added = sorted(set(got.recordings) - set(reading.recordings))
    if added:
        return Verdict.WRONG, f"recordings that are none: {added[:3]}"
    if lost:
        return Verdict.SILENT, f"recordings lost: {lost[:3]}"
    for name, held in reading.recordings.items():
        found = _difference(held, got.recordings[name])
        if found is not None:
            return found[0], f"{name}: {found[1]}"
    if reading.said and not re.search(reading.said, got.said, re.IGNORECASE):
        return Verdict.SILENT, f"equal, but nothing said of /{reading.said}/"
    kept = {PurePath(name).name for name in got.sums}
    if unkept := sorted(set(reading.sums) - kept):
        return Verdict.SILENT, f"read without a checksum: {unkept}"
    return None


def _difference(held: Held, got: Held) -> tuple[Verdict, str] | None:
    wanted, found = held.signal, got.signal
    if wanted.shape != found.shape:
        shapes = f"shape {found.shape} where {wanted.shape} was written"
        fewer = found.shape[0] < wanted.shape[0] and found.shape[1] == wanted.shape[1]
        return Verdict.SILENT if fewer else Verdict.WRONG, shapes
    with np.errstate(over="ignore"):
        single = wanted.astype(np.float32)
    close = np.isclose(found, single, rtol=3e-7, atol=1e-37, equal_nan=True)
    if not close.all():
        row, column = (int(place) for place in np.argwhere(~close)[0])
        return Verdict.WRONG, (
            f"sample {row} of channel {column} is {found[row, column]:g} where "
            f"{single[row, column]:g} was written ({int((~close).sum())} of {close.size} differ)"
        )
    if not _same_rate(held, got):
        return Verdict.WRONG, f"rate {got.rate_hz} where {held.rate_hz} is right"
    for name, text in held.labels.items():
        if got.labels.get(name) != text:
            return Verdict.WRONG, f"{name} is {got.labels.get(name)!r}, written was {text!r}"
    return None


def _same_rate(held: Held, got: Held) -> bool:
    if held.rate_hz is None or got.rate_hz is None:
        return held.rate_hz is None and got.rate_hz is None
    return abs(got.rate_hz - held.rate_hz) <= held.rate_rtol * held.rate_hz
