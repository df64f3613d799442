"""Tables as part of a web page: best bold, second underlined, notes beneath."""

from __future__ import annotations

from html import escape
from itertools import chain

from workflow_src.tables.table import Entry, Paper, Table


def to_html(paper: Paper) -> str:
    """One ``figure`` per table, without its own style."""
    return "".join(map(_figure, paper.tables))


def _figure(table: Table) -> str:
    lines = ["<figure>", f"<figcaption>{escape(table.title)}</figcaption>", "<table>", "<thead>"]
    lines += [_line("th", [""] + [_head(c.label, c.beneath, len(c.subs)) for c in table.columns])]
    if any(sub for column in table.columns for sub in column.subs):
        subs = chain.from_iterable(column.subs for column in table.columns)
        lines.append(_line("th", ["<th></th>", *(f"<th>{escape(sub)}</th>" for sub in subs)]))
    lines.append("</thead>")
    for block in table.filled():
        lines.append("<tbody>")
        for row in block:
            label = f'<th scope="row">{escape(row.label)}</th>'
            lines.append(_line("td", [label, *map(_entry, row.entries)]))
        lines.append("</tbody>")
    lines.append("</table>")
    lines += [f"<p>{escape(note)}</p>" for note in table.notes]
    lines += [f"<p><sup>{letter}</sup> {escape(text)}</p>" for letter, text in table.lettered]
    return "\n".join([*lines, "</figure>"]) + "\n"


def _line(kind: str, places: list[str]) -> str:
    return (
        "<tr>"
        + "".join(p if p.startswith("<t") else f"<{kind}>{p}</{kind}>" for p in places)
        + "</tr>"
    )


def _head(label: str, beneath: str, places: int) -> str:
    across = f' colspan="{places}"' if places > 1 else ""
    below = f"<br><small>{escape(beneath)}</small>" if beneath else ""
    return f"<th{across}>{escape(label)}{below}</th>"


def _entry(entry: Entry) -> str:
    text = escape(entry.text)
    marked = {"best": f"<b>{text}</b>", "second": f"<u>{text}</u>"}.get(entry.mark, text)
    letter = f"<sup>{entry.letter}</sup>" if entry.letter else ""
    span = f"<br><small>{escape(entry.span)}</small>" if entry.span else ""
    return f"<td>{marked}{letter}{span}</td>"
