"""The product as its rules use it: a rig's YAML and files in, a store out."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from workflow_src.configuration import load
from workflow_src.data.prepare import prepare_rig, prepare_split
from workflow_src.data.split_files import read_split
from workflow_src.data.store import Store

from .verdict import Case, Got, Held

RIG, DATASET = "fuzz", "selected"
RUN = {
    "study": "fuzz",
    "datasets": [DATASET],
    "models": ["dlinear"],
    "task_sets": ["all"],
    "seeds": [1],
    "hardware": "local",
}
_SELECTED = """rig: fuzz
span: {{window: 32, horizon: 8}}
split: {{strategy: unit{test}}}
unsupported_tasks: drop
"""
_AROUND: dict[str, Any] = {
    "models/dlinear": {"backbone": "dlinear", "kernel": 9, "individual": False},
    "task_sets": {"all": {"classification": {}}},
    "hardware/local": {"accelerator": "cpu"},
}


def read_case(root: Path, case: Case) -> Got:
    """Everything that a rig's files give; the recordings lie below `root`/data_root.

    `root`/config holds the YAML that is read, `root`/data the store. Raises what the product does.
    """
    config, source = root / "config", case.source
    rig = {"source": source, "unit": "g", "amplitude_comparable": False, source: dict(case.options)}
    for name, keys in {**_AROUND, f"rigs/{RIG}": rig}.items():
        path = config / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(keys, sort_keys=False, allow_unicode=True), "utf-8")
    test = f", test: {case.test}" if case.test else ""
    path = config / f"datasets/{DATASET}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(_SELECTED.format(test=test), "utf-8")
    configuration = load(RUN, config)
    said = io.StringIO()
    here = Path.cwd()
    os.chdir(root)
    try:
        with contextlib.redirect_stdout(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            prepare_rig(
                RIG,
                configuration.rig_part(RIG),
                description="",
                data_root=root / "data_root",
                config_folder=config / "rigs",
            )
            if case.test:
                part = configuration.split_part(DATASET)
                prepare_split(DATASET, part, config_folder=config / "datasets")
        got = _stored(root / "data" / RIG, said.getvalue())
        return _in_test(got, root / "data" / DATASET) if case.test else got
    finally:
        os.chdir(here)


def _stored(folder: Path, said: str) -> Got:
    with Store(folder) as store:
        recordings = {}
        for row in store.table.to_dict("records"):
            labels = {str(name): str(value) for name, value in row.items()}
            signal = store.read(labels["recording_id"], 0, int(row["length"]))
            rate = None if row["rate_hz"] != row["rate_hz"] else float(row["rate_hz"])
            name = labels.get("file", labels["recording_id"])
            recordings[name] = Held(signal, rate, labels=labels)
        notes = [str(note) for note in store.manifest.notes]
        sums = frozenset(store.manifest.files) | frozenset(store.manifest.links)
    report = folder / "data-report.md"
    words = report.read_text("utf-8") if report.exists() else ""
    return Got(recordings, "\n".join([said, *notes, words]), sums)


def _in_test(got: Got, folder: Path) -> Got:
    rows = read_split(folder).rows
    used = set(rows.loc[rows["part"] == "test", "recording_id"].astype(str))
    chosen = {n: r for n, r in got.recordings.items() if r.labels["recording_id"] in used}
    return replace(got, recordings=chosen)
