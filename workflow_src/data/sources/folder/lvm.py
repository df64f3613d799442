"""LabVIEW's text-based measurement file (.lvm): headers of its own before the samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workflow_src.configuration.folder import FolderOptions
from workflow_src.data.sources.folder.cells import NumberForm
from workflow_src.data.sources.folder.clock import LINE_TOLERANCE, rate_of_clock
from workflow_src.data.sources.folder.content import Content, columns, of_matrix
from workflow_src.data.sources.folder.layout import Layout
from workflow_src.data.sources.folder.lines import Line, Lines
from workflow_src.data.sources.folder.rates import IGNORING, UNSTATED, Stated, agreed
from workflow_src.data.sources.folder.text import split
from workflow_src.data.sources.folder.text_table import TextTable, numbers_of, require_width
from workflow_src.errors import BadData

BEGINNING = b"LabVIEW Measurement"
_END = "***End_of_Header***"
_X, _COMMENT = "X_Value", "Comment"


@dataclass(frozen=True)
class _Header:
    """What the headers say: cells by their first one; the separator; the line of names."""

    said: dict[str, list[str]]
    separator: str
    names: Line


def read_lvm(path: Path, text: bytes, options: FolderOptions) -> Content:
    """The channels of a measurement of one segment, and the rate by ``Delta_X`` and ``X_Value``.

    Columns of ``X_Value`` are no channels unless they are named. Raises ``BadData`` where they
    contradict ``Delta_X``, for fewer rows than the header counts, and for several segments, whose
    samples do not join.
    """
    lines = Lines(path, text)
    header = _header(path, lines)
    table = _table(path, lines, header, options)
    names = table.layout.names or []
    xs = [i for i, name in enumerate(names) if name == _X]
    if options.channels is None:
        kept = tuple(i for i, name in enumerate(names) if name not in (_X, options.time_column))
        options = options.model_copy(update={"channels": kept})
    channels, clock = columns(path, len(names), names, options)
    if options.ignore_stated_rate or header.said.get("X_Columns", ["One"])[0] == "No":
        xs = []
    wanted = sorted({*channels, *xs, *([] if clock is None else [clock])})
    matrix = numbers_of(table, wanted)
    notes = _counted(path, header, len(matrix))
    content = of_matrix(path, matrix, wanted, channels, clock, notes)
    stated: Stated = (content.rate_hz, content.rate_place)
    if not options.ignore_stated_rate:
        stated = agreed(path, stated, _step_rate(path, header))
    for x in xs:
        stated = _with_clock(path, table, x, matrix[:, wanted.index(x)], stated)
    return replace(content, rate_hz=stated[0], rate_place=stated[1])


def _header(path: Path, lines: Lines) -> _Header:
    """Up to two headers, of the file and of its only segment, and the line of names."""
    sep, ends, said = "\t", 0, dict[str, list[str]]()
    for line in lines.filled():
        cells = split(line.text, sep)
        if cells[0] == "Separator" or line.text.strip().lower() == "separator,comma":
            sep = "," if "comma" in line.text.lower() else "\t"
        if cells[0] == _END:
            ends += 1
        elif ends and _X in cells:
            return _Header(said, sep, line)
        elif ends < 2:
            said.setdefault(cells[0], [cell for cell in cells[1:] if cell])
        else:
            break
    raise BadData(
        "A LabVIEW measurement has no line of names before its samples.",
        where=str(path),
        expected=f"a line {_END}, then {_X}, the names of the channels, {_COMMENT}",
    )


def _table(path: Path, lines: Lines, header: _Header, options: FolderOptions) -> TextTable:
    """The table behind the headers, without the column of comments."""
    names = split(header.names.text, header.separator)
    while not names[-1] or names[-1] == _COMMENT:
        names.pop()
    first = lines.at(header.names.number + 1)
    further = lines.raw.find(_END.encode(), first.start)
    if further >= 0:
        raise BadData(
            "A LabVIEW measurement has more than one segment.",
            where=f"{path}, line {lines.raw.count(b'%c' % 10, 0, further) + 1}",
            remedy="export each segment to a file of its own",
        )
    said = (header.said.get("Decimal_Separator") or ["."])[0]
    form = NumberForm(options.decimal or said, options.thousands)
    table = TextTable(
        path, lines, first, header.separator, form, Layout(names, first.number, len(names), ())
    )
    require_width(table, (len(names), len(names) + 1))  # a comment stands in some lines
    return table


def _counted(path: Path, header: _Header, rows: int) -> tuple[str, ...]:
    """A note where more rows follow than the header counts; ``BadData`` where fewer do."""
    counts = [int(cell) for cell in header.said.get("Samples", []) if cell.isdecimal()]
    most = max(counts, default=rows)
    if rows >= most:  # one header may stand before several blocks
        note = f"the header says `Samples` {most}, and {rows} rows follow: all are one recording"
        return (note,) if rows > most else ()
    raise BadData(
        "A LabVIEW measurement was cut short.",
        where=str(path),
        found=f"{rows} rows",
        expected=f"Samples {most}, as its header says",
        remedy=f"fetch the file again; or, where it is whole, write `Samples` {rows} in its header",
    )


def _step_rate(path: Path, header: _Header) -> Stated:
    """The rate by ``Delta_X``, whose sign of decimals may be another than that of the samples."""
    cells = header.said.get("Delta_X", [])
    if not cells or set(header.said.get("X_Dimension", ["Time"])) != {"Time"}:
        return UNSTATED
    kinds = {NumberForm().kind(cell.replace(",", ".")) for cell in cells}
    steps = [float(c.replace(",", ".")) for c in cells] if kinds == {"number"} else [0.0]
    if np.ptp(steps) == 0 and steps[0] > 0:
        return 1.0 / steps[0], "Delta_X"
    differ = kinds == {"number"} and min(steps) > 0
    raise BadData(
        "The channels of a LabVIEW measurement have different sampling rates."
        if differ
        else "`Delta_X` of a LabVIEW measurement is no time between samples.",
        where=str(path),
        found=f"Delta_X {', '.join(cells)}",
        remedy="export those of one rate to a file of their own"
        if differ
        else f"under `folder:` of the rig {IGNORING}",
    )


def _with_clock(
    path: Path, table: TextTable, column: int, times: NDArray[np.float64], stated: Stated
) -> Stated:
    """What is stated, after a comparison with the times of a column ``X_Value``, (L,).

    Where their last digit is no finer than a sample, they tell no more than the line they lie on.
    """
    if not np.isfinite(times[1:]).any():  # the first time alone, or none
        return stated
    where, step = f"{path}, column {column} ({_X})", 1 / stated[0] if stated[0] else 0.0
    digit = _last_digit(table, column)
    if 4 * digit > step > 0:
        off = np.abs(times - times[0] - step * np.arange(len(times)))
        allowed = step + digit + LINE_TOLERANCE * step * np.arange(len(times))
        if (off <= allowed).all():
            return stated
    clock = rate_of_clock(where, times, f"under `folder:` of the rig {IGNORING}")
    both = agreed(path, clock, stated)
    return stated if stated[0] else both


def _last_digit(table: TextTable, column: int) -> float:
    """The value of one in the last place that the times are written with."""
    cells = [split(line, table.separator)[column] for line in table.lines.middle()]
    plain = [cell.replace(table.form.decimal, ".") for cell in cells]
    places = [
        Decimal(cell).as_tuple().exponent for cell in plain if NumberForm().kind(cell) == "number"
    ]
    return max((10.0**place for place in places if isinstance(place, int)), default=0.0)
