"""One table as CSV, Markdown and LaTeX (booktabs); each format escapes what it must."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

DASH = "–"


@dataclass(frozen=True)
class Entry:
    """What stands in one place: text, mark (best, second or none), letter of its note."""

    text: str
    mark: str = ""
    letter: str = ""


@dataclass(frozen=True)
class Column:
    """A heading with lines beneath; ``subs`` are the headings of its entries ("" for one)."""

    label: str
    facts: tuple[str, ...] = ()
    subs: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class Row:
    """A label and an entry for each sub-column of each column."""

    label: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Table:
    """A table in any format; a rule stands between ``blocks``, empty ones are left out.

    ``lettered`` explains the letters; ``data`` holds the same numbers unrounded, for the CSV.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    blocks: tuple[tuple[Row, ...], ...]
    notes: tuple[str, ...]
    lettered: tuple[tuple[str, str], ...] = ()
    data: pd.DataFrame = field(default_factory=pd.DataFrame)

    def filled(self) -> list[tuple[Row, ...]]:
        """The blocks that have rows."""
        return [block for block in self.blocks if block]


def to_csv(table: Table) -> str:
    """Unrounded numbers; the columns are documented where `data` is made."""
    return table.data.to_csv(index=False, lineterminator="\n")


# ------------------------------------------------------------------------------- Markdown


def to_markdown(table: Table) -> str:
    """GitHub's tables: best bold, second underlined, notes beneath."""
    heads = [
        "<br>".join(_md(line) for line in (f"{column.label} {sub}".strip(), *column.facts))
        for column in table.columns
        for sub in column.subs
    ]
    lines = [f"**{_md(table.title)}**", "", "| | " + " | ".join(heads) + " |"]
    lines.append("|:---" + "|---:" * len(heads) + "|")
    blocks = table.filled()
    for i, block in enumerate(blocks):
        for row in block:
            entries = [_md_entry(entry) for entry in row.entries]
            lines.append("| " + " | ".join([_md(row.label), *entries]) + " |")
        if i < len(blocks) - 1:
            lines.append("| " + " | ".join(["———"] + [""] * len(heads)) + " |")
    lines += ["", *(f"- {_md(note)}" for note in table.notes)]
    lines += [f"- <sup>{letter}</sup> {_md(text)}" for letter, text in table.lettered]
    return "\n".join(lines) + "\n"


def _md(text: str) -> str:
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", text)


def _md_entry(entry: Entry) -> str:
    text = _md(entry.text)
    marked = {"best": f"**{text}**", "second": f"<u>{text}</u>"}.get(entry.mark, text)
    return marked + (f"<sup>{entry.letter}</sup>" if entry.letter else "")


# ------------------------------------------------------------------------------- LaTeX

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


def to_latex(table: Table) -> str:
    """A floating table that needs the package booktabs alone."""
    widths = [len(column.subs) for column in table.columns]
    lines = [
        r"\begin{table}[t]",
        r"\centering",
        rf"\caption{{{tex(table.title)}}}",
        rf"\label{{tab:{table.name.replace('_', '-')}}}",
        rf"\begin{{tabular}}{{l{'r' * sum(widths)}}}",
        r"\toprule",
        *_tex_heads(table),
    ]
    for block in table.filled():
        lines.append(r"\midrule")
        for row in block:
            lines.append(_tex_line([tex(row.label), *map(_tex_entry, row.entries)]))
    lines += [r"\bottomrule", r"\end{tabular}", r"\par\smallskip", r"\begin{minipage}{\linewidth}"]
    lines.append(r"\footnotesize")
    lines += [tex(note) + r"\par" for note in table.notes]
    lines += [rf"\textsuperscript{{{letter}}} {tex(text)}\par" for letter, text in table.lettered]
    lines += [r"\end{minipage}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def _tex_heads(table: Table) -> list[str]:
    def across(text: Callable[[Column], str]) -> str:
        cells = [
            rf"\multicolumn{{{len(column.subs)}}}{{r}}{{{text(column)}}}"
            for column in table.columns
        ]
        return _tex_line(["", *cells])

    lines = [across(lambda column: tex(column.label))]
    for i in range(max((len(column.facts) for column in table.columns), default=0)):
        lines.append(
            across(
                lambda column, i=i: (  # type: ignore[misc]
                    rf"\scriptsize {tex(column.facts[i])}" if i < len(column.facts) else ""
                )
            )
        )
    if any(sub for column in table.columns for sub in column.subs):
        subs = [sub for column in table.columns for sub in column.subs]
        lines.append(_tex_line(["", *map(tex, subs)]))
    return lines


def _tex_line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _tex_entry(entry: Entry) -> str:
    text = re.sub(r"(?<![\d-])-(?=\d)", "$-$", tex(entry.text))
    marked = {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}"}
    letter = rf"\textsuperscript{{{entry.letter}}}" if entry.letter else ""
    return marked.get(entry.mark, text) + letter


RENDER: dict[str, Callable[[Table], str]] = {
    "csv": to_csv,
    "md": to_markdown,
    "tex": to_latex,
}
