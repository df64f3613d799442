"""Arrays whose axes are not what the keys say, and channels that hold nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.io
from numpy.typing import NDArray

from .array_forms import ARRAYS
from .column_forms import FORMS
from .draw import Draw
from .single import UNIT
from .verdict import Case, Held, Reading

FIELDS = {"unit_id": "{unit}", "condition": "c", "run_id": "{unit}_{run}"}
NOTHING = r"zero|constant|never change|does not change|dead|same value|one value|flat"


def saved(path: Path, array: Any) -> None:
    """Write one array in the format that the path's ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez(path, x=array)
    elif path.suffix == ".mat":
        scipy.io.savemat(path, {"x": array})
    else:
        with h5py.File(path, "w") as file:
            file["x"] = array


def keys_for(ending: str, **more: Any) -> dict[str, Any]:
    """The keys that read files of an ending at 10 kHz."""
    base = {"path": "rig", "files": "{unit}-{run:d}" + ending, "fields": FIELDS, "rate_hz": 10000.0}
    return {**base, **more}


def _array(draw: Draw, root: Path, array: Any, **more: Any) -> tuple[str, dict[str, Any]]:
    """An array on the disk: its file and the keys that read it."""
    ending = draw.one(".npy", ".npz", ".mat", ".h5")
    file = UNIT + ending
    saved(root / "data_root/rig" / file, array)
    return file, keys_for(ending, **more)


def _signal(draw: Draw, length: int, channels: int) -> NDArray[Any]:
    return draw.signal(length, channels).astype("f4")


def stacked_windows(draw: Draw, root: Path) -> Case:
    """(windows, samples): as many "channels" as a window has samples."""
    windows = draw.one(300, 600, 1500)
    samples = draw.one(128, 200, 256)
    _, keys = _array(draw, root, _signal(draw, windows, samples))
    about = f"{windows} windows of {samples} samples"
    return Case(keys, (), names=(UNIT,), about=about)


def windows_of_channels(draw: Draw, root: Path) -> Case:
    """(windows, samples, channels): which axis is time, nobody has said."""
    channels = draw.one(1, 2, 3)
    array = draw.signal(40 * 128, channels).astype("f4").reshape(40, 128, channels)
    _, keys = _array(draw, root, draw.one(array, array.transpose(0, 2, 1)))
    return Case(keys, (), names=(UNIT,), about="40 windows of 128 samples and some channels")


def other_axis(draw: Draw, root: Path) -> Case:
    """The keys say one axis, the array has the other."""
    signal = _signal(draw, draw.length(), draw.randint(2, 5))
    along, array = draw.one(("rows", signal.T), ("columns", signal))
    file, keys = _array(draw, root, array, samples_along=along)
    reading = Reading({file: Held(signal, 10000.0)}, said="axis|axes|turned|samples_along")
    return Case(keys, (reading,), names=(UNIT,), about=f"time not along the {along}")


def axes_of_one(draw: Draw, root: Path) -> Case:
    signal = _signal(draw, draw.length(), draw.randint(1, 3))
    shape: Any = draw.one((slice(None), slice(None), None), (None, slice(None), slice(None)))
    file, keys = _array(draw, root, signal[shape])
    reading = Reading({file: Held(signal, 10000.0)})
    return Case(keys, (reading,), names=(UNIT,), about="an axis of length 1")


def square(draw: Draw, root: Path) -> Case:
    """As many samples as channels: the keys alone decide, and few would mean it."""
    signal = _signal(draw, 64, 64)
    file, keys = _array(draw, root, signal)
    told = Reading({file: Held(signal, 10000.0)}, said="channels")
    return Case(keys, (told,), names=(UNIT,), about="64 samples of 64 channels")


