"""The one decision: what one attempt of a cell asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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

    @staticmethod
    def configured(request: Configured) -> Forecast:
        """The static estimate that `request:` and `requests:` state."""
        return Forecast(request.memory_mb, request.runtime_minutes, request.micro_batch_size)


@dataclass(frozen=True)
class Policy:
    """What does not follow from forecast, journal or hardware: cores and the site's names."""

    cores: int
    site: SiteClass


@dataclass(frozen=True)
class Request:
    """Resources of one attempt. ``micro_batch_size`` 0 stands for the whole batch."""

    memory_mb: int
    runtime_minutes: int
    cores: int
    micro_batch_size: int
    gpu_model: str | None
    gpus: int
    site: SiteClass

    def resources(self) -> dict[str, int | str]:
        """The names that Snakemake and its Slurm plugin know; what is not asked is left out."""
        named: dict[str, int | str | None] = {
            "mem_mb": self.memory_mb,
            "runtime": self.runtime_minutes,
            "micro_batch": self.micro_batch_size,
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
        cores=policy.cores,
        micro_batch_size=forecast.micro_batch_size or 0,
        gpu_model=hardware.gpu_model,
        gpus=1 if hardware.accelerator == "cuda" else 0,
        site=policy.site,
    )
