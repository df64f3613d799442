"""Simulated bearings, and bearings run to failure, as problems of a classic model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workflow_src.classic.problem import Problem
from workflow_src.configuration import Dataset
from workflow_src.configuration.simulated import GEOMETRIES
from workflow_src.data.prepare import prepare_rig, prepare_split
from workflow_src.data.span_features import write_features
from workflow_src.data.split_files import SplitTable, read_split
from workflow_src.data.windows import SpanReader
from workflow_src.features.table import FeatureTable
from workflow_src.predictions import ScoreFacts

RIGS: dict[str, dict[str, Any]] = {
    "bearing": {"kind": "bearing", "units_per_class": 8, "samples": 8192},
    "run_to_failure": {"kind": "run_to_failure", "units_per_class": 4},
}
SPANS = {
    "bearing": {"window": 2048, "horizon": 64, "per_recording": 3},
    "run_to_failure": {"window": 1024, "horizon": 64, "per_recording": 1},
}
TASKS = {
    "bearing": ("classification", "anomaly_detection", "signal_prediction"),
    "run_to_failure": ("rul_prediction",),
}
MakeProblem = Callable[..., Problem]


def dataset(kind: str) -> dict[str, Any]:
    split = {"strategy": "unit", "test_share": 0.25}
    split["validation"] = {"strategy": "unit", "share": 0.2}
    return {"rig": kind, "span": SPANS[kind], "split": split}


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stores and the splits of both."""
    folder = tmp_path_factory.mktemp("simulated")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for kind, keys in RIGS.items():
            rig = {"source": "simulated", "unit": "g", "amplitude_comparable": True}
            recorded = {"rig": {**rig, "simulated": keys}, "table": None}
            prepare_rig(kind, recorded, description="", data_root=None, config_folder=folder)
            cut = {"dataset": dataset(kind), "table": None}
            prepare_split(f"{kind}_split", cut, config_folder=folder)
    return folder / "data"


@pytest.fixture(scope="session")
def features(simulated: Path) -> Callable[..., FeatureTable]:
    """Measures the spans of a reader of a kind of rig under the keys, once."""

    def of(kind: str, reader: SpanReader, keys: dict[str, Any]) -> FeatureTable:
        name = "-".join([kind, *(f"{key}{value}" for key, value in keys.items())])
        table = FeatureTable(simulated / f"{name}.h5")
        if not table.path.exists():
            write_features(table, reader, {kind: GEOMETRIES[kind]})
        return table

    return of


@pytest.fixture
def make_problem(simulated: Path, features: Callable[..., FeatureTable]) -> Iterator[MakeProblem]:
    """Makes the problem of a kind of rig, with noise on the windows of its test part."""
    readers: list[SpanReader] = []

    def make(kind: str, *, seed: int = 1, **keys: Any) -> Problem:
        split: SplitTable = read_split(simulated / f"{kind}_split")
        used = Dataset.model_validate({**dataset(kind), **keys})
        readers.append(SpanReader(simulated / kind, split, used))
        facts = ScoreFacts(classes=readers[-1].classes, strength="unit")
        life = split.summary.mean_training_life_s
        known = {kind: GEOMETRIES[kind]}
        given = {"amplitude": True, "mean_life_s": life, "geometry": known}
        given["features"] = features(kind, readers[-1], keys)
        return Problem(readers[-1], TASKS[kind], facts, seed, **given)

    yield make
    for reader in readers:
        reader.close()
