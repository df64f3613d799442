"""A small study whose files and keys a test changes one at a time."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from workflow_src.configuration import Configuration, Dataset, load
from workflow_src.configuration.reading import merged
from workflow_src.data.recordings import Recording
from workflow_src.data.split_files import SplitTable, write_split
from workflow_src.data.splits import make_split
from workflow_src.data.store import Heading, Store, write_store
from workflow_src.data.windows import SpanReader
from workflow_src.targets import Targets

RUN = {
    "study": "demo",
    "datasets": ["d"],
    "models": ["net", "tr"],
    "task_sets": ["all"],
    "seeds": [1],
    "hardware": "local",
    "training": {"epochs": 1, "batch_size": 16},
}
SIZES = {"width": 8, "depth": 1, "patch_length": 8, "patch_count": 4}
FILES: dict[str, Any] = {
    "models/net": {"backbone": "dlinear", "kernel": 3, "individual": False, **SIZES},
    "models/pt": {"backbone": "patchtst", "heads": 2, "feed_forward": 8, **SIZES},
    "models/fno": {"backbone": "fno", "modes": 2, **SIZES},
    "models/tn": {"backbone": "timesnet", "feed_forward": 8, "top_k": 1, "kernels": 1, **SIZES},
    "models/tr": {"kind": "classic", "method": "trivial"},
    "task_sets": {
        "all": {
            "classification": {},
            "anomaly_detection": {},
            "signal_prediction": {},
            "rul_prediction": {},
        },
        "one": {"classification": {}},
    },
    "datasets/d": {
        "rig": "bench",
        "span": {"window": 40, "horizon": 8},
        "split": {
            "strategy": "unit",
            "test": {"unit_id": ["normal0", "inner0", "b0"]},
            "validation": {"select": {"unit_id": ["normal1", "inner1", "b1"]}},
        },
    },
    "rigs/bench": {
        "source": "simulated",
        "simulated": {"kind": "bearing"},
        "unit": "g",
        "amplitude_comparable": True,
    },
    "hardware/local": {"accelerator": "cpu"},
    "hardware/big": {"accelerator": "cuda", "gpu_model": "a100"},
}
LENGTH, RATE = 12 * 48, 100.0


def _recording(name: str, k: int, **facts: Any) -> Recording:
    rng = np.random.default_rng(sum(name.encode()))
    signal = (1.0 + k) * rng.standard_normal((LENGTH, 3)) + np.arange(3)
    return Recording(
        recording_id=name,
        signal=signal.astype(np.float32),
        channel_kinds=("vibration", "current", "vibration"),
        rate_hz=RATE,
        **facts,
    )


def bench() -> Iterator[Recording]:
    """Three specimens of two classes at two speeds, and three runs to failure."""
    for fault in ("normal", "inner"):
        for u in range(3):
            unit = f"{fault}{u}"
            for speed in ("slow", "fast"):
                name = f"{unit}_{speed}"
                yield _recording(name, u, unit_id=unit, condition=speed, run_id=name, fault=fault)
    for u, life in enumerate((200.0, 300.0, 400.0)):
        for k in range(4):
            times = {"time_s": life * k / 3, "life_s": life, "onset_s": life / 2}
            yield _recording(
                f"b{u}_{k}", k, unit_id=f"b{u}", condition="slow", run_id=f"b{u}", **times
            )


@pytest.fixture(scope="session")
def bench_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store") / "bench"
    write_store(bench(), folder, Heading("bench", "test"))
    return folder


_TEXTS: dict[str, str] = {}


def _as_text(keys: Mapping[str, Any]) -> str:
    """The YAML of `keys`, made once: most files of most worlds are alike."""
    known = repr(keys)
    if known not in _TEXTS:
        _TEXTS[known] = yaml.safe_dump(keys, sort_keys=False)
    return _TEXTS[known]


class World:
    """The study above; every call takes the keys that are other than there."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.folder = folder
        self.config = folder / "config"
        self.store = store
        self._count = 0
        self._splits: dict[str, SplitTable] = {}

    def new_folder(self) -> Path:
        """An empty folder."""
        self._count += 1
        folder = self.folder / f"folder{self._count}"
        folder.mkdir()
        return folder

    def write(self, files: Mapping[str, Any] | None = None) -> None:
        """Write config/: a mapping is merged into the file's own keys, text takes its place."""
        for name, keys in {**FILES, **(files or {})}.items():
            path = self.config / f"{name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(keys, str):
                path.write_text(keys)
            else:
                own = merged(FILES.get(name, {}), keys)
                path.write_text(_as_text(own))

    def load(self, run: Mapping[str, Any] | None = None, **files: Any) -> Configuration:
        """The configuration; `models__net={...}` changes config/models/net.yaml."""
        self.write({name.replace("__", "/"): keys for name, keys in files.items()})
        return load(merged(copy.deepcopy(RUN), run or {}), self.config)

    def targets(self, run: Mapping[str, Any] | None = None, **files: Any) -> Targets:
        """What the rules ask of the configuration."""
        return Targets(self.load(run, **files), self.folder)

    def cell(
        self, run: Mapping[str, Any] | None = None, name: str = "d/net/all/1", **files: Any
    ) -> dict[str, Any]:
        """The resolved configuration of a cell, through JSON as training reads it."""
        dataset, model, task_set, seed = name.split("/")
        resolved = self.load(run, **files).resolve(dataset, model, task_set, int(seed))
        read: dict[str, Any] = json.loads(resolved.to_json())
        return read

    def split(self, dataset: Mapping[str, Any] | None = None, *, new: bool = False) -> SplitTable:
        """The split of the bench; `new`: by the given `split` alone."""
        base = copy.deepcopy(FILES["datasets/d"])
        if new:
            del base["split"]
        keys = Dataset.model_validate(merged(base, dataset or {}))
        known = keys.model_dump_json()
        if known not in self._splits:
            with Store(self.store) as store:
                self._splits[known] = make_split(store.table, keys, "d", self.folder)
        return self._splits[known]

    def reader(self, dataset: Mapping[str, Any] | None = None) -> SpanReader:
        """A reader of the bench's spans."""
        keys = Dataset.model_validate(merged(copy.deepcopy(FILES["datasets/d"]), dataset or {}))
        return SpanReader(self.store, self.split(dataset), keys)

    def lay_out(self, cell: Mapping[str, Any]) -> Path:
        """The files that training of `cell` reads, in a folder that becomes the current one."""
        folder = self.new_folder()
        (folder / "data").mkdir()
        (folder / "data" / "bench").symlink_to(self.store)
        write_split(self.split(cell["dataset"]), folder / "data" / "d")
        names = cell["cell"]
        path = folder / "demo/results" / names["dataset"] / names["model"] / names["task_set"]
        path = path / f"seed{names['seed']}" / "cell.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(cell))
        os.chdir(folder)
        return path


@pytest.fixture
def world(tmp_path: Path, bench_store: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PHM_DATA_ROOT", raising=False)
    return World(tmp_path, bench_store)
