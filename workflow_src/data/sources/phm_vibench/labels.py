"""The class of a record: what its Label means, and where it counts."""

from __future__ import annotations

from collections import Counter, defaultdict

from workflow_src.configuration.phm_vibench import PhmVibenchOptions
from workflow_src.data.recordings import NORMAL
from workflow_src.data.report import DataReport
from workflow_src.data.sources.phm_vibench.table import MetadataRow

DEGRADING = -1
FAILING = "failing"  # the class of a run's last stage, where labels number the bearings
PROXY = (
    "`normal` and `failing` are stages that were assigned by share of life: a proxy label, not an "
    "inspected state"
)


def faults(
    rows: list[MetadataRow], given: dict[str, str], options: PhmVibenchOptions, report: DataReport
) -> dict[str, str | None]:
    """The class of each Id, None where it has none; ``given`` are classes that the rig names.

    A Label counts where the row's flag Fault_Diagnosis or Anomaly_Detection says so. -1 means
    degrading, which is no class: neither normal nor a fault, though the record serves forecasts
    and the remaining life.
    """
    named = "fault" in options.fields
    names = _names(rows, report) if options.labels == "fault" and not named else {}
    made: dict[str, str | None] = {}
    for row in rows:
        counts = options.labels != "none" and _counts(row, report)
        made[row.id] = _meaning(row, given, names, options) if counts else None
    return made


def _counts(row: MetadataRow, report: DataReport) -> bool:
    if row.label is None:
        if not row.cells["Label"]:  # another cell was reported as it was read
            report.add("a record without a Label", "no class", f"Id {row.id}")
        return False
    if row.label < DEGRADING:
        report.add("a Label below -1", "no class", f"Id {row.id}", f"Label {row.label}")
        return False
    if row.label == DEGRADING:
        done = "no class; the record serves forecasts and the remaining life"
        report.add("a record that is degrading (Label -1)", done, f"Id {row.id}")
        return False
    if not (row.flags["Fault_Diagnosis"] or row.flags["Anomaly_Detection"]):
        kind = "a Label although neither Fault_Diagnosis nor Anomaly_Detection is set"
        report.add(kind, "no class", f"Id {row.id}", f"Label {row.label}")
        return False
    return True


def _meaning(
    row: MetadataRow, given: dict[str, str], names: dict[int, str], options: PhmVibenchOptions
) -> str | None:
    assert row.label is not None
    if options.labels == "unit":
        return NORMAL if row.label == 0 else FAILING
    if "fault" in options.fields:
        return given[row.id] or None
    return NORMAL if row.label == 0 else names[row.label]


def _names(rows: list[MetadataRow], report: DataReport) -> dict[int, str]:
    """The class of each Label k > 0: its Label_Description, or else ``fault_k``."""
    described: dict[int, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if row.label is not None and row.label > 0:
            described[row.label][row.cells.get("Label_Description", "")] += 1
    names: dict[int, str] = {}
    for label, texts in sorted(described.items()):
        written = {text: count for text, count in texts.items() if text}
        if len(written) > 1:
            kind, done = "several Label_Descriptions of one Label", "the most frequent names it"
            found = ", ".join(f"{text} ({count})" for text, count in sorted(written.items()))
            report.add(kind, done, f"Label {label}", found)
        best = max(sorted(written), key=lambda text: written[text], default="")
        if not best or best in (NORMAL, *names.values()):
            if best:
                kind, done = "one Label_Description of several Labels", "numbered"
                report.add(kind, done, f"Label {label}", best)
            best = f"fault_{label}"
        names[label] = best
    return names
