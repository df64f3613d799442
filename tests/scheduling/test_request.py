"""The one decision: within what a node offers, whatever the past was."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.configuration import Hardware
from workflow_src.configuration.keys import Request as Configured
from workflow_src.configuration.keys import SiteClass
from workflow_src.scheduling.journal import Cause
from workflow_src.scheduling.request import (
    INNER_SNAKEMAKE_MB,
    Forecast,
    Policy,
    Request,
    decide,
)

GPU = Hardware(
    accelerator="cuda", gpu_model="a100", host_memory_mb=240_000, max_runtime_minutes=1440
)
CPU = Hardware(accelerator="cpu")
POLICY = Policy(threads=2, site=SiteClass(partition="gpu", account="phm"))

text = st.text(max_size=8)
forecasts = st.builds(
    Forecast,
    memory_mb=st.integers(0, 10**7),
    runtime_minutes=st.integers(1, 10**6),
    micro_batch_size=st.none() | st.integers(1, 10**5),
    activation_checkpointing=st.booleans(),
    devices=st.integers(1, 8),
    workers=st.integers(0, 16),
)
classes = st.builds(
    Hardware,
    accelerator=st.sampled_from(["cpu", "cuda"]),
    gpu_model=st.none() | st.just("a100"),
    host_memory_mb=st.none() | st.integers(300, 10**6),
    max_runtime_minutes=st.none() | st.integers(1, 10**5),
)
values = st.none() | st.booleans() | st.integers() | st.floats() | text | st.lists(text)
events = st.fixed_dictionaries(
    {"event": st.sampled_from(["started", "resumed", "ended", "?"])},
    optional={
        "cause": st.sampled_from([cause.text for cause in Cause]) | values,
        "time": values,
        "told": values | st.dictionaries(text, values),
        "peak_rss_mb": values,
        "message": values,
    },
)
journals = st.lists(events | st.dictionaries(text, values), max_size=12)


@given(forecast=forecasts, journal=journals, hardware=classes, threads=st.integers(1, 128))
def test_never_above_a_cap_and_never_an_exception(
    forecast: Forecast, journal: list[dict[str, Any]], hardware: Hardware, threads: int
) -> None:
    past = [dict(event) for event in journal]
    request = decide(forecast, journal, hardware, Policy(threads, SiteClass()))
    assert journal == past or repr(journal) == repr(past)  # NaN is not equal to itself
    if hardware.host_memory_mb is not None:
        assert request.memory_mb <= hardware.host_memory_mb
    if hardware.max_runtime_minutes is not None:
        assert request.runtime_minutes <= hardware.max_runtime_minutes
    assert request.memory_mb > 0
    assert request.runtime_minutes > 0
    assert request.cores == forecast.devices * (threads + forecast.workers)
    assert request.gpus == (forecast.devices if hardware.accelerator == "cuda" else 0)
    for name, value in request.resources().items():
        assert isinstance(value, int | str), name


@given(forecast=forecasts, journal=journals, hardware=classes)
def test_the_same_past_gives_the_same_request(
    forecast: Forecast, journal: list[dict[str, Any]], hardware: Hardware
) -> None:
    assert decide(forecast, journal, hardware, POLICY) == decide(
        forecast, journal, hardware, POLICY
    )


def test_the_configured_estimate_is_asked_for_with_room_for_snakemake() -> None:
    configured = Configured(
        memory_mb=8000,
        runtime_minutes=120,
        micro_batch_size=16,
        activation_checkpointing=True,
        devices=2,
        workers=3,
    )
    request = decide(Forecast.configured(configured), [], GPU, POLICY)
    assert request == Request(
        memory_mb=8000 + INNER_SNAKEMAKE_MB,
        runtime_minutes=120,
        cores=2 * (2 + 3),
        micro_batch_size=16,
        activation_checkpointing=True,
        devices=2,
        workers=3,
        gpu_model="a100",
        gpus=2,
        site=POLICY.site,
    )


def test_the_whole_batch_is_zero() -> None:
    assert decide(Forecast.configured(Configured()), [], CPU, POLICY).micro_batch_size == 0


def test_resources_name_what_is_asked_and_nothing_else() -> None:
    estimate = Forecast(8000, 120, None)
    assert decide(estimate, [], GPU, POLICY).resources() == {
        "mem_mb": 8000 + INNER_SNAKEMAKE_MB,
        "runtime": 120,
        "micro_batch": 0,
        "training_mb": 8000,
        "activation_checkpointing": 0,
        "devices": 1,
        "workers": 0,
        "gpu": 1,
        "gpu_model": "a100",
        "slurm_partition": "gpu",
        "slurm_account": "phm",
    }
    nothing = Policy(threads=1, site=SiteClass())
    assert set(decide(estimate, [], CPU, nothing).resources()) == {
        "mem_mb",
        "runtime",
        "micro_batch",
        "training_mb",
        "activation_checkpointing",
        "devices",
        "workers",
    }


@pytest.mark.parametrize(("memory", "asked"), [(200_000, 200_200), (300_000, 240_000)])
def test_a_node_caps_the_memory(memory: int, asked: int) -> None:
    assert decide(Forecast(memory, 60, None), [], GPU, POLICY).memory_mb == asked
