"""From a rig's configuration to its store, and from a dataset's to its split."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import scipy

from workflow_src.cells import rig_folder, split_folder
from workflow_src.configuration import Dataset, Rig, digest
from workflow_src.configuration.geometry import Geometry
from workflow_src.configuration.loading import beside
from workflow_src.data.audit.report import as_text, audited, leak, write_report
from workflow_src.data.common_rate import at_common_rate
from workflow_src.data.recordings import Recording
from workflow_src.data.report import DataReport
from workflow_src.data.shares import told
from workflow_src.data.sources.bearing_datasets import BearingDatasetsSource
from workflow_src.data.sources.bearing_datasets.building import Building
from workflow_src.data.sources.folder import FolderSource
from workflow_src.data.sources.phm_vibench import PhmVibenchSource
from workflow_src.data.sources.simulated import simulate
from workflow_src.data.sources.union import UnionSource
from workflow_src.data.split_files import write_split
from workflow_src.data.splits import make_split
from workflow_src.data.store import Store, remove_unfinished, write_store
from workflow_src.errors import UserError
from workflow_src.files import write_text

_FILTER = {"scipy": scipy.__version__}  # which makes resampled samples


def prepare_rig(
    name: str,
    part: Mapping[str, Any],
    *,
    description: str,
    data_root: Path | None,
    config_folder: Path,
    before_landing: Callable[[], object] = lambda: None,
) -> None:
    """Write `data/<name>/`: recordings.h5, recordings.csv, manifest.json, data-report.md.

    ``part`` is what the configuration says decides the recordings (`Configuration.rig_part`);
    ``config_folder`` holds the rig's table, where there is one. No other process may be at it;
    ``before_landing`` raises if one is, after all.
    """
    rig = Rig.model_validate({**part["rig"], "description": description})
    facts: dict[str, Any] = {"rig": name, "source": rig.source, "unit": rig.unit}
    facts["description"] = rig.description
    _require_same(config_folder, beside(rig), part["table"])
    recordings, own, report = _opened(rig, data_root, config_folder)
    if rig.common_rate_hz is not None:
        recordings = at_common_rate(recordings, rig.common_rate_hz, own.setdefault("notes", []))
        own["versions"] = {**own.get("versions", {}), **_FILTER}
    remove_unfinished(rig_folder(name))
    manifest = write_store(recordings, rig_folder(name), facts | own, before_landing)
    report.write(rig_folder(name), name, manifest["recordings"], manifest["notes"])
    files = f" of {len(manifest['files'])} files" if manifest["files"] else ""
    print(f"{manifest['recordings']} recordings{files}", *manifest["notes"], sep="\n")


def _opened(
    rig: Rig, data_root: Path | None, config_folder: Path
) -> tuple[Iterator[Recording], dict[str, Any], DataReport]:
    """A rig's recordings; what they add to the manifest and the report while they are read."""
    if rig.simulated is not None:
        return simulate(rig.simulated), {}, DataReport()
    if rig.folder is not None:
        folder = FolderSource(rig.folder, data_root, config_folder)
        return folder.recordings(), {"files": folder.files, "notes": folder.notes}, folder.report
    if rig.phm_vibench is not None:
        vibench = PhmVibenchSource(rig.phm_vibench, data_root)
        own = {"files": vibench.files, "notes": vibench.notes}
        return vibench.recordings(), own, vibench.report
    if rig.bearing_datasets is not None:
        built = BearingDatasetsSource(rig.bearing_datasets, rig.unit, data_root, config_folder)
        facts = {"files": built.files, "notes": built.notes, "versions": built.versions}
        facts["description"] = rig.description or built.description
        return built.recordings(), facts, built.report
    assert rig.union is not None
    parts = UnionSource(rig.union, {part: rig_folder(part) for part in rig.union.rigs})
    union = {"files": parts.files, "notes": parts.notes, "versions": _FILTER}
    return parts.recordings(), union, DataReport()


def prepare_built(
    name: str, part: Mapping[str, Any], *, data_root: Path | None, config_folder: Path
) -> None:
    """Have the package bearing-datasets build a rig; write `data/<name>/built.json` of what it is.

    ``part`` and ``config_folder`` are those of `prepare_rig`.
    """
    rig = Rig.model_validate(part["rig"])
    assert rig.bearing_datasets is not None
    _require_same(config_folder, beside(rig), part["table"])
    building = Building(rig.bearing_datasets, data_root, config_folder)
    building.build()
    manifest = building.manifest()
    kept = {key: manifest[key] for key in ("dataset", "package_version", "content_hash")}
    write_text(rig_folder(name) / "built.json", json.dumps(kept, indent=1) + "\n")
    print(f"{manifest['n_recordings']} recordings in {building.folder}; cite:")
    print(manifest["citation"].strip())


def prepare_split(
    name: str,
    part: Mapping[str, Any],
    *,
    config_folder: Path,
    before_landing: Callable[[], object] = lambda: None,
) -> None:
    """Write `data/<name>/`: split.csv, split.json, audit.json; print what a sample of it holds.

    Raises ``BadData`` where parts share content; nothing is written then.

    ``part`` is what the configuration says decides the split (`Configuration.split_part`);
    ``config_folder`` holds the tables that the split names. ``before_landing`` is that of
    `prepare_rig`.
    """
    dataset = Dataset.model_validate(part["dataset"])
    _require_same(config_folder, dataset.split.file, part["table"])
    _require_same(config_folder, dataset.split.truncation, part.get("truncation"))
    known = part.get("geometry")
    geometry = None if known is None else Geometry.model_validate(known)
    with Store(rig_folder(dataset.rig)) as store:
        split = make_split(store.table, dataset, name, config_folder, geometry)
        report = audited(name, split, store)
    for line in summary(split.facts):
        print(line)
    print(as_text(report))
    if (error := leak(report)) is not None:
        raise error
    before_landing()
    write_split(split, split_folder(name))
    write_report(report, split_folder(name))


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
    lines = [f"split {facts['strength']}; spans: {facts['spans']}", *told(facts["shares"])]
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
