"""LabVIEW's text-based measurement file (.lvm): headers of its own before the samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_src.configuration.folder import FolderOptions
from workflow_src.data.sources.folder.cells import NumberForm
from workflow_src.data.sources.folder.content import Content, columns, rate_of_clock, single
from workflow_src.data.sources.folder.text_table import Table, numbers_of, require_width
from workflow_src.data.sources.folder.layout import Layout
from workflow_src.data.sources.folder.lines import Lines
from workflow_src.data.sources.folder.text import split
from workflow_src.errors import BadData

BEGINNING = "LabVIEW Measurement"
_END = "***End_of_Header***"
_X, _COMMENT = "X_Value", "Comment"


@dataclass(frozen=True)
class _Header:
    """What the headers say: cells by their first one, and the index of the line behind them."""

    said: dict[str, list[str]]
    separator: str
    behind: int


def read_lvm(path: Path, text: str, options: FolderOptions) -> Content:
    """The channels of a measurement of one segment, and the rate that its ``Delta_X`` states.

    Columns of ``X_Value`` are no channels unless they are named; without ``Delta_X`` the first of
    them is the clock. Raises ``BadData`` for several segments, whose samples do not join.
    """
    lines = Lines(path, text)
    header = _header(path, lines)
    table, names = _table(path, lines, header)
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
    signal = single(matrix[:, [wanted.index(column) for column in channels]])  # (L, C)
    if clock is not None:
        return Content(signal, *rate_of_clock(path, matrix[:, wanted.index(clock)]))
    return Content(signal, *(rate or (None, "")))


def _header(path: Path, lines: Lines) -> _Header:
    sep, ends, said = "\t", [], dict[str, list[str]]()
    for index, line in lines.filled(0):
        cells = split(line, sep)
        if cells[0] == "Separator" or line.strip().lower() == "separator,comma":
            sep = "," if "comma" in line.lower() else "\t"
        elif cells[0] == _END:
            ends.append(index)
        elif len(ends) < 2:
            said.setdefault(cells[0], [cell for cell in cells[1:] if cell])
        if ends and len(ends) < 2 and index > ends[-1] and cells[0] == _X:
            break  # no header of a segment
        if len(ends) == 2:
            break
    if not ends:
        raise BadData(f"A LabVIEW measurement has no line {_END}.", where=str(path))
    further = [
        index for index, line in lines.filled(ends[-1] + 1) if line.startswith(_END)
    ]
    if further:
        raise BadData(
            "A LabVIEW measurement has more than one segment.",
            where=f"{path}, line {lines.number(further[0])}",
            remedy="export each segment to a file of its own",
        )
    return _Header(said, sep, ends[-1] + 1)


def _table(path: Path, lines: Lines, header: _Header) -> tuple[Table, list[str]]:
    """The table behind the headers, and the names of its columns without the comment."""
    named, line = next(lines.filled(header.behind), (lines.count, ""))
    names = split(line, header.separator)
    while names and not names[-1]:
        names.pop()
    if _X not in names:
        raise BadData(
            "A LabVIEW measurement has no line of names before its samples.",
            where=f"{path}, line {lines.number(min(named, lines.count - 1))}",
            expected=f"{_X}, the names of the channels, {_COMMENT}",
        )
    names = names[:-1] if names[-1] == _COMMENT else names
    decimal = (header.said.get("Decimal_Separator") or ["."])[0]
    layout = Layout(names, lines.number(named) + 1, len(names), ())
    table = Table(path, lines, named + 1, header.separator, NumberForm(decimal), layout)
    require_width(table, (len(names), len(names) + 1))  # a comment stands in some lines
    return table, names


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
