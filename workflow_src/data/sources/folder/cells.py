"""What the text of a cell says before it is parsed: a number, a gap, or words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from workflow_src.configuration.folder import FolderOptions

Kind = Literal["number", "missing", "text"]

# What pandas reads as NaN.
MISSING = frozenset(
    ("", "#N/A", "#N/A N/A", "#NA", "N/A", "n/a", "NA", "<NA>", "NULL", "null", "None")
    + ("NaN", "-NaN", "nan", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN")
)
# What a spreadsheet program writes where it finds no value, in any language: #DIV/0!, #NV.
_FAILED = re.compile(r"#[¡¿]?[^\W_]+(?:/[^\W_]+)?[!?]|#NV")
# A number with a comma: a decimal comma, or thousands.
_COMMA = re.compile(r"[+-]?(\d+(,\d+)+(\.\d*)?|\d*,\d+([eE][+-]?\d+)?|\d{1,3}(\.\d{3})+,\d+)")
_SURE_THOUSANDS = re.compile(r"[+-]?\d{1,3}((,\d{3}){2,}(\.\d*)?|(,\d{3})+\.\d*)")
_PERHAPS_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_WHOLE = re.compile(r"[+-]?\d+")
_DIGITS = re.compile(r"[eE].*|\D")
_REPR_DIGITS = 15  # more of them are written where none may be lost


@cache
def _number(decimal: str, thousands: str | None) -> re.Pattern[str]:
    grouped = rf"\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+|" if thousands else ""
    point = re.escape(decimal)
    digits = rf"(?:(?:{grouped}\d+)(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?"
    return re.compile(rf"[+-]?(?:{digits}|inf|infinity)", re.IGNORECASE)


@dataclass(frozen=True)
class NumberForm:
    """How a file writes numbers: its decimal sign, and what parts thousands (None: nothing)."""

    decimal: str = "."
    thousands: str | None = None

    @classmethod
    def of(cls, options: FolderOptions) -> NumberForm:
        """The form that a rig declares."""
        return cls(options.decimal or ".", options.thousands)

    def kind(self, cell: str) -> Kind:
        """What a cell without spaces around it holds."""
        if cell in MISSING:
            return "missing"
        return "number" if _number(self.decimal, self.thousands).fullmatch(cell) else "text"

    def value(self, cell: str) -> float:
        """A cell as a number, NaN for a gap; ``ValueError`` for text."""
        kind = self.kind(cell)
        if kind == "text":
            raise ValueError(cell)
        if kind == "missing":
            return float("nan")
        return float(cell.replace(self.thousands or "", "").replace(self.decimal, "."))


def has_comma(cell: str) -> bool:
    """Whether a cell is a number with a comma in it, of decimals or of thousands."""
    return _COMMA.fullmatch(cell) is not None


def comma_key(cells: Sequence[str]) -> tuple[dict[str, str], str]:
    """The keys that read numbers some of which have commas, and in words what the comma is."""
    held = [cell for cell in cells if has_comma(cell)]
    if any(re.search(r"\.\d{3},", cell) for cell in held):
        return {"decimal": ",", "thousands": "."}, "a decimal comma, with points for thousands"
    if any(_SURE_THOUSANDS.fullmatch(cell) for cell in held):
        return {"thousands": ","}, "a comma for thousands"
    if not all(_PERHAPS_THOUSANDS.fullmatch(cell) for cell in held):
        return {"decimal": ","}, "a decimal comma"
    if any(NumberForm().kind(cell) == "number" for cell in cells):  # decimals here alone?
        return {"thousands": ","}, "a comma for thousands (or a decimal comma: `decimal: ','`)"
    return {"decimal": ","}, "a decimal comma (or one for thousands: `thousands: ','`)"


def is_no_value(cell: str) -> bool:
    """Whether a cell says, in more than blanks, that it holds no value."""
    return bool(cell) and (cell in MISSING or _FAILED.fullmatch(cell) is not None)


def is_whole(cell: str) -> bool:
    """Whether a cell is written as a whole number."""
    return _WHOLE.fullmatch(cell) is not None


# How the numbers of a column are written, which tells whether a whole one would bear a decimal
# sign. ``fixed``: all with the same decimals; ``repr``: as Python does, 3.0 for 3; ``plain``: as
# short as can be, though none is whole; ``mixed``: whole ones among others; ``whole``: all are.
Style = Literal["fixed", "repr", "plain", "mixed", "whole"]


class _Column:
    """The numbers of a column as they come, and their style."""

    def __init__(self, decimal: str) -> None:
        self._decimal = decimal
        self._others = 0  # that are not whole
        self._decimals = set[int]()
        self._long = False
        self.has_whole = False

    def add(self, cell: str) -> None:
        if is_whole(cell):
            self.has_whole = True
            return
        self._others += 1
        place = cell.find(self._decimal)
        self._decimals.add(len(cell) - place if place >= 0 else 0)
        if len(cell) > _REPR_DIGITS and not self._long:
            self._long = len(_DIGITS.sub("", cell).lstrip("0")) > _REPR_DIGITS
        self._long |= cell.endswith(f"{self._decimal}0")

    @property
    def style(self) -> Style:
        if self.has_whole or not self._others:
            return "mixed" if self._others else "whole"
        if len(self._decimals) == 1 and 0 not in self._decimals and self._others >= 8:
            return "fixed"
        return "repr" if self._long else "plain"


def styles_of(
    rows: Iterable[Sequence[str]], columns: Sequence[int], form: NumberForm
) -> set[Style]:
    """The styles that the numbers of these columns are written in."""
    written = {column: _Column(form.decimal) for column in columns}
    for row in rows:
        for column, numbers in written.items():
            if column < len(row) and form.kind(row[column]) == "number":
                numbers.add(row[column])
    return {numbers.style for numbers in written.values()}


def most_common_width(rows: Sequence[Sequence[str]]) -> int:
    """The number of cells that most rows have."""
    return Counter(map(len, rows)).most_common(1)[0][0]
