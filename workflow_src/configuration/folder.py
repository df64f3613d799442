"""The keys under ``folder:`` of a rig."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence, Set
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field, JsonValue, PositiveFloat, PositiveInt, model_validator

from workflow_src.configuration.base import ConfigError, StrictModel
from workflow_src.configuration.patterns import group_names, template_names
from workflow_src.configuration.scalars import Yaml
from workflow_src.configuration.source_options import SourceOptions

ChannelKind = Literal["vibration", "current", "encoder", "tacho", "load", "temperature", "acoustic"]
CHANNEL_KINDS: tuple[ChannelKind, ...] = get_args(ChannelKind)

FileFormat = Literal["text", "mat", "npy", "npz", "h5", "parquet", "xlsx", "wav", "tdms"]
MOST_COLUMNS = 32  # few rigs have more channels, and few windows are shorter

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


def _as_text(value: JsonValue) -> JsonValue:
    """Numbers that YAML reads where text is meant, such as ``speed_rpm: 600``."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return str(value) if is_number else value


Text = Annotated[str, BeforeValidator(_as_text)]


class Lookup(StrictModel):
    """A field whose values are looked up, e.g. ``{from: code, values: {N: normal}}``."""

    group: str = Field(
        alias="from",
        description="Name in braces of `files:`, or column of `table:`, whose text is looked up.",
        examples=["code"],
    )
    values: dict[Text, Text] = Field(
        description="What each text means; a text that is missing here is an error.",
        examples=[{"N": "normal", "B": "ball"}],
    )


def as_written(fields: Mapping[str, str | Lookup], without: Set[str]) -> dict[str, Yaml]:
    """The rules of `fields` as a file says them, less those `without`."""
    kept = {name: rule for name, rule in fields.items() if name not in without}
    return {
        name: rule if isinstance(rule, str) else rule.model_dump(by_alias=True)
        for name, rule in kept.items()
    }


class TimeInLife(StrictModel):
    """Time in life from the number of a snapshot: ``time_s = (number - first) * step_s``."""

    group: str = Field(
        alias="from",
        description="Name in braces of `files:`, or column of `table:`, that holds the number.",
        examples=["index"],
    )
    first: int = Field(default=0, description="Number of a run's first snapshot.", examples=[1])
    step_s: PositiveFloat = Field(
        description="Seconds from one snapshot's start to the next one's.", examples=[10.0]
    )


class StackedWindows(StrictModel):
    """Windows that one array or table holds, all of one length, in place of one long signal."""

    along: Literal["rows", "columns"] = Field(
        default="rows",
        description="Whether each row (first axis of an array) or each column (last axis) is a "
        "window. What is left of an array is (samples,), (samples, channels) or, by "
        "`samples_along: columns`, (channels, samples).",
        examples=["columns"],
    )
    gaps: Literal["unknown", "none"] = Field(
        default="unknown",
        description="unknown: each window is a recording of its own, as nothing says how the next "
        "one follows; all bear the run_id of their file. none: the windows follow each other "
        "without a gap and without overlap, and are one recording.",
        examples=["none"],
    )


