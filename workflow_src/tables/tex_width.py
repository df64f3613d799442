"""An upper bound of the width of a line in LaTeX's default font, without running LaTeX.

Widths are those of Computer Modern at 10 pt, in thousandths of the size (Knuth, Computer Modern
Typefaces, 1986). Smaller sizes are wider for their size, and bold is wider still.
"""

from __future__ import annotations

_GROUPS = {
    278: "ijl.,:;[]!|'",
    306: "fk",
    333: " -",
    389: "rst()",
    444: "cez",
    500: "0123456789agoy/–",
    556: "bdhnpqu",
    722: "wABCDEFGHJKLNOPQRSTUVXYZ",
    833: "m%+±≥≤=",
    1028: "MW",
}
_WIDTH = {char: width for width, chars in _GROUPS.items() for char in chars} | {"k": 528, "v": 528}
_OTHER = 833  # of a character that is not listed
# Size in pt -> how much wider a letter is there than its share of the size.
SMALL, FOOTNOTE, SCRIPT = 9.0, 8.0, 7.0
_WIDER = {SMALL: 1.04, FOOTNOTE: 1.07, SCRIPT: 1.15}
_BOLD = 1.17


def width_pt(text: str, size: float, *, bold: bool = False) -> float:
    """Width in pt of `text` (not yet escaped) at one of the sizes named here."""
    units = sum(_WIDTH.get(char, _OTHER) for char in text)
    return units / 1000 * size * _WIDER[size] * (_BOLD if bold else 1.0)
