"""Where samples come from: the files of config/rigs/ and config/datasets/."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, JsonValue, PositiveFloat, create_model, model_validator

from workflow_src.configuration.base import (
    ConfigError,
    Name,
    Selector,
    Share,
    StrictModel,
    is_absent,
)
from workflow_src.configuration.folder import ChannelKind
from workflow_src.configuration.geometry import Geometry
from workflow_src.configuration.protocols import (
    UNIT_DRAWS,
    Rotation,
    Shots,
    UnitCount,
    require_fitting,
)
from workflow_src.configuration.source_options import SourceOptions
from workflow_src.configuration.sources import SOURCES
from workflow_src.configuration.training import TrainingOverrides

if TYPE_CHECKING:

    class _Sources(StrictModel):
        source: str

else:  # a section a source, of which a rig has its own alone
    _Sections = {
        name: (
            options | None,
            Field(None, description=options.SUMMARY, examples=[dict(options.EXAMPLE)]),
        )
        for name, options in SOURCES.items()
    }
    _which = Field(description="Which source makes the recordings.", examples=["folder"])
    _Sources = create_model(
        "_Sources", __base__=StrictModel, source=(Literal[tuple(SOURCES)], _which), **_Sections
    )


class Rig(_Sources):
    """A file of config/rigs/: where recordings come from and what their amplitude means."""

    unit: str = Field(description="Unit of amplitude, or unknown.", examples=["m/s2"])
    amplitude_comparable: bool = Field(
        strict=True,
        description="One sensor, gain and unit for all recordings, so that amplitude may be an "
        "input.",
        examples=[True],
    )
    common_rate_hz: PositiveFloat | None = Field(
        None,
        description="Rate to which recordings of several rates are brought, at most the lowest of "
        "theirs; all pass the same low-pass filter: what lies above half of it is gone.",
        examples=[12000],
    )
    geometry: Geometry | None = Field(
        None,
        description="The bearing or gears: fault periods in a window, and marks on the rig's page.",
        examples=[{"orders": {"bpfo": 3.5848, "bpfi": 5.4152}}],
    )
    description: str = Field(
        "",
        description="What the rig is and its citation; kept in the manifest of its recordings.",
        examples=["Bearings run to failure. Nectoux et al., IEEE PHM 2012."],
    )

    @model_validator(mode="after")
    def _one_source(self) -> Rig:
        for other in SOURCES:
            if other != self.source and getattr(self, other) is not None:
                raise ConfigError(
                    f"A rig of source `{self.source}` has no key `{other}`.", drop=other
                )
        if getattr(self, self.source) is None:
            example = dict(SOURCES[self.source].EXAMPLE)
            what = f"A rig of source `{self.source}` needs the key `{self.source}`."
            raise ConfigError(what, put={self.source: example})
        for key, what in self.options.EXCLUDES.items():
            if getattr(self, key) is not None:
                raise ConfigError(what, drop=key)
        return self

    @property
    def options(self) -> SourceOptions:
        """The keys of the rig's source."""
        options: SourceOptions = getattr(self, self.source)
        return options

    @property
    def machine(self) -> Geometry | None:
        """What is known of the bearing or gears; of a simulated rig, what is simulated."""
        return self.geometry or self.options.machine()

    def deciding_keys(self) -> dict[str, JsonValue]:
        """The keys that decide the recordings, as plain values."""
        left_out: dict[str, bool | set[str]] = {
            "description": True,
            "geometry": True,
            self.source: set(self.options.NOT_IDENTITY),
        }
        return self.model_dump(mode="json", exclude=left_out, exclude_none=True, by_alias=True)


class Span(StrictModel):
    """A sample: what a model sees and what it forecasts."""

    window: int = Field(ge=2, description="Samples that a model sees.", examples=[1024])
    horizon: int = Field(ge=1, description="Samples that it forecasts.", examples=[64])
    stride: int | None = Field(
        None,
        ge=1,
        description="Samples between the starts of two spans; default: window + horizon, that is "
        "no overlap.",
        examples=[512],
    )
    per_recording: int | None = Field(
        None,
        ge=1,
        description="At most so many spans of a recording in each part, evenly spaced.",
        examples=[16],
    )


class Validation(StrictModel):
    """The part on which training is stopped and thresholds are set; never the test part."""

    strategy: Literal["rig", "unit", "condition", "run", "time_block", "naive_windows", "none"] = (
        Field("time_block", description="What is held out of the training part.", examples=["unit"])
    )
    share: Share = Field(0.2, description="Share of the training part's spans.", examples=[0.25])
    select: Selector | None = Field(
        None,
        description="Recordings by column, in place of a share.",
        examples=[{"unit_id": ["u3"]}],
    )


class Fold(StrictModel):
    """One rotation of a split: a dataset `name.foldN` of its own."""

    test: Selector = Field(
        description="Recordings of the test part.", examples=[{"speed_rpm": ["1200"]}]
    )
    train: Selector | None = Field(
        None, description="Recordings to train on; default: the rest.", examples=[{"load": ["0"]}]
    )


