"""The sampling rate of a recording: what its file states, what the rig says, and whether it can be.

A file may state a default (``wf_increment`` of 1 s), the turns of a shaft under ``rate``, kilohertz
or a number in another country's digits; none of them is believed where nobody vouches for it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workflow_src.configuration.folder import FolderOptions
from workflow_src.data.sources.plausible import PLAUSIBLE_HZ, plausible
from workflow_src.errors import BadData

RATE_TOLERANCE = 1e-3  # a rate is often rounded; the nearest that are mixed up differ by far more

Held = Any  # a value as a file holds it: of numpy, HDF5 or a header
Stated = tuple[float | None, str]  # rate in Hz, and where the file says it
UNSTATED: Stated = (None, "")


@dataclass(frozen=True)
class Declared:
    """The rate that a rig gives to a recording, None for ``unknown``, and who says so.

    It is ``typed`` if it stands in the rig's YAML: then whoever wrote that vouches for it.
    ``remedy`` is the YAML that lets it stand where it is not.
    """

    rate_hz: float | None
    place: str
    typed: bool = True
    remedy: str = ""


_TEXT = re.compile(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*(k|M)?(?:Hz|hz|HZ|S/s|Sa/s|sps)?")
_FACTOR = {None: 1.0, "k": 1e3, "M": 1e6}


def stated_rate(options: FolderOptions, where: Path | str, place: str, value: Held) -> Stated:
    """A rate as a file holds it: a number, several that are equal, or a text such as ``25.6 kHz``.

    ``place`` says where in the file. Nothing is stated where the rig ignores it. Raises ``BadData``
    for what is no rate.
    """
    if options.ignore_stated_rate:
        return UNSTATED
    rate = _only_number(value)
    if _is_rate(rate):
        return rate, place
    raise BadData(
        "A file states a sampling rate that is none.",
        where=f"{where}, {place}",
        found=repr(value.item() if np.size(value) == 1 and hasattr(value, "item") else value),
        expected="a positive number of Hz",
        remedy="under `folder:` of the rig " + IGNORING,
    )


def one_rate(options: FolderOptions, where: Path | str, values: Mapping[str, Held]) -> Stated:
    """The rate that ``values``, each by its place in one file, state; the surest comes first.

    Raises ``BadData`` if the first is no rate, and if another is a different one.
    """
    stated = UNSTATED
    for place, value in values.items() if not options.ignore_stated_rate else ():
        if stated[0] is None:
            stated = stated_rate(options, where, place, value)
        elif _is_rate(rate := _only_number(value)):
            stated = agreed(where, stated, (rate, place))
    return stated


def _only_number(value: Held) -> float:
    """The number that a value is, or that all of its numbers are; NaN for anything else."""
    rates = {_number(one) for one in np.asarray(value).ravel().tolist()}
    return rates.pop() if len(rates) == 1 else math.nan


def _is_rate(number: float) -> bool:
    return math.isfinite(number) and number > 0


def _number(value: Held) -> float:
    """A number, or a text that is one; NaN for anything else."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str):
        read = _TEXT.fullmatch(value.strip())
        if read is None or read[1].count(".") > 1:
            return math.nan
        return float(read[1]) * _FACTOR[read[2]]
    return float(value) if isinstance(value, int | float) else math.nan


def agreed(where: Path | str, clock: Stated, stated: Stated) -> Stated:
    """What the clock, or one place, and another of one file state; ``BadData`` if they differ."""
    if stated[0] is None or clock[0] is None or _alike(clock[0], stated[0]):
        return stated if clock[0] is None else clock
    raise BadData(
        "A file states two sampling rates.",
        where=str(where),
        found=f"{stated[0]:g} Hz ({stated[1]}), {clock[0]:g} Hz ({clock[1]})",
        remedy=f"under `folder:` of the rig {_ignoring(f'{clock[0]:g}')},\n"
        f"or `rate_hz: {stated[0]:g}` with it, if that is right",
    )


def rate_of_recording(
    options: FolderOptions, declared: Declared, where: Path, stated: Stated
) -> float | None:
    """The rate that rig and file agree on, None where neither knows it.

    Raises ``BadData`` if the two contradict, and for an implausible rate of one that the other does
    not confirm and that is not typed in the rig's YAML.
    """
    said, (rate, place) = declared.rate_hz, UNSTATED if options.ignore_stated_rate else stated
    if rate is None:
        if said is not None and not declared.typed and not plausible(said):
            raise _implausible(where, said, declared.place, declared.remedy)
        return said
    if said is None:
        if not plausible(rate):
            remedy = f"`rate_hz: {rate:g}`, if the file is right, or\n" + _ignoring("NUMBER")
            raise _implausible(where, rate, place, remedy)
        return rate
    if not _alike(said, rate):
        remedies = [f"`rate_hz: {rate:g}`, if the file is right", _ignoring(f"{said:g}")]
        raise BadData(
            "The sampling rate contradicts the file.",
            where=str(where),
            found=f"{rate:g} Hz ({place})",
            expected=f"{said:g} Hz (rate_hz of the rig, {declared.place})",
            remedy="under `folder:` of the rig "
            + ", or\n".join(remedies if plausible(rate) else remedies[::-1]),
        )
    return said


def _alike(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=RATE_TOLERANCE)


def _implausible(where: Path, rate: float, place: str, remedy: str) -> BadData:
    low, high = PLAUSIBLE_HZ
    return BadData(
        "A sampling rate is not plausible for vibration.",
        where=str(where),
        found=f"{rate:g} Hz ({place})",
        expected=f"{low:g} to {high:g} Hz (in kilohertz? a dot for thousands? times in "
        "milliseconds? a default?)",
        remedy="under `folder:` of the rig " + remedy,
    )


def _ignoring(rate: str) -> str:
    return f"`rate_hz: {rate}` with `ignore_stated_rate: true`, if the file is wrong"


IGNORING = _ignoring("NUMBER")
