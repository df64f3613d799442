"""The one decision: what the next attempt of a cell asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workflow_src.artifacts.forecast_file import CellForecast
from workflow_src.configuration import Hardware
from workflow_src.configuration.schema import Request as Configured
from workflow_src.configuration.schema import RequestKeys, SiteClass
from workflow_src.scheduling.attempt_history import FinishedAttempt, attempt_history, invocation
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.cause import Cause
from workflow_src.scheduling.events import Event
from workflow_src.scheduling.hardware import larger_in_words
from workflow_src.scheduling.rank_share import largest_share

# The Snakemake inside a Slurm job lives in the same memory limit as the training process.
INNER_SNAKEMAKE_MB = 200
# Host memory and time of a training of which they are not forecast.
UNKNOWN_MB, UNKNOWN_MINUTES = 4000, 60
# Of a forecast time: a node may be slower than the machine that timed the steps.
SLOWER, STARTUP_MINUTES = 2.0, 10
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
        "constraint": site.constraint,
        "slurm_extra": site.extra,
    }
    return {name: value for name, value in named.items() if value is not None}


class Forecast(RequestKeys):
    """What a cell is expected to need.

    Attributes:
        memory_mb: host memory of the training processes, MB.
        runtime_minutes: time of one attempt.
        batch_size: spans of the whole batch.
        device_mb: memory of each GPU, MB; None: not known.
        refusal: why it fits nowhere on this hardware class; "": it fits.
    """

    memory_mb: int
    runtime_minutes: int
    batch_size: int = 1
    device_mb: int | None = None
    refusal: str = ""

    @staticmethod
    def configured(
        request: Configured,
        batch_size: int,
        forecast: CellForecast | None = None,
        epochs: int = 1,
    ) -> Forecast:
        """What `request:` and `requests:` state; the rest as forecast, if there is a forecast."""
        stated = request.model_dump()
        if request.memory_mb is None:
            stated["memory_mb"] = UNKNOWN_MB if forecast is None else forecast.host_mb
        if request.runtime_minutes is None:
            stated["runtime_minutes"] = _forecast_minutes(forecast, epochs)
        if forecast is None:
            return Forecast(**stated, batch_size=batch_size)
        if forecast.micro_batch < forecast.share:
            stated["micro_batch_size"] = forecast.micro_batch
        stated["activation_checkpointing"] = forecast.activation_checkpointing
        stated["device_mb"] = forecast.device_mb or None
        return Forecast(**stated, batch_size=batch_size, refusal=forecast.refusal)


def _forecast_minutes(forecast: CellForecast | None, epochs: int) -> int:
    if forecast is None or (seconds := forecast.seconds(epochs)) is None:
        return UNKNOWN_MINUTES
    minutes = STARTUP_MINUTES + math.ceil(SLOWER * seconds / 60)
    # The seconds of a GPU are a guess from the rates of its class.
    return minutes if forecast.device_mb is None else max(minutes, UNKNOWN_MINUTES)


@dataclass(frozen=True)
class Policy:
    """What follows from neither forecast, journal nor hardware.

    Attributes:
        threads: of torch, a process.
        site: what the cluster calls the hardware class.
        hardware: name of the class: what ran out on another one teaches nothing about this.
        identity: of the cell: nor does what another configuration needed.
        run: name of the run of Snakemake.
        attempt: its number there; 1 is a user who asks (again).
        wait_minutes: for a node, where another class would do; None: for ever.
        classes: those that are larger than each one in question, to name one.
    """

    threads: int
    site: SiteClass
    hardware: str = "local"
    identity: str = ""
    run: str = ""
    attempt: int = 1
    wait_minutes: int | None = None
    classes: Mapping[str, Hardware] = field(default_factory=dict)


class JobRequest(AttemptRequest):
    """What one attempt is told, and what its job asks for.

    Attributes:
        cores: CPU threads, workers included.
        gpu_model, gpus: that the hardware class asks Slurm for.
        site: what the cluster calls the hardware class.
        wait_minutes: that the job may wait for a node; None: for ever.
        refusal: why there is no use in training; the job then only says so.
    """

    memory_mb: int
    runtime_minutes: int
    cores: int
    gpu_model: str | None
    gpus: int
    site: SiteClass
    wait_minutes: int | None = None
    refusal: str = ""

    def resources(self) -> dict[str, int | str]:
        """The names that Snakemake and its Slurm plugin know; what is not asked is left out.

        The names do not depend on the refusal: Snakemake asks for the same ones at each attempt.
        """
        asked = {**self.told(), "mem_mb": self.memory_mb + INNER_SNAKEMAKE_MB}
        if self.gpus:
            asked["gpu"] = 0 if self.refused else self.gpus
            if self.gpu_model is not None:
                asked["gpu_model"] = "" if self.refused else self.gpu_model
        named = site_resources(self.site)
        if self.wait_minutes is not None:
            # Slurm takes a job from the queue that can no longer end by then.
            minutes = self.wait_minutes + self.runtime_minutes
            extra = [self.site.extra or "", f"--deadline=now+{minutes}minutes"]
            named["slurm_extra"] = " ".join(filter(None, extra))
        return asked | named


def decide(
    forecast: Forecast, journal: Sequence[Event], hardware: Hardware, policy: Policy
) -> JobRequest:
    """The request of the next attempt on one hardware class: pure, torch-free, never raises.

    It raises what ran out on this hardware class, and only that, up to what a node of it has.
    """
    history = attempt_history(journal, policy.identity)
    here = [attempt for attempt in history if attempt.request.hardware == policy.hardware]
    refusal = _fits_nowhere(forecast, here, hardware, policy)
    if policy.attempt > 1:
        refusal = refusal or _given_up(invocation(history, policy.run), history)
    asked = _stub() if refusal else _enough(forecast, here, hardware, policy)
    is_cuda = hardware.accelerator == "cuda"
    around = {
        "attempt": policy.attempt,
        "hardware": policy.hardware,
        "accelerator": "cuda" if is_cuda else "cpu",
        "gpu_model": hardware.gpu_model,
        "gpus": forecast.devices if is_cuda else 0,
        "site": policy.site,
        "wait_minutes": policy.wait_minutes,
        "refused": bool(refusal),
        "refusal": refusal,
    }
    return JobRequest.model_validate(asked | around)


def most_memory_mb(hardware: Hardware) -> float:
    """What a node has for the training processes of one request, MB."""
    planned_mb = math.inf if hardware.planned_mb is None else hardware.planned_mb
    return planned_mb - INNER_SNAKEMAKE_MB


def _enough(
    forecast: Forecast, here: Sequence[FinishedAttempt], hardware: Hardware, policy: Policy
) -> dict[str, float | None]:
    """The keys of the forecast, with more of what ran out."""
    micro, checkpointing = _rung(forecast, here)
    is_forecast = micro == forecast.micro_batch_size
    halvings = 2 ** sum(attempt.cause is Cause.HOST_OOM for attempt in here)
    workers = forecast.workers // halvings
    return forecast.model_dump(exclude={"batch_size", "refusal"}) | {
        "memory_mb": int(max(1, min(_memory_mb(forecast, here), most_memory_mb(hardware)))),
        "runtime_minutes": _minutes(forecast, here, hardware),
        "cores": forecast.devices * (policy.threads + workers),
        "device_mb": forecast.device_mb if is_forecast else None,
        "micro_batch_size": micro,
        "activation_checkpointing": checkpointing,
        "workers": workers,
        "cache_mb": forecast.cache_mb // halvings,
    }


def _stub() -> dict[str, float | None]:
    """What it takes to say why there is no use in training."""
    memory_mb = STUB_MB - INNER_SNAKEMAKE_MB
    return {"memory_mb": memory_mb, "runtime_minutes": STUB_MINUTES, "cores": 1, "cache_mb": 0}


def _memory_mb(forecast: Forecast, here: Sequence[FinishedAttempt]) -> int:
    """Host memory, MB: more than each attempt had that ran out of it; no less than one used."""
    memory = forecast.memory_mb
    for attempt in here:
        memory = max(memory, math.ceil(attempt.peak_mb))
        if attempt.cause is Cause.HOST_OOM:
            had = attempt.request.memory_mb or forecast.memory_mb
            memory = max(memory, math.ceil(MORE_MEMORY * had))
    return memory


def _minutes(forecast: Forecast, here: Sequence[FinishedAttempt], hardware: Hardware) -> int:
    """Time, minutes: more than each attempt had that was not done in it."""
    minutes = forecast.runtime_minutes
    for attempt in here:
        if attempt.cause is Cause.DEADLINE:
            had = attempt.request.runtime_minutes or forecast.runtime_minutes
            minutes = max(minutes, math.ceil(MORE_TIME * had))
    return min(minutes, hardware.max_runtime_minutes or minutes)


def _rung(forecast: Forecast, here: Sequence[FinishedAttempt]) -> tuple[int | None, bool]:
    """Micro-batch and whether activations are recomputed: at which a GPU has not run out yet."""
    whole = largest_share(forecast.batch_size, forecast.devices)
    size = forecast.micro_batch_size or whole
    checkpointing = forecast.activation_checkpointing
    for attempt in (each for each in here if not each.beside_others):
        had = attempt.request.micro_batch_size or whole
        if attempt.shrank or attempt.cause is Cause.GPU_OOM:
            size = min(size, had)
            checkpointing |= attempt.request.activation_checkpointing
        if attempt.cause is Cause.GPU_OOM:
            checkpointing |= had == 1
            size = min(size, max(1, had // 2))
    untouched = size >= whole and forecast.micro_batch_size is None
    return None if untouched else size, checkpointing


def _fits_nowhere(
    forecast: Forecast, here: Sequence[FinishedAttempt], hardware: Hardware, policy: Policy
) -> str:
    """Why no request within this hardware class can do better than the last one; "": one can."""
    if forecast.refusal:
        larger = larger_in_words(policy.classes, hardware, hardware.tensors_in)
        return f"fits nowhere: {forecast.refusal}, class {policy.hardware}{larger}"
    for attempt in here:
        had_mb = attempt.request.memory_mb or 0
        if attempt.cause is Cause.HOST_OOM and had_mb >= most_memory_mb(hardware):
            return (
                f"fits nowhere: out of host memory with {had_mb} MB, all that a node of "
                f"class {policy.hardware} has{larger_in_words(policy.classes, hardware, 'host')}"
            )
        had = attempt.request
        smallest = had.micro_batch_size == 1 and had.activation_checkpointing
        if attempt.cause is Cause.GPU_OOM and smallest and not attempt.beside_others:
            return (
                "fits nowhere: out of GPU memory at micro-batch 1 with activations recomputed, "
                f"class {policy.hardware}{larger_in_words(policy.classes, hardware)}"
            )
    return ""


def _given_up(this: Sequence[FinishedAttempt], history: Sequence[FinishedAttempt]) -> str:
    """Why the rest of this invocation is spared; "": it is not."""
    if not this:
        return ""
    last = this[-1]
    if last.cause in FINAL:
        return f"{last.cause.text}: {last.message}"
    spent = sum(attempt.cause is last.cause for attempt in this)
    if spent >= BUDGETS.get(last.cause, math.inf):
        return f"{last.cause.text}, {spent} times: {last.message}"
    before = len(history) - len(this)
    still = 0
    for index, attempt in enumerate(this, start=before):
        done = history[index - 1].steps if index else 0
        # Who was killed at its limit said nothing of its steps, and has twice the time next.
        known = attempt.cause is Cause.DEADLINE and attempt.steps is not None
        stuck = known and (attempt.steps or 0) <= (done or 0)
        still = still + 1 if stuck else 0
    if still >= WITHOUT_PROGRESS:
        return f"deadline, {still} times in a row without a step done: {last.message}"
    return ""
