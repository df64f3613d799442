"""Reads the files of a run, combines them, and resolves what one cell is trained with."""

from __future__ import annotations

import difflib
import fnmatch
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from workflow_src.configuration.keys import (
    BACKBONE_KEYS,
    Architecture,
    Dataset,
    Hardware,
    Model,
    Request,
    Rig,
    Run,
    SiteClass,
    TaskSet,
    Training,
)
from workflow_src.configuration.messages import checked
from workflow_src.errors import UserError

# Raised by hand when the same inputs would give other numbers; part of every cell's identity.
REVISIONS = {"models": 1, "data": 1}


def identity(value: Any) -> str:
    """Sixteen hex digits of the SHA-256 of `value` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Configuration:
    """The files of one run, each key checked."""

    run: Run
    models: Mapping[str, Model]
    datasets: Mapping[str, Dataset]
    rigs: Mapping[str, Rig]
    task_sets: Mapping[str, TaskSet]
    hardware: Hardware
    site: SiteClass
    folder: Path

    def data_root(self) -> Path | None:
        """Folder of the real rigs: the key, else the environment variable, else None."""
        root = self.run.data_root or os.environ.get("PHM_DATA_ROOT")
        return Path(root).expanduser().resolve() if root else None

    def resolve(self, dataset: str, model: str, task_set: str, seed: int) -> dict[str, Any]:
        """Everything that decides the numbers of one cell: default < model < dataset < overrides.

        Labels, notes and requests are left out; a classic model has no training.
        """
        name = f"{dataset}/{model}/{task_set}/{seed}"
        data, network = self.datasets[dataset], self.models[model]
        fixed = (*self._data_part(dataset), *self._tasks_part(task_set))
        resolved: dict[str, Any] = {
            "cell": {"dataset": dataset, "model": model, "task_set": task_set, "seed": seed},
            **dict(fixed),
            "revisions": REVISIONS,
        }
        if network.kind == "classic":
            resolved["model"] = {"kind": "classic", "method": network.method}
            return {**resolved, "identity": identity(resolved)}
        overrides = [o for o in self.run.overrides if fnmatch.fnmatchcase(name, o.cells)]
        sizes = network.model_dump(include=set(Architecture.model_fields))
        training = self.run.training.model_dump() | _set(network.training) | _set(data.training)
        for override in overrides:
            training |= _set(override.training)
            sizes |= _set(override.model)
        resolved["model"] = {"kind": "network"} | _without_foreign_keys(model, sizes)
        resolved["training"] = Training.model_validate(training).model_dump()
        return {**resolved, "identity": identity(resolved)}

    def _data_part(self, dataset: str) -> list[tuple[str, Any]]:
        return self._data_parts[dataset]

    @cached_property
    def _data_parts(self) -> dict[str, list[tuple[str, Any]]]:
        return {
            name: [
                ("dataset", data.model_dump(exclude={"extends", "label", "note", "training"})),
                ("amplitude_comparable", self.rigs[data.rig].amplitude_comparable),
                ("rig", self.rig_part(data.rig)),
            ]
            for name, data in self.datasets.items()
        }

    def rig_part(self, rig: str) -> dict[str, Any]:
        """What decides the recordings of a rig (without the place where its files lie)."""
        return self.rigs[rig].model_dump(exclude={"description"}, exclude_none=True)

    def split_part(self, dataset: str) -> dict[str, Any]:
        """What decides the split of a dataset."""
        return self.datasets[dataset].model_dump(
            include={"rig", "span", "channel_kinds", "select", "split"}
        )

    def _tasks_part(self, task_set: str) -> list[tuple[str, Any]]:
        return [("tasks", self.task_sets[task_set].model_dump(exclude_none=True))]

    def request(self, dataset: str, model: str, task_set: str, seed: int) -> Request:
        """The configured request of one cell; a later pattern wins."""
        name = f"{dataset}/{model}/{task_set}/{seed}"
        values = self.run.request.model_dump()
        for rule in self.run.requests:
            if fnmatch.fnmatchcase(name, rule.cells):
                values |= {k: v for k, v in _set(rule).items() if k != "cells"}
        return Request.model_validate(values)


def load(config: Mapping[str, Any], folder: Path, files: Sequence[Path] = ()) -> Configuration:
    """The configuration of a run.

    `config` is Snakemake's merged dictionary, `folder` is config/, `files` are the files that
    `config` was merged from, the strongest first (for messages). Raises UserError at the first
    wrong key, before anything is run.
    """
    run: Run = checked(Run, config, [*files, folder / "config.yaml"])
    models = {name: _model(folder, name) for name in run.models}
    datasets = _datasets(folder, run.datasets)
    rigs = {d.rig: _one(Rig, folder / "rigs", d.rig) for d in datasets.values()}
    for name, rig in rigs.items():
        _check_rig(folder / "rigs" / f"{name}.yaml", rig)
    site_file = folder / "site.yaml"
    site = _read(site_file) if site_file.exists() else {}
    return Configuration(
        run=run,
        models=models,
        datasets=datasets,
        rigs=rigs,
        task_sets=_task_sets(folder / "task_sets.yaml", run.task_sets),
        hardware=_one(Hardware, folder / "hardware", run.hardware),
        site=checked(SiteClass, site.get(run.hardware) or {}, [site_file], (run.hardware,)),
        folder=folder,
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        there = sorted(p.stem for p in file.parent.glob("*.yaml"))
        near = difflib.get_close_matches(file.stem, there, n=1, cutoff=0.4)
        raise UserError(
            f"There is no `{file.stem}` in {file.parent.name}/.",
            where=str(file),
            expected="one of " + ", ".join(there),
            remedy=f"write `{near[0]}` in its place" if near else f"create {file}",
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(
            "A configuration file is not YAML in UTF-8.", where=str(file), found=str(error)
        ) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(
            "A configuration file must hold keys.", where=str(file), found=type(values).__name__
        )
    return values


def _one(model: type[Any], folder: Path, name: str) -> Any:
    file = folder / f"{name}.yaml"
    return checked(model, _read(file), [file])


def _extended(
    folder: Path, name: str, seen: tuple[str, ...] = ()
) -> tuple[dict[str, Any], list[Path]]:
    file = folder / f"{name}.yaml"
    values = _read(file)
    parent = values.get("extends")
    if parent is None:
        return values, [file]
    if parent in (*seen, name):
        raise UserError(
            f"`extends` turns in a circle: {' -> '.join((*seen, name, parent))}.",
            where=str(file),
            remedy="remove one of these `extends:` lines",
        )
    base, files = _extended(folder, parent, (*seen, name))
    return _merged(base, values), [file, *files]


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _model(folder: Path, name: str) -> Model:
    values, files = _extended(folder / "models", name)
    model: Model = checked(Model, values, files)
    given = set(values) - {"extends", "kind", "label"}
    if model.kind == "classic" and (model.method is None or given != {"method"}):
        raise UserError(
            f"The classic model `{name}` takes `method` and nothing else.",
            where=str(files[0]),
            found=", ".join(sorted(given)) or "no key",
            remedy="kind: classic\nmethod: trivial",
        )
    if model.kind == "network":
        if model.backbone is None or model.method is not None:
            raise UserError(
                f"The network `{name}` needs `backbone` and takes no `method`.",
                where=str(files[0]),
                remedy="backbone: patchtst",
            )
        _without_foreign_keys(name, model.model_dump(include=set(Architecture.model_fields)))
    return model


def _without_foreign_keys(name: str, sizes: dict[str, Any]) -> dict[str, Any]:
    """`sizes` without the unset keys of other backbones; one that is set is an error."""
    own = BACKBONE_KEYS[sizes["backbone"]]
    foreign = {key for keys in BACKBONE_KEYS.values() for key in keys} - set(own)
    wrong = sorted(key for key in foreign if sizes.get(key) is not None)
    if wrong:
        raise UserError(
            f"The model `{name}` sets `{wrong[0]}`, which {sizes['backbone']} does not have.",
            expected="of the backbones' own keys: " + ", ".join(own),
            remedy=f"remove the line `{wrong[0]}:`",
        )
    return {key: value for key, value in sizes.items() if key not in foreign and value is not None}


def _datasets(folder: Path, names: Sequence[str]) -> dict[str, Dataset]:
    found: dict[str, Dataset] = {}
    for name in names:
        base, dot, fold = name.rpartition(".fold")
        single = bool(dot) and fold.isdigit()
        stem = base if single else name
        values, files = _extended(folder / "datasets", stem)
        dataset: Dataset = checked(Dataset, values, files)
        rotations = _rotations(stem, dataset)
        if single and name not in rotations:
            raise UserError(
                f"The dataset `{stem}` has no fold {fold}.",
                where=str(files[0]),
                expected=f"0 to {len(dataset.split.folds) - 1}",
            )
        found |= {name: rotations[name]} if single else rotations
    return found


def _rotations(name: str, dataset: Dataset) -> dict[str, Dataset]:
    if not dataset.split.folds:
        return {name: dataset}
    made = {}
    for i, fold in enumerate(dataset.split.folds):
        split = dataset.split.model_copy(
            update={"test": fold.test, "train": fold.train or dataset.split.train, "folds": []}
        )
        made[f"{name}.fold{i}"] = dataset.model_copy(update={"split": split})
    return made


def _check_rig(file: Path, rig: Rig) -> None:
    given = {"simulated": rig.simulated, "folder": rig.folder}
    other = "folder" if rig.source == "simulated" else "simulated"
    if given[rig.source] is None or given[other] is not None:
        raise UserError(
            f"A rig of source `{rig.source}` needs the key `{rig.source}` and no other source's.",
            where=str(file),
            remedy=f"{rig.source}: {{...}}",
        )


def _task_sets(file: Path, names: Sequence[str]) -> dict[str, TaskSet]:
    values = _read(file)
    sets = {}
    for name in names:
        if name not in values:
            near = difflib.get_close_matches(name, list(values), n=1, cutoff=0.4)
            raise UserError(
                f"There is no task set `{name}`.",
                where=str(file),
                expected="one of " + ", ".join(values),
                remedy=f"task_sets: [{near[0] if near else next(iter(values))}]",
            )
        options = {task: keys or {} for task, keys in (values[name] or {}).items()}
        sets[name] = checked(TaskSet, options, [file], (name,))
        if not sets[name].model_dump(exclude_none=True):
            raise UserError(
                f"The task set `{name}` names no task.",
                where=str(file),
                remedy=f"{name}:\n  classification: {{}}",
            )
    return sets


def _set(overrides: Any) -> dict[str, Any]:
    return {} if overrides is None else dict(overrides.model_dump(exclude_unset=True))
