"""The main tables for a terminal."""

from __future__ import annotations

import io
import shutil
import textwrap
from collections.abc import Callable

from rich import box
from rich.console import Console
from rich.table import Table as TerminalTable
from rich.text import Text

from workflow_src.cells import Cell
from workflow_src.data.draws import STRENGTHS
from workflow_src.tables.notes import NOT_SHOWN
from workflow_src.tables.paper import main_tables
from workflow_src.tables.plan import (
    FORMATS,
    PlanSource,
    TablePlan,
    results_file,
    table_folder,
)
from workflow_src.tables.results import Results, read_results
from workflow_src.tables.table import Column, Entry, Table, heading_lines

_STYLES = {"best": "bold", "second": "underline", "": ""}
_HEAD = 16  # characters of a label in one line
_LINE = 118  # characters where no terminal says how many it has
_WIDTH = 400  # for Rich: a table that folds its own columns cannot be read
_RULES = box.Box("    \n" * 4 + " ── \n" + "    \n" * 3)  # between blocks alone


def show(
    plan: PlanSource,
    partial: bool = False,
    identity_of: Callable[[Cell], str] | None = None,
    *,
    styled: bool = False,
) -> str:
    """The main tables and the paths of all tables; `styled` gives bold and underline (ANSI).

    Unless `partial`, raises BadData for a cell without scores, or with scores of other settings
    than `identity_of` gives.
    """
    read = TablePlan.from_json(plan)
    results = read_results(read.cells, read.study, partial=partial, identity_of=identity_of)
    output = io.StringIO()
    console = Console(
        file=output, width=_WIDTH, force_terminal=styled, no_color=True, highlight=False
    )
    console.print(_summary(read, results), markup=False)
    folder, endings = table_folder(read.study, partial), "{" + ",".join(FORMATS) + "}"
    width = min(shutil.get_terminal_size((_LINE, 24)).columns, _WIDTH)

    def fits(panel: Table) -> bool:
        return console.measure(_grid(panel)).maximum <= width

    for paper in main_tables(read, results):
        for table in paper.tables:
            title = textwrap.fill(f"  {table.title}", width, subsequent_indent="  ")
            console.print(f"\n{title}", markup=False)
            for panel in table.panels(fits):
                console.print(_grid(panel))
            told = [*_unshown(table), *(f"{letter}: {text}" for letter, text in table.lettered)]
            for note in told:
                text = textwrap.fill(f"  {note}", width, subsequent_indent="     ")
                console.print(text, markup=False)
        console.print(f"  tables: {folder / paper.name}.{endings}", markup=False)
    for line in _weakened(read, results):
        console.print(textwrap.fill(line, width, subsequent_indent="    "), markup=False)
    console.print(f"\n  all results: {results_file(read.study, partial)}", markup=False)
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines()) + "\n"


def _weakened(plan: TablePlan, results: Results) -> list[str]:
    """One line per split that leaks or is weaker than asked for."""
    lines = []
    for name, split in results.splits.items():
        asked, proven, why = split.declared, split.strength, "; ".join(split.reasons)
        if split.leaky is not None:
            lines.append(f"  NOTE {name}: {why}")
        if not {asked, proven} <= set(STRENGTHS) or split.shots is not None:  # as was asked for
            continue
        if STRENGTHS.index(asked) < STRENGTHS.index(proven):
            lines.append(f"  NOTE {name}: split by {asked} was asked for, {proven} is it: {why}")
    return lines


def _summary(plan: TablePlan, results: Results) -> str:
    done = len(plan.cells) - len(results.missing)
    rigs = {entry.rig for entry in plan.datasets.values()}
    counts = (
        (len(plan.datasets), "rig" if len(rigs) == len(plan.datasets) else "dataset"),
        (len(plan.models), "model"),
        (len(plan.task_sets), "task set"),
        (len({cell.seed for cell in plan.cells}), "seed"),
    )
    failed = sum(missing.lack != "" for missing in results.missing.values())
    product = " x ".join(f"{count} {noun}{'s' * (count != 1)}" for count, noun in counts)
    return f"  [{done}/{len(plan.cells)} cells]  {product}      {failed} failed"


def _unshown(table: Table) -> list[str]:
    """The notes on columns that are not shown."""
    return [note for note in table.notes if note.startswith(NOT_SHOWN)]


def _grid(table: Table) -> TerminalTable:
    """A table with short headings: label, metric and strength. The files hold units and notes."""
    heads = [
        "\n".join(_heading(column, sub, is_first=k == 0))
        for column in table.columns
        for k, sub in enumerate(column.subs)
    ]
    lines = max((head.count("\n") for head in heads), default=0)
    grid = TerminalTable(box=_RULES)
    grid.add_column("\n" * lines, no_wrap=True)
    for head in heads:
        # Labels of unlike height end on the same line as the values begin below.
        grid.add_column(Text("\n" * (lines - head.count("\n")) + head), no_wrap=True)
    for block in table.filled():
        for row in block:
            grid.add_row(Text(row.label), *map(_cell, row.entries))
        grid.add_section()
    return grid


def _heading(column: Column, sub: str, *, is_first: bool) -> list[str]:
    """The lines above a sub-column; those of the whole column stand above its first one."""
    if not is_first:
        return [sub, ""] if column.beneath else [sub]
    return [*heading_lines(column.label, _HEAD), *filter(None, [sub, column.beneath])]


def _cell(entry: Entry) -> Text:
    text = Text(entry.text, style=_STYLES[entry.mark])
    for more in filter(None, (entry.span, entry.letter)):
        text.append(f" {more}", style="not bold not underline")
    return text
