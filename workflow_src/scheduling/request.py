"""The one decision: what one attempt of a cell asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from workflow_src.configuration import Hardware
from workflow_src.configuration.keys import Request as Configured
from workflow_src.configuration.keys import SiteClass

# The Snakemake inside a Slurm job lives in the same memory limit as the training process.
INNER_SNAKEMAKE_MB = 200


def site_resources(site: SiteClass) -> dict[str, str]:
    """What a site names, under the names of Snakemake's Slurm plugin; the unnamed is left out."""
    named = {
        "slurm_partition": site.partition,
        "slurm_account": site.account,
        "qos": site.qos,
        "slurm_extra": site.extra,
    }
    return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True)
class Forecast:
    """What a cell is expected to need; from configuration, as nothing has been measured."""

    memory_mb: int
    runtime_minutes: int
    micro_batch_size: int | None
    activation_checkpointing: bool = False
    devices: int = 1
    workers: int = 0

    @staticmethod
    def configured(request: Configured) -> Forecast:
        """The static estimate that `request:` and `requests:` state."""
        return Forecast(**request.model_dump(include={f.name for f in fields(Forecast)}))


@dataclass(frozen=True)
class Policy:
    """What does not follow from forecast, journal or hardware: threads and the site's names."""

    threads: int  # of torch, a process
    site: SiteClass


@dataclass(frozen=True)
class Request:
    """Resources of one attempt. ``micro_batch_size`` 0 stands for the whole batch.

    ``memory_mb`` holds the training processes and, beside them, the Snakemake inside a Slurm job.
    """

    memory_mb: int
    runtime_minutes: int
    cores: int
    micro_batch_size: int
    activation_checkpointing: bool
    devices: int
    workers: int
    gpu_model: str | None
    gpus: int
    site: SiteClass

    def resources(self) -> dict[str, int | str]:
        """The names that Snakemake and its Slurm plugin know; what is not asked is left out."""
        named: dict[str, int | str | None] = {
            "mem_mb": self.memory_mb,
            "runtime": self.runtime_minutes,
            "micro_batch": self.micro_batch_size,
            "training_mb": self.memory_mb - INNER_SNAKEMAKE_MB,
            "activation_checkpointing": int(self.activation_checkpointing),
            "devices": self.devices,
            "workers": self.workers,
            "gpu": self.gpus or None,
            "gpu_model": self.gpu_model if self.gpus else None,
        }
        asked = {name: value for name, value in named.items() if value is not None}
        return asked | site_resources(self.site)


def decide(
    forecast: Forecast, journal: Sequence[dict[str, Any]], hardware: Hardware, policy: Policy
) -> Request:
    """The request of the next attempt: pure, torch-free, never raises.

    The journal does not change it yet: what is configured is asked for, within what a node of the
    class offers.
    """
    del journal
    memory = forecast.memory_mb + INNER_SNAKEMAKE_MB
    runtime = forecast.runtime_minutes
    return Request(
        memory_mb=min(memory, hardware.host_memory_mb or memory),
        runtime_minutes=min(runtime, hardware.max_runtime_minutes or runtime),
        cores=forecast.devices * (policy.threads + forecast.workers),
        micro_batch_size=forecast.micro_batch_size or 0,
        activation_checkpointing=forecast.activation_checkpointing,
        devices=forecast.devices,
        workers=forecast.workers,
        gpu_model=hardware.gpu_model,
        gpus=forecast.devices if hardware.accelerator == "cuda" else 0,
        site=policy.site,
    )
