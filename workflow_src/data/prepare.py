"""From a rig's configuration to its store, and from a dataset's to its split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workflow_src.cells import rig_folder, split_folder
from workflow_src.configuration import Dataset, Rig, digest
from workflow_src.configuration.geometry import Geometry
from workflow_src.data.sources.folder import FolderSource
from workflow_src.data.sources.simulated import simulate
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
    """Write `data/<name>/`: recordings.h5, recordings.csv, manifest.json.

    ``part`` is what the configuration says decides the recordings (`Configuration.rig_part`);
    ``config_folder`` holds the rig's table, where there is one.
    """
    rig = Rig.model_validate({**part["rig"], "description": description})
    facts: dict[str, Any] = {"rig": name, "source": rig.source, "unit": rig.unit}
    facts["description"] = rig.description
    if rig.simulated is not None:
        write_store(simulate(rig.simulated), rig_folder(name), facts)
    elif rig.folder is not None:
        _require_same(config_folder, rig.folder.table, part["table"])
        source = FolderSource(rig.folder, data_root, config_folder)
        facts |= {"files": source.files, "notes": source.notes}
        write_store(source.recordings(), rig_folder(name), facts)
        print(f"{len(source.files)} files read", *source.notes, sep="\n")


def prepare_split(name: str, part: Mapping[str, Any], *, config_folder: Path) -> None:
    """Write `data/<name>/`: split.csv, split.json; print what a sample of it holds.

    ``part`` is what the configuration says decides the split (`Configuration.split_part`);
    ``config_folder`` holds the table of a fixed split.
    """
    dataset = Dataset.model_validate(part["dataset"])
    _require_same(config_folder, dataset.split.file, part["table"])
    known = part.get("geometry")
    geometry = None if known is None else Geometry.model_validate(known)
    with Store(rig_folder(dataset.rig)) as store:
        split = make_split(store.table, dataset, name, config_folder, geometry)
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
    for what in ("window", "horizon"):
        counts = facts[f"fault_periods_per_{what}"]
        if counts:
            text = ", ".join(f"{count:.2f} of {order}" for order, count in counts.items())
            lines.append(f"at least so many fault periods a {what}: {text}")
    validation = facts["validation"]
    lines.append(f"validation by {validation['strategy']}: {validation['reason']}")
    lines += [f"{count} recordings left out: {why}" for why, count in facts["excluded"].items()]
    lines += [f"reason: {reason}" for reason in facts["reasons"]]
    lines += [f"warning: {warning}" for warning in facts["warnings"]]
    return lines
