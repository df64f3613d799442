"""Text whose rows are of other widths, hold other cells, vanish or appear."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .draw import Draw
from .single import Single
from .verdict import Case, Verdict


def cut_row(draw: Draw, root: Path) -> Case:
    it = Single(draw, root, draw.randint(2, 4))
    row = draw.row(len(it.rows))
    short = [cells[:-1] if place == row else cells for place, cells in enumerate(it.rows)]
    it.write(short)
    return it.must_be_refused("a row lacks its last cell", row=row)


def extended_row(draw: Draw, root: Path) -> Case:
    it = Single(draw, root, sep=draw.one(",", ";", "\t", " "))
    row = draw.row(len(it.rows))
    place = draw.randint(0, len(it.rows[row]))
    stray = draw.one("7", "0.5", "x")
    long = [list(cells) for cells in it.rows]
    long[row].insert(place, stray)
    it.write(long)
    return it.must_be_refused(f"a stray cell {stray!r} in a row", row=row)


def empty_stray_cell(draw: Draw, root: Path) -> Case:
    it = Single(draw, root, draw.randint(2, 4), sep=draw.one(",", ";", "\t"))
    row = draw.row(len(it.rows))
    place = draw.randint(0, len(it.rows[row]))
    long = [list(cells) for cells in it.rows]
    long[row].insert(place, "")
    it.write(long)
    if place == len(it.rows[row]):
        return it.is_read("a row ends in a separator")
    return it.must_be_refused("an empty stray cell within a row", row=row)


def trailing_separators(draw: Draw, root: Path) -> Case:
    it = Single(draw, root, sep=draw.one(",", ";", "\t"))
    where = draw.one("rows", "all")
    lines = it.form.lines(it.rows)
    first = int(it.form.has_header and where == "rows")
    it.write_lines(lines[:first] + [line + it.form.sep for line in lines[first:]])
    return it.is_read(f"a separator at the end of {where}")


def no_number(draw: Draw, root: Path) -> Case:
    it = Single(draw, root)
    row, column = draw.row(len(it.rows)), draw.randrange(len(it.rows[0]))
    cell = draw.one(
        "ERR", "#DIV/0!", "--", "1.2.3", "0x1F", "1 2", "true", "12:30", "1_000", "1e", "?"
    )
    if it.form.sep == " ":
        cell = cell.replace(" ", "_")
    it.rows[row][column] = cell
    it.write()
    return it.must_be_refused(f"a cell {cell!r}", row=row)


def no_value(draw: Draw, root: Path) -> Case:
    it = Single(draw, root, draw.randint(2, 4), sep=draw.one(",", ";", "\t"))
    row, column = draw.row(len(it.rows)), draw.randrange(len(it.rows[0]))
    cell = draw.one("", "NA", "NaN", "nan", "null", "inf", "-Inf", "1e400", "#N/A")
    it.rows[row][column] = cell
    it.write()
    return it.must_be_refused(f"a cell {cell!r}", row=row, otherwise=Verdict.WRONG)


def blank_in_column(draw: Draw, root: Path) -> Case:
    it = Single(draw, root, 1, clock=False)
    gaps = draw.sample(range(3, len(it.rows) - 3), draw.one(1, 2, 10))
    for row in gaps:
        it.rows[row] = [draw.one("", "", "  ")]
    it.write()
    about = f"{len(gaps)} blank rows of one column"
    return it.must_be_refused(about, row=None, otherwise=Verdict.SILENT)


def blank_between_rows(draw: Draw, root: Path) -> Case:
    it = Single(draw, root, draw.randint(2, 4))
    lines = it.form.lines(it.rows)
    for _ in range(draw.one(1, 5)):
        lines.insert(draw.randint(3, len(lines) - 1), draw.one("", "", " "))
    it.write_lines(lines)
    return it.is_read("blank lines between rows of several columns", said="blank|empty")


def separators_alone(draw: Draw, root: Path) -> Case:
    it = Single(draw, root, draw.randint(2, 4), sep=draw.one(",", ";", "\t"))
    row = draw.row(len(it.rows))
    it.rows[row] = [""] * len(it.rows[row])
    it.write()
    about = "a row of separators alone"
    return it.must_be_refused(about, row=row, otherwise=Verdict.SILENT)


def blank_ends(draw: Draw, root: Path) -> Case:
    it = Single(draw, root)
    lines = it.form.lines(it.rows) + [""] * draw.randint(0, 3)
    if draw.random() < 0.5:
        lines = [""] * draw.randint(1, 2) + lines
    it.write_lines(lines)
    return it.is_read("blank lines before and after the rows")


def separators_at_end(draw: Draw, root: Path) -> Case:
    it = Single(draw, root, draw.randint(2, 4), sep=draw.one(",", ";"))
    lines = it.form.lines(it.rows)
    it.write_lines(lines + [it.form.sep * (len(it.rows[0]) - 1)] * draw.randint(1, 3))
    return it.is_read("rows of separators at the end, as spreadsheets leave them")


def footer(draw: Draw, root: Path) -> Case:
    it = Single(draw, root)
    width = len(it.rows[0])
    words = draw.one("Mean", "Max", "END", "# end of file")
    last = it.form.sep.join([words, *["0.1"] * (width - 1)])
    it.write_lines([*it.form.lines(it.rows), *[""] * draw.randint(0, 2), last])
    return it.is_read(f"a footer {words!r}", said=r"foot|last|left out|skip|line")


def header_again(draw: Draw, root: Path) -> Case:
    it = Single(draw, root, header=True)
    row = draw.row(len(it.rows))
    lines = it.form.lines(it.rows)
    it.write_lines(lines[: row + 1] + lines[:1] + lines[row + 1 :])
    return it.must_be_refused("a second header within the rows", row=row)


def row_twice(draw: Draw, root: Path) -> Case:
    """Nothing is wrong with two equal rows: both were measured, as far as anyone can tell."""
    it = Single(draw, root, clock=False)
    row = draw.row(len(it.rows))
    it.rows = it.rows[: row + 1] + it.rows[row:]
    it.write()
    return it.is_read("two equal rows")


def two_samples(draw: Draw, root: Path) -> Case:
    it = Single(draw, root)
    it.rows = it.rows[: draw.one(1, 2, 3)]
    it.write()
    return it.is_read(f"{len(it.rows)} samples")


def late_width(draw: Draw, root: Path) -> Case:
    """From some row on each has one cell more, as where a logger gets a further channel."""
    it = Single(draw, root, sep=draw.one(",", ";", "\t", " "))
    row = draw.randint(25, len(it.rows) - 5)
    rows = [cells if place < row else [*cells, "0.25"] for place, cells in enumerate(it.rows)]
    it.write(rows)
    return it.must_be_refused("rows of one cell more from a row on", row=row)


KINDS: dict[str, Callable[[Draw, Path], Case]] = {
    "row cut": cut_row,
    "row extended": extended_row,
    "row with an empty stray cell": empty_stray_cell,
    "rows end in separators": trailing_separators,
    "cell without number": no_number,
    "cell without value": no_value,
    "blank rows of a column": blank_in_column,
    "blank lines between rows": blank_between_rows,
    "row of separators": separators_alone,
    "blank lines at the ends": blank_ends,
    "rows of separators at the end": separators_at_end,
    "footer": footer,
    "header again": header_again,
    "row twice": row_twice,
    "few rows": two_samples,
    "wider rows later": late_width,
}
