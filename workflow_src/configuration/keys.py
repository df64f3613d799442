"""Each key declared once: type, default, meaning, example. The JSON schemas come from here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator

from workflow_src.configuration.folder import FolderOptions
from workflow_src.configuration.simulated import SimulatedOptions

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
Selector = dict[str, list[str | int | float]]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class Keys(BaseModel):
    """A section of a file: unknown keys are refused, values never change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# ------------------------------------------------------------------------------- training


class Training(Keys):
    """How a network is trained; part of a cell's identity, for each of these changes numbers."""

    batch_size: int = Field(
        32,
        ge=1,
        description="Spans in one optimizer step; never changed on its own.",
        examples=[64],
    )
    epochs: int = Field(20, ge=1, description="Passes over the training part.", examples=[200])
    learning_rate: float = Field(
        1e-3, gt=0, description="Peak learning rate of AdamW.", examples=[5e-4]
    )
    weight_decay: float = Field(
        0.01, ge=0, description="Decoupled weight decay of AdamW.", examples=[0.0]
    )
    schedule: Literal["cosine", "constant"] = Field(
        "cosine", description="Learning rate after the warm-up.", examples=["constant"]
    )
    warmup_share: float = Field(
        0.05, ge=0, lt=1, description="Share of all steps with a rising rate.", examples=[0.1]
    )
    gradient_clip: float = Field(
        1.0, ge=0, description="Largest norm of the gradient; 0 switches it off.", examples=[0.5]
    )
    early_stopping_patience: int = Field(
        0,
        ge=0,
        description="Epochs without a better validation loss before training stops; 0: never. "
        "With a patience the weights of the best epoch are kept. Needs a validation part.",
        examples=[10],
    )
    torch_threads: int = Field(
        1,
        ge=1,
        description="CPU threads of torch. On CPU their number changes bits, so it belongs to "
        "the identity of a cell.",
        examples=[4],
    )


def _optional(model: type[BaseModel]) -> type[BaseModel]:
    """The same keys, none of them required: what an override may hold."""
    fields: dict[str, Any] = {
        name: (field.annotation, Field(None, validate_default=False, **_kept(field)))
        for name, field in model.model_fields.items()
    }
    name = f"{model.__name__}Overrides"
    doc = f"Keys of {model.__name__} to set here; the others keep their values."
    made: type[BaseModel] = create_model(name, __base__=Keys, __doc__=doc, **fields)
    return made


def _kept(field: Any) -> dict[str, Any]:
    kept: dict[str, Any] = {"description": field.description, "examples": field.examples}
    for bound in field.metadata:
        for key in ("ge", "gt", "le", "lt"):
            if hasattr(bound, key):
                kept[key] = getattr(bound, key)
    return kept


TrainingOverrides = _optional(Training)


# ------------------------------------------------------------------------------- models


class Architecture(Keys):
    """Sizes of a network; those that a backbone does not have are refused for it."""

    backbone: Literal["dlinear", "patchtst", "timesnet", "fno"] | None = Field(
        None, description="The backbone on tokens; networks only.", examples=["patchtst"]
    )
    embedding: Literal["patch", "hse"] = Field(
        "patch",
        description="Patch embedding with positions, or hybrid spatial embedding (random patches "
        "in training, evenly spaced ones in evaluation).",
        examples=["hse"],
    )
    normalisation: Literal["window", "none"] = Field(
        "window",
        description="Each window and channel by its own mean and deviation (input part only).",
        examples=["none"],
    )
    width: int = Field(64, ge=1, description="Features of a token, D.", examples=[128])
    depth: int = Field(2, ge=1, description="Stacked backbone blocks.", examples=[3])
    patch_length: int = Field(64, ge=1, description="Samples in a patch.", examples=[128])
    patch_count: int = Field(32, ge=1, description="Patches in a window, N.", examples=[64])
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout in the backbone.", examples=[0.1])
    heads: int | None = Field(None, ge=1, description="PatchTST: attention heads.", examples=[4])
    feed_forward: int | None = Field(
        None, ge=1, description="PatchTST, TimesNet: width inside a block.", examples=[128]
    )
    kernel: int | None = Field(
        None, ge=3, description="DLinear: length of the moving average (odd).", examples=[9]
    )
    individual: bool | None = Field(
        None, description="DLinear: own matrices for each feature.", examples=[False]
    )
    modes: int | None = Field(
        None, ge=1, description="FNO: frequencies that are kept.", examples=[16]
    )
    top_k: int | None = Field(
        None, ge=1, description="TimesNet: periods of a sample.", examples=[3]
    )
    kernels: int | None = Field(
        None, ge=1, description="TimesNet: kernels of an Inception block.", examples=[4]
    )


