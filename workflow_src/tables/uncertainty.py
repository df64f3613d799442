"""Tables of intervals, of differences between rows, and of ranks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from workflow_src.tables.asked import STATISTICS, tex_label
from workflow_src.tables.bootstrap import MIN_UNITS, RESAMPLES, interval
from workflow_src.tables.comparison import Comparison, comparisons
from workflow_src.tables.grid import Grid, grid_of
from workflow_src.tables.notes import other_code_notes
from workflow_src.tables.plan import TablePlan, table_name
from workflow_src.tables.protocols import DRAWN
from workflow_src.tables.rank_test import ALPHA, MIN_RIGS, MIN_ROWS, Ranks, rank_test
from workflow_src.tables.results import Record, Results
from workflow_src.tables.signed_rank import MIN_PAIRS, REGION, Posterior, counts, signed_rank
from workflow_src.tables.statistics import CEILING
from workflow_src.tables.table import DASH, Column, Entry, Paper, Row, Table, number
from workflow_src.tables.unit_intervals import Replicates
from workflow_src.tasks.registry import task_of
from workflow_src.tasks.scores import Floats

COLUMNS = ("task", "kind", "strength", "row", "other", "place", "value", "low", "high", "note")
_INTERVAL = (
    f"In brackets the central 95 % of {RESAMPLES} bootstrap resamples (fewer beyond 20,000 spans): "
    "units of the test part (else runs, else recordings) drawn with replacement within each class, "
    "the same for all rows; mean over seeds and rotations."
)
_TOO_FEW = f"n/a: a class has fewer than {MIN_UNITS} units in test."
_DIFFERENCES = (
    "Positive: the first is better. Intervals are of the difference, both rows on the same units.",
    f"Win and loss: by more than {REGION:g}. Probabilities, from {MIN_PAIRS} rigs on: "
    f"Bayesian signed-rank test (Benavoli et al. 2017); equal: within {REGION:g}. With few rigs "
    "they are too sure, as the prior weighs no more than half a rig.",
)
_RANKS = (
    "Rank 1 is the best of a rig; scores shown as equal share a rank. Beside it p values of "
    "Nemenyi's test (Demsar 2006).",
)


def statistics_paper(plan: TablePlan, results: Results, origin: str) -> Paper:
    """Intervals per task; then, per strength, ranks, or differences below six rigs."""
    simulated = " (simulated rigs)" * (origin == "simulated")
    tables: list[Table] = []
    records: list[Record] = []
    asked = [plan.default_table(task, origin) for task in plan.tasks()]
    grids = [g for table in asked if (g := grid_of(plan, results, table)).columns and g.rows]
    drawn = Replicates(plan, results, grids)
    for grid in grids:
        table, scored = _intervals(grid, drawn)
        notes = (*table.notes, *other_code_notes(plan, results, grid))
        made = [(replace(table, notes=notes), scored)] if scored else []
        for one in comparisons(plan, results, grid):
            if not one.rigs:
                said = f"No differences ({one.strength}): no column has a score of every row."
                made = [(replace(t, notes=(*t.notes, said)), found) for t, found in made]
                continue
            ranked = len(one.rigs) >= MIN_RIGS and len(one.rows) >= MIN_ROWS
            made.append(_ranks(grid, one) if ranked else _differences(grid, one, drawn))
        for table, found in made:
            tables.append(replace(table, title=table.title + simulated))
            empty = {**dict.fromkeys(COLUMNS, ""), "task": grid.task}
            records += [{**empty, **record} for record in found]
    if not tables:
        tables = [Table("Statistics" + simulated, (), (), ("No row has a score yet.",))]
    name = table_name(STATISTICS, origin)
    return Paper(
        name,
        tex_label(name),
        tuple(_once(tables)),
        pd.DataFrame(records, columns=list(COLUMNS)),
    )


def _once(tables: list[Table]) -> Iterator[Table]:
    """Yield the tables, each note only beneath the first table that has it."""
    said: set[str] = set()
    for table in tables:
        yield replace(table, notes=tuple(note for note in table.notes if note not in said))
        said |= set(table.notes)


def _title(grid: Grid, what: str) -> str:
    return f"{task_of(grid.task).title}, {grid.metrics[0].label}: {what}"


def _entry(value: float, digits: int, values: Floats | str) -> Entry:
    if isinstance(values, str):
        return Entry(number(value, digits), span=values)
    low, high = interval(values)
    return Entry(number(value, digits), span=f"[{number(low, digits)}, {number(high, digits)}]")


def _record(kind: str, value: float | None, values: Floats | str = "", **place: str) -> Record:
    low, high = (None, None) if isinstance(values, str) else interval(values)
    note = values if isinstance(values, str) else ""
    return {**place, "kind": kind, "value": value, "low": low, "high": high, "note": note}


# ------------------------------------------------------------------------------- intervals


def _intervals(grid: Grid, drawn: Replicates) -> tuple[Table, list[Record]]:
    """Intervals of networks and classic models; draws of shots or units have no column."""
    kept = [j for j, column in enumerate(grid.columns) if column.protocol not in DRAWN]
    blocks: dict[str, list[Row]] = {}
    records = []
    for i, row in enumerate(grid.rows):
        if row.group == "trivial":
            continue
        entries = []
        for j in kept:
            summary, column = grid.scores[i][j][0].summary, grid.columns[j]
            if summary is None:
                entries.append(Entry(grid.scores[i][j][0].lack))
                continue
            entries.append(_entry(summary.mean, grid.metrics[0].digits, drawn.of(grid.task, i, j)))
            place = {"strength": column.strength, "row": row.label, "place": column.label}
            records.append(_record("score", summary.mean, drawn.of(grid.task, i, j), **place))
        blocks.setdefault(row.group, []).append(Row(row.label, tuple(entries)))
    table = Table(
        title=_title(grid, "intervals"),
        columns=tuple(Column(grid.columns[j].label, grid.columns[j].beneath) for j in kept),
        blocks=tuple(map(tuple, blocks.values())),
        notes=tuple(_needed(records)),
    )
    return table, records


def _needed(records: list[Record]) -> Iterator[str]:
    """Yield the notes that the table needs: on intervals, and on too few units."""
    if any(record["low"] is not None for record in records):
        yield _INTERVAL
    if any(re.match(r"n/a \(\d", str(record["note"])) for record in records):
        yield _TOO_FEW


# ------------------------------------------------------------------------------- differences


def _differences(grid: Grid, one: Comparison, drawn: Replicates) -> tuple[Table, list[Record]]:
    sign = 1.0 if grid.metrics[0].higher_is_better else -1.0
    rows, records = [], []
    for a, b in one.pairs(grid):
        first, second = one.rows[a], one.rows[b]
        labels = {"row": grid.rows[first].label, "other": grid.rows[second].label}
        labels |= {"strength": one.strength}
        gains = sign * (one.scores[a] - one.scores[b])  # (rigs,)
        entries = []
        for gain, (rig, columns) in zip(gains, one.rigs.items(), strict=True):
            values = drawn.gain(grid.task, first, second, columns, sign)
            entries.append(_entry(gain, grid.metrics[0].digits, values))
            records.append(_record("difference", gain, values, place=rig, **labels))
        if len(gains) > 1:
            summed, found = _over_rigs(gains)
            entries += summed
            records += [{**labels, **record} for record in found]
        rows.append(Row(f"{labels['row']} – {labels['other']}", tuple(entries)))
    table = Table(
        title=_title(grid, f"differences, {one.strength}"),
        columns=(*map(Column, one.rigs), *_columns_over(len(one.rigs))),
        blocks=(tuple(rows),),
        notes=(*_DIFFERENCES[: 1 + (len(one.rigs) > 1)], *_left_out(one)),
    )
    return table, records


def _columns_over(rigs: int) -> list[Column]:
    """The columns over rigs; none for a single rig."""
    subs = ("better", "equal", "worse") if rigs >= MIN_PAIRS else ("",)
    return [Column("win/tie/loss"), Column("probability", subs=subs)] if rigs > 1 else []


def _over_rigs(gains: Floats) -> tuple[list[Entry], list[Record]]:
    """The entries under `_columns_over`, and their records."""
    counted = counts(gains)
    entries = [Entry("/".join(map(str, counted)))]
    kinds = ("wins", "ties", "losses")
    records = [_record(kind, n) for kind, n in zip(kinds, map(float, counted), strict=True)]
    if len(gains) < MIN_PAIRS:
        why = f"n/a ({len(gains)} rigs)"
        few = [_record(f"p_{kind}", None, why) for kind in Posterior._fields]
        return [*entries, Entry(why)], records + few
    posterior = signed_rank(gains)
    records += [_record(f"p_{kind}", p) for kind, p in posterior._asdict().items()]
    return [*entries, *(Entry(number(p, 2)) for p in posterior)], records


def _left_out(one: Comparison) -> list[str]:
    reasons = {
        "a row has no score there": one.incomplete,
        f"every network reaches {CEILING:g}": one.at_ceiling,
    }
    return [
        f"Left out, as {why}: {'; '.join(labels)}." for why, labels in reasons.items() if labels
    ]


# ------------------------------------------------------------------------------- ranks


def _ranks(grid: Grid, one: Comparison) -> tuple[Table, list[Record]]:
    found = rank_test(one.scores, grid.metrics[0])
    labels = [grid.rows[i].label for i in one.rows]
    place = {"strength": one.strength}
    records = [_record("critical_difference", found.critical_difference, **place)]
    if found.statistic is not None and found.p is not None:
        records += [_record("friedman", found.statistic, **place)]
        records += [_record("friedman_p", found.p, **place)]
    rows = []
    for a in np.argsort(found.mean, kind="stable"):
        entries = [Entry(number(found.mean[a], 2))]
        records.append(_record("rank", found.mean[a], row=labels[a], **place))
        for b in range(len(labels)):
            p = found.pairwise[a, b]
            entries.append(Entry(DASH if a == b else number(p, 3)))
            if a < b:
                pair = {"row": labels[a], "other": labels[b], **place}
                records.append(_record("nemenyi_p", p, **pair))
        rows.append(Row(labels[a], tuple(entries)))
    table = Table(
        title=_title(grid, f"ranks, {one.strength}"),
        columns=(Column("mean rank"), *map(Column, labels)),
        blocks=(tuple(rows),),
        notes=(_tested(one, found), *_RANKS, *_left_out(one)),
    )
    return table, records


def _tested(one: Comparison, found: Ranks) -> str:
    size = f"{len(one.rows)} rows on {len(one.rigs)} rigs"
    if found.statistic is None or found.p is None:
        return f"{size}: all rows tie on every rig, so that there is nothing to test."
    return (
        f"{size}: Friedman's chi-squared {found.statistic:.2f}, p = {found.p:.3g}; critical "
        f"difference {found.critical_difference:.2f} (Nemenyi, alpha {ALPHA:g}): mean ranks nearer "
        "than that are not told apart."
    )
