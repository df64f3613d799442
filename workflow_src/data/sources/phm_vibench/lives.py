"""Time in life and life of a run, from RUL_label, the flag Remaining_Life and the snapshots."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from workflow_src.configuration.phm_vibench import PhmVibenchOptions, SnapshotTime
from workflow_src.data.report import DataReport
from workflow_src.data.sources.phm_vibench.table import MetadataRow
from workflow_src.errors import UserError

TOLERANCE = 0.01  # of the life: RUL_label is rounded, and a snapshot may be some seconds late
NO_LIFE = "no remaining life"


class KnownLife(NamedTuple):
    """Seconds from the start of the run, and the run's life where it ends in failure."""

    time_s: float | None = None
    life_s: float | None = None


def lives(
    rows: list[MetadataRow],
    runs: Mapping[str, str],
    texts: Mapping[str, Mapping[str, str]],
    options: PhmVibenchOptions,
    report: DataReport,
) -> dict[str, KnownLife]:
    """Time and life of each Id; ``runs`` gives its run_id.

    RUL_label has no unit: it is 1 - (k - 1) / (N - 1) for the k-th of N snapshots of a run. The
    rig's `time:` gives the seconds; a run's life is the time of its last snapshot, where RUL_label
    falls to 0 there. It counts where the flag Remaining_Life is set and RUL_label is not constant.
    """
    made = {row.id: KnownLife() for row in rows}
    if options.time is None:
        _report_unused(rows, report)
        return made
    by_run: dict[str, list[MetadataRow]] = defaultdict(list)
    for row in rows:
        by_run[runs[row.id]].append(row)
    for run, members in by_run.items():
        times = _times(members, texts, options.time)
        made |= {key: KnownLife(time_s) for key, time_s in times.items()}
        life_s = _life(run, members, times, report)
        if life_s is not None:
            made |= _with_life(members, times, life_s, report)
    return made


def _report_unused(rows: list[MetadataRow], report: DataReport) -> None:
    """A rig without `time:`: what the flag calls a remaining life, and why it is none."""
    flagged = [row.rul for row in rows if row.rul is not None and row.flags["Remaining_Life"]]
    if len(set(flagged)) == 1:
        done = f"{NO_LIFE}: a constant says nothing"
        what = f"RUL_label {flagged[0]:g} in {len(flagged)} rows"
        report.add("RUL_label is the same in every row", done, what)
    elif flagged:
        kind, done = "RUL_label is given, but the rig has no `time:`", NO_LIFE
        report.add(kind, done, f"{len(flagged)} rows")


def _times(
    members: list[MetadataRow], texts: Mapping[str, Mapping[str, str]], time: SnapshotTime
) -> dict[str, float]:
    """Seconds from the start of the run by Id; of the rows that bear a number or a RUL_label."""
    if time.group is None:
        counted = [row for row in members if row.rul is not None]
        return {row.id: place * time.step_s for place, row in enumerate(counted)}
    first = 1 if time.first is None else time.first
    made = {}
    for row in members:
        text = texts[row.id][time.group]
        if not text.isdecimal() or int(text) < first:
            raise UserError(
                "The number of a snapshot is no number, or lies before the first one.",
                where=f"metadata table, Id {row.id}",
                found=f"{time.group} = {text!r}",
                expected=f"a whole number from {first} on",
                remedy="mend `time:` or `files:` under `phm_vibench:` of the rig",
            )
        made[row.id] = (int(text) - first) * time.step_s
    return made


def _life(
    run: str, members: list[MetadataRow], times: Mapping[str, float], report: DataReport
) -> float | None:
    labelled = [row for row in members if row.rul is not None]
    if not labelled:
        return None
    values = {row.rul for row in labelled}
    if len(values) == 1:
        kind = "RUL_label is the same in a whole run"
        report.add(kind, NO_LIFE, f"run {run}", f"{values.pop():g} in {len(labelled)} rows")
        return None
    last = max(labelled, key=lambda row: times[row.id])
    if last.rul:
        kind = "a run whose RUL_label does not fall to 0 at its end"
        done = f"{NO_LIFE}: its failure was not seen"
        report.add(kind, done, f"run {run}", f"RUL_label {last.rul:g} at Id {last.id}")
        return None
    if not times[last.id]:
        kind = "a run whose snapshots all have one time"
        report.add(kind, f"{NO_LIFE}: mend `files:` or `time:`", f"run {run}", f"Id {last.id}")
        return None
    return times[last.id]


def _with_life(
    members: list[MetadataRow], times: Mapping[str, float], life_s: float, report: DataReport
) -> dict[str, KnownLife]:
    made = {}
    for row in members:
        if row.rul is None:
            continue
        if not row.flags["Remaining_Life"]:
            said = row.cells.get("Remaining_Life", "") or "empty"
            kind = "a RUL_label although Remaining_Life is not set"
            report.add(kind, NO_LIFE, f"Id {row.id}", f"Remaining_Life {said}")
            continue
        left = 1 - times[row.id] / life_s
        if abs(left - row.rul) > TOLERANCE:
            kind, done = "a RUL_label that contradicts the time of the snapshot", "the time decides"
            detail = f"RUL_label {row.rul:.3f}, by time {left:.3f}"
            report.add(kind, done, f"Id {row.id}", detail)
        made[row.id] = KnownLife(times[row.id], life_s)
    return made