class FolderOptions(SourceOptions):
    """Recordings that lie in files, one a recording, found by a pattern or named in a table."""

    SUMMARY = "Options of the folder source."
    EXAMPLE: ClassVar = {
        "path": "my_rig",
        "files": "{unit}_{condition}.csv",
        "rate_hz": 20000,
        "fields": {
            "unit_id": "{unit}",
            "condition": "{condition}",
            "run_id": "{unit}_{condition}",
        },
    }
    OPENED_BY = "workflow_src.data.sources.folder:open_folder"

    path: str = Field(
        description="Folder of the files, below `data_root` or absolute.", examples=["UESTC"]
    )
    files: str | None = Field(
        default=None,
        description="Pattern of the files below `path`: {name} is any text without `/`, {name:d} "
        "digits, a repeated name the same text again, * any text that needs no name.",
        examples=["Data/{code}_{speed}/{code}_{speed}_{part:d}.mat"],
    )
    exclude: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Patterns, as `files` is one, of files that are no recordings though `files` "
        "matches them.",
        examples=[["*_old.csv", "backup/*"]],
    )
    table: str | None = Field(
        default=None,
        description="Instead of `files`: a table beside the rig's YAML (.csv, .xlsx or .parquet), "
        "one line a recording, with a column `file` (below `path`); the other columns are fields "
        "by their names, and `array`, where there is one, stands for the key `array` below.",
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
    ignore_stated_rate: bool = Field(
        default=False,
        strict=True,
        exclude_if=lambda ignored: not ignored,  # so that no rig of before is another one
        description="Whether the rate that a file states, also by its `time_column`, is wrong and "
        "not looked at; that the times rise evenly is checked all the same.",
        examples=[True],
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
        description="Array of a .mat, .h5 or .npz file (of a struct in a .mat: `bearing.gs`), "
        "group of a .tdms file, sheet of an .xlsx; * for any text; left out where there is one.",
        examples=["X*_DE_time"],
    )
    samples_along: Literal["rows", "columns"] = Field(
        default="rows",
        description="Whether time runs along the rows or the columns of an array.",
        examples=["columns"],
    )
    format: FileFormat | None = Field(
        default=None,
        description=f"What the files hold, of {', '.join(get_args(FileFormat))}; left out: what "
        "the ending of their names says.",
        examples=["text"],
    )
    skip_lines: PositiveInt | None = Field(
        default=None,
        description="Lines of a text file, or rows of a sheet, before the names of the columns or, "
        "where there are none, before the samples; none of them is read.",
        examples=[7],
    )
    column_count: PositiveInt | None = Field(
        default=None,
        description="How many columns each file or array has, chosen or not. It is checked; more "
        f"than {MOST_COLUMNS} have to be declared so, as windows that are stacked would pass for "
        "channels.",
        examples=[64],
    )
    stacked: StackedWindows | None = Field(
        default=None,
        description="The array or table of each file holds windows, (windows, samples).",
        examples=[{"along": "rows", "gaps": "unknown"}],
    )
    header: Literal["detect", "present", "absent"] = Field(
        default="detect",
        description="Whether the first line of a text file or of a sheet names the columns; "
        "`detect`: by the columns that are used and the lines further down, and noted in the "
        "manifest. A line of units may follow.",
        examples=["absent"],
    )
    channels: tuple[int | str, ...] | None = Field(
        default=None,
        min_length=1,
        description="Columns that are channels, by position from 0 or by name; left out: all.",
        examples=[[4, 5], ["a1", "a2"]],
    )
    channel_kinds: tuple[ChannelKind, ...] | None = Field(
        default=None,
        description=f"Kind of each channel, of {', '.join(CHANNEL_KINDS)}; left out: vibration.",
        examples=[["vibration", "current"]],
    )
    time_column: int | str | None = Field(
        default=None,
        description="Column with the time of each sample in seconds: no channel, but it must rise "
        "evenly and is checked against `rate_hz`.",
        examples=["t"],
    )
    decimal: Literal[".", ","] | None = Field(
        default=None,
        description="Sign before the decimals of numbers in text; left out: a point, and numbers "
        "that seem to have a comma are an error.",
        examples=[","],
    )
    thousands: Literal[",", ".", " ", "'"] | None = Field(
        default=None,
        description="Sign between the thousands of numbers in text, e.g. of 1,234; left out: none.",
        examples=[","],
    )
    encoding: str = Field(
        default="utf-8",
        description="Encoding of text files and of a `table` that is text.",
        examples=["gbk"],
    )

    @model_validator(mode="after")
    def _consistent(self) -> FolderOptions:
        if self.files is None and self.table is None:
            example = "{unit}_{condition}.csv"
            raise ConfigError(
                "Neither `files` nor `table` says what to read.", put={"files": example}
            )
        for key, other, given in (
            ("files", "table", self.table is not None),
            ("time", "fields: time_s", "time_s" in self.fields),
            ("exclude", "table", self.table is not None),
            ("ends_in_failure", "fields: life_s", "life_s" in self.fields),
            ("rate_hz", "fields: rate_hz", "rate_hz" in self.fields),
        ):
            if getattr(self, key) and given:
                raise ConfigError(f"Give either `{key}` or `{other}`, and not both.", drop=key)
        if self.thousands == (self.decimal or "."):
            what = f"`thousands` and the decimal sign are both {self.thousands!r}."
            other_sign = "," if self.thousands == "." else "."
            raise ConfigError(what, put={"decimal": other_sign})
        for pattern in self.exclude or ():
            self._require_pattern(pattern)
        if self.stacked is not None and self.time_column is not None:
            raise ConfigError("Windows that are stacked have no time column.", drop="time_column")
        if self.files is not None:
            self._check_names(self.files)
        return self

    def table_beside(self) -> str | None:
        """The table that names the files."""
        return self.table

    def data_paths(self) -> Sequence[str]:
        """The folder of the files."""
        return (self.path,)

    def _require_pattern(self, pattern: str) -> None:
        try:
            group_names(pattern)
        except ValueError as error:
            plain = re.sub(r"\{[^{}]*\}?|[{}]", "*", pattern)
            corrected = [plain if one == pattern else one for one in self.exclude or ()]
            raise ConfigError(f"`exclude`: {error}.", put={"exclude": corrected}) from None

    def _check_names(self, files: str) -> None:
        try:
            known = group_names(files)
        except ValueError as error:
            whole = re.sub(
                r"\{(\w+)[^{}./]*\}?|[{}]", lambda m: (m[1] and f"{{{m[1]}}}") or "", files
            )
            raise ConfigError(f"`files` is no pattern: {error}.", put={"files": whole}) from None
        lacking = sorted({"unit_id", "condition", "run_id"} - set(self.fields))
        if lacking:
            fill = f"{{{known[0]}}}" if known else "all"
            what = f"`fields` lacks {', '.join(lacking)}."
            raise ConfigError(what, put={"fields": dict.fromkeys(lacking, fill)})
        if self.ends_in_failure and self.time is None and "time_s" not in self.fields:
            what = "`ends_in_failure` needs `time` or the field `time_s`."
            if not known:
                raise ConfigError(what, drop="ends_in_failure")
            raise ConfigError(what, put={"time": {"from": known[-1], "step_s": 10.0}})
        for name, rule in self.fields.items():
            if isinstance(rule, Lookup):
                _require_known(f"fields: {name}", rule.group, known, {"fields": {name: "from"}})
                continue
            for used in template_names(rule):
                _require_known(f"fields: {name}", used, known, {"fields": {name: rule}})
        if self.time is not None:
            _require_known("time", self.time.group, known, {"time": "from"})


def _require_known(key: str, used: str, known: list[str], at: dict[str, JsonValue]) -> None:
    """Raise unless `used` is a name in braces of `files`; `at` is where `key` says it."""
    if used in known:
        return
    near = (difflib.get_close_matches(used, known, n=1, cutoff=0.0) or ["all"])[0]

    def corrected(value: JsonValue) -> JsonValue:
        if isinstance(value, dict):
            return {name: corrected(inner) for name, inner in value.items()}
        if value == "from":
            return {"from": near}
        return str(value).replace(f"{{{used}}}", f"{{{near}}}" if known else near)

    names = ", ".join(known) or "none"
    what = f"`{key}` uses `{used}`, but the names in braces of `files` are: {names}."
    raise ConfigError(what, put={name: corrected(value) for name, value in at.items()})
