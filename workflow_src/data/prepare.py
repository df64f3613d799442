"""From a rig's configuration to its store, and from a dataset's to its split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workflow_src.cells import rig_folder, split_folder
from workflow_src.configuration import Dataset, Rig
from workflow_src.data.sources.folder import FolderSource
from workflow_src.data.sources.simulated import simulate
from workflow_src.data.split_files import write_split
from workflow_src.data.splits import make_split
from workflow_src.data.store import Store, write_store


def prepare_rig(name: str, rig: Rig, data_root: Path | None, config_folder: Path) -> None:
    """Write `data/<name>/`: recordings.h5, recordings.csv, manifest.json."""
    facts: dict[str, Any] = {"rig": name, "source": rig.source, "unit": rig.unit}
    facts["description"] = rig.description
    if rig.simulated is not None:
        write_store(simulate(rig.simulated), rig_folder(name), facts)
    elif rig.folder is not None:
        source = FolderSource(rig.folder, data_root, config_folder)
        facts |= {"files": source.files, "notes": source.notes}
        write_store(source.recordings(), rig_folder(name), facts)


def prepare_split(name: str, values: Mapping[str, Any], config_folder: Path) -> None:
    """Write `data/<name>/`: split.csv, split.json; print what a sample of it holds."""
    dataset = Dataset.model_validate(values)
    with Store(rig_folder(dataset.rig)) as store:
        split = make_split(store.table, dataset, name, config_folder)
    write_split(split, split_folder(name))
    for line in summary(split.facts):
        print(line)


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
