"""What is asked of a machine and what it offers; no key changes a number beyond rounding."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from workflow_src.configuration.base import ConfigError, StrictModel, optional


class RequestKeys(StrictModel):
    """Keys of a request that an attempt is told as they are."""

    micro_batch_size: int | None = Field(
        None,
        ge=1,
        description="Spans in memory at once; default: as many as the forecast says fit.",
        examples=[16],
    )
    checkpoint_minutes: float = Field(
        10.0, gt=0, description="Time between two checkpoints inside an epoch.", examples=[5]
    )
    activation_checkpointing: bool = Field(
        False,
        strict=True,
        description="Keep each layer's input only and compute the layer again in the backward "
        "pass: less memory for one more forward pass in time.",
        examples=[True],
    )
    devices: int = Field(
        1,
        ge=1,
        description="Processes that share each batch, one a device; gradients are equal up to "
        "rounding.",
        examples=[4],
    )
    workers: int = Field(
        0,
        ge=0,
        description="Processes beside each of them that read spans ahead; 0: each reads its own.",
        examples=[2],
    )
    cache_mb: int = Field(
        256,
        ge=0,
        description="Recordings that each of all these processes keeps in memory, in MiB; 0: none.",
        examples=[1000],
    )


class Request(RequestKeys):
    """What a training target asks of the machine; changes only rounding and reruns no cell."""

    memory_mb: int | None = Field(
        None,
        ge=300,
        description="Host memory of all processes of a training (devices and workers), in MiB; "
        "default: as forecast.",
        examples=[16000],
    )
    runtime_minutes: int | None = Field(
        None,
        ge=1,
        description="Time of one attempt; default: twice the forecast and 10 minutes, on a GPU "
        "at least an hour; an hour where no time is forecast.",
        examples=[240],
    )


RequestOverrides = optional(Request)


class RequestRule(RequestOverrides):  # type: ignore[valid-type,misc]
    """Keys of a request for the cells that match a pattern."""

    cells: str = Field(
        description="Pattern over dataset/model/task_set/seed.", examples=["femto*/timesnet/*"]
    )


class CardRates(StrictModel):
    """What a GPU does a second: measured by `benchmarks/gpu.py --only card`, or its data sheet."""

    tflops: dict[Literal["fp32", "bf16", "fp16"], Annotated[float, Field(gt=0)]] = Field(
        min_length=1,
        description="10^12 floating-point operations a second of matrix products, by "
        "`training.precision`; fp32 without TF32.",
        examples=[{"fp32": 19.5, "bf16": 312.0}],
    )
    copy_gb_s: float = Field(
        gt=0,
        description="10^9 bytes of its memory read and written a second.",
        examples=[2039.0],
    )
    call_us: float = Field(
        10.0,
        gt=0,
        description="Fixed part of each call of an operator, 10^-6 s: Python, autograd, the launch "
        "of a kernel.",
        examples=[8.0],
    )


class Hardware(StrictModel):
    """A file of config/hardware/: a kind of node. What is left out limits nothing."""

    accelerator: Literal["cpu", "cuda", "detect"] = Field(
        description="Where tensors live; `detect`: as this machine is, whose memory, cores and "
        "GPUs are then found out where the file does not state less.",
        examples=["cuda"],
    )
    gpu_model: str | None = Field(
        None, description="The model that Slurm is asked for.", examples=["a100"]
    )
    gpus: int | None = Field(
        None, ge=1, description="GPUs of a node: no request takes more.", examples=[4]
    )
    device_memory_mb: int | None = Field(
        None,
        ge=1,
        description="Memory of one GPU, MiB: says which class is larger where a cell does not fit.",
        examples=[81920],
    )
    host_memory_mb: int | None = Field(
        None, ge=300, description="Host memory of a node, in MiB.", examples=[240000]
    )
    memory_share: float = Field(
        1.0,
        gt=0.0,
        le=1.0,
        description="Share of the host memory that may be planned: no request exceeds it.",
        examples=[0.9],
    )
    cores: int | None = Field(
        None,
        ge=1,
        description="Cores of a node: no request takes more; one takes `torch_threads` and "
        "`workers` a device.",
        examples=[64],
    )
    precisions: list[Literal["fp32", "bf16", "fp16"]] = Field(
        ["fp32", "bf16", "fp16"],
        min_length=1,
        description="What it computes in: another `training.precision` is refused.",
        examples=[["fp32", "fp16"]],
    )
    max_runtime_minutes: int | None = Field(
        None, ge=1, description="The partition's limit: no request exceeds it.", examples=[1440]
    )
    rates: CardRates | None = Field(
        None,
        description="What one GPU does a second; default: no time is forecast for it.",
        examples=[{"tflops": {"fp32": 19.5}, "copy_gb_s": 2039.0}],
    )

    @model_validator(mode="after")
    def _rates_are_of_a_gpu(self) -> Self:
        if self.accelerator == "cpu" and self.rates is not None:
            raise ConfigError("`rates` are those of a GPU, and this class has none.", drop="rates")
        return self

    @property
    def tensors_in(self) -> Literal["gpu", "host"]:
        """The memory in which tensors lie."""
        return "gpu" if self.accelerator == "cuda" else "host"

    @property
    def planned_mb(self) -> int | None:
        """Host memory of a node that requests may add up to, MB; None: it is not limited."""
        if self.host_memory_mb is None:
            return None
        return math.floor(self.memory_share * self.host_memory_mb)


class SiteClass(StrictModel):
    """What a cluster calls one hardware class (config/site.yaml)."""

    partition: str | None = Field(None, description="Slurm partition.", examples=["gpu"])
    account: str | None = Field(None, description="Slurm account.", examples=["phm"])
    qos: str | None = Field(None, description="Slurm quality of service.", examples=["normal"])
    constraint: str | None = Field(
        None, description="Features that a node must have.", examples=["gpu80g"]
    )
    extra: str | None = Field(
        None,
        description="Further options of sbatch; none that the keys above or a request stand for.",
        examples=["--no-requeue"],
    )
    modules: list[str] = Field(
        [],
        description="Environment modules that each job loads before it starts.",
        examples=[["cuda/12.6"]],
    )