def dead_channel(draw: Draw, root: Path) -> Case:
    """A channel never changes."""
    signal = _signal(draw, draw.length(200, 4000), draw.randint(2, 4))
    column = draw.randrange(signal.shape[1])
    signal[:, column] = draw.one(0.0, 0.0, 1.5, -32768.0)
    return _with_notes(draw, root, signal, f"channel {column} never changes")


def dead_recording(draw: Draw, root: Path) -> Case:
    signal = np.full((draw.length(200, 4000), draw.randint(1, 3)), draw.one(0.0, 0.0, 2.5), "f4")
    return _with_notes(draw, root, signal, "a recording that never changes")


def dead_tail(draw: Draw, root: Path) -> Case:
    """An array that was allocated at full length, and a measurement that ended early."""
    signal = _signal(draw, draw.length(1000, 4000), draw.randint(1, 3))
    end = int(len(signal) * draw.one(0.3, 0.5, 0.7))
    signal[end:] = draw.one(0.0, signal[end - 1])
    return _with_notes(draw, root, signal, f"constant from sample {end} of {len(signal)} on")


def _with_notes(draw: Draw, root: Path, signal: NDArray[Any], about: str) -> Case:
    good = _signal(draw, 500, signal.shape[1])
    ending = draw.one(".npy", ".h5", ".mat")
    held = {}
    for name, samples in ((UNIT, signal), ("k08-1", good)):
        saved(root / f"data_root/rig/{name}{ending}", samples)
        held[name + ending] = Held(samples, 10000.0)
    return Case(keys_for(ending), (Reading(held, said=NOTHING),), names=(UNIT,), about=about)


def clipped(draw: Draw, root: Path) -> Case:
    """Samples at the limit of the range are what was measured."""
    signal = np.clip(_signal(draw, draw.length(), draw.randint(1, 3)) * 10.0, -5.0, 5.0)
    file, keys = _array(draw, root, signal)
    return Case(keys, (Reading({file: Held(signal, 10000.0)}),), names=(UNIT,), about="clipped")


def not_finite(draw: Draw, root: Path) -> Case:
    form = FORMS[draw.one("npy", "npz", "h5", "mat 5", "mat 7.3", "parquet", "wav", "tdms")](draw)
    form.kind = draw.one("f4", "f8") if form.ending != ".wav" else "f4"  # type: ignore[attr-defined]
    signal = draw.signal(draw.length(), form.channels)
    row = draw.row(len(signal))
    signal[row, draw.randrange(form.channels)] = draw.one(np.nan, np.inf, -np.inf)
    path = root / f"data_root/rig/{UNIT}{form.ending}"
    path.parent.mkdir(parents=True)
    form.write_signal(path, signal)
    names = (UNIT, rf"\b({row}|{row + 1}|{row + 2})\b")
    return Case(form.keys(), (), names=names, about="a sample that is not finite")


def no_real_numbers(draw: Draw, root: Path) -> Case:
    signal = draw.signal(draw.length(), 1)[:, 0]
    kinds: dict[str, Any] = {
        "complex": signal + 1j,
        "text": np.array([f"{x:.3f}" for x in signal]),
        "bytes": np.array([f"{x:.3f}" for x in signal]).astype("S"),
        "fields": np.array([(x, x) for x in signal], dtype=[("a", "f4"), ("b", "f4")]),
        "objects": np.array([signal, signal[:3]], dtype=object),
        "truth": signal > 0,
        "times": np.arange(len(signal)).astype("m8[us]"),
    }
    kind = draw.choice(list(kinds))
    ending = draw.one(".npy", ".npz")
    path = root / f"data_root/rig/{UNIT}{ending}"
    path.parent.mkdir(parents=True)
    (np.save if ending == ".npy" else np.savez)(path, kinds[kind])
    return Case(keys_for(ending), (), names=(UNIT,), about=f"an array of {kind}")


