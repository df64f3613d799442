"""Reads the files of a run, and combines them."""

from __future__ import annotations

import difflib
import fnmatch
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar, get_args

from pydantic import BaseModel, JsonValue

from workflow_src.code_digest import KINDS, code_digest
from workflow_src.configuration.base import repeated
from workflow_src.configuration.checking import checked
from workflow_src.configuration.command_line import missing_hardware
from workflow_src.configuration.configuration import Configuration
from workflow_src.configuration.digests import digest
from workflow_src.configuration.lines import shown
from workflow_src.configuration.model import OwnFile, OwnKey, model_type
from workflow_src.configuration.reading import read, read_extended
from workflow_src.configuration.rotations import rotations
from workflow_src.configuration.schema import Dataset, Hardware, Model, Rig, Run, SiteClass, TaskSet
from workflow_src.configuration.tasks import TASKS
from workflow_src.configuration.union_members import require_sound_unions, with_members
from workflow_src.configuration.validation_errors import as_flow, as_yaml
from workflow_src.errors import UserError

M = TypeVar("M", bound=BaseModel)


def load(
    config: Mapping[str, JsonValue], folder: Path, files: Sequence[Path] = ()
) -> Configuration:
    """The configuration of a run.

    `config` is Snakemake's merged dictionary, `folder` is config/, `files` are the files that
    `config` was merged from, the strongest first (for messages). Raises UserError at the first
    wrong key, before anything is run.
    """
    files = [*files, folder / "config.yaml"]
    for file in files:
        if file.exists():
            read(file)  # Snakemake, which read it, takes the last of two like keys
    if "hardware" not in config and set(config) <= set(Run.model_fields):
        # Any class stands in for it, so that it hides no other mistake; an unknown key may be it.
        load({**config, "hardware": _classes(folder)[0]}, folder, files)
        raise missing_hardware(_classes(folder))
    run = checked(Run, config, files)
    found = {name: _model(folder, name) for name in run.models}
    datasets = _datasets(folder, run.datasets)
    rigs = {d.rig: _one(Rig, folder / "rigs", d.rig) for d in datasets.values()}
    rigs = with_members(rigs, lambda name: _one(Rig, folder / "rigs", name))
    require_sound_unions(rigs, datasets, folder)
    tables = [("rigs", name) for r in rigs.values() if (name := r.options.table_beside())]
    tables += [("datasets", name) for d in datasets.values() for name in d.split.tables()]
    configuration = Configuration(
        run=run,
        models={name: model for name, (model, _) in found.items()},
        own_files={name: own for name, (_, own) in found.items() if own is not None},
        datasets=datasets,
        rigs=rigs,
        task_sets=_task_sets(folder / "task_sets.yaml", run.task_sets),
        hardware={name: _one(Hardware, folder / "hardware", name) for name in run.preferred},
        classes={name: _one(Hardware, folder / "hardware", name) for name in _classes(folder)},
        sites={name: _site(folder / "site.yaml", (name,)) for name in run.preferred},
        light_site=_site(folder / "site.yaml", ("cpu", *run.preferred)),
        folder=folder,
        digests={f"{kind}/{name}": digest(folder / kind / name) for kind, name in tables}
        | ({f"code/{kind}": code_digest(kind) for kind in KINDS} if run.code == "strict" else {}),
    )
    _require_a_network(configuration)
    return configuration


def _require_a_network(configuration: Configuration) -> None:
    """Neither training nor a request of it says anything of a baseline."""
    run = configuration.run
    axes = (configuration.datasets, run.models, run.task_sets, run.seeds)
    names = ["/".join(map(str, cell)) for cell in itertools.product(*axes)]
    patterns = [("overrides", o.cells) for o in run.overrides]
    patterns += [("requests", r.cells) for r in run.requests]
    for key, pattern in patterns:
        matched = {name.split("/")[1] for name in fnmatch.filter(names, pattern)}
        if matched and all(configuration.models[m].kind == "classic" for m in matched):
            raise UserError(
                f"The pattern `{pattern}` of `{key}` matches only classic models, which are not "
                "trained: it would change nothing.",
                found=", ".join(sorted(matched)),
                remedy=f"correct or remove the pattern under `{key}:`",
            )


def page_part(rig: Rig) -> dict[str, JsonValue]:
    """What a rig's page tells beside its recordings: geometry, `amplitude_comparable`."""
    machine = rig.machine
    return {
        "geometry": None if machine is None else machine.model_dump(exclude_none=True),
        "amplitude_comparable": rig.amplitude_comparable,
    }


