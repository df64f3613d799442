"""The JSON schemas of the configuration files, generated from the keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from workflow_src.configuration.keys import Dataset, Hardware, Model, Rig, Run, SiteClass, TaskSet

FILES: dict[str, type[BaseModel] | Any] = {
    "config": Run,
    "model": Model,
    "dataset": Dataset,
    "rig": Rig,
    "hardware": Hardware,
    "task_sets": dict[str, TaskSet],
    "site": dict[str, SiteClass],
}


def schemas() -> dict[str, str]:
    """File name -> JSON text of each schema."""
    return {
        f"{name}.schema.json": json.dumps(
            TypeAdapter(model).json_schema() | {"title": name}, indent=1, sort_keys=True
        )
        + "\n"
        for name, model in FILES.items()
    }


def write_schemas(folder: Path) -> list[Path]:
    """Write the schemas into `folder`; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in schemas().items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths
