"""What every reader gives, and what they share: which array, which columns, which rate."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol
from xml.etree.ElementTree import ParseError

import numpy as np
from numpy.typing import NDArray
from scipy.io.matlab import MatReadError

from workflow_src.configuration.folder import FolderOptions
from workflow_src.data.sources.folder.clock import rate_of_clock
from workflow_src.data.sources.folder.misread import Misread
from workflow_src.data.sources.folder.rates import UNSTATED, Stated, agreed
from workflow_src.data.sources.folder.widths import OF_STACKED, require_alike, require_width
from workflow_src.errors import BadData, UserError

# What a file calls its rate: `rate` comes last, as some say that of the shaft by it.
RATE_NAMES = ("fs", "sr", "rate_hz", "sampling_rate", "sample_rate", "samplefrequency", "rate")
BLOCK = 1 << 16  # samples of all columns that are read at once

# A file that was cut short makes the libraries raise any of these.
_BROKEN = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, IndexError, RuntimeError),
    *(MatReadError, ParseError, struct.error, zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True)
class Content:
    """What a file holds: signal (L, C) float32, and the rate it states, with where it does.

    ``notes`` tell what was guessed of its first rows and columns.
    ``signal`` is that of ``windows`` windows of one length, of which nothing says how one follows
    the other; of 1 where it is in one piece. ``columns`` are the places of its channels in a
    table, empty where all columns are channels.
    """

    signal: NDArray[np.float32]
    rate_hz: float | None = None
    rate_place: str = ""
    notes: tuple[str, ...] = ()
    windows: int = 1
    columns: tuple[int, ...] = ()


class Samples(Protocol):
    """An array in memory, on disk (`numpy.memmap`) or in HDF5."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its length along each axis."""

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Its kind, which no reader knows before."""

    def __getitem__(self, index: Any, /) -> Any: ...


def from_array(
    where: str,
    samples: Samples,
    options: FolderOptions,
    stated: Stated = UNSTATED,
    *,
    reversed_axes: bool = False,
) -> Content:
    """Samples (L,), (L, C) or (C, L), any axis of length 1 aside -> signal (L, C).

    Only a block is in memory beside the signal. ``reversed_axes`` is of a file that stores what
    its owner calls (L, C) as (C, L). Raises ``BadData`` for another shape or kind of number.
    """
    axes = [axis for axis, length in enumerate(samples.shape) if length != 1] or [0]
    forward = (options.samples_along == "rows") != reversed_axes or len(axes) == 1
    time = axes[0 if forward else -1]
    length = samples.shape[time] if samples.shape else 0
    width = samples.shape[axes[-1 if forward else 0]] if len(axes) == 2 else 1
    require_real(where, samples)
    if len(axes) > 2 or length < width:
        raise _no_recording(where, samples, options)
    channels, clock = columns(where, width, None, options)
    signal = np.empty((length, len(channels)), np.float32)
    times = np.empty(length if clock is not None else 0, np.float64)
    rows = _rows_at_once(samples, time)
    for start in range(0, length, rows):
        part = slice(start, min(start + rows, length))
        index = [slice(None) if axis in axes else 0 for axis in range(len(samples.shape))]
        index[time] = part
        block = np.asarray(samples[tuple(index)])  # (l,), (l, width) or (width, l)
        block = (block if forward else block.T).reshape(part.stop - start, width)
        signal[part] = single(block[:, channels])
        if clock is not None:
            times[part] = block[:, clock]
    if clock is not None:
        stated = agreed(where, rate_of_clock(where, times), stated)
    return Content(signal, *stated)


def require_real(where: str, samples: Samples) -> None:
    """Raise ``BadData`` unless an array holds integers or floating-point numbers."""
    if samples.dtype.kind not in "iuf":
        raise BadData(
            "An array does not hold real numbers.", where=where, found=f"dtype {samples.dtype}"
        )


def _no_recording(where: str, samples: Samples, options: FolderOptions) -> BadData:
    other = "columns" if options.samples_along == "rows" else "rows"
    return BadData(
        "An array has not the shape of a recording.",
        where=where,
        found=f"shape {samples.shape}, time along the {options.samples_along}",
        expected="(samples, channels), with more samples than channels",
        remedy="where time runs along the other axis, under `folder:` of the rig:\n"
        f"  samples_along: {other}\n{OF_STACKED}",
    )


def _rows_at_once(samples: Samples, time: int) -> int:
    """A block that cuts no chunk of HDF5, which would be unpacked once for each piece."""
    chunk = (getattr(samples, "chunks", None) or {time: 1})[time]
    return int(max(chunk, BLOCK // chunk * chunk))


def columns(
    where: Path | str, count: int, names: Sequence[str] | None, options: FolderOptions
) -> tuple[list[int], int | None]:
    """Positions of the channels and of the time column, None if there is none.

    Raises ``BadData`` for one that there is not, and for columns that nobody has declared.
    """
    require_width(where, count, names, options)
    require_alike(where, names, options)

    def position(column: int | str) -> int:
        if isinstance(column, str) and names is not None and list(names).count(column) == 1:
            return list(names).index(column)
        if isinstance(column, int) and 0 <= column < count:
            return column
        raise BadData(
            f"There is no column {column!r}.",
            where=str(where),
            found=f"columns {list(names)}" if names else f"{count} columns without names",
            remedy="mend `channels:` or `time_column:` under `folder:` of the rig",
        )

    clock = None if options.time_column is None else position(options.time_column)
    if options.channels is None:
        return [column for column in range(count) if column != clock], clock
    return [position(column) for column in options.channels], clock


def of_matrix(
    where: Path | str,
    matrix: NDArray[np.generic],
    wanted: list[int],
    channels: list[int],
    clock: int | None,
    notes: tuple[str, ...] = (),
) -> Content:
    """The content of a table (L, wanted), whose columns are those at the positions ``wanted``."""
    at = [wanted.index(column) for column in channels]
    signal = single(matrix if channels == wanted else matrix[:, at])  # (L, C)
    rate: tuple[float | None, str] = (None, "")
    if clock is not None:
        rate = rate_of_clock(where, matrix[:, wanted.index(clock)])
    return Content(signal, rate[0], rate[1], notes, columns=tuple(channels))


def real_channels(
    where: Path | str,
    names: Sequence[str] | None,
    blank: Sequence[int],
    held: Mapping[int, NDArray[Any]],
) -> tuple[list[int], tuple[str, ...]]:
    """The columns of ``held`` that can be channels, and notes on the others.

    No channels are columns without name and cell (``blank`` as far as was looked), and the index
    that pandas or R writes before the others: without a name, it numbers the rows. Raises
    ``BadData`` where it may be a signal of whole numbers.
    """
    gaps = [i for i, v in held.items() if i in blank and bool(np.isnan(v).all())]
    notes = [f"column {column} is blank: no channel" for column in gaps]
    channels = [column for column in held if column not in gaps]
    if 0 in channels and names is not None and _is_unnamed(names[0]):
        if _numbers_rows(held[0]):
            notes.append("column 0 numbers the rows, without a name: an index and no channel")
            channels.remove(0)
        elif bool((held[0] == np.floor(held[0])).all()) and len(channels) > 1:
            raise Misread(
                "A first column without a name holds whole numbers: an index, or a signal?",
                where=f"{where}, column 0",
                found=", ".join(f"{value:g}" for value in held[0][:5]),
                put={"channels": [column for column in channels if column]},
                other=f"if it is an index; if it is a signal: `channels: {channels}`",
            )
    return channels, tuple(notes)


def _is_unnamed(name: str) -> bool:
    return not name or name.startswith("Unnamed: ")  # as pandas names it when it reads it


def _numbers_rows(values: NDArray[Any]) -> bool:
    """Whether a column numbers rows: all in any order, or some of them in theirs."""
    if len(values) < 2 or not bool((values == np.floor(values)).all()) or values.min() < 0:
        return False
    counted = np.arange(len(values))
    in_order = bool((np.diff(values) > 0).all())
    return in_order or any(np.array_equal(np.sort(values), counted + k) for k in (0, 1))


def single(samples: NDArray[np.generic]) -> NDArray[np.float32]:
    """Samples as float32, in one piece."""
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf, an error further on
        return np.ascontiguousarray(samples, dtype=np.float32)


def chosen(path: Path, array: str | None, names: Sequence[str], kind: str = "array") -> str:
    """The only name, or the only one that matches ``array``; ``BadData`` lists those there are."""
    if array is not None and array in names:
        return array
    matching = [name for name in names if array is None or fnmatchcase(name, array)]
    if len(matching) == 1:
        return matching[0]
    raise BadData(
        "The file has "
        + (f"more than one {kind}" if matching else f"no {kind}")
        + ("." if array is None else f" of the name {array!r}."),
        where=str(path),
        found=f"{kind}s {list(names)}",
        remedy="name one under `folder:` of the rig: `array: NAME` (* for any text)",
    )


def rate_keys(names: Iterable[str]) -> list[str]:
    """The names, or paths by dots, that a file states its sampling rate under, the surest first.

    What is called ``rate`` is one where nothing has another of these names.
    """
    last = {name: name.rpartition(".")[2].lower() for name in names}
    found = sorted(
        (n for n in last if last[n] in RATE_NAMES), key=lambda n: RATE_NAMES.index(last[n])
    )
    return [n for n in found if last[n] != RATE_NAMES[-1]] or found


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """What a library says of a file that it cannot read, as ``BadData`` that names the file."""
    try:
        yield
    except _BROKEN as error:
        raise BadData(
            "A file is damaged or was cut short.",
            where=str(path),
            found=f"{type(error).__name__}: {error}",
            remedy="fetch the file again",
        ) from error


def package(name: str, distribution: str, path: Path) -> Any:
    """The package that reads a format; ``UserError`` says how to install it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise UserError(
            f"The package {distribution} is missing, which reads {path.suffix} files.",
            where=str(path),
            found=str(error),
            remedy=f"pip install {distribution}",
        ) from error