BACKBONE_KEYS = {
    "dlinear": ("kernel", "individual"),
    "patchtst": ("heads", "feed_forward"),
    "timesnet": ("feed_forward", "top_k", "kernels"),
    "fno": ("modes",),
}

ArchitectureOverrides = _optional(Architecture)


class Model(Architecture):
    """A file of config/models/: a network, or a classic baseline without one."""

    extends: Name | None = Field(
        None, description="Another model whose keys hold unless set here.", examples=["patchtst"]
    )
    kind: Literal["network", "classic"] = Field(
        "network", description="Trained with torch, or a baseline.", examples=["classic"]
    )
    method: Literal["trivial"] | None = Field(
        None, description="Which baseline; classic models only.", examples=["trivial"]
    )
    label: str | None = Field(
        None, description="The model's name in tables; default: its file's.", examples=["PatchTST"]
    )
    training: TrainingOverrides | None = Field(  # type: ignore[valid-type]
        None,
        description="Training keys of this model.",
        examples=[{"learning_rate": 5e-4}],
    )


# ------------------------------------------------------------------------------- task sets


class ClassificationKeys(Keys):
    """Fault class."""

    weight: float = Field(1.0, gt=0, description="Weight of the loss.", examples=[1.0])
    label_smoothing: float = Field(
        0.05, ge=0, lt=1, description="Of the cross-entropy.", examples=[0.0]
    )


class AnomalyKeys(Keys):
    """Healthy or not, supervised."""

    weight: float = Field(0.6, gt=0, description="Weight of the loss.", examples=[0.6])
    amplitude: bool = Field(
        False,
        description="Give the log amplitude to the head; only for rigs whose amplitude is "
        "comparable.",
        examples=[True],
    )


class SignalKeys(Keys):
    """The next `horizon` samples."""

    weight: float = Field(0.7, gt=0, description="Weight of the loss.", examples=[0.7])


class RulKeys(Keys):
    """Fraction of life left."""

    weight: float = Field(0.8, gt=0, description="Weight of the loss.", examples=[0.8])
    loss: Literal["mse", "huber"] = Field(
        "mse", description="On the bounded output.", examples=["huber"]
    )
    inputs: list[Literal["amplitude", "age"]] = Field(
        ["amplitude"],
        description="What the head is given beside the tokens. Amplitude is left out by itself "
        "where the rig's is not comparable; rows that use age carry '+age' in tables.",
        examples=[["amplitude", "age"]],
    )


class TaskSet(Keys):
    """Tasks that one network learns together; one that is not named is not learned."""

    classification: ClassificationKeys | None = Field(
        None, description="Fault class.", examples=[{"weight": 1.0}]
    )
    anomaly_detection: AnomalyKeys | None = Field(
        None, description="Healthy or not.", examples=[{"weight": 0.6}]
    )
    signal_prediction: SignalKeys | None = Field(
        None, description="The next samples.", examples=[{"weight": 0.7}]
    )
    rul_prediction: RulKeys | None = Field(
        None, description="Fraction of life left.", examples=[{"weight": 0.8}]
    )


# ------------------------------------------------------------------------------- data


class Rig(Keys):
    """A file of config/rigs/: where recordings come from and what their amplitude means."""

    source: Literal["simulated", "folder"] = Field(
        description="Which source makes the recordings.", examples=["folder"]
    )
    simulated: SimulatedOptions | None = Field(
        None, description="Options of the simulated source.", examples=[{"kind": "bearing"}]
    )
    folder: FolderOptions | None = Field(
        None, description="Options of the folder source.", examples=[{"path": "my_rig"}]
    )
    unit: str = Field(description="Unit of amplitude, or unknown.", examples=["m/s2"])
    amplitude_comparable: bool = Field(
        description="One sensor, gain and unit for all recordings, so that amplitude may be an "
        "input.",
        examples=[True],
    )
    description: str = Field("", description="What the rig is; its citation.", examples=["..."])


