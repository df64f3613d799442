"""What is gathered of all cells."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from workflow_src.scheduling.cause import Cause
from workflow_src.verbs.verb import Verb, kept_configuration

if TYPE_CHECKING:
    from workflow_src.cells import Cell


def _results(options: argparse.Namespace) -> Cause:
    from workflow_src.tables.results import write_results

    write_results(options.plan)
    return Cause.DONE


def _tables(options: argparse.Namespace) -> Cause:
    from workflow_src.tables.paper import write_tables
    from workflow_src.tables.show import show

    plan = options.plan
    if options.partial:
        from workflow_src.tables.results import write_results

        present = _present_identities()
        write_results(plan, True, present)
        write_tables(plan, True, present)
        print(show(plan, True, styled=sys.stdout.isatty(), identity_of=present))
    else:
        write_tables(plan)
    return Cause.DONE


def _present_identities() -> Callable[[Cell], str] | None:
    """What a cell's scores must bear to be those of the present configuration."""
    kept = kept_configuration()
    if kept is None:
        return None

    def identity_of(cell: Cell) -> str:
        return kept.resolve(*cell.key).identity

    return identity_of


def _show(options: argparse.Namespace) -> Cause:
    from workflow_src.tables.show import show

    print(show(options.plan, styled=sys.stdout.isatty()))
    return Cause.DONE


def add(verb: Verb) -> None:
    """What is gathered of all cells."""
    results = verb("results", _results, "Gather all scores in <study>/results.csv.")
    tables = verb("tables", _tables, "Write the tables of a study.")
    tables.add_argument("--partial", action="store_true", help="of what exists")
    show = verb("show", _show, "Print the tables of a study.")
    for made in (results, tables, show):
        made.add_argument("--plan", required=True, help="what decides the tables, as JSON")
