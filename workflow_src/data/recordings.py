"""One recording and its labels, and what every recording must satisfy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from workflow_src.configuration.folder import CHANNEL_KINDS
from workflow_src.data.external import ExternalSamples
from workflow_src.errors import BadData

NORMAL = "normal"


@dataclass(frozen=True)
class Recording:
    """One acquisition.

    ``signal`` is (length, channels), float32, in the rig's unit of amplitude. ``unit_id`` names
    the physical specimen; ``run_id`` the acquisition or run to failure that it is a part of, so
    that consecutive parts of one acquisition share it. ``fault`` is the class (``normal`` for
    healthy), None where there is no class label. ``time_s`` is the time in life at its start,
    ``life_s`` the life of the run (only where it ended in failure), ``onset_s`` the time at which
    the defect began, where that is known. ``place`` is where the samples lie if they are to be read
    there; a store copies them where it is None.
    """

    recording_id: str
    unit_id: str
    condition: str
    run_id: str
    signal: NDArray[np.float32]
    channel_kinds: tuple[str, ...]
    rate_hz: float | None = None
    fault: str | None = None
    time_s: float | None = None
    life_s: float | None = None
    onset_s: float | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    place: ExternalSamples | None = None


def check(recording: Recording) -> None:
    """Raise ``BadData``, naming the recording, unless its signal and labels can be used."""
    _check_names(recording)
    _check_shape(recording)
    _check_finite(recording)
    _check_numbers(recording)


def _where(recording: Recording) -> str:
    file = recording.attributes.get("file")
    return f"recording {recording.recording_id!r}" + (f", file {file}" if file else "")


def _check_names(recording: Recording) -> None:
    for name in ("recording_id", "unit_id", "condition", "run_id"):
        if not getattr(recording, name):
            raise BadData(
                f"A recording has no {name}.",
                where=_where(recording),
                remedy=f"give `{name}` under `fields:` of the rig",
            )
    name = recording.recording_id
    if "/" in name or "\0" in name or name in (".", ".."):
        raise BadData(
            "A recording_id cannot name a data set of an HDF5 file.",
            where=_where(recording),
            expected="a name without `/` other than `.` and `..`",
        )
    if recording.fault == "":
        raise BadData(
            "A fault is the empty string.",
            where=_where(recording),
            expected=f"a class, `{NORMAL}` for healthy, or None where there is no class label",
        )


def _check_shape(recording: Recording) -> None:
    signal, kinds = recording.signal, recording.channel_kinds
    if signal.ndim != 2 or signal.dtype != np.float32:
        raise BadData(
            "A signal has the wrong form.",
            where=_where(recording),
            found=f"shape {signal.shape}, {signal.dtype}",
            expected="shape (length, channels), float32",
        )
    if 0 in signal.shape:
        raise BadData(
            "A recording has no " + ("channels." if signal.shape[0] else "samples."),
            where=_where(recording),
            found=f"shape {signal.shape} (length, channels)",
            remedy="leave this recording out of the rig, or mend its file",
        )
    unknown = sorted(set(kinds) - set(CHANNEL_KINDS))
    if len(kinds) != signal.shape[1] or unknown:
        raise BadData(
            "The kinds of channel do not describe the channels.",
            where=_where(recording),
            found=f"{len(kinds)} kinds {list(kinds)} for {signal.shape[1]} channels",
            expected=f"one of {', '.join(CHANNEL_KINDS)} a channel",
            remedy="mend `channels:` or `channel_kinds:` of the rig",
        )


def _check_finite(recording: Recording) -> None:
    signal = recording.signal
    with np.errstate(invalid="ignore"):  # inf - inf
        total = float(np.sum(signal, dtype=np.float64))
    if math.isfinite(total):  # float64 cannot overflow on float32 samples: this proves each one
        return
    bad = ~np.isfinite(signal)
    sample, channel = (int(i) for i in np.argwhere(bad)[0])
    nans = int(np.isnan(signal).sum())
    raise BadData(
        f"A recording holds {int(bad.sum())} samples that are not finite.",
        where=_where(recording),
        found=f"first: {signal[sample, channel]} at sample {sample} of channel {channel} "
        f"({recording.channel_kinds[channel]}); {nans} NaN, {int(bad.sum()) - nans} infinite",
        expected="finite numbers that fit float32",
        remedy="leave this recording or this channel out of the rig, or mend its file",
    )


def _check_numbers(recording: Recording) -> None:
    bounds = (
        ("rate_hz", recording.rate_hz, "a positive number, or None where it is unknown"),
        ("time_s", recording.time_s, "a number of seconds >= 0"),
        ("life_s", recording.life_s, "a number of seconds > 0"),
        ("onset_s", recording.onset_s, "a number of seconds >= 0"),
    )
    for name, value, expected in bounds:
        zero_allowed = name in ("time_s", "onset_s")
        if value is None or (math.isfinite(value) and (value > 0 or (zero_allowed and value == 0))):
            continue
        raise BadData(
            f"{name} is out of bounds.",
            where=_where(recording),
            found=f"{name} = {value:g}",
            expected=expected,
        )
    if recording.life_s is None:
        return
    for name, value in (("time_s", recording.time_s), ("onset_s", recording.onset_s)):
        if value is None and name == "onset_s":
            continue
        if value is None or value > recording.life_s:
            raise BadData(
                f"{name} does not lie within the life of the run.",
                where=_where(recording),
                found=f"{name} = {value}, life_s = {recording.life_s:g}",
                expected=f"0 <= {name} <= life_s",
            )
