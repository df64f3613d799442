"""Tables as GitHub's Markdown: best bold, second underlined, notes beneath."""

from __future__ import annotations

import re
from itertools import chain

from workflow_src.tables.table import Column, Entry, Paper, Table

_WIDTH = 110  # characters of a line; a wider table goes on beneath with its next columns


def to_markdown(paper: Paper) -> str:
    """Each table with its notes."""
    return "\n".join(map(_table, paper.tables))


def _table(table: Table) -> str:
    lines = [f"**{_escaped(table.title)}**", ""]
    for panel in table.panels(lambda wider: _width(wider) <= _WIDTH):
        lines += [*_panel(panel), ""]
    lines += [f"- {_escaped(note)}" for note in table.notes]
    lines += [f"- <sup>{letter}</sup> {_escaped(text)}" for letter, text in table.lettered]
    return "\n".join(lines) + "\n"


def _panel(panel: Table) -> list[str]:
    heads = list(chain.from_iterable(map(_heads, panel.columns)))
    lines = ["| | " + " | ".join(heads) + " |", "|:---" + "|---:" * len(heads) + "|"]
    blocks = panel.filled()
    for i, block in enumerate(blocks):
        for row in block:
            entries = [_entry(entry) for entry in row.entries]
            lines.append("| " + " | ".join([_escaped(row.label), *entries]) + " |")
        if i < len(blocks) - 1:
            lines.append("| " + " | ".join(["———"] + [""] * len(heads)) + " |")
    return lines


def _heads(column: Column) -> list[str]:
    return [
        "<br>".join(_escaped(line) for line in (column.label, column.beneath, sub) if line)
        for sub in column.subs
    ]


def _width(panel: Table) -> int:
    """Characters of its longest line of entries or headings, as a browser shows it."""
    widths = [max(len(sub), *map(len, c.label.split()), 1) for c in panel.columns for sub in c.subs]
    for row in chain.from_iterable(panel.blocks):
        shown = [max(len(entry.text), len(entry.span)) for entry in row.entries]
        widths = list(map(max, widths, shown))
    return sum(width + 3 for width in widths)


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", text)


def _entry(entry: Entry) -> str:
    text = _escaped(entry.text)
    marked = {"best": f"**{text}**", "second": f"<u>{text}</u>"}.get(entry.mark, text)
    letter = f"<sup>{entry.letter}</sup>" if entry.letter else ""
    return marked + letter + (f"<br>{_escaped(entry.span)}" if entry.span else "")
