"""Where samples come from: the files of config/rigs/ and config/datasets/."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, PositiveFloat, model_validator

from workflow_src.configuration.base import Keys, Mistake, Name, Selector, Share
from workflow_src.configuration.bearing_datasets import BearingDatasetsOptions
from workflow_src.configuration.folder import ChannelKind, FolderOptions
from workflow_src.configuration.geometry import Geometry
from workflow_src.configuration.phm_vibench import PhmVibenchOptions
from workflow_src.configuration.protocols import Rotation, Shots, require_fitting
from workflow_src.configuration.simulated import GEOMETRIES, SimulatedOptions
from workflow_src.configuration.training import TrainingOverrides
from workflow_src.configuration.union import UnionOptions


class Rig(Keys):
    """A file of config/rigs/: where recordings come from and what their amplitude means."""

    source: Literal["simulated", "folder", "phm_vibench", "bearing_datasets", "union"] = Field(
        description="Which source makes the recordings.", examples=["folder"]
    )
    simulated: SimulatedOptions | None = Field(
        None, description="Options of the simulated source.", examples=[{"kind": "bearing"}]
    )
    folder: FolderOptions | None = Field(
        None,
        description="Options of the folder source.",
        examples=[
            {
                "path": "my_rig",
                "files": "{unit}_{condition}.csv",
                "rate_hz": 20000,
                "fields": {
                    "unit_id": "{unit}",
                    "condition": "{condition}",
                    "run_id": "{unit}_{condition}",
                },
            }
        ],
    )
    union: UnionOptions | None = Field(
        None,
        description="Options of the union source: several rigs as one.",
        examples=[{"rigs": ["cwru", "uestc"], "rate_hz": 12000}],
    )
    phm_vibench: PhmVibenchOptions | None = Field(
        None,
        description="Options of the source that reads the files of PHM-Vibench in place.",
        examples=[
            {
                "path": "PHM-Vibench/RM_001_CWRU.h5",
                "metadata": "PHM-Vibench/metadata.xlsx",
                "dataset_ids": [1],
            }
        ],
    )
    bearing_datasets: BearingDatasetsOptions | None = Field(
        None, description="Options of the bearing_datasets source.", examples=[{"name": "ims"}]
    )
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
        for other in get_args(Rig.model_fields["source"].annotation):
            if other != self.source and getattr(self, other) is not None:
                raise Mistake(f"A rig of source `{self.source}` has no key `{other}`.", drop=other)
        if getattr(self, self.source) is None:
            example = type(self).model_fields[self.source].examples[0]  # type: ignore[index]
            what = f"A rig of source `{self.source}` needs the key `{self.source}`."
            raise Mistake(what, put={self.source: example})
        if self.union is not None and self.common_rate_hz is not None:
            what = "The common rate of a union is its key `union.rate_hz`."
            raise Mistake(what, drop="common_rate_hz")
        if self.simulated is not None and self.geometry is not None:
            what = "The geometry of a simulated rig is what it simulates."
            raise Mistake(what, drop="geometry")
        return self

    @property
    def machine(self) -> Geometry | None:
        """What is known of the bearing or gears; of a simulated rig, what is simulated."""
        return self.geometry if self.simulated is None else GEOMETRIES[self.simulated.kind]


class Span(Keys):
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


class Validation(Keys):
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


class Fold(Keys):
    """One rotation of a split: a dataset `name.foldN` of its own."""

    test: Selector = Field(
        description="Recordings of the test part.", examples=[{"speed_rpm": ["1200"]}]
    )
    train: Selector | None = Field(
        None, description="Recordings to train on; default: the rest.", examples=[{"load": ["0"]}]
    )


class Split(Keys):
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


class Dataset(Keys):
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
            raise Mistake(what, put={"amplitude": "absolute"})
        return self
