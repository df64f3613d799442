"""The keys under ``folder:`` of a rig."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, model_validator

from workflow_src.configuration.patterns import group_names, template_names

CHANNEL_KINDS = (
    "vibration",
    "current",
    "encoder",
    "tacho",
    "load",
    "temperature",
    "acoustic",
)

OWN_FIELDS = (
    "recording_id",
    "unit_id",
    "condition",
    "run_id",
    "fault",
    "time_s",
    "life_s",
    "onset_s",
    "rate_hz",
)


def _as_text(value: Any) -> Any:
    """Numbers that YAML reads where text is meant, such as ``speed_rpm: 600``."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return str(value) if is_number else value


Text = Annotated[str, BeforeValidator(_as_text)]


class Lookup(BaseModel):
    """A field whose values are looked up, e.g. ``{from: code, values: {N: normal}}``."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    group: str = Field(
        alias="from",
        description="Name in braces of `files:`, or column of `table:`, whose text is looked up.",
        examples=["code"],
    )
    values: dict[Text, Text] = Field(
        description="What each text means; a text that is missing here is an error.",
        examples=[{"N": "normal", "B": "ball"}],
    )


class TimeInLife(BaseModel):
    """Time in life from the number of a snapshot: ``time_s = (number - first) * step_s``."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    group: str = Field(
        alias="from",
        description="Name in braces of `files:`, or column of `table:`, that holds the number.",
        examples=["index"],
    )
    first: int = Field(default=0, description="Number of a run's first snapshot.", examples=[1])
    step_s: PositiveFloat = Field(
        description="Seconds from one snapshot's start to the next one's.", examples=[10.0]
    )


class FolderOptions(BaseModel):
    """Recordings that lie in files, one a recording, found by a pattern or named in a table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(
        description="Folder of the files, below `data_root` or absolute.", examples=["UESTC"]
    )
    files: str | None = Field(
        default=None,
        description="Pattern of the files below `path`: {name} is any text without `/`, {name:d} "
        "digits, a repeated name the same text again, * any text that needs no name.",
        examples=["Data/{code}_{speed}/{code}_{speed}_{part:d}.mat"],
    )
    table: str | None = Field(
        default=None,
        description="Instead of `files`: a CSV beside the rig's YAML, one line a recording, with "
        "a column `file` (below `path`); the other columns are fields by their names, and "
        "`array`, where there is one, stands for the key `array` below.",
        examples=["cwru.csv"],
    )
    fields: dict[str, Text | Lookup] = Field(
        default_factory=dict,
        description=f"Fields of a recording: {', '.join(OWN_FIELDS)}; any other name is an "
        "attribute. Text with names in braces, or {from: name, values: {text: value}}.",
        examples=[{"unit_id": "{code}", "fault": {"from": "code", "values": {"N": "normal"}}}],
    )
    rate_hz: PositiveFloat | Literal["unknown"] | None = Field(
        default=None,
        description="Sampling rate, or `unknown`; left out where each recording has its own.",
        examples=[20000],
    )
    time: TimeInLife | None = Field(
        default=None,
        description="Time in life of each recording, from its number.",
        examples=[{"from": "index", "first": 1, "step_s": 10}],
    )
    ends_in_failure: bool | tuple[str, ...] = Field(
        default=False,
        description="Whether all runs, or which (their run_id), end in failure; the life of such "
        "a run is the time of its last recording.",
        examples=[True, ["Bearing1_1"]],
    )
    array: str | None = Field(
        default=None,
        description="Array of a .mat or .h5 file, * for any text; left out where there is one.",
        examples=["X*_DE_time"],
    )
    samples_along: Literal["rows", "columns"] = Field(
        default="rows",
        description="Whether time runs along the rows or the columns of an array.",
        examples=["columns"],
    )
    header: Literal["detect", "present", "absent"] = Field(
        default="detect",
        description="Whether the first line of a text file names the columns; `detect`: it does "
        "if it holds something other than numbers.",
        examples=["absent"],
    )
    channels: tuple[int | str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Columns that are channels, by position from 0 or by name; left out: all.",
        examples=[[4, 5], ["a1", "a2"]],
    )
    channel_kinds: tuple[str, ...] | None = Field(
        default=None,
        description=f"Kind of each channel, of {', '.join(CHANNEL_KINDS)}; left out: vibration.",
        examples=[["vibration", "current"]],
    )
    time_column: int | str | None = Field(
        default=None,
        description="Column with the time of each sample in seconds: no channel, but checked "
        "against `rate_hz`.",
        examples=["t"],
    )
    encoding: str = Field(
        default="utf-8", description="Encoding of text files and of `table`.", examples=["gbk"]
    )

    @model_validator(mode="after")
    def _consistent(self) -> FolderOptions:
        if (self.files is None) == (self.table is None):
            raise ValueError("give either `files` (a pattern) or `table` (a CSV), and not both")
        if self.time is not None and "time_s" in self.fields:
            raise ValueError("give either `time` or the field `time_s`, and not both")
        if self.ends_in_failure and "life_s" in self.fields:
            raise ValueError("give either `ends_in_failure` or the field `life_s`, and not both")
        if self.rate_hz is not None and "rate_hz" in self.fields:
            raise ValueError("give `rate_hz` either as a key or as a field, and not both")
        if self.files is not None:
            self._check_groups(self.files)
        return self

    def _check_groups(self, files: str) -> None:
        known = group_names(files)
        needed = {"unit_id", "condition", "run_id"} - set(self.fields)
        if needed:
            raise ValueError(f"`fields` lacks {', '.join(sorted(needed))}")
        if self.ends_in_failure and self.time is None and "time_s" not in self.fields:
            raise ValueError("`ends_in_failure` needs `time` or the field `time_s`")
        for name, rule in self.fields.items():
            used = [rule.group] if isinstance(rule, Lookup) else template_names(rule)
            self._check_used(f"fields: {name}", used, known)
        if self.time is not None:
            self._check_used("time", [self.time.group], known)

    @staticmethod
    def _check_used(key: str, used: list[str], known: list[str]) -> None:
        missing = [name for name in used if name not in known]
        if missing:
            raise ValueError(
                f"`{key}` uses {missing}, but the names in braces of `files` are {known}"
            )
