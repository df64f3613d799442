"""The rate that a column of times states, if these rise as evenly as samples are taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workflow_src.errors import BadData

# A lost, doubled or turned sample makes a step that is off by the whole of one; times that are
# printed with few digits, or stamped by a program, make steps that are off by a part of it.
STEP_TOLERANCE = 0.5  # of the median step
LINE_TOLERANCE = 1e-3  # of the elapsed time, and a step: the rate must not drift
ROUNDED_BY = 1e-4  # of the rate, at most, where the clock leaves its last digits open

PLACE = "time column"
_REMEDY = (
    "cut the recording where the clock breaks, a file each; or, where the samples are even and the "
    "clock is not,\nunder `folder:` of the rig `rate_hz: NUMBER`, `channels: [...]` and no "
    "`time_column`"
)


def rate_of_clock(
    where: Path | str, times: NDArray[Any], remedy: str = _REMEDY
) -> tuple[float, str]:
    """The rate of samples taken at ``times`` (L,), in seconds, and where it is said.

    Each step agrees with the median one within STEP_TOLERANCE of it, and each time with the line
    from the first to the last within LINE_TOLERANCE. Raises ``BadData``, naming the first row
    (from 0) that does not, and how many there are; ``remedy`` is what to do then.
    """
    times = np.asarray(times, np.float64)
    _require_finite(where, times, remedy)
    steps = np.diff(times)
    step = float(np.median(steps)) if len(steps) else 0.0
    if not step > 0:
        raise BadData(
            "The time column does not rise.",
            where=str(where),
            found=f"{int((steps <= 0).sum())} of {len(steps)} steps are zero or negative",
            expected="a time of its own for each sample, in seconds",
            remedy=remedy
            if remedy != _REMEDY
            else "mend `time_column:`; or, where its digits are too few to tell samples apart,\n"
            "`rate_hz: NUMBER`, `channels: [...]` and no `time_column` under `folder:` of the rig",
        )
    _require_steps(where, times, steps, step, remedy)
    mean = (times[-1] - times[0]) / len(steps)
    off = np.abs(times - (times[0] + mean * np.arange(len(times))))
    _require_line(where, off, mean, remedy)
    # The first and the last time are off the true ones by no more than any is off the line.
    rounding = np.spacing(np.abs(times).max())
    open_share = float(2 * (off.max() + rounding) / (times[-1] - times[0]))
    return _plain(1 / float(mean), min(open_share, ROUNDED_BY)), PLACE


def _require_finite(where: Path | str, times: NDArray[np.float64], remedy: str) -> None:
    bad = np.flatnonzero(~np.isfinite(times))
    if len(bad):
        raise BadData(
            f"The time column holds {len(bad)} cells without a time.",
            where=f"{where}, row {bad[0]} of the samples (from 0)",
            found=f"{times[bad[0]]}",
            expected="a time for each sample, in seconds",
            remedy=remedy,
        )


def _require_steps(
    where: Path | str,
    times: NDArray[np.float64],
    steps: NDArray[np.float64],
    step: float,
    remedy: str,
) -> None:
    wrong = np.flatnonzero(np.abs(steps - step) > STEP_TOLERANCE * step)
    if not len(wrong):
        return
    row, odd = int(wrong[0]), steps[wrong]
    long = odd[odd > step]
    counts = {
        "back": int((odd < 0).sum()),
        "of no time": int((odd == 0).sum()),
        "too short": int(((odd > 0) & (odd < step)).sum()),
        f"too long (some {np.round(long / step - 1).sum():.0f} samples are missing)": len(long),
    }
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    raise BadData(
        f"The time column does not rise evenly: {len(wrong)} of {len(steps)} steps are off.",
        where=f"{where}, rows {row} and {row + 1} of the samples (from 0)",
        found=f"from {times[row]:.9g} s to {times[row + 1]:.9g} s; of all steps {kinds}",
        expected=f"steps of {step:.6g} s, the median, within {STEP_TOLERANCE:.0%} of it",
        remedy=remedy,
    )


def _require_line(where: Path | str, off: NDArray[np.float64], mean: float, remedy: str) -> None:
    allowed = mean * (1 + LINE_TOLERANCE * (len(off) - 1))
    wrong = np.flatnonzero(off > allowed)
    if len(wrong):
        row = int(off.argmax())
        raise BadData(
            "The time column does not rise at one rate.",
            where=f"{where}, row {row} of the samples (from 0)",
            found=f"{len(wrong)} of {len(off)} times are off an even clock, by up to "
            f"{off[row]:.6g} s, {off[row] / mean:.1f} samples",
            expected=f"at most {allowed:.6g} s",
            remedy=remedy,
        )


def _plain(rate: float, share: float) -> float:
    """The number of fewest digits that is off ``rate`` by ``share`` of it at most."""
    plain = (float(f"{rate:.{digits}g}") for digits in range(1, 17))
    return next((number for number in plain if abs(number - rate) <= share * rate), rate)
