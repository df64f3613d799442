"""What a protocol beyond train and test writes into the heading of a column."""

from __future__ import annotations

from collections.abc import Sequence

from workflow_src.artifacts.split_summary import SplitSummary
from workflow_src.data.leaky_windows import LEAKY


def heading(label: str, splits: Sequence[SplitSummary]) -> str:
    """A column's label; one whose test windows share samples with training says so."""
    return f"{label} ({LEAKY})" if any(split.leaky for split in splits) else label


def strength_in_words(strength: str, splits: Sequence[SplitSummary]) -> str:
    """The strength beneath a heading, with the number of shots where there are some."""
    shots = sorted({split.shots.per_class for split in splits if split.shots is not None})
    return ", ".join([strength, *(f"{k}-shot" for k in shots)])
