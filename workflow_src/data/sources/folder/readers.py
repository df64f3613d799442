"""One reader a format: the samples of a file and the sampling rate that it states."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from io import StringIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import scipy.io
from numpy.typing import NDArray
from scipy.io.matlab import MatReadError

from workflow_src.configuration.folder import FolderOptions
from workflow_src.data.sources.folder.text import decode, separator
from workflow_src.errors import BadData

RATE_NAMES = ("fs", "rate", "rate_hz", "sampling_rate", "sample_rate", "samplefrequency")

Samples = NDArray[Any]


@dataclass(frozen=True)
class Content:
    """What a file holds: signal (L, C) float32, and the rate it states, with where it does."""

    signal: NDArray[np.float32]
    rate_hz: float | None = None
    rate_place: str = ""


def read_content(path: Path, array: str | None, options: FolderOptions) -> Content:
    """Read the channels of one file.

    ``array`` names the array of a .mat or .h5 file (``*`` for any text), None the only one.
    Raises ``BadData`` naming the file if it is damaged, empty or not as ``options`` say.
    """
    if path.stat().st_size == 0:
        raise BadData("A file is empty.", where=str(path), remedy="fetch the file again")
    for ending, reader in READERS.items():
        if path.name.lower().endswith(ending):
            return reader(path, array, options)
    raise BadData(
        "No reader for this kind of file.",
        where=str(path),
        expected=f"a name that ends in {', '.join(READERS)}",
    )


def _read_text(path: Path, _: str | None, options: FolderOptions) -> Content:
    text = decode(path, options.encoding)
    sep = separator(text)
    first = text.lstrip("\n\r").partition("\n")[0].strip()
    cells = [c.strip().strip('"') for c in (first.split() if sep == r"\s+" else first.split(sep))]
    present = options.header == "present" or (
        options.header == "detect" and not all(_is_number(cell) for cell in cells)
    )
    channels, clock = _columns(path, len(cells), cells if present else None, options)
    wanted = sorted({*channels, *([] if clock is None else [clock])})
    try:
        frame = pd.read_csv(
            StringIO(text),
            sep=sep,
            header=None,
            skiprows=1 if present else 0,
            usecols=wanted,
            dtype=np.float64,
            skipinitialspace=True,
        )
    except (ValueError, pd.errors.ParserError) as error:
        raise BadData(
            "A table of samples cannot be read.",
            where=str(path),
            found=f"{error} (columns separated by {sep!r}, header {'' if present else 'not '}"
            "present)",
            remedy="mend the file, or `channels:` (columns that hold numbers) or `header:` of "
            "the rig",
        ) from error
    matrix = frame.to_numpy()  # (L, wanted)
    signal = _single(matrix[:, [wanted.index(c) for c in channels]])
    if clock is None:
        return Content(signal)
    return _with_clock(path, signal, matrix[:, wanted.index(clock)])


def _read_mat(path: Path, array: str | None, options: FolderOptions) -> Content:
    with _damage_named(path):
        listed = [(name, shape) for name, shape, kind in scipy.io.whosmat(path) if kind != "char"]
        many = [name for name, shape in listed if np.prod(shape) != 1]
        name = _chosen(path, array, many)
        rates = [key for key, shape in listed if _is_rate(key) and np.prod(shape) == 1]
        held = scipy.io.loadmat(path, variable_names=[name, *rates])
        samples = held[name]
    stated = (float(held[rates[0]].item()), f"key {rates[0]!r}") if rates else (None, "")
    return _from_array(f"{path}, array {name!r}", samples, options, *stated)


def _read_npy(path: Path, _: str | None, options: FolderOptions) -> Content:
    with _damage_named(path):
        samples: Samples = np.load(path, allow_pickle=False)
    return _from_array(str(path), samples, options)


def _read_hdf5(path: Path, array: str | None, options: FolderOptions) -> Content:
    with _damage_named(path), h5py.File(path, "r", locking=False) as file:
        found: dict[str, h5py.Dataset] = {}
        file.visititems(
            lambda name, item: (
                found.update({name: item}) if isinstance(item, h5py.Dataset) else None
            )
        )
        name = _chosen(path, array, [key for key, item in found.items() if item.size != 1])
        dataset = found[name]
        stated = _stated_rate(file, dataset, found)
        samples: Samples = dataset[()]
    return _from_array(f"{path}, array {name!r}", samples, options, *stated)


def _stated_rate(
    file: h5py.File, dataset: h5py.Dataset, found: dict[str, h5py.Dataset]
) -> tuple[float | None, str]:
    for owner, attributes in (("the array", dataset.attrs), ("the file", file.attrs)):
        for key in filter(_is_rate, attributes):
            return float(np.asarray(attributes[key]).item()), f"attribute {key!r} of {owner}"
    for name, item in found.items():
        if _is_rate(name) and item.size == 1:
            return float(np.asarray(item[()]).item()), f"data set {name!r}"
    return None, ""


READERS: dict[str, Callable[[Path, str | None, FolderOptions], Content]] = {
    ".csv": _read_text,
    ".csv.gz": _read_text,
    ".tsv": _read_text,
    ".tsv.gz": _read_text,
    ".txt": _read_text,
    ".txt.gz": _read_text,
    ".mat": _read_mat,
    ".npy": _read_npy,
    ".h5": _read_hdf5,
    ".hdf5": _read_hdf5,
}


def _from_array(
    where: str,
    samples: Samples,
    options: FolderOptions,
    rate_hz: float | None = None,
    rate_place: str = "",
) -> Content:
    """Samples (L,), (1, L), (L, C) or (L, C, 1), transposed if so said -> signal (L, C)."""
    if samples.dtype.kind not in "iuf":
        raise BadData(
            "An array does not hold real numbers.", where=where, found=f"dtype {samples.dtype}"
        )
    if samples.ndim == 3 and samples.shape[2] == 1:
        samples = samples[:, :, 0]  # (L, C, 1) -> (L, C)
    if samples.ndim == 1 or (samples.ndim == 2 and 1 in samples.shape):
        samples = samples.reshape(-1, 1)  # (L,), (1, L) or (L, 1) -> (L, 1)
    elif options.samples_along == "columns":
        samples = samples.T  # (C, L) -> (L, C)
    if samples.ndim != 2 or samples.shape[0] < samples.shape[1]:
        raise BadData(
            "An array has not the shape of a recording.",
            where=where,
            found=f"shape {samples.shape}, time along the {options.samples_along}",
            expected="(samples, channels), with more samples than channels",
            remedy="say which way time runs, under `folder:` of the rig: "
            "`samples_along: rows` or `samples_along: columns`",
        )
    channels, clock = _columns(where, samples.shape[1], None, options)
    signal = _single(samples[:, channels])
    if clock is not None:
        return _with_clock(where, signal, samples[:, clock])
    return Content(signal, rate_hz, rate_place)


def _columns(
    where: Path | str, count: int, names: list[str] | None, options: FolderOptions
) -> tuple[list[int], int | None]:
    """Positions of the channels and of the time column, None if there is none."""

    def position(column: int | str) -> int:
        if isinstance(column, str) and names is not None and names.count(column) == 1:
            return names.index(column)
        if isinstance(column, int) and 0 <= column < count:
            return column
        raise BadData(
            f"There is no column {column!r}.",
            where=str(where),
            found=f"columns {names}" if names else f"{count} columns without names",
            remedy="mend `channels:` or `time_column:` under `folder:` of the rig",
        )

    clock = None if options.time_column is None else position(options.time_column)
    if options.channels is None:
        return [column for column in range(count) if column != clock], clock
    return [position(column) for column in options.channels], clock


def _with_clock(where: Path | str, signal: NDArray[np.float32], times: Samples) -> Content:
    """The rate that the time column states: steps over the time from first to last sample."""
    elapsed = float(times[-1]) - float(times[0]) if len(times) else 0.0
    if not elapsed > 0:
        raise BadData(
            "The time column does not rise.",
            where=str(where),
            found=f"{elapsed} s from the first to the last of {len(times)} samples",
            remedy="mend `time_column:` under `folder:` of the rig",
        )
    return Content(signal, (len(times) - 1) / elapsed, "time column")


def _single(samples: Samples) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf, an error further on
        return np.ascontiguousarray(samples, dtype=np.float32)


def _chosen(path: Path, array: str | None, names: list[str]) -> str:
    matching = names if array is None else [name for name in names if fnmatchcase(name, array)]
    if len(matching) == 1:
        return matching[0]
    raise BadData(
        "The file has "
        + ("more than one array" if matching else "no array")
        + ("." if array is None else f" of the name {array!r}."),
        where=str(path),
        found=f"arrays {names}",
        remedy="name one under `folder:` of the rig: `array: NAME` (* for any text)",
    )


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    # A file that was cut short makes the libraries raise any of these.
    broken = (OSError, EOFError, ValueError, TypeError, KeyError, IndexError, RuntimeError)
    try:
        yield
    except NotImplementedError as error:
        raise BadData(
            "A .mat file is of version 7.3.",
            where=str(path),
            expected="version 5 to 7.2",
            remedy="in Matlab: save(..., '-v7'); or end its name in .h5, as it is HDF5",
        ) from error
    except (*broken, MatReadError, zlib.error) as error:
        raise BadData(
            "A file is damaged or was cut short.",
            where=str(path),
            found=f"{type(error).__name__}: {error}",
            remedy="fetch the file again",
        ) from error


def _is_rate(name: str) -> bool:
    return name.lower() in RATE_NAMES


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
