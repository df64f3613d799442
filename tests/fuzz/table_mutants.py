"""The table that names a rig's recordings, and that of PHM-Vibench, as programs leave them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import openpyxl

from .draw import Draw
from .valid import of_phm_vibench
from .verdict import Case, Held, Reading

COLUMNS = ("file", "unit_id", "condition", "run_id", "rate_hz", "fault")


class Table:
    """Three recordings and the rows that name them; cells are text."""

    def __init__(self, draw: Draw, root: Path) -> None:
        self.draw, self.root = draw, root
        self.columns = list(COLUMNS)
        self.rows: list[list[str]] = []
        self.held: dict[str, Held] = {}
        self.rates = draw.sample((10000.0, 12000.0, 25600.0, 48000.0), 3)
        for place, unit in enumerate(draw.units(3)):
            file = f"sub/{place}.npy" if place else "0.npy"
            path = root / "data_root/rig" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            signal = draw.signal(draw.length(), 2).astype("f4")
            np.save(path, signal)
            rate, fault = self.rates[place], draw.one("normal", "inner")
            labels = {"unit_id": unit, "run_id": f"r{place}", "fault": fault}
            self.held[file] = Held(signal, rate, labels=labels)
            self.rows.append([file, unit, "c", f"r{place}", f"{rate:g}", fault])

    def text(self, sep: str = ",") -> str:
        """The table as text, each cell quoted where it must be."""
        out = io.StringIO()
        writer = csv.writer(out, delimiter=sep, lineterminator="\n")
        writer.writerows([self.columns, *self.rows])
        return out.getvalue()

    def write(self, text: str, encoding: str = "utf-8") -> None:
        """Write the table beside the rig's YAML."""
        path = self.root / "config/rigs/table.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode(encoding))

    def case(self, about: str, *, read: bool = True, row: int | None = None, **more: Any) -> Case:
        """All is read as the table says, or, `read` being false, must be refused."""
        keys = {"path": "rig", "table": "table.csv", **more}
        names = ("table" if row is None else rf"table.*\b{row + 2}\b|{self.rows[row][0]}",)
        readings = (Reading(self.held),) if read else ()
        return Case(keys, readings, names=names, about=f"a table with {about}")


def spelling(draw: Draw, root: Path) -> Case:
    """Marks of bytes, ends of lines, separators, spaces around cells, empty lines at the end."""
    it = Table(draw, root)
    text = it.text(draw.one(",", ";", "\t"))
    text = draw.one("", "\ufeff") + text.replace("\n", draw.one("\n", "\r\n"))
    text += draw.one("", "\n\n", ";;;;;\n")
    it.write(text)
    return it.case("other signs between its cells")


def decimal_comma(draw: Draw, root: Path) -> Case:
    """25600,0, or 25.600, which is 25.6 to a machine and 25600 to a German."""
    it = Table(draw, root)
    kind = draw.one(",0", ".600")
    for row, rate in zip(it.rows, it.rates, strict=True):
        row[4] = (
            f"{rate:.1f}".replace(".", ",") if kind == ",0" else f"{int(rate):,}".replace(",", ".")
        )
    it.write(it.text(";"))
    return it.case(f"rates such as {it.rows[0][4]}")


def other_rate(draw: Draw, root: Path) -> Case:
    it = Table(draw, root)
    rate = draw.one("0", "-25600", "nan", "inf", "fast", "25600 Hz", "0x6400", "25_600", "1e400")
    it.rows[1][4] = rate
    it.write(it.text())
    return it.case(f"the rate {rate!r}", read=False, row=1)


def backslashes(draw: Draw, root: Path) -> Case:
    it = Table(draw, root)
    it.rows[1][0] = draw.one("sub\\1.npy", "./sub/1.npy", "sub//1.npy", "SUB/1.npy", "sub/1")
    it.write(it.text())
    return it.case(f"the file {it.rows[1][0]!r}")


def outside(draw: Draw, root: Path) -> Case:
    """A file of the machine under a path that leaves the folder."""
    it = Table(draw, root)
    path = root / "elsewhere.npy"
    np.save(path, np.ones((99, 2)))
    it.rows[1][0] = draw.one("../../elsewhere.npy", str(path))
    it.write(it.text())
    return it.case(f"the file {it.rows[1][0]!r}", read=False, row=1)


def cells_missing(draw: Draw, root: Path) -> Case:
    it = Table(draw, root)
    row = it.rows[1]
    it.rows[1] = draw.one(row[:-1], [*row, "7"], ["", *row[1:]], [row[0], "", *row[2:]])
    it.write(it.text())
    return it.case("a row of other cells", read=False, row=1)


def twice(draw: Draw, root: Path) -> Case:
    it = Table(draw, root)
    it.rows.append([it.rows[0][0], "other", *it.rows[0][2:]])
    it.write(it.text())
    return it.case("one file in two rows", read=False, row=0)


def columns_twice(draw: Draw, root: Path) -> Case:
    it = Table(draw, root)
    it.columns.append("unit_id")
    it.rows = [[*row, "other"] for row in it.rows]
    it.write(it.text())
    return it.case("a column twice", read=False)


