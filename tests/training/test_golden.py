"""The numbers of small trainings, kept: they change only where REVISIONS say so.

A change of numbers is known by the revision that goes with it, for that alone makes finished cells
stale. `golden.json` holds both. After a change that is meant, raise the revision in
workflow_src/configuration/revisions.py and write the file anew:

    GOLDEN=write python -m pytest tests/training/test_golden.py
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file

from workflow_src.cells import runs_beside
from workflow_src.classic.run import run_classic
from workflow_src.configuration import REVISIONS, ResolvedCell
from workflow_src.evaluation import write_metrics
from workflow_src.training.history import _whole_rows

from .conftest import WriteCell, attempt
from .test_levers import MODELS

FILE = Path(__file__).with_name("golden.json")
ROOT = FILE.parents[2]
# What a training is expected to need decides no number.
OF_NUMBERS = {name: number for name, number in REVISIONS.items() if name != "forecasts"}
# Kernels of other instruction sets move these numbers by less than 1e-5 of their size (torch's
# ATEN_CPU_CAPABILITY and oneDNN's DNNL_MAX_CPU_ISA); a seed moves them by more than 1e-1.
RELATIVE, ABSOLUTE = 2e-4, 1e-6

Numbers = dict[str, float]


def data_numbers() -> Numbers:
    with h5py.File(Path("data", "small", "recordings.h5"), "r", locking=False) as file:
        arrays: list[Any] = []
        file.visititems(lambda _, v: arrays.append(v[()]) if isinstance(v, h5py.Dataset) else None)
    signals = [array for array in arrays if array.dtype.kind == "f" and array.size > 1]
    with Path("data", "split", "split.csv").open(encoding="utf-8", newline="") as table:
        parts = Counter(row["part"] for row in csv.DictReader(table))
    found = {f"spans_{name}": float(count) for name, count in parts.items()}
    found["signal_rms"] = float(np.sqrt(np.mean([np.mean(s.astype(float) ** 2) for s in signals])))
    return found


def scores(cell: Path, predictions: Path) -> Numbers:
    kept = ResolvedCell.read(cell)
    metrics = cell.with_name("metrics.json")
    write_metrics(predictions, metrics, kept.cell, kept.identity)
    return {
        f"{task}_{row}_{name}": value
        for task, rows in json.loads(metrics.read_text())["scores"].items()
        for row, said in rows.items()
        for name, value in said["values"].items()
        if value is not None and name in ("macro_f1", "auroc", "skill", "nmse")
    }


def network_numbers(cell: Path) -> Numbers:
    attempt(cell)
    last = _whole_rows(runs_beside(cell) / "history.csv")[-1]
    found = {k: float(v) for k, v in last.items() if k.startswith(("loss_", "norm_", "val_loss"))}
    weights = load_file(cell.with_name("model.safetensors"))
    found["weights_rms"] = float(
        np.sqrt(np.mean(np.concatenate([w.ravel().astype(float) ** 2 for w in weights.values()])))
    )
    return found


@pytest.fixture
def numbers(write_cell: WriteCell) -> dict[str, Numbers]:
    found = {"data": data_numbers()}
    for name, model in MODELS.items():
        found[name] = network_numbers(write_cell(name, model))
    changed = write_cell("changed", augmentation={"noise_db": 10, "polarity": True, "shift": 9})
    found["augmented"] = network_numbers(changed)
    found["scores"] = scores(changed, changed.with_name("predictions.h5"))
    classic = write_cell("classic", {"kind": "classic", "method": "trivial"})
    run_classic(classic)
    found["classic"] = scores(classic, classic.with_name("predictions.h5"))
    return found


def differences(found: Mapping[str, Numbers], kept: Mapping[str, Numbers]) -> list[str]:
    """Each number that both have and that is not the same, in words."""
    return [
        f"{group} {name}: {kept[group][name]:.7g}, now {value:.7g}"
        for group, values in found.items()
        for name, value in values.items()
        if name in kept.get(group, {})
        and not np.isclose(value, kept[group][name], rtol=RELATIVE, atol=ABSOLUTE)
    ]


def test_the_numbers_are_those_of_these_revisions(numbers: dict[str, Numbers]) -> None:
    kept = json.loads(FILE.read_text()) if FILE.exists() else {"revisions": {}, "numbers": {}}
    changed = differences(numbers, kept["numbers"])
    if os.environ.get("GOLDEN") == "write":
        assert not changed or kept["revisions"] != OF_NUMBERS, f"raise a revision first: {changed}"
        content = {"revisions": OF_NUMBERS, "numbers": numbers}
        FILE.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
        return
    assert kept["revisions"] == OF_NUMBERS, "GOLDEN=write: numbers of other revisions are kept"
    assert changed == [], "numbers have changed: raise a revision, then GOLDEN=write"
    names = {group: sorted(values) for group, values in numbers.items()}
    assert names == {group: sorted(values) for group, values in kept["numbers"].items()}


def test_no_commit_has_changed_the_numbers_without_a_revision() -> None:
    """The file as it is against each one before it, as far as this clone knows its past."""
    name = FILE.relative_to(ROOT).as_posix()
    log = ["git", "log", "--format=%H", "--", name]
    done = subprocess.run(log, cwd=ROOT, capture_output=True, text=True, check=False)
    texts = [FILE.read_text()]
    for commit in done.stdout.split() if done.returncode == 0 else []:
        shown = ["git", "show", f"{commit}:{name}"]
        past = subprocess.run(shown, cwd=ROOT, capture_output=True, text=True, check=False)
        texts += [past.stdout] if past.returncode == 0 else []
    versions = [json.loads(text) for text in texts]
    for newer, older in itertools.pairwise(versions):
        if newer["revisions"] == older["revisions"]:
            assert differences(newer["numbers"], older["numbers"]) == []


def test_a_changed_number_is_seen() -> None:
    kept = json.loads(FILE.read_text())["numbers"]
    changed = {g: {n: v * (1 + 3 * RELATIVE) for n, v in vs.items()} for g, vs in kept.items()}
    values = [value for group in kept.values() for value in group.values()]
    assert len(differences(changed, kept)) == sum(value != 0 for value in values)
