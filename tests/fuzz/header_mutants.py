"""Text whose first lines are not what they look like, and columns that count rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from .draw import Draw
from .single import Single
from .verdict import Case, Reading


def numbered_header(draw: Draw, root: Path) -> Case:
    """pandas' to_csv(index=False) of an array without names: the header is 0,1."""
    it = Single(draw, root, draw.randint(1, 4), header=True, clock=False)
    it.form.names = [str(n) for n in range(it.form.channels)]
    it.write()
    more = {"header": "present"} if draw.random() < 0.3 else {}
    return it.is_read("a header of numbers 0, 1, ...", **more)


def numbers_first(draw: Draw, root: Path) -> Case:
    """The keys say that there is no header: whole numbers in the first row are samples."""
    it = Single(draw, root, draw.randint(1, 4), header=False, clock=False)
    it.rows[0] = [str(n) for n in range(it.form.channels)]
    it.write()
    return it.is_read("whole numbers first, `header: absent`", header="absent")


def text_column(draw: Draw, root: Path) -> Case:
    """A column of text that is not used, without a header: the first row holds samples."""
    it = Single(draw, root, draw.randint(1, 3), header=False, clock=False)
    if it.form.sep == " ":
        it.form.sep = ","
    label = draw.one("S1", "2024-05-01 12:00:00.{:03d}", "normal", "{:d}:00")
    it.write([[label.format(place), *row] for place, row in enumerate(it.rows)])
    used = list(range(1, it.form.channels + 1))
    return it.is_read(f"a column of text {label!r} without a header", channels=used)


def gap_first(draw: Draw, root: Path) -> Case:
    it = Single(draw, root, draw.randint(2, 4), header=False, sep=draw.one(",", ";", "\t"))
    it.rows[0][draw.randrange(it.form.channels)] = draw.one("", "NA", "NaN", "null")
    it.write()
    return it.must_be_refused("the first row lacks a value", row=0)


def commented_header(draw: Draw, root: Path) -> Case:
    it = Single(draw, root, header=True)
    sign = draw.one("#", "# ", "%", "// ")
    it.form.names[0] = sign + it.form.names[0]
    it.form.options.update({"time_column": 0} if it.form.has_clock else {})
    it.write()
    return it.is_read(f"a header behind {sign!r}")


def lone_number(draw: Draw, root: Path) -> Case:
    """The rate, or the number of samples, above one column."""
    it = Single(draw, root, 1, header=False, clock=False)
    lone = draw.one(f"{it.form.rate_hz:.0f}", str(len(it.rows)))
    it.write_lines([lone, *it.form.lines(it.rows)])
    case = it.is_read(f"{lone} above one column")
    taken = Reading({it.file: it.form.held([[lone], *it.rows])}, said=r"header|first (row|line)")
    return replace(case, readings=(*case.readings, taken))


def units_row(draw: Draw, root: Path) -> Case:
    it = Single(draw, root, header=True)
    units = [draw.one("(g)", "g", "[m/s^2]", "m/s2") for _ in it.rows[0]]
    units[0] = "(s)" if it.form.has_clock else units[0]
    lines = it.form.lines(it.rows)
    it.write_lines([lines[0], it.form.sep.join(units), *lines[1:]])
    return it.is_read("a row of units below the header")


def preamble(draw: Draw, root: Path) -> Case:
    it = Single(draw, root, header=draw.random() < 0.5)
    said = [
        "Title:\tbearing test",
        "Date:\t03/05/2015",
        f"Rate:\t{it.form.rate_hz:.0f}",
        "",
        "Data",
        "# made by a logger",
        "Channels: 2",
        "3, 4",
    ]
    above = draw.sample(said, draw.randint(1, 6))
    it.write_lines(above + it.form.lines(it.rows))
    more = {"skip_lines": len(above)} if draw.random() < 0.5 else {}
    return it.is_read(f"{len(above)} lines above the columns", **more)


def labview(draw: Draw, root: Path) -> Case:
    """A file of LabVIEW: a header of several parts, X_Value, and a column of comments."""
    it = Single(draw, root, draw.randint(1, 3), sep="\t", header=False, clock=True)
    names = ["X_Value", *[f"Untitled {n}" for n in range(it.form.channels)], "Comment"]
    above = ["LabVIEW Measurement", "Writer_Version\t2", "Separator\tTab", "Decimal_Separator\t."]
    above += ["***End_of_Header***", "", f"Channels\t{it.form.channels}"]
    above += [f"Samples\t{len(it.rows)}", "***End_of_Header***", "\t".join(names)]
    it.form.ending = draw.one(".lvm", ".txt")
    it.file = f"k07-1{it.form.ending}"
    it.path = it.path.with_name(it.file)
    it.form.options["time_column"] = draw.one(0, "X_Value")
    it.write_lines(above + [line + draw.one("", "\t") for line in it.form.lines(it.rows)])
    return it.is_read("a file of LabVIEW", **draw.one({}, {"format": "lvm"}))


def quoted_names(draw: Draw, root: Path) -> Case:
    it = Single(draw, root, draw.randint(2, 3), header=True, sep=",", clock=False)
    it.form.names = [f'"Acc, {"XYZ"[n]} (g)"' for n in range(it.form.channels)]
    it.write()
    names = [name.strip('"') for name in it.form.names]
    more = {"channels": names} if draw.random() < 0.5 else {}
    return it.is_read("names with a comma, in quotes", **more)


