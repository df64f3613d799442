"""A text of YAML in its place in config/, and the values that the product takes from it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter
from snakemake.common.configfile import load_configfile
from snakemake_interface_common.exceptions import WorkflowError

from workflow_src.configuration import Dataset, load
from workflow_src.configuration.reading import merged, read, read_extended

from .shipped import CONFIG, Source

FOLDERS = {"rig": "rigs", "dataset": "datasets", "model": "models", "experiment": "experiments"}
_RUN: dict[str, Any] = {
    "study": "fuzz",
    "datasets": ["bearing_sim"],
    "models": ["dlinear"],
    "task_sets": ["classification"],
    "seeds": [1],
    "hardware": "local",
}
_DATASET = "rig: {rig}\nspan: {{window: 64, horizon: 8}}\nsplit: {{strategy: unit}}\n"
_RIG = b"""source: simulated
simulated: {kind: bearing}
unit: g
amplitude_comparable: false
"""


class Loader:
    """A copy of config/, in which one text at a time takes its place."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config"
        shutil.copytree(CONFIG, self.config)
        (self.config / "site.yaml").unlink(missing_ok=True)
        self._uses = {
            match[1]: path.stem
            for path in sorted((CONFIG / "datasets").glob("*.yaml"))
            if (match := re.search(r"^rig: (\S+)", path.read_text("utf-8"), re.MULTILINE))
        }

    def values(self, source: Source, raw: bytes) -> dict[str, Any]:
        """What `load` takes from `raw` in the place of the source; raises what the product does."""
        path = self.config / FOLDERS.get(source.kind, source.kind) / f"{source.name}.yaml"
        if source.kind in ("task_sets", "site", "config"):
            path = self.config / f"{source.name}.yaml"
        with self._placed(path, raw), self._placed(*self._beside(source, raw)):
            return _dumped(self._load(source, path))

    def _beside(self, source: Source, raw: bytes) -> tuple[Path, bytes | None]:
        """A dataset for a rig that none names, or a rig for a dataset that names one of its own."""
        if source.kind == "dataset" and b"rig: mine" in raw:
            return self.config / "rigs/mine.yaml", _RIG
        lone = source.kind == "rig" and source.name not in self._uses
        text = _DATASET.format(rig=source.name).encode()
        return self.config / "datasets/of_fuzz.yaml", text if lone else None

    def _load(self, source: Source, path: Path) -> Any:
        name, run = source.name, dict(_RUN)
        if source.kind == "rig":
            run["datasets"] = [self._uses.get(name, "of_fuzz")]
            return load(run, self.config).rigs[name]
        if source.kind == "dataset":
            load(run | {"datasets": [name]}, self.config)
            return Dataset.model_validate(read_extended(self.config / "datasets", name)[0])
        if source.kind == "model":
            return load(run | {"models": [name]}, self.config).models[name]
        if source.kind == "hardware":
            return load(run | {"hardware": name}, self.config).hardware[name]
        if source.kind == "task_sets":
            names = list(read(path))
            return load(run | {"task_sets": names}, self.config).task_sets
        if source.kind == "site":
            return self._site(path)
        if source.kind == "config":
            return load(_by_snakemake(path) | {"hardware": "local"}, self.config).run
        over = merged(_by_snakemake(self.config / "config.yaml"), _by_snakemake(path))
        return load(over | {"hardware": "local"}, self.config, [path]).run

    def _site(self, path: Path) -> Any:
        sites = {}
        for name in read(path):
            sites |= load(_RUN | {"hardware": name}, self.config).sites
        return sites or load(_RUN, self.config).sites

    @contextmanager
    def _placed(self, path: Path, raw: bytes | None) -> Iterator[None]:
        before = path.read_bytes() if path.exists() else None
        if raw is not None:
            path.write_bytes(raw)
        try:
            yield
        finally:
            if before is not None:
                path.write_bytes(before)
            else:
                path.unlink(missing_ok=True)


def _by_snakemake(path: Path) -> dict[str, Any]:
    """The keys of a run as Snakemake reads them, before the product is asked."""
    try:
        values: dict[str, Any] = load_configfile(path)
    except UnicodeDecodeError as error:
        raise WorkflowError(str(error)) from error  # Snakemake ends here, in words of its own
    return values


def _dumped(values: Any) -> dict[str, Any]:
    if isinstance(values, BaseModel):
        return values.model_dump(by_alias=True)
    dumped: dict[str, Any] = TypeAdapter(dict[str, Any]).dump_python(
        {key: value.model_dump(by_alias=True) for key, value in values.items()}
    )
    return dumped
