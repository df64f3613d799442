"""Tables as LaTeX floats that need only the package booktabs and fit the page of an article.

A table wider than the page continues beneath with its next columns. A table higher than the page
continues in another float.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from workflow_src.tables.table import Column, Entry, Paper, Row, Table, heading_lines
from workflow_src.tables.tex_width import FOOTNOTE, SCRIPT, SMALL, width_pt

# \textwidth of `article` at 10 pt; both columns of a two-column page are wider.
PAGE_PT = 345.0
_LINES = 42  # of a float: a page of an article holds some 50, with rules, caption and gaps
_ROWS = _LINES - 8  # of a panel without its heading
_GAP_PT = 4.0  # \tabcolsep
_HEADING = 16  # characters of a heading in one line
_NEGATIVE = re.compile(r"(?<![\d-])-(?=\d)")

_TEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    **{char: "\\" + char for char in "&%$#_"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    '"': "''",
    "“": "``",
    "”": "''",
    "±": r"$\pm$",
    "≥": r"$\ge$",
    "≤": r"$\le$",
    "µ": r"$\mu$",
    "°": r"$^\circ$",
    "–": "--",
    "—": "---",
    "’": "'",
}


def tex(text: str) -> str:
    """`text` with LaTeX's special characters escaped."""
    return "".join(_TEX.get(char, char) for char in text)


def to_latex(paper: Paper) -> str:
    """One or more floats per table, across both columns of a two-column page."""
    return "\n".join(
        "\n".join(_floats(table, paper.label + f"-{i}" * (i > 1)))
        for i, table in enumerate(paper.tables, start=1)
    )


def _floats(table: Table, label: str) -> Iterator[str]:
    """Yield floats of a page at most, with the panels and then the notes of `table`."""
    held: list[str] = []
    lines, first = 0, True
    panels = chain.from_iterable(panel.cut(_ROWS) for panel in table.panels(_fits))
    for text, height in [*map(_panel, panels), _notes(table)]:
        if held and lines + height > _LINES:
            yield _float(table.title, label, held, is_first=first)
            held, lines, first = [], 0, False
        held.append(text)
        lines += height
    yield _float(table.title, label, held, is_first=first)


def _float(title: str, label: str, held: list[str], *, is_first: bool) -> str:
    caption = [rf"\caption{{{tex(title)}}}", rf"\label{{{label}}}"]
    again = [r"\addtocounter{table}{-1}", rf"\caption{{{tex(title)} (continued)}}"]
    return "\n".join(
        [
            r"\begin{table*}[t]",
            r"\centering",
            *(caption if is_first else again),
            rf"\small\setlength{{\tabcolsep}}{{{_GAP_PT:g}pt}}",
            "\n\\par\\medskip\n".join(held),
            r"\end{table*}",
            "",
        ]
    )


def _notes(table: Table) -> tuple[str, int]:
    """The notes, and their height in lines."""
    noted = [tex(note) for note in table.notes]
    noted += [rf"\textsuperscript{{{letter}}} {tex(text)}" for letter, text in table.lettered]
    told = [*table.notes, *(text for _, text in table.lettered)]
    height = sum(1 + int(width_pt(text, FOOTNOTE) / PAGE_PT) for text in told)
    body = "\n".join(text + r"\par" for text in noted)
    begin, end = r"\begin{minipage}{\linewidth}", r"\end{minipage}"
    return "\n".join([begin, r"\footnotesize\raggedright", body, end]), height


# ------------------------------------------------------------------------------- panels


def _panel(panel: Table) -> tuple[str, int]:
    """A `tabular` and its height in lines."""
    places = sum(len(column.subs) for column in panel.columns)
    heads = _heads(panel.columns)
    lines = [rf"\begin{{tabular}}{{@{{}}l{'r' * places}@{{}}}}", r"\toprule", *heads]
    for block in panel.filled():
        lines += [r"\midrule", *chain.from_iterable(map(_row, block))]
    lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines), len(lines)


def _heads(columns: tuple[Column, ...]) -> list[str]:
    """Heading rows: labels aligned at the bottom, the lines beneath them, and sub-columns."""
    labels = [heading_lines(column.label, _heading_width(column)) for column in columns]
    height = max(map(len, labels), default=0)
    padded = [[""] * (height - len(lines)) + lines for lines in labels]
    rows = [[tex(lines[i]) for lines in padded] for i in range(height)]
    if any(column.beneath for column in columns):
        rows.append([rf"\scriptsize {tex(column.beneath)}" for column in columns])
    lines = [_line(["", *map(_across, columns, row)]) for row in rows]
    if any(sub for column in columns for sub in column.subs):
        lines += [_rules(columns)] if any(len(column.subs) > 1 for column in columns) else []
        subs = chain.from_iterable(column.subs for column in columns)
        lines.append(_line(["", *(rf"\scriptsize {tex(sub)}" for sub in subs)]))
    return lines


def _heading_width(column: Column) -> int:
    return _HEADING * len(column.subs)


def _across(column: Column, text: str) -> str:
    side = "c" if len(column.subs) > 1 else "r"
    return rf"\multicolumn{{{len(column.subs)}}}{{{side}}}{{{text}}}"


def _rules(columns: tuple[Column, ...]) -> str:
    rules, at = [], 2
    for column in columns:
        if len(column.subs) > 1:
            rules.append(rf"\cmidrule(lr){{{at}-{at + len(column.subs) - 1}}}")
        at += len(column.subs)
    return "".join(rules)


def _row(row: Row) -> list[str]:
    lines = [_line([tex(row.label), *map(_entry, row.entries)])]
    if any(entry.span for entry in row.entries):
        spans = [_minus(tex(entry.span)) for entry in row.entries]
        lines.append(_line(["", *(rf"\scriptsize {span}" if span else "" for span in spans)]))
    return lines


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _minus(text: str) -> str:
    return _NEGATIVE.sub("$-$", text)


def _entry(entry: Entry) -> str:
    text = _minus(tex(entry.text))
    marked = {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}"}
    letter = rf"\textsuperscript{{{entry.letter}}}" if entry.letter else ""
    return marked.get(entry.mark, text) + letter


# ------------------------------------------------------------------------------- widths


def _fits(panel: Table) -> bool:
    rows = list(chain.from_iterable(panel.blocks))
    label = max((width_pt(row.label, SMALL) for row in rows), default=0.0)
    wide, at = label, 0
    for column in panel.columns:
        own = [[row.entries[at + k] for row in rows] for k in range(len(column.subs))]
        subs = [
            max(width_pt(sub, SCRIPT), *map(_entry_width, entries), 0.0)
            for sub, entries in zip(column.subs, own, strict=True)
        ]
        lines = heading_lines(column.label, _heading_width(column))
        head = max([width_pt(column.beneath, SCRIPT), *(width_pt(line, SMALL) for line in lines)])
        gaps = 2 * _GAP_PT * len(subs)
        wide += max(sum(subs) + gaps, head + 2 * _GAP_PT)
        at += len(column.subs)
    return wide <= PAGE_PT


def _entry_width(entry: Entry) -> float:
    text, span = (_NEGATIVE.sub("−", part) for part in (entry.text, entry.span))  # of that width
    letter = width_pt(entry.letter, SCRIPT)
    return max(width_pt(text, SMALL, bold=entry.mark == "best") + letter, width_pt(span, SCRIPT))
