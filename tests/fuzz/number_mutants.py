"""Text whose numbers are written in the ways of other countries, programs and encodings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from .draw import Draw
from .forms import Text
from .single import Single
from .verdict import Case, Held, Reading


def _comma(cell: str) -> str:
    return cell.replace(".", ",")


def decimal_comma(draw: Draw, root: Path) -> Case:
    """One column of any separator, or several between which there is none that is a comma."""
    sep = draw.one(";", "\t", " ")
    it = Single(draw, root, draw.one(1, 1, 2, 3), sep=sep)
    it.form.format = draw.one("{:.6f}", "{:.3f}", "{:.9e}")
    it.rows = it.form.cells(draw.signal(draw.length(), it.form.channels))
    written = [[_comma(cell) for cell in row] for row in it.rows]
    it.write(written)
    more = {"decimal": ","} if draw.random() < 0.3 else {}
    return it.is_read("decimal commas", **more)


def decimal_comma_at_times(draw: Draw, root: Path) -> Case:
    """Whole numbers come without a comma, so that rows look of other widths."""
    it = Single(draw, root, draw.one(1, 2), sep=draw.one(";", "\t"), clock=False)
    signal = np.round(draw.signal(draw.length(), it.form.channels, 1.0) * 2) / 4
    it.rows = [[f"{x:g}" for x in row] for row in signal]
    it.write([[_comma(cell) for cell in row] for row in it.rows])
    return it.is_read("decimal commas, whole numbers without")


def decimal_comma_between_commas(draw: Draw, root: Path) -> Case:
    it = Single(draw, root, draw.one(2, 3), sep=",", clock=False)
    it.form.format = "{:.4f}"
    it.rows = it.form.cells(draw.signal(draw.length(), it.form.channels))
    quoted = draw.random() < 0.5
    mark = '"' if quoted else ""
    it.write([[mark + _comma(cell) + mark for cell in row] for row in it.rows])
    return it.is_read(f"decimal commas between {'quoted ' * quoted}commas")


def one_decimal_between_commas(draw: Draw, root: Path) -> Case:
    """Positive numbers of one decimal, which look like two columns each."""
    it = Single(draw, root, draw.one(1, 2), sep=",", header=False, clock=False)
    signal = np.abs(draw.signal(draw.length(), it.form.channels, 20.0)) + 10
    it.rows = [[f"{x:.1f}" for x in row] for row in np.round(signal * 2) / 2]
    it.write([[_comma(cell) for cell in row] for row in it.rows])
    return it.is_read("decimal commas of one digit between commas")


def late_thousands(draw: Draw, root: Path) -> Case:
    """One number with a comma among whole ones."""
    it = Single(draw, root, 1, sep=draw.one(";", "\t"), clock=False)
    signal = np.round(draw.signal(draw.length(), 1, 300.0))
    row = draw.row(len(signal))
    signal[row, 0] = 1234
    it.rows = [[f"{x:.0f}" for x in cells] for cells in signal]
    it.write([["1,234"] if at == row else cells for at, cells in enumerate(it.rows)])
    return it.is_read("thousands by a comma, once")


def thousands(draw: Draw, root: Path) -> Case:
    """1,234.5 beside numbers below a thousand."""
    it = Single(draw, root, draw.one(1, 2), sep=draw.one(",", ";", "\t"), clock=False)
    signal = np.round(draw.signal(draw.length(), it.form.channels, 1500.0), 1)
    signal[5] = 1234.5
    it.rows = [[f"{x:.1f}" for x in row] for row in signal]
    quoted = it.form.sep == "," and draw.random() < 0.7
    mark = '"' if quoted else ""
    it.write([[f"{mark}{x:,.1f}{mark}" for x in row] for row in signal.tolist()])
    more = {"thousands": ","} if draw.random() < 0.3 else {}
    return it.is_read(f"thousands by {'quoted ' * quoted}commas", **more)


def whole_thousands(draw: Draw, root: Path) -> Case:
    """1,234 in one column: a thousand, or one and a bit; beside 999 and -2,345,678 a thousand."""
    it = Single(draw, root, 1, sep=draw.one(",", ";", "\t"), clock=False)
    signal = np.round(draw.signal(draw.length(), 1, 90000.0))
    signal[:3, 0] = (999.0, 1234.0, -2345678.0)
    it.rows = [[f"{x:.0f}" for x in row] for row in signal]
    it.write([[f"{int(x):,}" for x in row] for row in signal.tolist()])
    return it.is_read("whole thousands by commas")


def other_thousands(draw: Draw, root: Path) -> Case:
    """1.234,5 (German), 1 234,5 (French), 1'234.5 (Swiss)."""
    it = Single(draw, root, draw.one(1, 2), sep=draw.one(";", "\t"), clock=False)
    signal = np.round(draw.signal(draw.length(), it.form.channels, 5000.0), 1)
    it.rows = [[f"{x:.1f}" for x in row] for row in signal]
    group, point = draw.one((".", ","), ("\u00a0", ","), (" ", ","), ("'", "."), ("\u202f", ","))
    table = str.maketrans({",": group, ".": point})
    it.write([[f"{x:,.1f}".translate(table) for x in row] for row in signal.tolist()])
    return it.is_read(f"thousands by {group!r}, decimals by {point!r}")