def doubled_names(draw: Draw, root: Path) -> Case:
    """Two columns of one name: by position they can be read, by name they cannot."""
    it = Single(draw, root, draw.randint(2, 3), header=True, clock=False)
    it.form.names = ["acc"] * it.form.channels
    it.write()
    if draw.random() < 0.5:
        return it.must_be_refused("two columns of the name that is asked for", channels=["acc"])
    return it.is_read("two columns of one name")


def more_names(draw: Draw, root: Path) -> Case:
    it = Single(draw, root, draw.randint(2, 3), header=True, sep=draw.one(",", ";"), clock=False)
    it.form.names = draw.one([*it.form.names, "extra"], it.form.names[:-1], ["id", *it.form.names])
    it.write()
    return it.must_be_refused(f"{len(it.form.names)} names for {it.form.channels} columns")


def pandas_index(draw: Draw, root: Path) -> Case:
    """pandas' index: a first column without a name that counts the rows."""
    it = Single(draw, root, draw.randint(1, 3), header=True, clock=False)
    it.form.sep = draw.one(",", ";", "\t")
    names = list(it.form.names)
    it.form.names = ["", *names]
    it.write([[str(place), *row] for place, row in enumerate(it.rows)])
    more = {"channels": names} if draw.random() < 0.6 else {}
    return it.is_read("an index of pandas", **more)


def row_names(draw: Draw, root: Path) -> Case:
    """R's write.table: the header has a name less than rows have cells."""
    it = Single(draw, root, draw.randint(1, 3), header=True, clock=False)
    names = list(it.form.names)
    it.form.names = [f'"{name}"' for name in names]
    mark = draw.one('"', "")
    it.write([[f"{mark}{place + 1}{mark}", *row] for place, row in enumerate(it.rows)])
    more = {"channels": names} if draw.random() < 0.6 else {}
    return it.is_read("row names of R", **more)


def counting_column(draw: Draw, root: Path) -> Case:
    """A column that counts the samples, which nobody has declared."""
    it = Single(draw, root, draw.randint(1, 3), header=draw.random() < 0.5, clock=False)
    it.form.names = [draw.one("n", "sample", "index"), *it.form.names]
    first = draw.one(0, 1)
    it.write([[str(place + first), *row] for place, row in enumerate(it.rows)])
    return it.is_read("a column that counts samples")


def whole_first_of_few_digits(draw: Draw, root: Path) -> Case:
    """Numbers as short as can be, the first of them whole: samples, as others further down."""
    it = Single(draw, root, draw.randint(1, 3), header=False, clock=False)
    signal = np.round(draw.signal(draw.length(), it.form.channels, 3.0), 1)
    signal[0] = draw.randint(-3, 9)
    it.rows = [[f"{x:g}" for x in row] for row in signal]
    it.write()
    return it.is_read("a whole number first, of numbers as short as can be")


def failed_first(draw: Draw, root: Path) -> Case:
    """The first sample is one that a spreadsheet program did not find."""
    it = Single(draw, root, draw.randint(1, 3))
    it.rows[0][draw.randrange(len(it.rows[0]))] = draw.one("#N/A", "#DIV/0!", "#NUM!", "#VALUE!")
    it.write()
    return it.must_be_refused("no value first", row=0)


def chosen_index(draw: Draw, root: Path) -> Case:
    """The index of pandas, or the row names of R, of rows that were chosen or shuffled."""
    it = Single(draw, root, draw.randint(1, 3), header=True, clock=False)
    it.form.sep = draw.one(",", ";", "\t")
    it.form.names = [*draw.one([""], ["Unnamed: 0"], []), *it.form.names]
    numbers = draw.sample(range(9 * len(it.rows)), len(it.rows))
    numbers = draw.one(numbers, sorted(numbers))
    it.write([[str(n), *row] for n, row in zip(numbers, it.rows, strict=True)])
    return it.is_read("an index of chosen rows")


def only_a_header(draw: Draw, root: Path) -> Case:
    it = Single(draw, root, header=True)
    it.write([])
    return it.must_be_refused("a header and no sample")


def same_numbers(draw: Draw, root: Path) -> Case:
    """Integers throughout, without a header: the first row is as any other."""
    it = Single(draw, root, draw.randint(1, 3), header=False, clock=False)
    signal = np.round(draw.signal(draw.length(), it.form.channels, 100.0))
    it.rows = [[f"{x:.0f}" for x in row] for row in signal]
    it.write()
    return it.is_read("integers without a header")


KINDS: dict[str, Callable[[Draw, Path], Case]] = {
    "numbered header": numbered_header,
    "whole numbers first": numbers_first,
    "text column without header": text_column,
    "gap in the first row": gap_first,
    "header behind a comment sign": commented_header,
    "lone number above": lone_number,
    "units row": units_row,
    "preamble": preamble,
    "file of LabVIEW": labview,
    "names with separators": quoted_names,
    "names twice": doubled_names,
    "more or fewer names": more_names,
    "index of pandas": pandas_index,
    "row names of R": row_names,
    "column that counts": counting_column,
    "whole number first": whole_first_of_few_digits,
    "no value first": failed_first,
    "index of chosen rows": chosen_index,
    "header alone": only_a_header,
    "integers without header": same_numbers,
}
