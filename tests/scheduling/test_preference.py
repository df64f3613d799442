"""A list of hardware classes: the first that fits, the next for each attempt that has not begun."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workflow_src.configuration import Hardware
from workflow_src.configuration.schema import SiteClass
from workflow_src.scheduling.events import read_event
from workflow_src.scheduling.next_request import Forecast, JobRequest, Policy
from workflow_src.scheduling.preference import Choice, prefer

from .test_next_request import causes, classes, forecasts, journals, shrunk, tried

NAMES = ("a100", "v100", "h100")
LAST = {"micro_batch_size": 1, "activation_checkpointing": True}


def choice(name: str, refusal: str = "", wait_minutes: int | None = 30) -> Choice:
    return Choice(
        Hardware(accelerator="cuda", gpu_model=name, host_memory_mb=20_000),
        Forecast(memory_mb=4000, runtime_minutes=60, batch_size=32, refusal=refusal),
        Policy(
            threads=1,
            site=SiteClass(partition=f"gpu-{name}", extra="--no-kill"),
            hardware=name,
            identity="cell",
            run="now",
            wait_minutes=wait_minutes,
        ),
    )


CHOICES = [choice(name) for name in NAMES]


def preferred(journal: list[Any], attempt: int, choices: list[Choice] = CHOICES) -> JobRequest:
    events = [event for line in journal if (event := read_event(line)) is not None]
    numbered = [replace(each, policy=replace(each.policy, attempt=attempt)) for each in choices]
    return prefer(numbered, events)


def on(name: str, attempt: int, cause: str = "host_oom", **more: Any) -> list[Any]:
    """An attempt of this run."""
    return tried(cause, hardware=name, attempt=attempt, **{"run": "now", **more})


# journal, number of the next attempt, its class
CASES: dict[str, tuple[list[Any], int, str]] = {
    "nothing was tried": ([], 1, "a100"),
    "the first did not begin": ([], 2, "v100"),
    "two did not begin": ([], 3, "h100"),
    "the last one is asked again": ([], 7, "h100"),
    "more of what ran out, on the same": (on("a100", 1), 2, "a100"),
    "the next after a retry": (on("a100", 1), 3, "v100"),
    "gone on with where it began": (on("v100", 2), 3, "v100"),
    "a start without an end": (on("v100", 2)[:1], 3, "v100"),
    "one job that Slurm started twice": (on("v100", 2)[:1] + on("v100", 2), 3, "v100"),
    "a new run begins with the first choice": (on("v100", 2, run="before"), 1, "a100"),
    "starts of another run": (on("a100", 1, run="before"), 2, "v100"),
    "ran out at the last rung": (on("a100", 1, "gpu_oom", **LAST), 2, "v100"),
    "with all of a node's memory": (on("a100", 1, memory_mb=19_800), 2, "v100"),
    "in an earlier run": (on("a100", 1, "gpu_oom", run="before", **LAST), 1, "v100"),
    "passed over, then ran out": (on("v100", 2, "gpu_oom", **LAST), 3, "h100"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_first_that_fits_and_begins(case: str) -> None:
    journal, attempt, name = CASES[case]
    request = preferred(journal, attempt)
    assert (request.hardware, request.gpu_model) == (name, name)
    assert request.site.partition == f"gpu-{name}"
    assert not request.refused
    is_last = name == NAMES[-1]
    minutes = 30 + request.runtime_minutes
    extra = "--no-kill" if is_last else f"--no-kill --deadline=now+{minutes}minutes"
    assert request.resources()["slurm_extra"] == extra


def test_a_class_where_it_does_not_fit_is_no_choice() -> None:
    choices = [choice("a100", "one span takes too much"), choice("v100")]
    request = preferred([], 1, choices)
    assert request.hardware == "v100"
    assert request.wait_minutes is None, "no other would do"


def test_refused_where_it_fits_on_none_with_every_reason() -> None:
    choices = [choice("a100", "it takes 90 MB"), choice("v100", "it takes 91 MB")]
    request = preferred([], 1, choices)
    assert request.refused
    assert "90 MB, class a100; " in request.refusal
    assert request.refusal.endswith("91 MB, class v100")


def test_an_error_is_mended_by_no_other_class() -> None:
    journal = on("a100", 1, "error")
    assert preferred(journal, 2).refusal == "error: as it was"


def test_a_single_class_is_waited_for() -> None:
    for attempt in (1, 2, 5):
        request = preferred([], attempt, CHOICES[:1])
        assert (request.hardware, request.wait_minutes) == ("a100", None)


def test_what_shrank_on_one_class_teaches_nothing_of_another() -> None:
    journal = tried("gpu_oom", shrunk(4), hardware="a100", run="now")
    assert preferred(journal, 2).micro_batch_size == 2
    assert preferred(journal, 3).micro_batch_size is None


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(forecasts, classes), min_size=1, max_size=3),
    journals,
    st.integers(1, 13),
    st.none() | st.integers(1, 10**4),
)
def test_it_never_raises_and_names_a_class_of_the_list(
    offered: list[tuple[Forecast, Hardware]],
    journal: list[Any],
    attempt: int,
    wait_minutes: int | None,
) -> None:
    names = ("big", "small", "other")
    choices = [
        Choice(hardware, forecast, replace(choice(name, "", wait_minutes).policy, run=""))
        for name, (forecast, hardware) in zip(names, offered, strict=False)
    ]
    past = repr(journal)
    request = preferred(journal, attempt, choices)
    assert repr(journal) == past
    assert request == preferred(journal, attempt, choices)
    assert request.hardware in names[: len(offered)]
    assert request.wait_minutes in (None, wait_minutes)
    own = next(each for each in choices if each.policy.hardware == request.hardware)
    assert request.site == own.policy.site
    if not request.refused:
        assert request.devices == own.forecast.devices
    for name, value in request.resources().items():
        assert isinstance(value, int | str), name


@given(st.lists(st.none() | causes, max_size=12), st.integers(1, 3))
def test_an_attempt_that_does_not_begin_is_followed_by_another_class(
    ends: list[str | None], count: int
) -> None:
    """Where the decision is made again on the node, it is the same: nothing has been written."""
    journal: list[Any] = []
    asked = list[str]()
    for number, cause in enumerate(ends, start=1):
        request = preferred(journal, number, CHOICES[:count])
        if request.refused:
            return
        if asked and ends[number - 2] is None and asked[-1] != NAMES[count - 1]:
            assert NAMES.index(request.hardware) > NAMES.index(asked[-1])
        asked.append(request.hardware)
        if cause is not None:
            memory = {"memory_mb": request.memory_mb}
            journal += on(request.hardware, number, cause, steps=number, **memory)