def odd_numbers(draw: Draw, root: Path) -> Case:
    """Forms of a number that mean it all the same."""
    it = Single(draw, root, sep=draw.one(",", ";", "\t"), clock=False)
    change = draw.one("+", " ", "quotes", "e", ".5", "zeros", "minus", "tab")
    forms: dict[str, Callable[[str], str]] = {
        "+": lambda c: c if c[0] in "-+" else "+" + c,
        " ": lambda c: f"  {c} ",
        "quotes": lambda c: f'"{c}"',
        "e": lambda c: f"{float(c):.8E}",
        ".5": lambda c: c.replace("0.", ".", 1) if c.lstrip("+-").startswith("0.") else c,
        "zeros": lambda c: c.replace("-", "-00") if "-" in c[:1] else "00" + c.lstrip("+ "),
        "minus": lambda c: c.replace("-", "\u2212"),
        "tab": lambda c: c,
    }
    written = [[forms[change](cell) for cell in row] for row in it.rows]
    if change == "e":
        it.rows = written
    it.write(written)
    return it.is_read(f"numbers in the form {change!r}")


def encodings(draw: Draw, root: Path) -> Case:
    """Another encoding than the keys say, a mark of bytes, and signs that are no text."""
    it = Single(draw, root, header=True, sep=draw.one(",", ";", "\t"))
    it.form.names = [f"{name} ({draw.one('m/s²', '°', 'µm', 'g')})" for name in it.form.names]
    if it.form.has_clock:
        it.form.options["time_column"] = 0
    kind = draw.one("utf-8", "latin-1", "gbk", "utf-16", "utf-16-le", "utf-8-sig", "utf-32")
    said = draw.random() < 0.4
    if kind == "gbk":
        it.form.names = [f"加速度_{n}" for n in range(len(it.form.names))]
    text = it.form.eol.join(it.form.lines(it.rows)) + it.form.eol
    text += draw.one("", "", "\x1a")
    it.path.parent.mkdir(parents=True, exist_ok=True)
    it.path.write_bytes(text.encode(kind))
    more = {"encoding": kind} if said else {}
    return it.is_read(f"{kind}, {'said' if said else 'not said'}", **more)


def zero_bytes(draw: Draw, root: Path) -> Case:
    """A block of zero bytes, as a file system leaves it after a loss of power."""
    it = Single(draw, root)
    it.write()
    raw = bytearray(it.path.read_bytes())
    start = draw.randint(100, len(raw) - 200)
    length = draw.one(1, 16, 100)
    raw[start : start + length] = bytes(length)
    it.path.write_bytes(raw)
    return it.must_be_refused(f"{length} zero bytes within the rows")


def other_line_ends(draw: Draw, root: Path) -> Case:
    it = Single(draw, root)
    it.form.eol = draw.one("\r", "\r\n", "\r\r\n", "\n\r", "\n\n")
    it.write()
    return it.is_read(f"lines that end in {it.form.eol!r}")


def mixed_separators(draw: Draw, root: Path) -> Case:
    """A tab and spaces between columns, or a semicolon and a space."""
    it = Single(draw, root, draw.randint(2, 4), sep=" ", header=False, clock=False)
    it.form.sep = draw.one(" \t ", "\t ", "; ", ", ", "   ", " ; ")
    it.write()
    return it.is_read(f"columns between {it.form.sep!r}")


def beyond_float32(draw: Draw, root: Path) -> Case:
    it = Single(draw, root)
    row = draw.row(len(it.rows))
    cell = draw.one("1e39", "-4e38", "1e308")
    it.rows[row][-1] = cell
    it.write()
    return it.must_be_refused(f"{cell}, which float32 cannot hold", row=row)


def far_below_float32(draw: Draw, root: Path) -> Case:
    """Samples of 1e-50 become zeros: all is lost, and it must be said."""
    it = Single(draw, root, clock=False)
    signal = draw.signal(len(it.rows), it.form.channels, 1e-50)
    it.rows = [[f"{x:.6e}" for x in row] for row in signal]
    it.write()
    zeros = Held(np.zeros(signal.shape), it.form.rate_hz)
    return it.holds("samples of 1e-50", zeros, said="zero|constant|never change|dead|float32")


def much_text(draw: Draw, root: Path) -> Case:
    """Packed text that is much larger than its file: a number of many digits, or blanks."""
    form = Text(draw, 1, sep=",", header=False, clock=False, plain=True)
    form.ending = ".csv.gz"
    file = f"k07-1{form.ending}"
    junk, said = draw.one(("0" * 30_000_000, ""), ("\n" * 60_000_000, "blank|empty"))
    form.write_text(root / "data_root/rig" / file, f"1.5\n2.5\n{junk}\n3.5\n")
    rows = [["1.5"], ["2.5"], *([] if said else [["0"]]), ["3.5"]]
    reading = Reading({file: form.held(rows)}, said)
    return Case(form.keys(), (reading,), names=("k07-1",), about="30 or 60 MB of one sign, packed")


KINDS: dict[str, Callable[[Draw, Path], Case]] = {
    "decimal comma": decimal_comma,
    "decimal comma at times": decimal_comma_at_times,
    "decimal comma between commas": decimal_comma_between_commas,
    "one decimal between commas": one_decimal_between_commas,
    "late thousands": late_thousands,
    "thousands": thousands,
    "whole thousands": whole_thousands,
    "thousands of other countries": other_thousands,
    "odd numbers": odd_numbers,
    "encodings": encodings,
    "zero bytes": zero_bytes,
    "other line ends": other_line_ends,
    "mixed separators": mixed_separators,
    "beyond float32": beyond_float32,
    "far below float32": far_below_float32,
    "much text in a small file": much_text,
}
