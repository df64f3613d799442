"""The configuration of a running workflow, kept for its jobs.

Under a scheduler each job is a Snakemake of its own that reads the Snakefile again, perhaps hours
after the command was given. It reads this in place of the files, so that an edit of the
configuration neither reaches a job that waits nor stops it.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, JsonValue

from workflow_src.configuration.configuration import Configuration
from workflow_src.configuration.resolved_cell import identity
from workflow_src.configuration.schema import (
    Dataset,
    Hardware,
    Rig,
    Run,
    SiteClass,
    TaskSet,
    model_type,
)
from workflow_src.errors import UserError
from workflow_src.files import write_text

FOLDER = Path(".snakemake", "workflow_src")  # beside Snakemake's own state
VARIABLE = "WORKFLOW_CONFIGURATION"
RUN = "WORKFLOW_RUN"

_ONE: dict[str, type[BaseModel]] = {
    "run": Run,
    "light_site": SiteClass,
}
_MANY: dict[str, type[BaseModel]] = {
    "datasets": Dataset,
    "rigs": Rig,
    "task_sets": TaskSet,
    "hardware": Hardware,
    "classes": Hardware,
    "sites": SiteClass,
}


def keep(
    configuration: Configuration,
    forced: Iterable[str] = (),
    corrections: Sequence[Mapping[str, JsonValue]] = (),
) -> None:
    """Write `configuration` for the jobs of the run that begins, and tell them where.

    `forced` are the results folders of the cells that it is to train from their first step,
    `corrections` what it has learned of forecasts when it began.

    The file bears the name of its content: another command in the same folder, at the same time
    or later, does not touch it. Schedulers pass the environment on.
    """
    content: dict[str, Any] = {
        "folder": str(configuration.folder),
        "digests": dict(configuration.digests),
        "own_files": dict(configuration.own_files),
        "models": {name: _plain(model) for name, model in configuration.models.items()},
    }
    for name in _ONE:
        content[name] = _plain(getattr(configuration, name))
    root = configuration.data_root()  # a variable of the environment need not reach a node
    content["run"]["data_root"] = None if root is None else str(root)
    for name in _MANY:
        content[name] = {key: _plain(v) for key, v in getattr(configuration, name).items()}
    if forced := sorted(forced):
        # A name of its own: another run that is told so trains the same cells once more.
        content["anew"] = {"run": uuid.uuid4().hex, "cells": forced}
    if corrections:
        content["corrections"] = [dict(one) for one in corrections]
    path = FOLDER.resolve() / f"{identity(content)}.json"
    write_text(path, json.dumps(content, indent=1))
    os.environ[VARIABLE] = str(path)
    os.environ[RUN] = uuid.uuid4().hex


def run_name() -> str:
    """Name of the run that this process belongs to; "" before one has begun."""
    return os.environ.get(RUN, "")


def kept() -> Configuration:
    """The configuration of the run that a job belongs to."""
    return read(_kept_file())


def anew(folder: str) -> str:
    """Name of the run that a job belongs to, where it trains the cell of `folder` anew; else ""."""
    said = json.loads(_kept_file().read_text(encoding="utf-8")).get("anew")
    return str(said["run"]) if said is not None and folder in said["cells"] else ""


def corrections() -> list[dict[str, JsonValue]]:
    """What the run that a job belongs to had learned of forecasts when it began."""
    content = json.loads(_kept_file().read_text(encoding="utf-8"))
    learned: list[dict[str, JsonValue]] = content.get("corrections", [])
    return learned


def _kept_file() -> Path:
    path = Path(os.environ.get(VARIABLE, ""))
    if not path.is_file():
        raise UserError(
            "A job does not find the configuration of its run.",
            where=f"the environment variable {VARIABLE}",
            found=str(path) if VARIABLE in os.environ else "not set",
            expected="a file on a file system that nodes see",
            remedy="let the scheduler pass the environment on: `sbatch --export=ALL`, its default",
        )
    return path


def read(path: Path) -> Configuration:
    """The configuration that `keep` wrote to `path`."""
    content = json.loads(path.read_text(encoding="utf-8"))
    one = {name: model.model_validate(content[name]) for name, model in _ONE.items()}
    many = {
        name: {key: model.model_validate(v) for key, v in content[name].items()}
        for name, model in _MANY.items()
    }
    own = {name: tuple(file) for name, file in content["own_files"].items()}
    models = {
        name: model_type(own.get(name)).model_validate(values)
        for name, values in content["models"].items()
    }
    return Configuration(
        folder=Path(content["folder"]),
        digests=content["digests"],
        own_files=own,
        models=models,
        **one,  # type: ignore[arg-type]
        **many,  # type: ignore[arg-type]
    )


def _plain(model: BaseModel) -> dict[str, JsonValue]:
    # What is not set stays unset: an override sets nothing but what it names.
    return model.model_dump(mode="json", exclude_unset=True, by_alias=True)
