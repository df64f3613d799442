"""The keys of a dataset as a guess: a span that fits, and the strongest split that there is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from workflow_src.configuration.drafts import Values
from workflow_src.data.draws import COLUMN_OF
from workflow_src.data.sources.folder.table import ListedFile

WINDOW, HORIZON = 2048, 96  # where recordings are long enough
BLOCKS = 16  # of a recording, one of which must hold a span where time is split


def guess_dataset(
    rig: str, entries: Sequence[ListedFile], shortest: int, *, stacked: bool = False
) -> tuple[Values, dict[tuple[str, ...], str]]:
    """The keys of a dataset of this rig, and the questions that they leave.

    `shortest` counts the samples of the shortest recording, which is a window where files hold
    `stacked` ones.
    """
    snapshots = entries[0].time_s is not None
    window = 2
    while 2 * window <= min(WINDOW, (shortest if snapshots else shortest // BLOCKS)):
        window *= 2
    if snapshots and window + HORIZON > shortest:
        window //= 2
    span = {"window": max(window, 2), "horizon": max(1, min(HORIZON, window // 8))}
    if stacked:  # a window is never cut: a span takes all of it
        horizon = max(1, min(HORIZON, shortest // 8))
        span = {"window": max(min(WINDOW, shortest - horizon), 2), "horizon": horizon}
    split, why = (_whole_files if stacked else _split)(entries)
    values: Values = {"rig": rig, "span": span, "split": split, "unsupported_tasks": "drop"}
    what = "window" if stacked else "file"
    questions: dict[tuple[str, ...], str] = {
        ("span",): f"the shortest {what} that was opened holds {shortest} samples",
        ("split",): why,
        ("unsupported_tasks",): "`error` to insist on all tasks",
    }
    return values, questions


def _split(entries: Sequence[ListedFile]) -> tuple[Values, str]:
    units, conditions = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for entry in entries:
        fault = entry.fields.get("fault", "")
        units[fault].add(entry.fields["unit_id"])
        conditions[entry.fields["condition"]].add(fault)
    fewest = min(len(found) for found in units.values())
    counted = ", ".join(f"{len(found)} {fault}".strip() for fault, found in sorted(units.items()))
    blocks: Values = {"strategy": "time_block", "share": 0.2}
    if fewest >= 2:
        snapshots = entries[0].time_s is not None
        fallback: Values = {"strategy": "none"} if snapshots else blocks
        within: Values = {"strategy": "unit", "share": 0.25} if fewest >= 4 else fallback
        split: Values = {"strategy": "unit", "test_share": 0.25, "validation": within}
        return split, f"by specimens, if unit_id names them: {counted}"
    if len(conditions) > 1 and all(faults == set(units) for faults in conditions.values()):
        split = {"strategy": "condition", "test_share": 0.25, "validation": blocks}
        return split, f"too few specimens ({counted}) for one by unit: another speed or load"
    split = {"strategy": "time_block", "test_share": 0.3, "validation": blocks}
    return split, f"too few specimens ({counted}) and conditions: blocks of the same recordings"


def _whole_files(entries: Sequence[ListedFile]) -> tuple[Values, str]:
    """A split that holds out whole files, as windows of one file may overlap."""
    why = "windows of one file may overlap: whole files in each part"
    for strategy in ("unit", "condition", "run"):
        column = COLUMN_OF[strategy]
        groups = defaultdict[str, set[str]](set)
        for entry in entries:
            groups[entry.fields.get("fault", "")].add(entry.fields[column])
        fewest = min(len(found) for found in groups.values())
        if fewest >= 2:
            within = {"strategy": strategy, "share": 0.25} if fewest >= 4 else {"strategy": "none"}
            split = {"strategy": strategy, "test_share": 0.25, "validation": within}
            return split, f"{why}, by {column}"
    split = {"strategy": "run", "test_share": 0.25, "validation": {"strategy": "none"}}
    lacking = "for which there are too few: more files of each class, or a run_id for each"
    return split, f"{why}, {lacking}"
