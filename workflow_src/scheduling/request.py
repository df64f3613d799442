"""The one decision: what the next attempt of a cell asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workflow_src.configuration import Hardware
from workflow_src.configuration.keys import Request as Configured
from workflow_src.configuration.keys import SiteClass
from workflow_src.scheduling.hardware import larger_in_words
from workflow_src.scheduling.journal import Cause
from workflow_src.scheduling.past import Attempt, attempts, invocation

# The Snakemake inside a Slurm job lives in the same memory limit as the training process.
INNER_SNAKEMAKE_MB = 200
MORE_MEMORY = 1.5
MORE_TIME = 2.0
# How often a cause may end an attempt of one invocation before the rest of it is spared.
BUDGETS = {Cause.HOST_OOM: 4, Cause.TERMINATED: 3, Cause.NODE_LOST: 3}
WITHOUT_PROGRESS = 2  # deadlines in a row
FINAL = (Cause.ERROR, Cause.BAD_DATA, Cause.DIVERGED)  # more of anything does not mend these
# What a job asks that only repeats why the cell has failed: two Snakemakes fit into it.
STUB_MB, STUB_MINUTES = 300, 1


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
    """What a cell is expected to need; from configuration, as nothing has been measured.

    Attributes:
        memory_mb: host memory of the training processes, MB.
        runtime_minutes: time of one attempt.
        micro_batch_size: spans in memory at once; None: the whole batch.
        batch_size: spans of the whole batch.
        activation_checkpointing, devices, workers, cache_mb: as the keys of `request:`.
    """

    memory_mb: int
    runtime_minutes: int
    micro_batch_size: int | None = None
    batch_size: int = 1
    activation_checkpointing: bool = False
    devices: int = 1
    workers: int = 0
    cache_mb: int = 256

    @staticmethod
    def configured(request: Configured, batch_size: int) -> Forecast:
        """The static estimate that `request:` and `requests:` state."""
        keys = request.model_dump(exclude={"checkpoint_minutes"})
        return Forecast(**keys, batch_size=batch_size)


@dataclass(frozen=True)
class Policy:
    """What follows from neither forecast, journal nor hardware.

    Attributes:
        threads: of torch, a process.
        site: what the cluster calls the hardware class.
        hardware: name of the class: what ran out on another one teaches nothing about this.
        identity: of the cell: nor does what another configuration needed.
        attempt: Snakemake's number; 1 is a user who asks (again).
        classes: all that there are, to name a larger one.
    """

    threads: int
    site: SiteClass
    hardware: str = "local"
    identity: str = ""
    attempt: int = 1
    classes: Mapping[str, Hardware] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """Resources of one attempt. ``micro_batch_size`` 0 stands for the whole batch.

    ``memory_mb`` holds the training processes and, beside them, the Snakemake inside a Slurm job.
    ``refusal`` is why there is no use in training; the job then only says so.
    """

    memory_mb: int
    runtime_minutes: int
    cores: int
    micro_batch_size: int
    activation_checkpointing: bool
    devices: int
    workers: int
    cache_mb: int
    gpu_model: str | None
    gpus: int
    site: SiteClass
    refusal: str = ""

    def resources(self) -> dict[str, int | str]:
        """The names that Snakemake and its Slurm plugin know; what is not asked is left out.

        The names do not depend on the refusal: Snakemake asks for the same ones at each attempt.
        """
        asked: dict[str, int | str] = {
            "mem_mb": self.memory_mb,
            "runtime": self.runtime_minutes,
            "micro_batch": self.micro_batch_size,
            "training_mb": max(1, self.memory_mb - INNER_SNAKEMAKE_MB),
            "activation_checkpointing": int(self.activation_checkpointing),
            "devices": self.devices,
            "workers": self.workers,
            "cache_mb": self.cache_mb,
            "refused": int(bool(self.refusal)),
        }
        if self.gpus:
            asked["gpu"] = 0 if self.refusal else self.gpus
            if self.gpu_model is not None:
                asked["gpu_model"] = "" if self.refusal else self.gpu_model
        return asked | site_resources(self.site)


def decide(
    forecast: Forecast, journal: Sequence[Mapping[str, Any]], hardware: Hardware, policy: Policy
) -> Request:
    """The request of the next attempt: pure, torch-free, never raises.

    It raises what ran out on this hardware class, and only that, up to what a node of it has.
    """
    past = attempts(journal, policy.identity)
    here = [attempt for attempt in past if attempt.hardware == policy.hardware]
    planned_mb = math.inf if hardware.planned_mb is None else hardware.planned_mb
    most_mb = planned_mb - INNER_SNAKEMAKE_MB
    refusal = _fits_nowhere(here, most_mb, hardware, policy)
    if policy.attempt > 1:
        refusal = refusal or _given_up(invocation(past), past)
    if refusal:
        return _refused(refusal, hardware, policy, forecast.devices)
    micro, checkpointing = _rung(forecast, here)
    halvings = 2 ** sum(attempt.cause is Cause.HOST_OOM for attempt in here)
    workers = forecast.workers // halvings
    return Request(
        memory_mb=int(max(1, min(_memory_mb(forecast, here), most_mb))) + INNER_SNAKEMAKE_MB,
        runtime_minutes=_minutes(forecast, here, hardware),
        cores=forecast.devices * (policy.threads + workers),
        micro_batch_size=micro,
        activation_checkpointing=checkpointing,
        devices=forecast.devices,
        workers=workers,
        cache_mb=forecast.cache_mb // halvings,
        gpu_model=hardware.gpu_model,
        gpus=forecast.devices if hardware.accelerator == "cuda" else 0,
        site=policy.site,
    )


def _memory_mb(forecast: Forecast, here: Sequence[Attempt]) -> int:
    """Host memory, MB: more than each attempt had that ran out of it."""
    memory = forecast.memory_mb
    for attempt in here:
        if attempt.cause is Cause.HOST_OOM:
            had = attempt.memory_mb or forecast.memory_mb
            memory = max(memory, math.ceil(MORE_MEMORY * had))
    return memory


def _minutes(forecast: Forecast, here: Sequence[Attempt], hardware: Hardware) -> int:
    """Time, minutes: more than each attempt had that was not done in it."""
    minutes = forecast.runtime_minutes
    for attempt in here:
        if attempt.cause is Cause.DEADLINE:
            had = attempt.runtime_minutes or forecast.runtime_minutes
            minutes = max(minutes, math.ceil(MORE_TIME * had))
    return min(minutes, hardware.max_runtime_minutes or minutes)


def _rung(forecast: Forecast, here: Sequence[Attempt]) -> tuple[int, bool]:
    """Micro-batch and whether activations are recomputed: at which a GPU has not run out yet."""
    whole = -(-forecast.batch_size // forecast.devices)  # a rank's share of the batch
    size = forecast.micro_batch_size or whole
    checkpointing = forecast.activation_checkpointing
    for attempt in here:
        had = attempt.micro_batch_size or whole
        if attempt.shrank or attempt.cause is Cause.GPU_OOM:
            size = min(size, had)
            checkpointing |= attempt.activation_checkpointing
        if attempt.cause is Cause.GPU_OOM:
            checkpointing |= had == 1
            size = min(size, max(1, had // 2))
    untouched = size >= whole and forecast.micro_batch_size is None
    return 0 if untouched else size, checkpointing


def _fits_nowhere(
    here: Sequence[Attempt], most_mb: float, hardware: Hardware, policy: Policy
) -> str:
    """Why no request within this hardware class can do better than the last one; "": one can."""
    for attempt in here:
        if attempt.cause is Cause.HOST_OOM and attempt.memory_mb >= most_mb:
            return (
                f"fits nowhere: out of host memory with {attempt.memory_mb} MB, all that a node of "
                f"class {policy.hardware} has{larger_in_words(policy.classes, hardware, 'host')}"
            )
        smallest = attempt.micro_batch_size == 1 and attempt.activation_checkpointing
        if attempt.cause is Cause.GPU_OOM and smallest:
            return (
                "fits nowhere: out of GPU memory at micro-batch 1 with activations recomputed, "
                f"class {policy.hardware}{larger_in_words(policy.classes, hardware)}"
            )
    return ""


def _given_up(this: Sequence[Attempt], past: Sequence[Attempt]) -> str:
    """Why the rest of this invocation is spared; "": it is not."""
    if not this:
        return ""
    last = this[-1]
    if last.cause in FINAL:
        return f"{last.cause.text}: {last.message}"
    spent = sum(attempt.cause is last.cause for attempt in this)
    if spent >= BUDGETS.get(last.cause, math.inf):
        return f"{last.cause.text}, {spent} times: {last.message}"
    before = len(past) - len(this)
    still = 0
    for index, attempt in enumerate(this, start=before):
        done = past[index - 1].steps if index else 0
        # Who was killed at its limit said nothing of its steps, and has twice the time next.
        known = attempt.cause is Cause.DEADLINE and attempt.steps is not None
        stuck = known and (attempt.steps or 0) <= (done or 0)
        still = still + 1 if stuck else 0
    if still >= WITHOUT_PROGRESS:
        return f"deadline, {still} times in a row without a step done: {last.message}"
    return ""


def _refused(reason: str, hardware: Hardware, policy: Policy, devices: int) -> Request:
    return Request(
        memory_mb=STUB_MB,
        runtime_minutes=STUB_MINUTES,
        cores=1,
        micro_batch_size=0,
        activation_checkpointing=False,
        devices=1,
        workers=0,
        cache_mb=0,
        gpu_model=hardware.gpu_model,
        gpus=devices if hardware.accelerator == "cuda" else 0,
        site=policy.site,
        refusal=reason,
    )
