"""LabVIEW's text-based measurement file (.lvm): headers of its own before the samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from workflow_src.configuration.folder import FolderOptions
from workflow_src.data.sources.folder.cells import NumberForm
from workflow_src.data.sources.folder.content import Content, columns, of_matrix
from workflow_src.data.sources.folder.layout import Layout
from workflow_src.data.sources.folder.lines import Line, Lines
from workflow_src.data.sources.folder.text import split
from workflow_src.data.sources.folder.text_table import Table, numbers_of, require_width
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
    """The channels of a measurement of one segment, and the rate that its ``Delta_X`` states.

    Columns of ``X_Value`` are no channels unless they are named; without ``Delta_X`` the first of
    them is the clock. Raises ``BadData`` for several segments, whose samples do not join.
    """
    lines = Lines(path, text)
    header = _header(path, lines)
    table = _table(path, lines, header)
    names = table.layout.names or []
    xs = [i for i, name in enumerate(names) if name == _X]
    if options.channels is None:
        kept = tuple(i for i, name in enumerate(names) if name not in (_X, options.time_column))
        options = options.model_copy(update={"channels": kept})
    channels, clock = columns(path, len(names), names, options)
    rate = _stated_rate(path, header, table.form)
    has_times = header.said.get("X_Columns", ["One"])[0] != "No"
    if clock is None and rate is None and xs and has_times:
        clock = xs[0]
    wanted = sorted({*channels, *([] if clock is None else [clock])})
    matrix = numbers_of(table, wanted)
    content = of_matrix(path, matrix, wanted, channels, clock)
    if clock is not None or rate is None:
        return content
    return replace(content, rate_hz=rate[0], rate_place=rate[1])


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


def _table(path: Path, lines: Lines, header: _Header) -> Table:
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
    form = NumberForm((header.said.get("Decimal_Separator") or ["."])[0])
    table = Table(
        path, lines, first, header.separator, form, Layout(names, first.number, len(names), ())
    )
    require_width(table, (len(names), len(names) + 1))  # a comment stands in some lines
    return table


def _stated_rate(path: Path, header: _Header, form: NumberForm) -> tuple[float, str] | None:
    steps = [form.value(cell) for cell in header.said.get("Delta_X", [])]
    if not steps or set(header.said.get("X_Dimension", ["Time"])) != {"Time"}:
        return None
    if not (np.ptp(steps) == 0 and steps[0] > 0):
        raise BadData(
            "The channels of a LabVIEW measurement have different sampling rates.",
            where=str(path),
            found=f"Delta_X {', '.join(f'{step:g}' for step in steps)}",
            remedy="export those of one rate to a file of their own",
        )
    return 1.0 / steps[0], "Delta_X"
