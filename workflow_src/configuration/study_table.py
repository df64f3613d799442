"""A table that a study writes: an entry of `tables:` of the run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, JsonValue, Tag, model_validator

from workflow_src.configuration.base import ConfigError, Name, StrictModel, repeated

# A file per task and origin (real or simulated rigs), with all that the run has of them.
DEFAULT: Literal["default"] = "default"


class StudyTable(StrictModel):
    """One table, in each format; the trivial rows stand in every one."""

    name: Name = Field(
        description="Of its files, `<study>/tables/<name>.tex` and the like.",
        examples=["detectors"],
    )
    task: str = Field(description="The task whose scores it shows.", examples=["anomaly_detection"])
    metrics: list[str] = Field(
        [],
        description="Metrics of the task, in their order; the first ranks. Recall and false alarms "
        "come together. Default: the task's own.",
        examples=[["auroc", "recall"]],
    )
    datasets: list[Name] = Field(
        [],
        description="Datasets of the run, in their order, all real or all simulated. Default: all.",
        examples=[["hit", "cwru_blocks"]],
    )
    models: list[Name] = Field(
        [],
        description="Models of the run, in their order, networks before classic ones. Default: "
        "all.",
        examples=[["fno", "patchtst"]],
    )
    caption: str = Field(
        "",
        description="Plain text above it. Default: task and metrics.",
        examples=["Detection of faults on rigs that training never saw"],
    )
    label: str = Field(
        "",
        pattern="^[A-Za-z0-9:_.-]*$",
        description="LaTeX label, of letters, digits, `:`, `_`, `.` and `-`. Default: `tab:` and "
        "the name.",
        examples=["tab:detectors"],
    )

    @model_validator(mode="after")
    def _once(self) -> StudyTable:
        for key in ("metrics", "datasets", "models"):
            values = getattr(self, key)
            if twice := repeated(values):
                once = list(dict.fromkeys(values))
                raise ConfigError(f"`{key}` names {twice[0]} twice.", put={key: once})
        return self


def _kind(value: JsonValue | StudyTable) -> str:
    return DEFAULT if isinstance(value, str) else "table"


TableOrDefault = Annotated[
    Annotated[Literal["default"], Tag(DEFAULT)] | Annotated[StudyTable, Tag("table")],
    Discriminator(_kind),
]
