"""What a protocol beyond train and test is called, in headings and titles."""

from __future__ import annotations

from collections.abc import Sequence

from workflow_src.artifacts.split_summary import SplitSummary
from workflow_src.data.leaky_windows import LEAKY
from workflow_src.tables.plan import DatasetEntry


def heading(label: str, splits: Sequence[SplitSummary]) -> str:
    """A column's label; one whose test windows share samples with training says so."""
    return f"{label} ({LEAKY})" if any(split.leaky for split in splits) else label


def strength_in_words(strength: str, splits: Sequence[SplitSummary]) -> str:
    """The strength beneath a heading, with the number of shots where there are some."""
    shots = sorted({split.shots.per_class for split in splits if split.shots is not None})
    return ", ".join([strength, *(f"{k}-shot" for k in shots)])


def protocol_of(entries: Sequence[DatasetEntry], splits: Sequence[SplitSummary]) -> str:
    """The protocol beyond train and test, in words for a title; "" where there is none."""
    found = {
        "leaky windows": any(split.leaky is not None for split in splits),
        "truncated runs": any(split.truncation is not None for split in splits),
        "few shots": any(split.shots is not None for split in splits),
        "noise in test": any(entry.noise_db is not None for entry in entries),
    }
    return next((words for words, is_so in found.items() if is_so), "")
