"""The files of a run, each key checked, and what they decide of one cell, rig or dataset."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, JsonValue

from workflow_src.code_digest import Kind
from workflow_src.configuration.backbones import shipped_backbones
from workflow_src.configuration.base import ConfigError
from workflow_src.configuration.cell import Cell
from workflow_src.configuration.geometry import Geometry
from workflow_src.configuration.lines import shown
from workflow_src.configuration.model import OwnFile
from workflow_src.configuration.resolved_cell import (
    ClassicModel,
    NetworkCell,
    NetworkModel,
    ResolvedCell,
)
from workflow_src.configuration.revisions import REVISIONS
from workflow_src.configuration.scaling import refuse_scaling
from workflow_src.configuration.schema import (
    Dataset,
    Hardware,
    Model,
    Override,
    Request,
    Rig,
    Run,
    SiteClass,
    TaskSet,
    Training,
)
from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.errors import UserError

_Alike = tuple[ResolvedCell, dict[str, JsonValue]]  # without an identity, and its content


@dataclass(frozen=True)
class Configuration:
    """The files of one run, each key checked."""

    run: Run
    models: Mapping[str, Model]
    datasets: Mapping[str, Dataset]
    rigs: Mapping[str, Rig]
    task_sets: Mapping[str, TaskSet]
    hardware: Mapping[str, Hardware]  # the classes that trainings ask for, the first choice first
    classes: Mapping[str, Hardware]  # all of them: which one is larger
    sites: Mapping[str, SiteClass]  # what the cluster calls each of `hardware`
    light_site: SiteClass  # of rules that need no GPU
    folder: Path
    # SHA-256 of the tables beside rigs and datasets, by their names; of code that is in identities
    digests: Mapping[str, str]
    own_files: Mapping[str, OwnFile]  # of the user's own, by the model that names one
    _resolved: dict[Cell, ResolvedCell] = field(default_factory=dict, repr=False)
    # (dataset, model, task set, overrides that match) -> what cells that differ by their seed share
    _alike: dict[tuple[str, str, str, tuple[int, ...]], _Alike] = field(
        default_factory=dict, repr=False
    )

    def data_root(self) -> Path | None:
        """Folder of the real rigs: the key, else the environment variable, else None."""
        root = self.run.data_root or os.environ.get("PHM_DATA_ROOT")
        return Path(root).expanduser().resolve() if root else None

    def class_named(self, name: str) -> Hardware:
        """The hardware class that an option `--hardware` names.

        Raises:
            UserError: there is none.
        """
        if name not in self.classes:
            raise UserError(
                f"There is no hardware class `{name}`.",
                where="--hardware",
                expected=", ".join(sorted(self.classes)),
                remedy=f"--hardware {min(self.classes)}",
            )
        return self.classes[name]

    def resolve(self, dataset: str, model: str, task_set: str, seed: int) -> ResolvedCell:
        """Everything that decides the numbers of one cell: default < model < dataset < overrides.

        Labels, notes and requests are left out; a classic model has no training. Raises UserError
        for keys that contradict each other in this cell.
        """
        cell = Cell(dataset, model, task_set, seed)
        if cell not in self._resolved:
            overrides = self.run.overrides
            matching = tuple(
                i for i, o in enumerate(overrides) if fnmatch.fnmatchcase(cell.name, o.cells)
            )
            key = (dataset, model, task_set, matching)
            if key not in self._alike:
                settings = self._settings(cell, [overrides[i] for i in matching])
                self._alike[key] = settings, settings.content()
            settings, content = self._alike[key]
            self._resolved[cell] = settings.named(cell, content)
        return self._resolved[cell]

    def _settings(self, cell: Cell, overrides: Sequence[Override]) -> ResolvedCell:
        data, kind = self.datasets[cell.dataset], self.models[cell.model].kind
        made = NetworkCell if kind == "network" else ResolvedCell
        model, training = self._model(cell, overrides)
        resolved = made.model_validate(
            {
                "cell": cell,
                "dataset": data,
                "amplitude_comparable": self.rigs[data.rig].amplitude_comparable,
                "rig": self.rig_part(data.rig),
                "split_table": self._provenance("datasets", data.split.file)["table"],
                "truncation": self._truncation(data).get("truncation"),
                "geometry": self._geometry(cell),
                "tasks": self.task_sets[cell.task_set],
                "model": model,
                "revision": self._revision(cell.model),
                "code": self._code(kind),
                "training": training,
            }
        )
        if isinstance(resolved, NetworkCell):
            self._require_comparable(cell.dataset, cell.task_set)
            self._require_validation(cell.dataset, resolved.training.early_stopping_patience)
            refuse_scaling(resolved)
        return resolved

    def _model(
        self, cell: Cell, overrides: Sequence[Override]
    ) -> tuple[NetworkModel, Training] | tuple[ClassicModel, None]:
        """What of the model's file, the dataset and `overrides` is built, and how it is trained."""
        model = self.models[cell.model]
        own = self.own_files.get(cell.model)  # what is trained is what was read
        source = {} if own is None else {"source": own[2]}
        if model.kind == "classic":
            return ClassicModel.model_validate(model.classic() | source), None
        sizes = model.sizes() | source
        training = self.run.training.model_dump() | _set(model.training)
        training |= _set(self.datasets[cell.dataset].training)
        for override in overrides:
            training |= _set(override.training)
            sizes |= self._of_its_own(cell.model, sizes, _set(override.model))
        return NetworkModel.model_validate(sizes), Training.model_validate(training)

    def _revision(self, model: str) -> int:
        """Of the code behind the numbers; revisions only rise, so a sum tells of each of them."""
        if self.models[model].kind == "network":
            return REVISIONS["models"]
        return REVISIONS["classic"] + (REVISIONS["features"] if self.uses_features(model) else 0)

    def uses_features(self, model: str) -> bool:
        """Whether a model is given the features of its dataset's spans."""
        named = self.models[model]
        return named.method is not None and named.methods[named.method].FEATURES

    def _geometry(self, cell: Cell) -> dict[str, Geometry] | None:
        """None for who does not ask."""
        return self._machines(cell.dataset) if self.uses_geometry(cell.model) else None

    def _machines(self, dataset: str) -> dict[str, Geometry]:
        """The geometry by rig, without the words on where and how well it is known."""
        known = {name: self.rigs[name].machine for name in self._rigs_of(dataset)}
        words = {"origin": "", "assumed": False}
        return {n: m.model_copy(update=words) for n, m in known.items() if m is not None}

    def _rigs_of(self, dataset: str) -> list[str]:
        """Those that its rig is a union of, and its rig."""
        rig = self.datasets[dataset].rig
        return [*self.rigs[rig].options.member_rigs(), rig]

    def assumed_geometry(self, dataset: str) -> list[str]:
        """The rigs of a dataset whose geometry is a guess."""
        known = {name: self.rigs[name].geometry for name in self._rigs_of(dataset)}
        return [name for name, machine in known.items() if machine is not None and machine.assumed]

    def uses_geometry(self, model: str) -> bool:
        """Whether a model is given the geometry of bearings and gears."""
        named = self.models[model]
        return named.method is not None and named.methods[named.method].MACHINE

    def _code(self, kind: Kind) -> str | None:
        """Under `code: strict`, the code that trains; as it was when the run was planned."""
        return None if self.run.code == "noted" else self.digests[f"code/{kind}"]

    def _of_its_own(
        self, name: str, sizes: Mapping[str, JsonValue], override: dict[str, JsonValue]
    ) -> dict[str, JsonValue]:
        """`override`; a key that the backbone of the model `name` does not have is an error."""
        wrong = sorted(override.keys() - sizes.keys())
        if wrong:
            having = [b for b, keys in shipped_backbones().items() if wrong[0] in keys.model_fields]
            models = [m for m, model in self.models.items() if model.backbone in having]
            narrower = as_yaml(("cells",), f"*/{models[0]}/*") if models else None
            own = self.models[name].backbones[str(sizes["backbone"])].model_fields
            raise UserError(
                f"An override sets `model.{wrong[0]}` for `{name}`, but {sizes['backbone']} does "
                "not have it.",
                where="`overrides:` of the run",
                found=f"{wrong[0]}: {override[wrong[0]]}",
                expected=f"of its own keys: {', '.join(own)}; or cells of {' or '.join(having)}",
                remedy=narrower or f"remove `{wrong[0]}` from the override",
            )
        return override

    def _require_comparable(self, dataset: str, task_set: str) -> None:
        """An amplitude that tells rigs or specimens apart by their gain is no input."""
        data = self.datasets[dataset]
        found = "amplitude_comparable: false" if data.amplitude != "none" else "amplitude: none"
        if self.rigs[data.rig].amplitude_comparable and data.amplitude != "none":
            return
        for task, keys in self.task_sets[task_set].given().items():
            try:
                keys.without_amplitude()
            except ConfigError as error:
                key, value = next(iter((error.put or {}).items()))
                raise UserError(
                    f"The task set `{task_set}` gives the amplitude to {task}, but that of "
                    f"`{dataset}` (rig `{data.rig}`) is not comparable or not offered.",
                    where=f"{shown(self.folder / 'task_sets.yaml')}, key `{task_set}.{task}.{key}`",
                    found=found,
                    expected="a rig with `amplitude_comparable: true` and a dataset that offers it",
                    remedy=as_yaml((task_set, task, key), value),
                ) from error

    def _require_validation(self, dataset: str, patience: int) -> None:
        """Stopping early reads the validation part; the file of a fixed split may hold one."""
        split = self.datasets[dataset].split
        if patience and split.validation.strategy == "none" and split.strategy != "fixed":
            raise UserError(
                f"`early_stopping_patience` needs a validation part, and `{dataset}` has none.",
                where=f"{self._file('datasets', dataset)}, key `split.validation`",
                found=f"early_stopping_patience: {patience}, validation: {{strategy: none}}",
                remedy=as_yaml(("split", "validation", "strategy"), "time_block"),
            )

    def _file(self, kind: str, name: str) -> str:
        return shown(self.folder / kind / f"{name.partition('.fold')[0]}.yaml")

    def rig_part(self, rig: str) -> dict[str, JsonValue]:
        """What decides the recordings of a rig (without the place where its files lie)."""
        keys, options = self.rigs[rig].deciding_keys(), self.rigs[rig].options
        members: JsonValue = {name: self.rig_part(name) for name in options.member_rigs()}
        parts = {"parts": members} if members else {}
        return {"rig": keys, **self._provenance("rigs", options.table_beside()), **parts}

    def _provenance(self, kind: str, table: str | None) -> dict[str, JsonValue]:
        digest = None if table is None else self.digests[f"{kind}/{table}"]
        return {"revision": REVISIONS["data"], "table": digest}

    def split_part(self, dataset: str) -> dict[str, JsonValue]:
        """What decides the split of a dataset."""
        data = self.datasets[dataset]
        keys = data.model_dump(include={"rig", "span", "channel_kinds", "select", "split"})
        machine = self.rigs[data.rig].machine
        known = (
            {}
            if machine is None
            else {"geometry": machine.model_dump(exclude={"origin", "assumed"})}
        )
        provenance = self._provenance("datasets", data.split.file)
        return {"dataset": keys, **known, **provenance, **self._truncation(data)}

    def features_part(self, dataset: str) -> dict[str, JsonValue]:
        """What decides the features of a dataset's spans, beside its recordings and its split."""
        data = self.datasets[dataset]
        keys = {"rig", "span", "split", "channel_kinds", "amplitude", "test_noise_db"}
        machines = self._machines(dataset).items()
        return {
            "dataset": data.model_dump(include=keys),
            "geometry": {rig: known.model_dump(exclude_none=True) for rig, known in machines},
            "revision": REVISIONS["features"],
        }

    def _truncation(self, data: Dataset) -> dict[str, str]:
        name = data.split.truncation
        return {} if name is None else {"truncation": self.digests[f"datasets/{name}"]}

    def request(self, dataset: str, model: str, task_set: str, seed: int) -> Request:
        """The configured request of one cell; a later pattern wins."""
        name = f"{dataset}/{model}/{task_set}/{seed}"
        values = self.run.request.model_dump()
        for rule in self.run.requests:
            if fnmatch.fnmatchcase(name, rule.cells):
                values |= {k: v for k, v in _set(rule).items() if k != "cells"}
        return Request.model_validate(values)


def _set(overrides: BaseModel | None) -> dict[str, JsonValue]:
    return {} if overrides is None else dict(overrides.model_dump(exclude_unset=True))
