"""Which columns of a file are channels, and which are clocks, counters or constants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_src.data.inspection.contents import Look

USUAL_RATES_HZ = tuple(
    base * factor
    for base in (1000, 1024, 1200, 1280, 1600, 2000, 2048, 2500, 2560, 3200, 4000, 4096, 4800, 5000)
    for factor in (1, 2, 4, 5, 8, 10, 16, 20, 40, 50)
)
RATE_TOLERANCE = 8e-4  # of a clock, as files print it; less than what a declared rate may miss
NO_NUMBERS = "no numbers"
CLOCK_RATES_HZ = (50.0, 2e6)


@dataclass(frozen=True)
class Columns:
    """Positions of the channels; what the others are, by position; the time of day at the start."""

    channels: list[int]
    others: dict[int, str] = field(default_factory=dict)
    time_column: int | None = None
    rate_hz: float | None = None
    rate_place: str = ""
    start_s: float | None = None


def sort_columns(look: Look) -> Columns:
    """Tell the channels of a file from what counts its samples or never changes."""
    others = {i: NO_NUMBERS for i in range(look.frame.shape[1]) if i not in look.numeric}
    day = _day_clock(look.frame) if set(range(4)) <= set(look.numeric) else None
    time_column, rate, place, start = None, look.rate_hz, look.rate_place, None
    if day is not None:
        others |= dict.fromkeys(range(4), "hour, minute, second and microsecond")
        start, rate = day
        place = "columns 0 to 3, read as hour, minute, second and microsecond"
    for column in look.numeric:
        if column in others:
            continue
        values = look.frame[column].to_numpy(np.float64)
        step = _even_step(values)
        if step is not None and CLOCK_RATES_HZ[0] < 1 / step < CLOCK_RATES_HZ[1]:
            time_column = column if time_column is None else time_column
            others[column] = f"rises by {step:.6g}: the time in seconds"
        elif step is not None:
            others[column] = f"rises by {step:.6g}: a counter, or a time in another unit"
        elif len(values) > 1 and np.ptp(values) == 0:
            others[column] = "never changes"
    channels = [column for column in look.numeric if column not in others]
    if time_column is not None and rate is None:
        rate = usual(1 / (_even_step(look.frame[time_column].to_numpy(np.float64)) or 1))
        place = "the time column"
    return Columns(channels, others, time_column, rate, place, start)


def _even_step(values: NDArray[np.float64]) -> float | None:
    """The step of values that rise evenly, None where they do not."""
    steps = np.diff(values)
    if len(steps) < 8 or not (steps > 0).all() or steps.std() > 0.05 * steps.mean():
        return None
    return float((values[-1] - values[0]) / len(steps))


def _day_clock(frame: pd.DataFrame) -> tuple[float, float] | None:
    """Time of day at the start, s, and rate, Hz, of columns hour, minute, second, microsecond."""
    clock = frame.iloc[:, :4].to_numpy(np.float64)  # (L, 4)
    limits = (24, 60, 60, 1_000_001)  # some round up to a whole second
    within = bool(((clock >= 0) & (clock < limits)).all())
    whole = within and bool((clock[:, :3] == np.floor(clock[:, :3])).all())
    steps = np.diff(clock[:, 3])
    rising = steps[steps > 0]
    if not whole or len(clock) < 9 or len(rising) < 0.99 * len(steps) or (clock[:, :3] == 0).all():
        return None
    hour, minute, second, microsecond = clock[0]
    start = 3600 * hour + 60 * minute + second + 1e-6 * microsecond
    return float(start), usual(1e6 / float(rising.mean()))


def usual(rate_hz: float) -> float:
    """The usual rate next to one that was measured, else the nearest whole number."""
    near = min(USUAL_RATES_HZ, key=lambda usual: abs(usual - rate_hz))
    return float(near) if abs(near - rate_hz) < RATE_TOLERANCE * near else float(round(rate_hz))


def step_of_snapshots(numbers: Sequence[int], starts_s: Sequence[float]) -> float | None:
    """Seconds from one snapshot to the next, from the times of day at which some began."""
    ordered = sorted(zip(numbers, starts_s, strict=True))
    steps = [
        ((t1 - t0) % 86_400) / (n1 - n0) for (n0, t0), (n1, t1) in pairwise(ordered) if n1 > n0
    ]
    return float(f"{np.median(steps):.3g}") if steps else None