class Span(Keys):
    """A sample: what a model sees and what it forecasts."""

    window: int = Field(ge=2, description="Samples that a model sees.", examples=[1024])
    horizon: int = Field(ge=1, description="Samples that it forecasts.", examples=[64])
    stride: int | None = Field(
        None,
        ge=1,
        description="Samples between the starts of two spans; default: the span, no overlap.",
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

    strategy: Literal["unit", "condition", "run", "time_block", "none"] = Field(
        "time_block", description="What is held out of the training part.", examples=["unit"]
    )
    share: Share = Field(0.2, description="Share of the training part.", examples=[0.25])
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

    strategy: Literal["unit", "condition", "run", "time_block", "fixed"] = Field(
        description="What the test part shares nothing of with the training part. The strength "
        "that stands in the tables is the one that is proven.",
        examples=["unit"],
    )
    test: Selector | None = Field(
        None, description="Recordings of the test part, by column.", examples=[{"unit_id": ["u1"]}]
    )
    train: Selector | None = Field(
        None, description="Recordings to train on; default: the rest.", examples=[{"load": ["0"]}]
    )
    test_share: Share = Field(
        0.2, description="Share of the test part where `test` is not given.", examples=[0.3]
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
        [], description="Rotations, each a dataset `name.foldN`.", examples=[[{"test": {}}]]
    )


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
    channel_kinds: list[str] = Field(
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


# ------------------------------------------------------------------------------- requests


class Request(Keys):
    """What a training target asks of the machine; never changes a number."""

    micro_batch_size: int | None = Field(
        None,
        ge=1,
        description="Spans in memory at once; default: the whole batch.",
        examples=[16],
    )
    memory_mb: int = Field(2000, ge=300, description="Host memory.", examples=[16000])
    runtime_minutes: int = Field(60, ge=1, description="Time of one attempt.", examples=[240])
    checkpoint_minutes: float = Field(
        10.0, gt=0, description="Time between two checkpoints inside an epoch.", examples=[5]
    )


RequestOverrides = _optional(Request)


class RequestRule(RequestOverrides):  # type: ignore[valid-type,misc]
    """Keys of a request for the cells that match a pattern."""

    cells: str = Field(
        description="Pattern over dataset/model/task_set/seed.", examples=["femto*/timesnet/*"]
    )


class Override(Keys):
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


class Hardware(Keys):
    """A file of config/hardware/: a kind of node."""

    accelerator: Literal["cpu", "cuda"] = Field(
        description="Where tensors live.", examples=["cuda"]
    )
    gpu_model: str | None = Field(
        None, description="The model that Slurm is asked for.", examples=["a100"]
    )
    host_memory_mb: int | None = Field(
        None, ge=300, description="Of a node; a larger request is refused.", examples=[240000]
    )
    max_runtime_minutes: int | None = Field(
        None, ge=1, description="The partition's limit; a longer one is refused.", examples=[1440]
    )


class SiteClass(Keys):
    """What a cluster calls one hardware class (config/site.yaml)."""

    partition: str | None = Field(None, description="Slurm partition.", examples=["gpu"])
    account: str | None = Field(None, description="Slurm account.", examples=["phm"])
    qos: str | None = Field(None, description="Slurm quality of service.", examples=["normal"])
    extra: str | None = Field(
        None, description="Further options of sbatch.", examples=["--no-requeue"]
    )


class Run(Keys):
    """config/config.yaml, a file of config/experiments/ above it, and --config."""

    study: Name = Field(
        description="Folder of results, runs and tables; any name but `default`, which Snakemake "
        "keeps for itself.",
        examples=["my_study"],
    )

    @field_validator("study")
    @classmethod
    def _no_profile(cls, study: str) -> str:
        if study == "default":  # a folder of this name is taken for a workflow profile
            raise ValueError("Snakemake takes a folder `default` for a profile")
        return study

    datasets: list[Name] = Field(
        min_length=1, description="Files of config/datasets/, or `name.foldN`.", examples=[["cwru"]]
    )
    models: list[Name] = Field(
        min_length=1, description="Files of config/models/.", examples=[["dlinear", "trivial"]]
    )
    task_sets: list[Name] = Field(
        min_length=1, description="Names in config/task_sets.yaml.", examples=[["all"]]
    )
    seeds: list[Annotated[int, Field(ge=0)]] = Field(
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
    training: Training = Field(
        Training(), description="Default of every network.", examples=[{"epochs": 200}]
    )
    overrides: list[Override] = Field(
        [], description="Keys for some cells.", examples=[[{"cells": "*", "training": {}}]]
    )
    request: Request = Field(
        Request(), description="Default request.", examples=[{"memory_mb": 8000}]
    )
    requests: list[RequestRule] = Field(
        [], description="Requests of some cells.", examples=[[{"cells": "*", "memory_mb": 4000}]]
    )
    hardware: Name = Field(
        description="A file of config/hardware/; named by a profile.", examples=["local"]
    )
    data_root: str | None = Field(
        None,
        description="Folder of the real rigs; default: the environment variable PHM_DATA_ROOT.",
        examples=["~/recordings"],
    )
