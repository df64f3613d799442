"""The keys of a dataset as a guess: a span that fits, and the strongest split that there is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from workflow_src.data.sources.folder.table import Entry

WINDOW, HORIZON = 2048, 96  # where recordings are long enough
BLOCKS = 16  # of a recording, one of which must hold a span where time is split


def guess_dataset(
    rig: str, entries: Sequence[Entry], shortest: int
) -> tuple[dict[str, Any], dict[tuple[str, ...], str]]:
    """The keys of a dataset of this rig, and the questions that they leave."""
    snapshots = entries[0].time_s is not None
    window = 2
    while 2 * window <= min(WINDOW, (shortest if snapshots else shortest // BLOCKS)):
        window *= 2
    if snapshots and window + HORIZON > shortest:
        window //= 2
    span = {"window": max(window, 2), "horizon": max(1, min(HORIZON, window // 8))}
    split, why = _split(entries)
    values: dict[str, Any] = {"rig": rig, "span": span, "split": split, "unsupported_tasks": "drop"}
    questions: dict[tuple[str, ...], str] = {
        ("span",): f"the shortest file that was opened holds {shortest} samples",
        ("split",): why,
        ("unsupported_tasks",): "`error` to insist on all tasks",
    }
    return values, questions


def _split(entries: Sequence[Entry]) -> tuple[dict[str, Any], str]:
    units, conditions = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for entry in entries:
        fault = entry.fields.get("fault", "")
        units[fault].add(entry.fields["unit_id"])
        conditions[entry.fields["condition"]].add(fault)
    fewest = min(len(found) for found in units.values())
    counted = ", ".join(f"{len(found)} {fault}".strip() for fault, found in sorted(units.items()))
    blocks = {"strategy": "time_block", "share": 0.2}
    if fewest >= 2:
        snapshots = entries[0].time_s is not None
        fallback = {"strategy": "none"} if snapshots else blocks
        within = {"strategy": "unit", "share": 0.25} if fewest >= 4 else fallback
        split = {"strategy": "unit", "test_share": 0.25, "validation": within}
        return split, f"by specimens, if unit_id names them: {counted}"
    if len(conditions) > 1 and all(faults == set(units) for faults in conditions.values()):
        split = {"strategy": "condition", "test_share": 0.25, "validation": blocks}
        return split, f"too few specimens ({counted}) for one by unit: another speed or load"
    split = {"strategy": "time_block", "test_share": 0.3, "validation": blocks}
    return split, f"too few specimens ({counted}) and conditions: blocks of the same recordings"
