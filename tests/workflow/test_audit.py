"""A split that leaks is not trained on, and what its audit found is what the digest says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from .conftest import Outcome, Project

pytestmark = pytest.mark.slow

FAULTS = {"a": "normal", "b": "inner", "c": "normal", "d": "inner"}


def measured(project: Project, copy: bool) -> None:
    """The rig becomes four files; with `copy` the file of `d` is that of `b`, 17 samples later."""
    files = project.folder / "files"
    files.mkdir()
    for seed, unit in enumerate(FAULTS):
        signal = np.random.default_rng(seed).standard_normal(4000)
        np.save(files / f"{unit}.npy", signal)
    if copy:
        np.save(files / "d.npy", np.load(files / "b.npy")[17:])
    fields = {"unit_id": "{unit}", "condition": "c", "run_id": "{unit}"}
    fault = {"fault": {"from": "unit", "values": FAULTS}}
    options = {"path": str(files), "files": "{unit}.npy", "rate_hz": 1000, "fields": fields | fault}
    project.edit("rigs/tiny.yaml", source="folder", simulated=None, folder=options)
    split = {"strategy": "unit", "test": {"unit_id": ["c", "d"]}}
    span = {"window": 400, "horizon": 64}
    project.edit("datasets/tiny.yaml", span=span, split=split, unsupported_tasks="drop")


def test_a_leak_stops_the_training_and_says_which_recordings(fresh: Project) -> None:
    measured(fresh, copy=True)
    failed = fresh.snakemake()
    assert failed.code != 0
    assert "train" not in failed.rules
    digest = failed.text[failed.text.index("FAILED split of data/tiny") :]
    assert "Parts of the split of `tiny` share content." in digest
    assert "test 'd' 0.." in (fresh.folder / "data/logs/tiny.split.log").read_text()


def test_the_target_audits_every_dataset_and_the_verb_costs_no_training(
    fresh: Project, first_run: tuple[Project, Outcome], copied: Callable[..., Project]
) -> None:
    measured(fresh, copy=False)
    said = fresh.snakemake("audit")
    assert said.code == 0, said.text
    assert said.rules == {"recordings": 1, "split": 1, "audit": 1}
    report = json.loads(Path(fresh.folder, "data/tiny/audit.json").read_text())
    assert report["shared"] == []
    done = copied(first_run[0], "done")
    (done.folder / "data/tiny/audit.json").touch()
    assert set(done.dry().rules) <= {"results", "paper_tables", "all"}
    assert done.verb("audit").code == 0