class Split(StrictModel):
    """Which spans train, validate and test."""

    strategy: Literal["rig", "unit", "condition", "run", "time_block", "fixed", "naive_windows"] = (
        Field(
            description="What the test part shares nothing of with the training part. The strength "
            "that stands in the tables is the one that is proven. naive_windows leaks.",
            examples=["unit"],
        )
    )
    test: Selector | None = Field(
        None, description="Recordings of the test part, by column.", examples=[{"unit_id": ["u1"]}]
    )
    train: Selector | None = Field(
        None, description="Recordings to train on; default: the rest.", examples=[{"load": ["0"]}]
    )
    test_share: Share = Field(
        0.2,
        description="Share of the spans in the test part, where `test` is not given; split.json "
        "states the share reached.",
        examples=[0.3],
    )
    validation: Validation = Field(
        Validation(), description="The validation part.", examples=[{"strategy": "unit"}]
    )
    file: str | None = Field(
        None,
        description="strategy fixed: a CSV with the columns recording_id and part, beside this "
        "file.",
        examples=["my_split.csv"],
    )
    gap: int = Field(
        0,
        ge=0,
        description="time_block: samples left out at a border, beyond one span (support of any "
        "filter that was run over the recording).",
        examples=[256],
    )
    seed: int = Field(0, ge=0, description="Of the draw where parts are drawn.", examples=[1])
    classes_absent_from_test: list[str] = Field(
        [], description="Classes that the test part may lack.", examples=[["ball"]]
    )
    folds: list[Fold] = Field(
        [],
        description="Rotations, each a dataset `name.foldN`.",
        examples=[[{"test": {"unit_id": ["u1"]}}, {"test": {"unit_id": ["u2"]}}]],
    )
    rotation: Rotation | None = Field(
        None,
        description="Rotations that need no list: each group of the strategy held out once.",
        examples=[{"folds": 9, "leave_one_out": True}],
    )
    shots: Shots | None = Field(
        None,
        description="Few-shot: some labelled recordings of the test part move to training.",
        examples=[{"per_class": 5}],
    )
    train_units: list[UnitCount] | None = Field(
        None,
        min_length=1,
        exclude_if=is_absent,  # so that no dataset of before is another one
        description="A curve over the number of training units: so many of each class, or all of "
        "them. Each number and draw is a dataset `name.foldN`.",
        examples=[[1, 2, 4, "all"]],
    )
    draws: int | None = Field(
        None,
        ge=1,
        exclude_if=is_absent,
        description=f"train_units: draws of each number; default: {UNIT_DRAWS}. `all` takes one.",
        examples=[3],
    )
    draw: int | None = Field(
        None,
        ge=0,
        exclude_if=is_absent,
        description="train_units: which draw of the one number this dataset is; `name.foldN` sets "
        "it.",
        examples=[0],
    )
    truncation: str | None = Field(
        None,
        description="Test runs are seen up to a given time, and give one prediction there: a CSV "
        "with the columns run_id, truncation_s and official_rul_s, beside this file.",
        examples=["femto_phm2012.csv"],
    )
    allow_leakage: bool = Field(
        False,
        strict=True,
        description="naive_windows: yes, windows of test may share samples with training.",
        examples=[True],
    )

    @model_validator(mode="after")
    def _fits(self) -> Split:
        require_fitting(self)
        return self

    def tables(self) -> list[str]:
        """The tables beside the dataset's file that this split reads."""
        return [name for name in (self.file, self.truncation) if name is not None]


class Dataset(StrictModel):
    """A file of config/datasets/: rig, span and split."""

    extends: Name | None = Field(
        None, description="Another dataset whose keys hold unless set here.", examples=["cwru"]
    )
    rig: Name = Field(description="A file of config/rigs/.", examples=["cwru"])
    label: str | None = Field(
        None, description="The column's name in tables; default: the file's.", examples=["CWRU"]
    )
    note: str = Field(
        "", description="The split in words, for the table's foot.", examples=["speed held out"]
    )
    span: Span = Field(description="The sample.", examples=[{"window": 1024, "horizon": 64}])
    channel_kinds: list[ChannelKind] = Field(
        ["vibration"], min_length=1, description="Kinds of channels to use.", examples=[["current"]]
    )
    select: Selector = Field(
        {}, description="Recordings of the rig to use, by column.", examples=[{"rate_hz": [12000]}]
    )
    split: Split = Field(description="The split.", examples=[{"strategy": "unit"}])
    amplitude: Literal["absolute", "relative", "none"] = Field(
        "absolute",
        description="The log amplitude offered to heads: standardised by the training part, or "
        "less that of the unit's first snapshots.",
        examples=["relative"],
    )
    test_noise_db: float | None = Field(
        None,
        description="Signal-to-noise ratio of white noise added to the windows of the test part.",
        examples=[10],
    )
    unsupported_tasks: Literal["error", "drop"] = Field(
        "error",
        description="A task without a label in a part: an error, or a dash in the tables.",
        examples=["drop"],
    )
    training: TrainingOverrides | None = Field(  # type: ignore[valid-type]
        None, description="Training keys on this dataset.", examples=[{"epochs": 50}]
    )

    @model_validator(mode="after")
    def _first_snapshots_are_there(self) -> Dataset:
        if self.split.truncation is not None and self.amplitude == "relative":
            what = "Of a truncated run only the last snapshot is in test: relative to what?"
            raise ConfigError(what, put={"amplitude": "absolute"})
        return self
