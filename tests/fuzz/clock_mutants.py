"""Clocks that jump, start again, tick in other units, and rates that files state wrongly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from nptdms import ChannelObject, TdmsWriter
from numpy.typing import NDArray
from scipy.io import wavfile

from .draw import Draw
from .single import UNIT, Single
from .verdict import Case, Held, Reading, Verdict


def _clocked(draw: Draw, root: Path) -> tuple[Single, NDArray[np.float64]]:
    """A recording with a clock, and the times of its samples."""
    it = Single(draw, root, clock=True)
    return it, np.arange(len(it.rows)) / it.form.rate_hz


def _write(it: Single, times: NDArray[np.float64], digits: int = 9) -> None:
    for row, time in zip(it.rows, times, strict=True):
        row[0] = f"{time:.{digits}f}"
    it.write()


def gap(draw: Draw, root: Path) -> Case:
    it, times = _clocked(draw, root)
    row = draw.row(len(times))
    seconds = draw.one(0.1, 3600.0, 3.0 / it.form.rate_hz)
    times[row:] += seconds
    _write(it, times)
    return it.must_be_refused(f"a clock with a gap of {seconds:g} s", row=row)


def restart(draw: Draw, root: Path) -> Case:
    it, times = _clocked(draw, root)
    row = draw.row(len(times))
    times[row:] -= times[row] - draw.one(0.0, 0.5 / it.form.rate_hz)
    _write(it, times)
    return it.must_be_refused("a clock that starts again", row=row)


def lost(draw: Draw, root: Path) -> Case:
    """Some samples are missing, with their times."""
    it, times = _clocked(draw, root)
    gone = set(draw.sample(range(3, len(times) - 3), max(1, len(times) // draw.one(20, 100))))
    kept = [place for place in range(len(times)) if place not in gone]
    it.rows = [it.rows[place] for place in kept]
    _write(it, times[kept])
    return it.must_be_refused(f"{len(gone)} of {len(times)} samples lost", row=min(gone))


def repeated(draw: Draw, root: Path) -> Case:
    """A time stands twice, and the times behind it are late by a step."""
    it, times = _clocked(draw, root)
    row = draw.row(len(times))
    times[row:] -= 1.0 / it.form.rate_hz
    _write(it, times)
    return it.must_be_refused("a time that stands twice", row=row)


def backwards(draw: Draw, root: Path) -> Case:
    it, times = _clocked(draw, root)
    row = draw.row(len(times))
    times[[row, row + 1]] = times[[row + 1, row]]
    _write(it, times)
    return it.must_be_refused("two times in the wrong order", row=row)


def random_times(draw: Draw, root: Path) -> Case:
    it, times = _clocked(draw, root)
    rng = np.random.default_rng(draw.getrandbits(32))
    _write(it, np.sort(rng.uniform(0, times[-1], len(times))))
    return it.must_be_refused("random times")


def coarse(draw: Draw, root: Path) -> Case:
    """Times rounded so far that many are equal: who reads a rate from them reads the true one."""
    it, times = _clocked(draw, root)
    digits = int(np.floor(np.log10(it.form.rate_hz)))
    _write(it, times, digits - 1)
    about = f"times of {digits - 1} digits at {it.form.rate_hz:g} Hz"
    signal = it.form.held(it.rows).signal
    return it.holds(about, Held(signal, it.form.rate_hz, 1e-3), rate_hz=it.form.rate_hz)


def fine(draw: Draw, root: Path) -> Case:
    """Times rounded to a part of a step; the clock may begin anywhere."""
    it, times = _clocked(draw, root)
    digits = int(np.ceil(np.log10(it.form.rate_hz))) + 2
    _write(it, times + draw.one(0.0, 1.0, 12.5), digits)
    return it.is_read(f"times rounded to {digits} digits")


def other_unit(draw: Draw, root: Path) -> Case:
    """Milliseconds or microseconds, with and without a name that says so."""
    it, times = _clocked(draw, root)
    unit, factor = draw.one(("ms", 1e3), ("us", 1e6))
    if it.form.has_header and draw.random() < 0.5:
        it.form.names[0] = draw.one(f"time_{unit}", f"t ({unit})", f"time [{unit}]")
        if it.form.sep == " ":
            it.form.names[0] = f"time_{unit}"
        it.form.options["time_column"] = draw.one(0, it.form.names[0])
    _write(it, times * factor, 6)
    rate = draw.one("unknown", it.form.rate_hz)
    return it.is_read(f"a clock in {unit}, rate_hz: {rate}", rate_hz=rate)


def no_time(draw: Draw, root: Path) -> Case:
    it, times = _clocked(draw, root)
    row = draw.one(0, draw.row(len(times)), len(times) - 1)
    times[row] = np.nan
    _write(it, times)
    return it.must_be_refused("a time is NaN")


def other_rate(draw: Draw, root: Path) -> Case:
    """The rig says another rate than the clock shows."""
    it, times = _clocked(draw, root)
    _write(it, times)
    wrong = it.form.rate_hz * draw.one(0.5, 2.0, 1.01, 1000.0)
    return it.must_be_refused("another rate than that of the clock", rate_hz=wrong)


def dates(draw: Draw, root: Path) -> Case:
    """Times of day in place of seconds."""
    it, times = _clocked(draw, root)
    if it.form.sep == " ":
        it.form.sep = ","
    for row, time in zip(it.rows, times, strict=True):
        row[0] = draw.one("2024-05-01 12:00:0{:.6f}", "2024-05-01T12:00:0{:.6f}").format(time)
    it.write()
    signal = np.array([[float(cell) for cell in row[1:]] for row in it.rows])
    held = Held(signal, it.form.rate_hz, 1e-2)
    return it.holds("dates as the clock", held, rate_hz=it.form.rate_hz)


# -- rates that a file states ----------------------------------------------------------------------

STATED: dict[str, Any] = {
    "0": 0.0,
    "negative": -25600.0,
    "not a number": np.nan,
    "infinite": np.inf,
    "a shaft's": 25.0,
    "text": "fast",
    "a German sheet's": "25.600",
}


def stated(draw: Draw, root: Path) -> Case:
    """A rate beside the samples that cannot be theirs, of which the rig may say the right one."""
    kind = draw.choice(list(STATED))
    wrong, right = STATED[kind], draw.one("unknown", 25600.0)
    ending = draw.one(".h5", ".npz", ".mat")
    signal = draw.signal(draw.length(), draw.randint(1, 3))
    path = root / f"data_root/rig/{UNIT}{ending}"
    path.parent.mkdir(parents=True)
    name = "rate" if kind == "a shaft's" else "fs"
    _with_rate(path, signal, name, wrong)
    keys = {"path": "rig", "files": "{unit}-{run:d}" + ending, "rate_hz": right}
    keys["fields"] = {"unit_id": "{unit}", "condition": "c", "run_id": "{run}"}
    if draw.random() < 0.2:
        keys["ignore_stated_rate"] = True
    rate = None if right == "unknown" else 25600.0
    # Text that states no rate is no rate; nor is one that the rig says to ignore.
    told = isinstance(wrong, str) or "ignore_stated_rate" in keys
    said = "" if told else r"rate|Hz"
    readings = [Reading({path.name: Held(signal, rate)}, said)]
    if kind == "a German sheet's":
        readings.append(Reading({path.name: Held(signal, 25600.0)}))
    about = f"a stated rate that is {kind}, rate_hz: {right}"
    return Case(keys, tuple(readings), names=(UNIT,), about=about)


def _with_rate(path: Path, signal: NDArray[np.float64], name: str, rate: Any) -> None:
    if path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["x"] = signal
            file["x"].attrs[name] = rate
    elif path.suffix == ".npz":
        np.savez(path, x=signal, **{name: rate})
    else:
        scipy.io.savemat(path, {"x": signal, name: rate})


def stated_with_unit(draw: Draw, root: Path) -> Case:
    """`25600 Hz` or `25.6 kHz` as text: a human reads the rate."""
    text = draw.one("25600 Hz", "25.6 kHz", "25600Hz", "25600", "25,600")
    ending = draw.one(".h5", ".npz", ".mat")
    signal = draw.signal(draw.length(), draw.randint(1, 3))
    path = root / f"data_root/rig/{UNIT}{ending}"
    path.parent.mkdir(parents=True)
    _with_rate(path, signal, "fs", text)
    keys = {"path": "rig", "files": "{unit}-{run:d}" + ending}
    keys["rate_hz"] = draw.one("unknown", 25600.0)
    keys["fields"] = {"unit_id": "{unit}", "condition": "c", "run_id": "{run}"}
    readings = [Reading({path.name: Held(signal, 25600.0)})]
    if keys["rate_hz"] == "unknown":
        readings.append(Reading({path.name: Held(signal, None)}, said=r"rate|Hz"))
    return Case(keys, tuple(readings), names=(UNIT,), about=f"a stated rate {text!r}")


def default_rate(draw: Draw, root: Path) -> Case:
    """`wf_increment` of 1, which writers leave, and a header of .wav that says 44100 of 25600."""
    signal = draw.signal(draw.length(), draw.randint(1, 3)).astype("f4")
    ending = draw.one(".tdms", ".wav")
    path = root / f"data_root/rig/{UNIT}{ending}"
    path.parent.mkdir(parents=True)
    if ending == ".tdms":
        own = {"wf_increment": 1.0, "wf_samples": 1}
        found = [
            ChannelObject("g", f"c{n}", column.copy(), own) for n, column in enumerate(signal.T)
        ]
        with TdmsWriter(path) as writer:
            writer.write_segment(found)
    else:
        wavfile.write(path, 44100, signal)
    right = draw.one("unknown", 25600.0) if ending == ".tdms" else 25600.0
    keys = {"path": "rig", "files": "{unit}-{run:d}" + ending, "rate_hz": right}
    keys["fields"] = {"unit_id": "{unit}", "condition": "c", "run_id": "{run}"}
    rate = None if right == "unknown" else 25600.0
    readings = (Reading({path.name: Held(signal, rate)}, said=r"rate|Hz|increment"),)
    about = f"a default rate in a {ending}, rate_hz: {right}"
    return Case(keys, readings, names=(UNIT,), otherwise=Verdict.WRONG, about=about)


KINDS: dict[str, Callable[[Draw, Path], Case]] = {
    "clock with a gap": gap,
    "clock that starts again": restart,
    "samples lost": lost,
    "time twice": repeated,
    "times backwards": backwards,
    "random times": random_times,
    "coarse clock": coarse,
    "fine clock": fine,
    "clock in another unit": other_unit,
    "time missing": no_time,
    "rate against the clock": other_rate,
    "clock of dates": dates,
    "stated rate": stated,
    "stated rate as text": stated_with_unit,
    "default rate": default_rate,
}
