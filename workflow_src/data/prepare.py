"""From a rig's configuration to its store, and from a dataset's to its split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import scipy

from workflow_src.cells import rig_folder, split_folder
from workflow_src.configuration import Dataset, Rig, digest
from workflow_src.data.report import DataReport
from workflow_src.data.sources.folder import FolderSource
from workflow_src.data.sources.phm_vibench import PhmVibenchSource
from workflow_src.data.sources.simulated import simulate
from workflow_src.data.sources.union import UnionSource
from workflow_src.data.split_files import write_split
from workflow_src.data.splits import make_split
from workflow_src.data.store import Store, write_store
from workflow_src.errors import UserError


def prepare_rig(
    name: str,
    part: Mapping[str, Any],
    *,
    description: str,
    data_root: Path | None,
    config_folder: Path,
) -> None:
    """Write `data/<name>/`: recordings.h5, recordings.csv, manifest.json, data-report.md.

    ``part`` is what the configuration says decides the recordings (`Configuration.rig_part`);
    ``config_folder`` holds the rig's table, where there is one.
    """
    rig = Rig.model_validate({**part["rig"], "description": description})
    facts: dict[str, Any] = {"rig": name, "source": rig.source, "unit": rig.unit}
    facts["description"] = rig.description
    report = DataReport()
    if rig.simulated is not None:
        manifest = write_store(simulate(rig.simulated), rig_folder(name), facts)
    elif rig.folder is not None:
        _require_same(config_folder, rig.folder.table, part["table"])
        source = FolderSource(rig.folder, data_root, config_folder)
        facts |= {"files": source.files, "notes": source.notes}
        manifest = write_store(source.recordings(), rig_folder(name), facts)
        print(f"{len(source.files)} files read", *source.notes, sep="\n")
    elif rig.phm_vibench is not None:
        vibench = PhmVibenchSource(rig.phm_vibench, data_root)
        report = vibench.report
        facts |= {"files": vibench.files, "notes": vibench.notes}
        manifest = write_store(vibench.recordings(), rig_folder(name), facts)
        print(f"{manifest['recordings']} recordings", *vibench.notes, sep="\n")
    elif rig.union is not None:
        parts = UnionSource(rig.union, {part: rig_folder(part) for part in rig.union.rigs})
        facts |= {"files": parts.files, "notes": parts.notes}
        facts["versions"] = {"scipy": scipy.__version__}  # its filter made the samples
        manifest = write_store(parts.recordings(), rig_folder(name), facts)
        print(*parts.notes, sep="\n")
    report.write(rig_folder(name), name, manifest["recordings"], manifest["notes"])


def prepare_split(name: str, part: Mapping[str, Any], *, config_folder: Path) -> None:
    """Write `data/<name>/`: split.csv, split.json; print what a sample of it holds.

    ``part`` is what the configuration says decides the split (`Configuration.split_part`);
    ``config_folder`` holds the tables that the split names.
    """
    dataset = Dataset.model_validate(part["dataset"])
    _require_same(config_folder, dataset.split.file, part["table"])
    _require_same(config_folder, dataset.split.truncation, part.get("truncation"))
    with Store(rig_folder(dataset.rig)) as store:
        split = make_split(store.table, dataset, name, config_folder)
    write_split(split, split_folder(name))
    for line in summary(split.facts):
        print(line)


def _require_same(folder: Path, table: str | None, expected: str | None) -> None:
    """What was edited while a job waited does not reach it."""
    if table is not None and digest(folder / table) != expected:
        raise UserError(
            "A table was edited after this job was submitted.",
            where=str(folder / table),
            remedy="run the same command again",
        )


def summary(facts: Mapping[str, Any]) -> list[str]:
    """What a span of a split holds in time and turns, its strength, and its warnings."""
    window, horizon = facts["window"], facts["horizon"]
    turns = facts["revolutions_per_window"]
    lines = [f"split {facts['strength']}; spans: {facts['spans']}"]
    if facts["window_ms"] is None:
        lines.append(f"window {window} samples, horizon {horizon}; rate unknown or mixed")
    else:
        lines.append(f"window {facts['window_ms']:.1f} ms, horizon {facts['horizon_ms']:.2f} ms")
    if turns is not None:
        lines.append(f"at least {turns:.2f} revolutions a window")
    validation = facts["validation"]
    lines.append(f"validation by {validation['strategy']}: {validation['reason']}")
    lines += [f"{count} recordings left out: {why}" for why, count in facts["excluded"].items()]
    lines += [f"reason: {reason}" for reason in facts["reasons"]]
    lines += [f"warning: {warning}" for warning in facts["warnings"]]
    return lines
