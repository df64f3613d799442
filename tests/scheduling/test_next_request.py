"""The one decision: what ran out is raised, and only that, within what a node offers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workflow_src.artifacts.forecast_file import CellForecast
from workflow_src.configuration import Hardware
from workflow_src.configuration.schema import Request as Configured
from workflow_src.configuration.schema import SiteClass
from workflow_src.scheduling.cause import Cause
from workflow_src.scheduling.events import read_event
from workflow_src.scheduling.next_request import (
    BUDGETS,
    INNER_SNAKEMAKE_MB,
    STUB_MB,
    STUB_MINUTES,
    UNKNOWN_MB,
    UNKNOWN_MINUTES,
    Forecast,
    JobRequest,
    Policy,
    decide,
)

GPU = Hardware(
    accelerator="cuda", gpu_model="a100", host_memory_mb=20_000, max_runtime_minutes=1440
)
CPU = Hardware(accelerator="cpu", host_memory_mb=20_000)
SITE = SiteClass(partition="gpu", account="phm")
POLICY = Policy(threads=2, site=SITE, hardware="big", identity="cell")
FORECAST = Forecast(memory_mb=4000, runtime_minutes=60, batch_size=32)


def decided(
    forecast: Forecast, journal: list[Any], hardware: Hardware, policy: Policy
) -> JobRequest:
    """The decision by the lines of a journal."""
    events = [event for line in journal if (event := read_event(line)) is not None]
    return decide(forecast, events, hardware, policy)


def told(**more: Any) -> dict[str, Any]:
    return {
        "hardware": "big",
        "attempt": 1,
        "memory_mb": 4000,
        "runtime_minutes": 60,
        "micro_batch_size": 0,
        "activation_checkpointing": False,
    } | more


def tried(cause: str, *between: dict[str, Any], steps: int = 5, **more: Any) -> list[Any]:
    """The events of one attempt."""
    return [
        {"event": "started", "identity": "cell", "told": told(**more)},
        *between,
        {"event": "ended", "cause": cause, "message": "as it was", "steps": steps},
    ]


def shrunk(size: int, of: str = "gpu", checkpointing: bool = False) -> dict[str, Any]:
    after = {"micro_batch": size, "activation_checkpointing": checkpointing}
    return {"event": "out_of_memory", "of": of, "after": after}


PLAIN = decided(FORECAST, [], GPU, POLICY)
MORE = 6000
LAST = {"micro_batch_size": 1, "activation_checkpointing": True}

# journal, number of the next attempt, what differs from the first request
CASES: dict[str, tuple[list[Any], int, dict[str, Any]]] = {
    "nothing was tried": ([], 1, {}),
    "host_oom": (tried("host_oom"), 2, {"memory_mb": MORE, "cache_mb": 128}),
    "host_oom, asked again": (tried("host_oom"), 1, {"memory_mb": MORE, "cache_mb": 128}),
    "host_oom twice": (
        tried("host_oom") + tried("host_oom", attempt=2, memory_mb=6000),
        3,
        {"memory_mb": 9000, "cache_mb": 64},
    ),
    "host_oom near the cap": (
        tried("host_oom", memory_mb=15_000),
        2,
        {"memory_mb": 20_000 - INNER_SNAKEMAKE_MB, "cache_mb": 128},
    ),
    "host_oom on another class": (tried("host_oom", hardware="small"), 2, {}),
    "host_oom of another configuration": (
        [{"event": "started", "identity": "other", "told": told()}, *tried("host_oom")[1:]],
        2,
        {},
    ),
    "gpu_oom": (tried("gpu_oom"), 2, {"micro_batch_size": 16}),
    "gpu_oom after it shrank": (tried("gpu_oom", shrunk(4)), 2, {"micro_batch_size": 2}),
    "gpu_oom at one span": (
        tried("gpu_oom", micro_batch_size=1),
        2,
        {"micro_batch_size": 1, "activation_checkpointing": True},
    ),
    "gpu_oom on another class": (tried("gpu_oom", shrunk(4), hardware="small"), 2, {}),
    "shrank, then killed": (tried("terminated", shrunk(8)), 2, {"micro_batch_size": 8}),
    "began smaller beside another process": (
        tried("terminated", shrunk(8) | {"during": "start"}),
        2,
        {},
    ),
    "out of memory beside another process": (
        tried("gpu_oom", shrunk(1, checkpointing=True) | {"during": "start"}),
        2,
        {},
    ),
    "shrank for host memory, then killed": (tried("terminated", shrunk(8, "host")), 2, {}),
    "deadline": (tried("deadline"), 2, {"runtime_minutes": 120}),
    "deadline at the cap": (tried("deadline", runtime_minutes=1440), 2, {"runtime_minutes": 1440}),
    "terminated": (tried("terminated"), 2, {}),
    "node_lost": (tried("node_lost"), 2, {}),
    "error, asked again": (tried("error"), 1, {}),
    "diverged, asked again": (tried("diverged"), 1, {}),
    "an error, and memory before it": (
        tried("host_oom") + tried("error", attempt=2, memory_mb=6000),
        1,
        {"memory_mb": MORE, "cache_mb": 128},
    ),
    "killed, no end yet": (tried("host_oom")[:1], 2, {}),
    "done": (tried("done"), 1, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_what_ran_out_is_raised_and_only_that(case: str) -> None:
    journal, attempt, different = CASES[case]
    request = decided(FORECAST, journal, GPU, replace(POLICY, attempt=attempt))
    assert request == PLAIN.model_copy(update={"attempt": attempt, **different})


REFUSED: dict[str, tuple[list[Any], int, str]] = {
    "error": (tried("error"), 2, "error: as it was"),
    "bad_data": (tried("bad_data"), 2, "bad_data: as it was"),
    "diverged": (tried("diverged"), 2, "diverged: as it was"),
    "an error after memory": (tried("host_oom") + tried("error", attempt=2), 3, "error"),
    "host_oom four times": (
        [e for n in range(1, 5) for e in tried("host_oom", attempt=n, memory_mb=4000)],
        5,
        "host_oom, 4 times",
    ),
    "terminated three times": (
        [e for n in (1, 2, 3) for e in tried("terminated", attempt=n)],
        4,
        "terminated, 3 times",
    ),
    "no step between two deadlines": (
        [e for n in (1, 2, 3) for e in tried("deadline", steps=5, attempt=n)],
        4,
        "without a step done",
    ),
    "host_oom at the cap": (tried("host_oom", memory_mb=19_800), 2, "fits nowhere"),
    "host_oom at the cap, asked again": (tried("host_oom", memory_mb=19_800), 1, "fits nowhere"),
    "one span does not fit": (tried("gpu_oom", **LAST), 1, "fits nowhere"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_more_does_not_mend_is_refused(case: str) -> None:
    journal, attempt, reason = REFUSED[case]
    request = decided(FORECAST, journal, GPU, replace(POLICY, attempt=attempt))
    assert reason in request.refusal
    asked = request.resources()
    assert (asked["mem_mb"], asked["runtime"], request.cores) == (STUB_MB, STUB_MINUTES, 1)
    assert (asked["gpu"], asked["gpu_model"], asked["refused"]) == (0, "", 1)
    assert set(asked) == set(PLAIN.resources())


def test_each_invocation_has_its_own_budget() -> None:
    killed = [e for n in (1, 2) for e in tried("terminated", attempt=n, run="before")]
    journal = killed + tried("terminated", attempt=1)
    assert not decided(FORECAST, journal, GPU, replace(POLICY, attempt=2)).refusal


def test_an_error_of_the_run_before_is_none_of_this_one() -> None:
    """Also where the first job of this one never began."""
    journal = tried("error", run="before")
    assert decided(FORECAST, journal, GPU, replace(POLICY, run="before", attempt=2)).refusal
    assert not decided(FORECAST, journal, GPU, replace(POLICY, run="now", attempt=2)).refusal


def test_progress_between_deadlines_goes_on() -> None:
    journal = [e for n in range(1, 9) for e in tried("deadline", steps=5 * n, attempt=n)]
    assert not decided(FORECAST, journal, GPU, replace(POLICY, attempt=9)).refusal


def test_fewer_workers_and_a_smaller_cache_where_host_memory_ran_out() -> None:
    forecast = FORECAST.model_copy(update={"workers": 4, "cache_mb": 100})
    request = decided(forecast, tried("host_oom"), CPU, POLICY)
    assert (request.workers, request.cores, request.cache_mb) == (2, 2 + 2, 50)


# --------------------------------------------------------------------------- in general

text = st.text(max_size=8)
values = st.none() | st.booleans() | st.integers() | st.floats() | text | st.lists(text)
causes = st.sampled_from([cause.text for cause in Cause])
anything = st.fixed_dictionaries(
    {"event": st.sampled_from(["started", "resumed", "out_of_memory", "ended", "?"]) | values},
    optional={
        "cause": causes | values,
        "identity": st.just("cell") | values,
        "told": values | st.dictionaries(st.sampled_from(list(told())), values),
        "after": values | st.dictionaries(text, values),
        "of": values,
        "steps": values,
        "message": values,
    },
)
sensible = st.builds(
    lambda cause, size, more: tried(cause, *([shrunk(size)] if size else []), **more),
    causes,
    st.integers(0, 32),
    st.fixed_dictionaries(
        {
            "attempt": st.integers(1, 12),
            "memory_mb": st.integers(1, 30_000),
            "runtime_minutes": st.integers(1, 3000),
            "hardware": st.sampled_from(["big", "small"]),
            "steps": st.integers(0, 100),
        }
    ),
)
journals = st.lists(st.lists(anything, max_size=4) | sensible, max_size=6).map(
    lambda parts: [event for part in parts for event in part]
)
forecasts = st.builds(
    Forecast,
    memory_mb=st.integers(1, 10**5),
    runtime_minutes=st.integers(1, 10**4),
    micro_batch_size=st.none() | st.integers(1, 64),
    batch_size=st.integers(1, 512),
    activation_checkpointing=st.booleans(),
    devices=st.integers(1, 8),
    workers=st.integers(0, 16),
)
classes = st.builds(
    Hardware,
    accelerator=st.sampled_from(["cpu", "cuda"]),
    gpu_model=st.none() | st.just("a100"),
    host_memory_mb=st.none() | st.integers(300, 10**5),
    max_runtime_minutes=st.none() | st.integers(1, 10**4),
)
policies = st.builds(
    Policy,
    threads=st.integers(1, 64),
    site=st.just(SITE),
    hardware=st.just("big"),
    identity=st.just("cell"),
    attempt=st.integers(1, 13),
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(forecasts, journals, classes, policies)
def test_never_above_a_cap_and_never_an_exception(
    forecast: Forecast, journal: list[Any], hardware: Hardware, policy: Policy
) -> None:
    past = repr(journal)
    request = decided(forecast, journal, hardware, policy)
    assert repr(journal) == past
    assert request == decided(forecast, journal, hardware, policy)
    if hardware.host_memory_mb is not None:
        assert request.memory_mb + INNER_SNAKEMAKE_MB <= max(
            hardware.host_memory_mb, INNER_SNAKEMAKE_MB + 1
        )
    if hardware.max_runtime_minutes is not None:
        assert request.runtime_minutes <= hardware.max_runtime_minutes
    assert request.cores >= 1
    for name, value in request.resources().items():
        assert isinstance(value, int | str), name


@given(forecasts, st.lists(sensible, max_size=6), classes, policies)
def test_never_below_what_was_seen_to_be_needed(
    forecast: Forecast, parts: list[Any], hardware: Hardware, policy: Policy
) -> None:
    journal = [event for part in parts for event in part]
    request = decided(forecast, journal, hardware, policy)
    if request.refusal:
        return
    for start, *_, end in parts:
        had = start["told"]
        if had["hardware"] != "big":
            continue
        if end["cause"] == "host_oom":
            assert request.memory_mb > had["memory_mb"]
        if end["cause"] == "deadline":
            at_cap = request.runtime_minutes == hardware.max_runtime_minutes
            assert request.runtime_minutes > had["runtime_minutes"] or at_cap


@given(
    forecasts,
    classes,
    st.lists(st.sampled_from([c.text for c in Cause if c is not Cause.DONE]), min_size=12),
)
def test_an_invocation_always_ends(forecast: Forecast, hardware: Hardware, ends: list[str]) -> None:
    """Of the twelve retries only those of deadlines that got further are all used."""
    journal: list[Any] = []
    refused = False
    for number, cause in enumerate(ends, start=1):
        request = decided(forecast, journal, hardware, replace(POLICY, attempt=number))
        assert not refused or request.refusal, "once given up, given up to the end"
        refused = bool(request.refusal)
        if not refused:
            asked = {
                "memory_mb": request.memory_mb,
                "runtime_minutes": request.runtime_minutes,
                "micro_batch_size": request.micro_batch_size,
                "activation_checkpointing": request.activation_checkpointing,
            }
            journal += tried(cause, attempt=number, steps=0, **asked)
    most = 1 + sum(BUDGETS.values()) + 2 + 12  # and the halvings of a micro-batch
    assert len(journal) <= 2 * most


def test_the_configured_estimate_is_asked_for_with_room_for_snakemake() -> None:
    configured = Configured(
        memory_mb=8000,
        runtime_minutes=120,
        micro_batch_size=16,
        activation_checkpointing=True,
        devices=2,
        workers=3,
        cache_mb=100,
    )
    request = decided(Forecast.configured(configured, 64), [], GPU, POLICY)
    assert request == JobRequest(
        attempt=1,
        hardware="big",
        accelerator="cuda",
        memory_mb=8000,
        runtime_minutes=120,
        cores=2 * (2 + 3),
        micro_batch_size=16,
        activation_checkpointing=True,
        devices=2,
        workers=3,
        cache_mb=100,
        gpu_model="a100",
        gpus=2,
        site=SITE,
    )


def test_resources_name_what_is_asked_and_nothing_else() -> None:
    assert PLAIN.resources() == {
        "mem_mb": 4000 + INNER_SNAKEMAKE_MB,
        "runtime": 60,
        "micro_batch_size": 0,
        "attempt": 1,
        "hardware": "big",
        "accelerator": "cuda",
        "checkpoint_minutes": "10",
        "training_mb": 4000,
        "activation_checkpointing": 0,
        "devices": 1,
        "workers": 0,
        "cache_mb": 256,
        "refused": 0,
        "gpu": 1,
        "gpu_model": "a100",
        "slurm_partition": "gpu",
        "slurm_account": "phm",
        "device_mb": 0,
    }
    nothing = Policy(threads=1, site=SiteClass())
    asked = decided(FORECAST, [], CPU, nothing).resources()
    assert set(PLAIN.resources()) - set(asked) == {
        "gpu",
        "gpu_model",
        "slurm_partition",
        "slurm_account",
    }


FORECASTED = CellForecast(
    name="net/all",
    parameters=10,
    share=32,
    micro_batch=8,
    activation_checkpointing=True,
    device_mb=9_000,
    host_mb=5_100,
)


def test_what_is_not_stated_is_as_forecast() -> None:
    request = decided(Forecast.configured(Configured(), 32, FORECASTED), [], GPU, POLICY)
    assert request.memory_mb == 5_100
    assert (request.micro_batch_size, request.activation_checkpointing) == (8, True)
    stated = Configured(memory_mb=7_000)
    assert decided(Forecast.configured(stated, 32, FORECASTED), [], GPU, POLICY).memory_mb == 7_000


def test_without_a_forecast_memory_and_time_are_guesses_and_the_batch_whole() -> None:
    request = decided(Forecast.configured(Configured(), 32), [], GPU, POLICY)
    assert (request.memory_mb, request.micro_batch_size) == (UNKNOWN_MB, None)
    assert request.runtime_minutes == UNKNOWN_MINUTES


@pytest.mark.parametrize(
    ("stated", "epochs", "minutes"),
    [
        (None, 100, 10 + 2 * 51),  # 100 epochs of half a minute, and a minute around them
        (None, 10**6, 1440),  # all that the class allows: later attempts go on
        (30, 100, 30),
    ],
)
def test_time_is_twice_the_forecast_unless_it_is_stated(
    stated: int | None, epochs: int, minutes: int
) -> None:
    timed = FORECASTED.model_copy(update={"epoch_s": 30.0, "around_s": 60.0})
    configured = Configured(runtime_minutes=stated)
    request = decided(Forecast.configured(configured, 32, timed, epochs), [], GPU, POLICY)
    assert request.runtime_minutes == minutes


def test_a_whole_share_that_fits_is_no_micro_batch() -> None:
    whole = FORECASTED.model_copy(update={"micro_batch": 32, "activation_checkpointing": False})
    request = decided(Forecast.configured(Configured(), 32, whole), [], GPU, POLICY)
    assert request.micro_batch_size is None


def test_what_is_forecast_to_fit_nowhere_is_refused_with_the_next_class() -> None:
    refused = FORECASTED.model_copy(update={"refusal": "one span takes 20,000 MB"})
    classes = {"a100-80g": GPU.model_copy(update={"device_memory_mb": 80_000})}
    hardware = GPU.model_copy(update={"device_memory_mb": 16_000})
    policy = replace(POLICY, classes=classes)
    request = decided(Forecast.configured(Configured(), 32, refused), [], hardware, policy)
    assert request.refused
    assert request.refusal == (
        "fits nowhere: one span takes 20,000 MB, class big; "
        "the next class is a100-80g with 80000 MB"
    )


def test_no_less_is_asked_than_an_attempt_has_used() -> None:
    used = tried("terminated", memory_mb=9_000)
    used[-1]["peaks_mb"] = {"host_mb": 8_123.4}
    request = decided(Forecast.configured(Configured(), 32, FORECASTED), used, GPU, POLICY)
    assert request.memory_mb == 8_124