def commented(draw: Draw, root: Path) -> Case:
    it = Table(draw, root)
    it.write("# my table\n" + it.text())
    return it.case("a comment above its header")


def spreadsheet(draw: Draw, root: Path) -> Case:
    """Names of specimens that a spreadsheet holds as numbers: what it shows is what is meant."""
    it = Table(draw, root)
    cell, texts = draw.one(
        (7, ("7",)), (1.5, ("1.5",)), (True, ("True", "TRUE")), ("007", ("007",))
    )
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(it.columns)
    for place, row in enumerate(it.rows):
        given: list[Any] = [*row[:4], float(row[4]), row[5]]
        given[1] = cell if place == 1 else row[1]
        sheet.append(given)
    (root / "config/rigs").mkdir(parents=True)
    book.save(root / "config/rigs/table.xlsx")
    file = it.rows[1][0]
    readings = []
    for text in texts:
        held = Held(it.held[file].signal, it.rates[1], labels={"unit_id": text})
        readings.append(Reading({**it.held, file: held}))
    keys = {"path": "rig", "table": "table.xlsx"}
    return Case(keys, tuple(readings), names=("table",), about=f"a sheet that says unit {cell!r}")


# -- PHM-Vibench -----------------------------------------------------------------------------------


def vibench_defect(draw: Draw, root: Path) -> Case:
    """One defect that real files have: what is read must be as written, and the rest told."""
    case = of_phm_vibench(draw, root)
    defect = draw.choice(list(VIBENCH))
    change, said = VIBENCH[defect]
    metadata = root / "data_root" / case.options["metadata"]
    if metadata.suffix == ".xlsx":
        book = openpyxl.load_workbook(metadata)
        cells = [["" if c is None else str(c) for c in row] for row in book.active.values]
        metadata.unlink()
    else:
        cells = list(csv.reader(io.StringIO(metadata.read_text("utf-8"))))
    names, rows = cells[0], [dict(zip(cells[0], row, strict=True)) for row in cells[1:]]
    with h5py.File(root / "data_root" / case.options["path"], "r+") as file:
        change(rows, file)
    metadata = metadata.with_suffix(".csv")
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    metadata.write_text(out.getvalue(), "utf-8")
    options = {**case.options, "metadata": f"pv/{metadata.name}"}
    held = dict(case.readings[0].recordings)
    readings: tuple[Reading, ...] = (Reading(held, said),)
    if defect.startswith("Sample_rate"):  # a rate that is not understood may be unknown
        first = next(iter(held))
        held[first] = replace(held[first], rate_hz=None)
        readings += (Reading(dict(held), "Sample_rate|no rate|rate that"),)
    if said:  # what is at fault may be left out, if that is told
        first = next(iter(held))
        readings += (Reading({k: v for k, v in held.items() if k != first}, said),)
    about = f"PHM-Vibench: {defect}"
    return Case(options, readings, names=("100|RM_099|metadata",), about=about, source=case.source)


Change = Callable[[list[dict[str, str]], Any], None]


def _cell(column: str, value: Callable[[str], str]) -> Change:
    def change(rows: list[dict[str, str]], _: Any) -> None:
        rows[0][column] = value(rows[0][column])

    return change


def _reshaped(_: list[dict[str, str]], file: Any) -> None:
    """(1, L, C): the table says how many samples and channels there are."""
    for key in list(file):
        array = file[key][()]
        del file[key]
        file[key] = array.reshape(1, array.shape[0], -1)  # (L,), (L, C) or (L, C, 1) -> (1, L, C)


def _empty_rows(rows: list[dict[str, str]], _: Any) -> None:
    rows.append(dict.fromkeys(rows[0], ""))


VIBENCH: dict[str, tuple[Change, str]] = {
    "(1, L, C)": (_reshaped, ""),
    "Sample_lenth is wrong": (_cell("Sample_lenth", lambda _: "77"), "77|length|lenth"),
    "Channel is wrong": (_cell("Channel", lambda _: "9"), "channel"),
    "Sample_rate with thousands": (_cell("Sample_rate", lambda c: f"{float(c):,.0f}"), ""),
    "Sample_rate with a unit": (_cell("Sample_rate", lambda c: f"{c} Hz"), ""),
    "Id as a float": (_cell("Id", lambda c: f"{c}.0"), ""),
    "Id with zeros": (_cell("Id", lambda c: f"0{c}"), "row|record|0100"),
    "empty rows": (_empty_rows, ""),
    "Label with a point": (_cell("Label", lambda c: f"{c}.0"), ""),
}

KINDS: dict[str, Callable[[Draw, Path], Case]] = {
    "table: other signs": spelling,
    "table: decimal comma": decimal_comma,
    "table: rate": other_rate,
    "table: file": backslashes,
    "table: file outside": outside,
    "table: cells missing": cells_missing,
    "table: file twice": twice,
    "table: column twice": columns_twice,
    "table: comment": commented,
    "table: spreadsheet": spreadsheet,
    "PHM-Vibench": vibench_defect,
}