def large_integers(draw: Draw, root: Path) -> Case:
    """float32 rounds integers beyond 16,777,216, as the documentation says."""
    signal = np.round(draw.signal(draw.length(), 1) / 100.0 * 2**50).astype("i8")
    file, keys = _array(draw, root, signal)
    held = Held(signal.astype(np.float64), 10000.0)
    return Case(keys, (Reading({file: held}),), names=(UNIT,), about="integers of 64 bits")


def several_arrays(draw: Draw, root: Path) -> Case:
    """Two arrays, none of which is named."""
    form = ARRAYS[draw.one("npz", "h5", "mat 5")](draw, 2)
    path = root / f"data_root/rig/{UNIT}{form.ending}"
    path.parent.mkdir(parents=True)
    one, other = draw.signal(300, 2), draw.signal(300, 2)
    if form.ending == ".npz":
        np.savez(path, a=one, b=other)
    elif form.ending == ".mat":
        scipy.io.savemat(path, {"a": one, "b": other})
    else:
        with h5py.File(path, "w") as file:
            file["a"], file["b"] = one, other
    return Case(keys_for(form.ending), (), names=(UNIT, "a.*b"), about="two arrays, none is named")


def odd_parquet(draw: Draw, root: Path) -> Case:
    """Nulls, lists a row, truth, text, dates; an index of numbers or of times."""
    signal = draw.signal(draw.length(), 1)[:, 0]
    path = root / f"data_root/rig/{UNIT}.parquet"
    path.parent.mkdir(parents=True)
    kind = draw.one("null", "lists", "truth", "text", "decimal", "named index", "time index")
    columns: dict[str, Any] = {
        "null": [None if n == 7 else x for n, x in enumerate(signal.tolist())],
        "lists": [[x] * 3 for x in signal.tolist()],
        "truth": (signal > 0).tolist(),
        "text": [f"{x:.4f}" for x in signal],
        "decimal": [f"{x:.4f}" for x in signal],
    }
    if kind.endswith("index"):
        index: Any = pd.Index(np.arange(len(signal))[::-1] * 3, name="sample")
        if kind == "time index":
            index = pd.date_range("2024-01-01", periods=len(signal), freq="1ms", name="time")
        pd.DataFrame({"a": signal}, index=index).to_parquet(path)
        keys = keys_for(".parquet", **draw.one({}, {"channels": ["a"]}))
        reading = Reading({path.name: Held(signal[:, None], 10000.0)})
        return Case(keys, (reading,), names=(UNIT,), about=f"parquet with a {kind}")
    pq.write_table(pa.table({"a": columns[kind]}), path)
    return Case(keys_for(".parquet"), (), names=(UNIT,), about=f"parquet: {kind}")


def promised(draw: Draw, root: Path) -> Case:
    """A header that promises ten thousand million samples, and no samples."""
    path = root / f"data_root/rig/{UNIT}.npy"
    path.parent.mkdir(parents=True)
    np.save(path, np.zeros((1000, 2), draw.one("f4", "f8")))
    raw = path.read_bytes().replace(b"(1000, 2), }", b"(10000000000, 2), }", 1)
    head, samples = raw[:128], raw[128 + 7 :]  # the header of 128 bytes is padded with spaces
    path.write_bytes(head[:120] + b"       \n" + samples if draw.random() < 0.5 else raw)
    return Case(keys_for(".npy"), (), names=(UNIT,), about="a header that promises 10^10 rows")


KINDS: dict[str, Callable[[Draw, Path], Case]] = {
    "stacked windows": stacked_windows,
    "stacked windows of channels": windows_of_channels,
    "other axis": other_axis,
    "axes of length 1": axes_of_one,
    "square array": square,
    "dead channel": dead_channel,
    "dead recording": dead_recording,
    "dead tail": dead_tail,
    "clipped": clipped,
    "not finite": not_finite,
    "no real numbers": no_real_numbers,
    "large integers": large_integers,
    "several arrays": several_arrays,
    "odd parquet": odd_parquet,
    "promised samples": promised,
}