def load_rig(folder: Path, name: str) -> Rig:
    """The rig of config/rigs/<name>.yaml, `folder` being config/; UserError names a wrong key."""
    return _one(Rig, folder / "rigs", name)


def _one(model: type[M], folder: Path, name: str) -> M:
    file = folder / f"{name}.yaml"
    return checked(model, read(file), [file])


def _model(folder: Path, name: str) -> tuple[Model, OwnFile | None]:
    """A model, and the file of its backbone or method where that is the user's own."""
    values, files = read_extended(folder / "models", name)
    own: OwnFile | None = None
    for key in get_args(OwnKey):
        said = values.get(key)
        if isinstance(said, str) and said.endswith(".py"):
            own = (key, said, _text(folder / "models" / said, files[0], key))
    return checked(model_type(own), values, files), own


def _text(file: Path, named_in: Path, key: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"The file of a {key} cannot be read.",
            where=f"{shown(named_in)}, key `{key}`",
            found=f"{shown(file)}: {error}",
            expected=f"a file with a {key} of your own (docs/extending.md), by its place from "
            "the model's file",
            remedy=f"{key}: my_{key}.py",
        ) from None


def _datasets(folder: Path, names: Sequence[str]) -> dict[str, Dataset]:
    found: list[tuple[str, Dataset]] = []
    for name in names:
        base, dot, fold = name.rpartition(".fold")
        single = bool(dot) and fold.isdigit()
        stem = base if single else name
        values, files = read_extended(folder / "datasets", stem)
        dataset = checked(Dataset, values, files)
        made = rotations(stem, dataset)
        if single and name not in made:
            last = -1 if stem in made else len(made) - 1
            raise UserError(
                f"The dataset `{stem}` has no fold {fold}.",
                where=f"{shown(files[0])}, key `split`",
                expected=f"{stem}.fold0 to {stem}.fold{last}" if last >= 0 else stem,
                remedy=as_yaml(("datasets",), [next(iter(made))]),
            )
        found += [(name, made[name])] if single else list(made.items())
    twice = repeated([name for name, _ in found])
    if twice:
        raise UserError(
            f"`datasets` names {twice[0]} twice: by itself and with all rotations.",
            found=", ".join(names),
            remedy=as_yaml(("datasets",), [name for name in names if name not in twice]),
        )
    return dict(found)


def _task_sets(file: Path, names: Sequence[str]) -> dict[str, TaskSet]:
    values = read(file)
    sets = {}
    for name in names:
        if name not in values:
            near = difflib.get_close_matches(name, list(values), n=1, cutoff=0.4)
            raise UserError(
                f"There is no task set `{name}`.",
                where=shown(file),
                expected="one of " + ", ".join(values),
                remedy=f"task_sets: [{near[0] if near else next(iter(values), 'NAME')}]",
            )
        tasks = values[name]
        if not isinstance(tasks, dict) or not tasks:
            raise UserError(
                f"The task set `{name}` names no task.",
                where=f"{shown(file)}, key `{name}`",
                found=str(tasks),
                expected="one or more of " + ", ".join(TASKS),
                remedy=as_yaml((name, TASKS[0]), {}),
            )
        options = {task: keys or {} for task, keys in tasks.items()}
        sets[name] = checked(TaskSet, options, [file], (name,))
    return sets


def _classes(folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / "hardware").glob("*.yaml"))


def _site(file: Path, preferred: Sequence[str]) -> SiteClass:
    """What the cluster calls the first class that the file names; every name must be a class."""
    values = read(file) if file.exists() else {}
    classes = _classes(file.parent)
    for name in values:
        if name not in classes:
            near = difflib.get_close_matches(str(name), classes, n=1, cutoff=0.4)
            raise UserError(
                f"There is no hardware class `{name}`.",
                where=f"{shown(file)}, key `{name}`",
                expected="one of " + ", ".join(classes),
                remedy=as_yaml((near[0],), values[name]) if near else f"remove the line `{name}:`",
            )
    hardware = next((name for name in preferred if values.get(name)), preferred[-1])
    keys = values.get(hardware) or {}
    if not isinstance(keys, dict):
        raise UserError(
            f"The hardware class `{hardware}` holds no keys.",
            where=f"{shown(file)}, key `{hardware}`",
            found=as_flow(keys),
            expected="keys " + ", ".join(SiteClass.model_fields),
            remedy=as_yaml((hardware, "partition"), keys if isinstance(keys, str) else "gpu"),
        )
    return checked(SiteClass, keys, [file], (hardware,))
