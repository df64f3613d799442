"""The JSON schemas of the configuration files, generated from the keys."""

from __future__ import annotations

import json

from pydantic import JsonValue, TypeAdapter

from workflow_src.configuration.schema import (
    Dataset,
    Hardware,
    Rig,
    Run,
    SiteClass,
    TaskSet,
    model_type,
)

FILES: dict[str, type] = {
    "config": Run,
    "model": model_type(),
    "dataset": Dataset,
    "rig": Rig,
    "hardware": Hardware,
    "task_sets": dict[str, TaskSet],
    "site": dict[str, SiteClass],
}


def schemas() -> dict[str, str]:
    """File name -> JSON text of each schema."""
    return {
        f"{name}.schema.json": json.dumps(_schema(name, model), indent=1, sort_keys=True) + "\n"
        for name, model in FILES.items()
    }


def _schema(name: str, model: type) -> dict[str, JsonValue]:
    schema = TypeAdapter(model).json_schema() | {"title": name}
    if name == "config":
        del schema["required"]  # one of several files; `hardware` comes from a profile
    elif "extends" in schema.get("properties", {}) and "required" in schema:
        schema["anyOf"] = [{"required": schema.pop("required")}, {"required": ["extends"]}]
    return schema
