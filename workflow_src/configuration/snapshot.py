"""The configuration of a running workflow, kept for its jobs.

Under a scheduler each job is a Snakemake of its own that reads the Snakefile again, perhaps hours
after the command was given. It reads this in place of the files, so that an edit of the
configuration neither reaches a job that waits nor stops it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from workflow_src.configuration.keys import Dataset, Hardware, Model, Rig, Run, SiteClass, TaskSet
from workflow_src.configuration.loading import Configuration
from workflow_src.errors import UserError
from workflow_src.files import write_text

# Beside Snakemake's own state: one command at a time runs in a working directory.
PATH = Path(".snakemake", "workflow_src", "configuration.json")

_ONE: dict[str, type[BaseModel]] = {"run": Run, "hardware": Hardware, "site": SiteClass}
_MANY: dict[str, type[BaseModel]] = {
    "models": Model,
    "datasets": Dataset,
    "rigs": Rig,
    "task_sets": TaskSet,
}


def keep(configuration: Configuration) -> None:
    """Write `configuration` for the jobs of the run that begins."""
    content: dict[str, Any] = {"folder": str(configuration.folder)}
    for name in _ONE:
        content[name] = _plain(getattr(configuration, name))
    root = configuration.data_root()  # a variable of the environment need not reach a node
    content["run"]["data_root"] = None if root is None else str(root)
    for name in _MANY:
        content[name] = {key: _plain(v) for key, v in getattr(configuration, name).items()}
    write_text(PATH, json.dumps(content, indent=1))


def kept() -> Configuration:
    """The configuration of the run that a job belongs to."""
    if not PATH.exists():
        raise UserError(
            "A job does not find the configuration of its run.",
            where=str(PATH.resolve()),
            remedy="start jobs by `snakemake --profile ...`, on a file system that nodes see",
        )
    content = json.loads(PATH.read_text(encoding="utf-8"))
    one = {name: model.model_validate(content[name]) for name, model in _ONE.items()}
    many = {
        name: {key: model.model_validate(v) for key, v in content[name].items()}
        for name, model in _MANY.items()
    }
    return Configuration(folder=Path(content["folder"]), **one, **many)  # type: ignore[arg-type]


def _plain(model: BaseModel) -> dict[str, Any]:
    # What is not set stays unset: an override sets nothing but what it names.
    return model.model_dump(mode="json", exclude_unset=True, by_alias=True)
