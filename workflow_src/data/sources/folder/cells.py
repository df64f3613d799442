"""What the text of a cell says before it is parsed: a number, a gap, or words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
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
    if any(is_whole(cell) for cell in cells):  # three decimals here, and none there?
        return {"thousands": ","}, "a comma for thousands (or a decimal comma: `decimal: ','`)"
    return {"decimal": ","}, "a decimal comma (or one for thousands: `thousands: ','`)"


def is_no_value(cell: str) -> bool:
    """Whether a cell says, in more than blanks, that it holds no value."""
    return bool(cell) and (cell in MISSING or _FAILED.fullmatch(cell) is not None)


def is_whole(cell: str) -> bool:
    """Whether a cell is written as a whole number."""
    return _WHOLE.fullmatch(cell) is not None


def style_of(cells: Sequence[str], decimal: str) -> Literal["fixed", "repr", "plain", "whole"]:
    """How numbers are written, which tells whether a whole number would bear a decimal sign.

    ``fixed``: all with the same decimals; ``repr``: as Python does, 3.0 for 3; ``plain``: 3 for
    3; ``whole``: whole numbers alone.
    """
    if all(is_whole(cell) for cell in cells):
        return "whole"
    if any(is_whole(cell) for cell in cells):
        return "plain"
    decimals = {len(cell.partition(decimal)[2]) for cell in cells}
    if len(decimals) == 1 and len(cells) >= 8 and all(decimal in cell for cell in cells):
        return "fixed"
    longest = max(len(_DIGITS.sub("", cell).lstrip("0")) for cell in cells)
    if longest > 15 or any(cell.endswith(f"{decimal}0") for cell in cells):
        return "repr"
    return "plain"


def most_common_width(rows: Sequence[Sequence[str]]) -> int:
    """The number of cells that most rows have."""
    return Counter(map(len, rows)).most_common(1)[0][0]
