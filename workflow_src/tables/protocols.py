"""The names of protocols beyond train and test, in headings and titles."""

from __future__ import annotations

from collections.abc import Sequence

from workflow_src.artifacts.split_summary import SplitSummary
from workflow_src.data.leaky_windows import LEAKY
from workflow_src.tables.plan import DatasetEntry

FEW_SHOTS, TRAIN_UNITS = "few shots", "score over training units"
DRAWN = (FEW_SHOTS, TRAIN_UNITS)  # protocols whose datasets are draws
NOTES = {
    TRAIN_UNITS: "Training holds so many units of each class as a heading says. Units are drawn; "
    "a larger draw holds the smaller one. Within a rotation the test part is the same for all.",
}


def label_with_units(entry: DatasetEntry) -> str:
    """A dataset's label, with the number of training units on a curve over them."""
    plural = "s" * (entry.train_units != "1")
    return entry.label + f", {entry.train_units} unit{plural}" * (entry.train_units != "")


def heading(label: str, splits: Sequence[SplitSummary]) -> str:
    """A column's label, marked if its test windows share samples with training."""
    return f"{label} ({LEAKY})" if any(split.leaky for split in splits) else label


def strength_in_words(strength: str, splits: Sequence[SplitSummary]) -> str:
    """The strength beneath a heading, with the number of shots if there are any."""
    shots = sorted({split.shots.per_class for split in splits if split.shots is not None})
    return ", ".join([strength, *(f"{k}-shot" for k in shots)])


def protocol_of(entries: Sequence[DatasetEntry], splits: Sequence[SplitSummary]) -> str:
    """The protocol beyond train and test, in words for a title; "" if there is none."""
    found = {
        "leaky windows": any(split.leaky is not None for split in splits),
        "truncated runs": any(split.truncation is not None for split in splits),
        TRAIN_UNITS: any(entry.train_units for entry in entries),
        FEW_SHOTS: any(split.shots is not None for split in splits),
        "noise in test": any(entry.noise_db is not None for entry in entries),
    }
    return next((words for words, is_so in found.items() if is_so), "")
