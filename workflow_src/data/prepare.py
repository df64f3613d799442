"""From a rig's configuration to its store, and from a dataset's to its split."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workflow_src.artifacts.split_summary import SplitSummary
from workflow_src.cells import rig_folder, split_folder
from workflow_src.configuration import Dataset, Rig, digest
from workflow_src.configuration.geometry import Geometry
from workflow_src.data.audit.report import as_text, audited, leak, write_report
from workflow_src.data.common_rate import AtCommonRate
from workflow_src.data.shares import told
from workflow_src.data.source import Context, build, open_source
from workflow_src.data.split_files import write_split
from workflow_src.data.splits import make_split
from workflow_src.data.store import Heading, Store, remove_unfinished, write_store
from workflow_src.errors import UserError
from workflow_src.files import write_text

Part = Mapping[str, Any]  # of a configuration, from the JSON that a rule has passed on


def prepare_rig(
    name: str,
    part: Part,
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
    _require_same(config_folder, rig.options.table_beside(), part["table"])
    source = open_source(rig.options, _context(rig, data_root, config_folder))
    if rig.common_rate_hz is not None:
        source = AtCommonRate(source, rig.common_rate_hz)
    remove_unfinished(rig_folder(name))
    heading = Heading(name, rig.source, rig.unit, description)
    manifest = write_store(
        source.recordings(), rig_folder(name), heading, source.provenance, before_landing
    )
    report = source.provenance().report
    report.write(rig_folder(name), name, manifest.recordings, manifest.notes)
    files = f" of {len(manifest.files)} files" if manifest.files else ""
    print(f"{manifest.recordings} recordings{files}", *manifest.notes, sep="\n")


def _context(rig: Rig, data_root: Path | None, config_folder: Path) -> Context:
    stores = {name: rig_folder(name) for name in rig.options.member_rigs()}
    return Context(rig.unit, data_root, config_folder, stores)


def prepare_built(name: str, part: Part, *, data_root: Path | None, config_folder: Path) -> None:
    """Build what a rig's source reads; write `data/<name>/built.json` of what it is.

    ``part`` and ``config_folder`` are those of `prepare_rig`.
    """
    rig = Rig.model_validate(part["rig"])
    _require_same(config_folder, rig.options.table_beside(), part["table"])
    built = build(rig.options, _context(rig, data_root, config_folder))
    write_text(rig_folder(name) / "built.json", json.dumps(dict(built.content), indent=1) + "\n")
    print(built.told)


def prepare_split(
    name: str,
    part: Part,
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
    for line in in_words(split.summary):
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


def in_words(split: SplitSummary) -> list[str]:
    """What a span of a split holds in time and turns, its strength, and its warnings."""
    lines = [f"split {split.strength}; spans: {asdict(split.spans)}", *told(split.shares)]
    if split.window_ms is None:
        lengths = f"window {split.window} samples, horizon {split.horizon}"
        lines.append(f"{lengths}; rate unknown or mixed")
    else:
        lines.append(f"window {split.window_ms:.1f} ms, horizon {split.horizon_ms:.2f} ms")
    if split.revolutions_per_window is not None:
        lines.append(f"at least {split.revolutions_per_window:.2f} revolutions a window")
    for what, counts in (
        ("window", split.fault_periods_per_window),
        ("horizon", split.fault_periods_per_horizon),
    ):
        if counts:
            text = ", ".join(f"{count:.2f} of {order}" for order, count in counts.items())
            lines.append(f"at least so many fault periods a {what}: {text}")
    lines.append(f"validation by {split.validation.strategy}: {split.validation.reason}")
    lines += [f"{count} recordings left out: {why}" for why, count in split.excluded.items()]
    lines += [f"reason: {reason}" for reason in split.reasons]
    lines += [f"warning: {warning}" for warning in split.warnings]
    return lines
