"""Channels that do not change: dead sensors, and files that were cut off and hold zeros behind."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workflow_src.data.recordings import Recording
from workflow_src.data.report import DataReport

LEAST, SHARE = 100, 0.01  # a stretch is long from so many samples on, and this share of all
OSCILLATING = ("vibration", "acoustic", "current")  # of others only a whole recording is told


def watched(recording: Recording, report: DataReport) -> Recording:
    """The recording as it is; what of it does not change is added to the report."""
    signal, name = recording.signal, recording.recording_id
    length = len(signal)
    stretches = [longest_constant(signal[:, channel]) for channel in range(signal.shape[1])]
    dead = [stretch == (0, length) for stretch in stretches]
    if stretches and length > 1 and all(dead):
        value = "zeros alone" if not signal[0].any() else "one value a channel"
        report.add(f"a recording of {value}", "kept; leave it out, or mend its file", name)
        return recording
    for channel, (start, stop) in enumerate(stretches):
        kind = recording.channel_kinds[channel]
        held = f"{signal[start, channel]:g}" if stop else ""
        if dead[channel] and length > 1:
            said = f"channel {channel} ({kind}) that never changes"
            report.add(said, "kept; `channels:` can leave it out", name, held)
        elif stop and kind in OSCILLATING:
            end = "the end" if stop == length else f"sample {stop}"
            detail = f"channel {channel} is {held} from sample {start} to {end}, of {length}"
            report.add("a channel with a long constant stretch", "kept", name, detail)
    return recording


def longest_constant(channel: NDArray[np.float32]) -> tuple[int, int]:
    """Start and end of the longest stretch of one value in samples (L,); (0, 0) if none is long.

    Only places half the least length apart are compared at first: a long stretch holds two of them.
    """
    length = len(channel)
    least = min(max(LEAST, int(SHARE * length)), length)
    step = max(least // 2, 1)
    marks = channel[::step]
    best = (0, length) if length == 1 else (0, 0)
    after = 0
    for mark in np.flatnonzero(marks[1:] == marks[:-1]).tolist():
        begin = mark * step
        if begin < after:
            continue
        start, after = _around(channel, begin, step)
        if after - start >= max(least, best[1] - best[0] + 1):
            best = (start, after)
    return best


def _around(channel: NDArray[np.float32], place: int, step: int) -> tuple[int, int]:
    """The stretch of one value around a place: its start, and the first sample behind it."""
    value, start, stop = channel[place], place, place + 1
    while start > 0:
        other = np.flatnonzero(channel[max(start - step, 0) : start] != value)
        if len(other):
            start = max(start - step, 0) + int(other[-1]) + 1
            break
        start = max(start - step, 0)
    while stop < len(channel):
        other = np.flatnonzero(channel[stop : stop + step] != value)
        if len(other):
            stop += int(other[0])
            break
        stop = min(stop + step, len(channel))
    return start, stop
