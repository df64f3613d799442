"""The keys under ``phm_vibench:`` of a rig."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat, model_validator

from workflow_src.configuration.base import ConfigError, StrictModel
from workflow_src.configuration.folder import CHANNEL_KINDS, ChannelKind, Lookup, Text, as_written
from workflow_src.configuration.folder import OWN_FIELDS as FIELDS_OF_ALL
from workflow_src.configuration.patterns import group_names, template_names
from workflow_src.configuration.source_options import SourceOptions

# The columns of the metadata table (their spelling is the benchmark's own).
COLUMNS = (
    "Id",
    "Dataset_id",
    "Name",
    "Description",
    "TYPE",
    "File",
    "Visiable",
    "Label",
    "Label_Description",
    "Fault_level",
    "RUL_label",
    "RUL_label_description",
    "Domain_id",
    "Domain_description",
    "Sample_rate",
    "Sample_lenth",
    "Channel",
    "Fault_Diagnosis",
    "Anomaly_Detection",
    "Remaining_Life",
    "Digital_Twin_Prediction",
)
OWN_FIELDS = ("unit_id", "run_id", "condition", "fault", "rate_hz")
_NOT_GIVEN = {*FIELDS_OF_ALL} - {*OWN_FIELDS}
Channel = Annotated[int, Field(ge=0, strict=True)]


class SnapshotTime(StrictModel):
    """Time in life: ``time_s = (number - first) * step_s``."""

    group: str | None = Field(
        default=None,
        alias="from",
        description="Name in braces of `files:` that holds a snapshot's number; left out: the rows "
        "of a run that bear a RUL_label are counted in the order of their Ids.",
        examples=["index"],
    )
    first: int | None = Field(
        default=None,
        description="With `from`: number of a run's first snapshot; left out: 1.",
        examples=[0],
    )
    step_s: PositiveFloat = Field(
        description="Seconds from one snapshot's start to the next one's.", examples=[10.0]
    )

    @model_validator(mode="after")
    def _first_of_numbers(self) -> SnapshotTime:
        if self.group is None and self.first is not None:
            raise ConfigError("`first` means nothing without `from`.", drop="first")
        return self


class Bearing(StrictModel):
    """Some channels of some records, which are a recording of a bearing of their own."""

    name: str = Field(
        min_length=1,
        description="Joined to the record's unit_id, run_id and Id by `_`.",
        examples=["bearing3"],
    )
    run: Text = Field(description="run_id of its records.", examples=["1st_test"])
    channels: list[Channel] = Field(
        min_length=1, description="Its channels, by position from 0.", examples=[[4]]
    )
    fails: bool = Field(
        strict=True,
        description="Whether the run ends with its failure: only then it has a remaining life, and "
        "a class other than normal.",
        examples=[True],
    )


class PhmVibenchOptions(SourceOptions):
    """A file `<Name>.h5` of PHM-Vibench and the rows of the metadata table that describe it."""

    SUMMARY = "Options of the source that reads the files of PHM-Vibench in place."
    EXAMPLE: ClassVar = {
        "path": "PHM-Vibench/RM_001_CWRU.h5",
        "metadata": "PHM-Vibench/metadata.xlsx",
        "dataset_ids": [1],
    }
    OPENED_BY = "workflow_src.data.sources.phm_vibench:open_phm_vibench"

    path: str = Field(
        description="The .h5 file, below `data_root` or absolute.",
        examples=["PHM-Vibench/RM_001_CWRU.h5"],
    )
    metadata: str = Field(
        description="Metadata table, .xlsx or .csv (UTF-8 or GBK), below `data_root` or absolute.",
        examples=["PHM-Vibench/metadata.xlsx"],
    )
    dataset_ids: list[int] = Field(
        min_length=1,
        description="Dataset_id of the rows to use; one file may hold several.",
        examples=[[1], [9, 15]],
    )
    copy_samples: bool = Field(
        default=False,
        alias="copy",
        strict=True,
        description="Copy the samples to the store; by default they are read where they lie.",
        examples=[True],
    )
    labels: Literal["fault", "unit", "none"] = Field(
        default="fault",
        description="What a Label means. fault: 0 is normal, k > 0 a class. unit: 0 is normal, "
        "k > 0 the number of the bearing or test that is failing, so the class is `failing`, a "
        "proxy by share of life. none: nothing. A Label of -1 (degrading) is never a class.",
        examples=["unit"],
    )
    files: list[str] | None = Field(
        default=None,
        min_length=1,
        description="Patterns of the column `File`, as `files:` of the folder source, with the "
        "same names in braces; the first that matches counts.",
        examples=[["{load}/{bearing}/{index:d}.csv"]],
    )
    fields: dict[str, Text | Lookup] = Field(
        default_factory=dict,
        description=f"Fields of a recording: {', '.join(OWN_FIELDS)}; any other name is an "
        "attribute. Text with names in braces, or {from: name, values: {text: value}}; names are "
        "those of `files` and the table's columns. Left out: unit_id is Dataset_id and Label, "
        "run_id the Id, condition Domain_description or else Domain_id.",
        examples=[{"unit_id": "{bearing}", "run_id": "{bearing}", "condition": "{load}"}],
    )
    rates_hz: dict[Text, PositiveFloat] = Field(
        default_factory=dict,
        description="Rates of single records, by Id, where Sample_rate is known to be wrong.",
        examples=[{"1": 48000}],
    )
    channels: list[Channel] | None = Field(
        default=None,
        min_length=1,
        description="Channels to use, by position from 0; left out: all.",
        examples=[[0]],
    )
    channel_kinds: tuple[ChannelKind, ...] | None = Field(
        default=None,
        description=f"Kind of each channel in use, of {', '.join(CHANNEL_KINDS)}; left out: "
        "vibration.",
        examples=[["vibration", "acoustic", "temperature"]],
    )
    time: SnapshotTime | None = Field(
        default=None,
        description="Time in life of the records of a run; without it no record has a remaining "
        "life.",
        examples=[{"from": "index", "step_s": 10}],
    )
    bearings: list[Bearing] | None = Field(
        default=None,
        min_length=1,
        description="Instead of `channels`: the bearings that a record holds, each a recording of "
        "its own.",
        examples=[[{"name": "bearing3", "run": "1st_test", "channels": [4], "fails": True}]],
    )

    @model_validator(mode="after")
    def _consistent(self) -> PhmVibenchOptions:
        if self.channels is not None and self.bearings is not None:
            raise ConfigError(
                "Give either `channels` or `bearings`, and not both.", drop="channels"
            )
        if self.time is not None and "run_id" not in self.fields:
            what = "`time` needs the field `run_id`: what is one run to failure."
            raise ConfigError(what, put={"fields": {"run_id": "{bearing}"}})
        if self.labels != "fault" and "fault" in self.fields:
            what = f"`labels: {self.labels}` and the field `fault` contradict each other."
            raise ConfigError(what, drop="labels")
        told = sorted(set(self.fields) & _NOT_GIVEN)
        if told:
            kept = as_written(self.fields, without=_NOT_GIVEN)
            what = f"No field sets `{told[0]}`: it comes from the Id, `time` and RUL_label."
            raise ConfigError(what, put={"fields": kept})
        self._check_names()
        return self

    def data_paths(self) -> Sequence[str]:
        """The file of the samples."""
        return (self.path,)

    def _check_names(self) -> None:
        try:
            named = [sorted(group_names(pattern)) for pattern in self.files or [""]]
        except ValueError as error:
            what = f"`files` holds what is no pattern: {error}."
            raise ConfigError(what, put={"files": ["{bearing}/{index:d}.csv"]}) from None
        groups = named[0]
        if any(other != groups for other in named):
            what = "The patterns of `files` differ in their names in braces."
            raise ConfigError(what, put={"files": (self.files or [])[:1]})
        if self.time is not None and self.time.group not in (None, *groups):
            what = f"`time` counts by `{self.time.group}`, which is no name in braces of `files`."
            raise ConfigError(what, put={"files": [f"{{bearing}}/{{{self.time.group}:d}}.csv"]})
        known = {*groups, *COLUMNS}
        for name, rule in self.fields.items():
            for used in names_in(rule):
                if used not in known:
                    what = f"The field `{name}` uses `{used}`, but there are {', '.join(groups)} "
                    what += "(of `files`) and the columns of the table."
                    raise ConfigError(what, put={"fields": {name: "{File}"}})


def names_in(rule: str | Lookup) -> list[str]:
    """The names that a rule of a field reads."""
    return [rule.group] if isinstance(rule, Lookup) else template_names(rule)
