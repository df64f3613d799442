"""Bytes of a step on fake tensors, against what torch's allocator gives out for a real one."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from workflow_src.forecasting.trace import Levers, StepTrace, bound_memory, trace_step
from workflow_src.models.timesnet import TimesBlock
from workflow_src.training.assembly import MultiTaskNetwork

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
CASES = {
    "dlinear": ("all", 1024, 1, 256, 8, "fp32", False, True),
    "patchtst": ("faults", 1024, 2, 256, 16, "bf16", False, True),
    "fno": ("all", 1024, 3, 256, 3, "fp32", True, False),
    "timesnet": ("life", 1024, 2, 256, 8, "fp32", False, True),
}


@pytest.fixture(scope="module")
def bench() -> Iterator[Any]:
    """benchmarks/forecast.py, which imports its neighbour."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINETO_LOG_LEVEL", "99")  # the profiler's notices
        patch.syspath_prepend(str(SCRIPTS))
        yield importlib.import_module("forecast")


@pytest.mark.fast_cases("dlinear")
@pytest.mark.parametrize("backbone", CASES)
def test_it_is_within_two_percent_of_the_allocator(bench: Any, backbone: str) -> None:
    case = bench.Case(backbone, *CASES[backbone])
    said, largest = bench.forecast(case)
    peak = bench.measured(case, bounded=True)
    assert said == pytest.approx(peak, rel=0.02)
    assert said + largest >= peak


def traced(bench: Any, size: int, *, checkpointing: bool = False) -> StepTrace:
    def network() -> MultiTaskNetwork:
        sizes = {"patch_length": 32, "patch_count": 16}
        return bench.build("patchtst", 16, window=512, channels=2, **sizes)

    return trace_step(
        network,
        lambda count: bench.draw(count, 16, 512, 2),
        bench.ADAMW.model_copy(update={"batch_size": 32}),
        Levers(size, checkpointing),
    )


def test_levers_take_less(bench: Any) -> None:
    whole, small, recomputed = (
        traced(bench, 32),
        traced(bench, 4),
        traced(bench, 32, checkpointing=True),
    )
    assert small.peak < recomputed.peak < whole.peak
    assert whole.parameters == small.parameters == recomputed.parameters


@pytest.mark.slow
def test_what_a_micro_batch_adds_is_a_line_up_to_half_the_batch(bench: Any) -> None:
    peaks = {size: traced(bench, size).peak for size in (8, 12, 16, 32)}
    assert peaks[16] - peaks[12] == pytest.approx(peaks[12] - peaks[8], rel=0.01)
    # While a second part is computed, the gradients of the first are there.
    assert peaks[32] - peaks[16] < 4 * (peaks[16] - peaks[12])


def test_phases_and_components_are_told(bench: Any) -> None:
    found = traced(bench, 8)
    assert max(found.peaks.values()) == found.peak
    assert {phase.phase for phase in found.peaks} == {"forward", "backward", "optimizer", "data"}
    components = {phase.component for phase in found.peaks}
    assert {"trunk", "head:classification", "optimizer"} <= components


def test_nothing_is_allocated_and_the_generator_is_left_alone(bench: Any) -> None:
    state = torch.get_rng_state()
    with torch.random.fork_rng():
        huge = bench.ADAMW.model_copy(update={"batch_size": 100_000})
        found = trace_step(
            lambda: bench.build("dlinear", 16, window=4096, channels=6),
            lambda count: bench.draw(count, 16, 4096, 6),
            huge,
            Levers(50_000),
        )
    assert found.peak > 20 * 10**9
    assert torch.equal(torch.get_rng_state(), state)


def test_no_values_of_a_batch_take_more_than_the_bound(bench: Any) -> None:
    """TimesNet's periods: those of noise against those that the trace assumes."""
    tokens, samples = 16, 64
    network = bench.build(
        "timesnet", 16, window=512, channels=1, patch_length=32, patch_count=tokens
    )
    blocks = [module for module in network.modules() if isinstance(module, TimesBlock)]
    periods = tokens // torch.randint(1, tokens // 2 + 1, (samples, blocks[0].top_k))

    def rows() -> list[int]:
        found = [block.groups(periods) for block in blocks]
        return [sum(-(-tokens // p) * p * len(which) for p, which in each) for each in found]

    of_noise = rows()
    bound_memory(network)
    for noise, bound in zip(of_noise, rows(), strict=True):
        assert noise <= bound
