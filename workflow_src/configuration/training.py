"""How a network is built and trained: a file of config/models/ and the keys under `training:`."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any, Literal

from pydantic import Field, model_validator

from workflow_src.configuration.augmentation import Augmentation
from workflow_src.configuration.base import Keys, Mistake, Name, optional


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
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32",
        description="What products are computed in; parameters, transforms, statistics and losses "
        "are float32 in each. bf16 needs a GPU from Ampere (A100) on or a CPU; fp16 scales losses "
        "by a power of two, and repeats a step whose gradient overflows at half of it.",
        examples=["bf16"],
    )
    fused_optimizer: bool = Field(
        True,
        strict=True,
        description="AdamW as one kernel, without temporaries as large as the parameters; equal "
        "to the other up to rounding. CPU and CUDA have it; a device without it needs false.",
        examples=[False],
    )
    torch_threads: int = Field(
        1,
        ge=1,
        description="CPU threads of torch. On CPU their number changes bits, so it belongs to "
        "the identity of a cell.",
        examples=[4],
    )
    sampling: Literal["uniform", "class", "rig", "task"] = Field(
        "uniform",
        description="What an epoch draws, of as many spans as the training part has: each span "
        "once, or each class, rig of a union or combination of labels equally often.",
        examples=["class"],
    )
    augmentation: Augmentation | None = Field(
        None,
        description="Random changes of training spans; they depend on neither workers nor "
        "micro-batches, and a resumed training draws the same.",
        examples=[{"noise_db": 20, "polarity": True}],
    )


TrainingOverrides = optional(Training)


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
    patch_length: int = Field(
        64,
        ge=1,
        description="Samples in a patch. At most the window; with `embedding: hse` also longer: "
        "each sample is then held as often as the patch is longer, rounded up.",
        examples=[128],
    )
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
        None, strict=True, description="DLinear: own matrices for each feature.", examples=[False]
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

ArchitectureOverrides = optional(Architecture, without=("backbone",))


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

    @model_validator(mode="after")
    def _one_kind(self) -> Model:
        given = {key for key in self.model_fields_set if getattr(self, key) is not None}
        if self.kind == "classic":
            foreign = sorted(given - {"extends", "kind", "label", "method"})
            if foreign:
                raise Mistake("A classic model takes `method` and no size.", drop=foreign[0])
            if self.method is None:
                raise Mistake("A classic model needs `method`.", put={"method": "trivial"})
            return self
        if self.method is not None:
            raise Mistake("A network takes no `method`.", drop="method")
        if self.backbone is None:
            keys = self._examples(BACKBONE_KEYS["patchtst"], given)
            raise Mistake("A network needs `backbone`.", put={"backbone": "patchtst"} | keys)
        own = BACKBONE_KEYS[self.backbone]
        foreign = sorted({key for keys in BACKBONE_KEYS.values() for key in keys} & given - {*own})
        if foreign:
            what = f"The backbone {self.backbone} has no `{foreign[0]}`; its own keys are "
            raise Mistake(what + ", ".join(own) + ".", drop=foreign[0])
        lacking = self._examples(own, given)
        if lacking:
            what = f"The backbone {self.backbone} needs {', '.join(lacking)}."
            raise Mistake(what, put=lacking)
        return self

    @classmethod
    def _examples(cls, keys: Sequence[str], given: Set[str]) -> dict[str, Any]:
        lacking = [key for key in keys if key not in given]
        return {key: (cls.model_fields[key].examples or [None])[0] for key in lacking}
