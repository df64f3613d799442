"""How a network is trained: the keys under `training:`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from workflow_src.configuration.augmentation import Augmentation
from workflow_src.configuration.base import StrictModel, optional


class Training(StrictModel):
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
