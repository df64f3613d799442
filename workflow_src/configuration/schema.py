"""Each key declared once: type, default, meaning, example. The JSON schemas come from here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, ValidationInfo, field_validator, model_validator

from workflow_src.configuration.base import ConfigError, Name, Selector, StrictModel, repeated
from workflow_src.configuration.data import Dataset, Fold, Rig, Span, Split, Validation
from workflow_src.configuration.machine import (
    CardRates,
    Hardware,
    Request,
    RequestKeys,
    RequestRule,
    SiteClass,
)
from workflow_src.configuration.model import Architecture, ArchitectureOverrides, Model, model_type
from workflow_src.configuration.protocols import Rotation, Shots
from workflow_src.configuration.study_table import DEFAULT, StudyTable, TableOrDefault
from workflow_src.configuration.task_set import TaskSet
from workflow_src.configuration.training import Training, TrainingOverrides

__all__ = [
    "Architecture",
    "CardRates",
    "Dataset",
    "Fold",
    "Hardware",
    "Model",
    "Override",
    "Request",
    "RequestKeys",
    "RequestRule",
    "Rig",
    "Rotation",
    "Run",
    "Selector",
    "Shots",
    "SiteClass",
    "Span",
    "Split",
    "StudyTable",
    "TaskSet",
    "Training",
    "Validation",
    "model_type",
]


class Override(StrictModel):
    """Keys for the cells that match a pattern; a later one wins."""

    cells: str = Field(
        description="Pattern over dataset/model/task_set/seed.", examples=["*/timesnet/*"]
    )
    training: TrainingOverrides | None = Field(  # type: ignore[valid-type]
        None, description="Training keys.", examples=[{"epochs": 5}]
    )
    model: ArchitectureOverrides | None = Field(  # type: ignore[valid-type]
        None, description="Sizes of the network.", examples=[{"depth": 1}]
    )

    @model_validator(mode="after")
    def _sets_something(self) -> Override:
        if not _set_keys(self.training) and not _set_keys(self.model):
            raise ConfigError("The override sets no key.", put={"training": {"epochs": 5}})
        return self


def _set_keys(section: StrictModel | None) -> set[str]:
    return section.model_fields_set if section is not None else set()


_REQUEST = {"request", "requests"}
# Folders of the project; a study among them would mix its results with what they hold.
_TAKEN = ("benchmarks", "config", "data", "docs", "profiles", "rules", "tests", "workflow_src")


class Run(StrictModel):
    """config/config.yaml, a file of config/experiments/ above it, and --config."""

    study: Name = Field(
        description="Folder of results, runs and tables; any name but `default`, which Snakemake "
        "keeps for itself.",
        examples=["my_study"],
    )

    datasets: list[Name] = Field(
        min_length=1, description="Files of config/datasets/, or `name.foldN`.", examples=[["cwru"]]
    )
    models: list[Name] = Field(
        min_length=1, description="Files of config/models/.", examples=[["dlinear", "trivial"]]
    )
    task_sets: list[Name] = Field(
        min_length=1, description="Names in config/task_sets.yaml.", examples=[["all"]]
    )
    seeds: list[Annotated[int, Field(ge=0, strict=True)]] = Field(
        min_length=1, description="One cell each.", examples=[[42, 43, 44]]
    )
    include: list[str] = Field(
        ["*"],
        description="Patterns over dataset/model/task_set/seed.",
        examples=[["*/dlinear/*"]],
    )
    exclude: list[str] = Field(
        [], description="Patterns of cells to leave out.", examples=[["femto*/timesnet/*"]]
    )
    tables: list[TableOrDefault] = Field(
        [DEFAULT],
        min_length=1,
        description="Tables that the study writes: each the keys below, or `default`, a file per "
        "task and origin (docs/tables.md).",
        examples=[["default", {"name": "detectors", "task": "anomaly_detection"}]],
    )
    training: Training = Field(
        Training(), description="Default of every network.", examples=[{"epochs": 200}]
    )
    overrides: list[Override] = Field(
        [],
        description="Keys for some cells.",
        examples=[[{"cells": "*/timesnet/*", "training": {"epochs": 5}}]],
    )
    request: Request = Field(
        Request(), description="Default request.", examples=[{"memory_mb": 8000}]
    )
    requests: list[RequestRule] = Field(
        [], description="Requests of some cells.", examples=[[{"cells": "*", "memory_mb": 4000}]]
    )
    hardware: Name | Annotated[list[Name], Field(min_length=1)] = Field(
        min_length=1,
        description="A file of config/hardware/, or several in order of preference: a training "
        "goes to the first where it fits (docs/slurm.md); named by a profile.",
        examples=["local"],
    )
    wait_minutes: int | None = Field(
        None,
        ge=1,
        description="Time that a training waits for a node before the next class of `hardware` is "
        "asked for it; default, and for the last class: for ever.",
        examples=[120],
    )
    code: Literal["noted", "strict"] = Field(
        "noted",
        description="What follows from an edit of the code that trains: `noted` says which cells "
        "other code has trained, `strict` trains them anew (docs/reruns.md).",
        examples=["strict"],
    )
    data_root: str | None = Field(
        None,
        description="Folder of the real rigs; default: the environment variable PHM_DATA_ROOT.",
        examples=["~/recordings"],
    )

    @model_validator(mode="before")
    @classmethod
    def _requests_stand_by_themselves(cls, values: JsonValue) -> JsonValue:
        """An override changes numbers; a request never does, and has a list of its own."""
        overrides = values.get("overrides") if isinstance(values, dict) else None
        if not isinstance(values, dict) or not isinstance(overrides, list):
            return values
        asking = [o for o in overrides if isinstance(o, dict) and _REQUEST & set(o)]
        if not asking:
            return values
        kept = [{k: v for k, v in o.items() if k not in _REQUEST} for o in asking]
        rest = [o for o in overrides if o not in asking] + [o for o in kept if set(o) > {"cells"}]
        moved = [
            {"cells": o.get("cells", "*"), **keys}
            for o in asking
            for key in sorted(_REQUEST & set(o))
            if isinstance(keys := o[key], dict)
        ]
        before = values.get("requests")
        requests = [*(before if isinstance(before, list) else []), *moved]
        what = "An override has no key `request`: requests of some cells stand under `requests:`."
        raise ConfigError(what, drop="overrides", put={"overrides": rest, "requests": requests})

    @field_validator("study")
    @classmethod
    def _no_profile(cls, study: str) -> str:
        if study == "default":
            raise ValueError("Snakemake takes a folder `default` for a profile")
        if study in _TAKEN:
            raise ValueError(f"the folder `{study}` holds something else")
        return study

    @property
    def preferred(self) -> list[str]:
        """The hardware classes, the first choice first."""
        return [self.hardware] if isinstance(self.hardware, str) else self.hardware

    @field_validator("datasets", "models", "task_sets", "seeds", "hardware")
    @classmethod
    def _once(cls, values: str | list[str | int], info: ValidationInfo) -> str | list[str | int]:
        twice = [] if isinstance(values, str) else repeated(values)
        if twice:
            key, once = str(info.field_name), list(dict.fromkeys(values))
            raise ConfigError(f"`{key}` names {twice[0]} twice.", put={key: once})
        return values
