"""What a protocol beyond train and test writes into the heading of a column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workflow_src.data.leaky_windows import LEAKY


def heading(label: str, splits: Sequence[dict[str, Any]]) -> str:
    """A column's label; one whose test windows share samples with training says so."""
    return f"{label} ({LEAKY})" if any(LEAKY in split for split in splits) else label


def strength_in_words(strength: str, splits: Sequence[dict[str, Any]]) -> str:
    """The strength beneath a heading, with the number of shots where there are some."""
    shots = sorted({split["shots"]["per_class"] for split in splits if "shots" in split})
    return ", ".join([strength, *(f"{k}-shot" for k in shots)])
