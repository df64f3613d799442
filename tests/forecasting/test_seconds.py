"""Seconds of steps, epochs and runs: by a probe of real steps, and before any."""

from __future__ import annotations

import dataclasses
import random
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.conftest import TASKS, WriteCell, small_rig, write_cell
from workflow_src.artifacts.split_summary import ByPart, SplitSummary
from workflow_src.configuration import CardRates, NetworkCell
from workflow_src.errors import BadData
from workflow_src.forecasting.operations import Operator, Work
from workflow_src.forecasting.seconds import (
    ONE_CORE,
    Around,
    Rates,
    RunSeconds,
    StepSeconds,
    epoch_seconds,
    estimated_seconds,
    probe_step_seconds,
    step_work,
)
from workflow_src.forecasting.trace import Levers

__all__ = ["small_rig", "write_cell"]
RATES = Rates(product=1e9, convolution=5e8, pointwise=1e8, reduction=1e7, operator_s=1e-5)


@pytest.fixture
def cell(write_cell: WriteCell) -> NetworkCell:
    return NetworkCell.read(write_cell("study", batch_size=8))


@pytest.fixture
def split(cell: NetworkCell) -> SplitSummary:
    return SplitSummary.read(Path("data/split/split.json"))


def test_a_probe_times_as_many_steps_as_it_is_told(cell: NetworkCell, split: SplitSummary) -> None:
    start = time.process_time()
    found = probe_step_seconds(cell, TASKS, split, steps=5, clock=time.process_time)
    taken = time.process_time() - start
    assert found.steps == 5
    assert 0 < 5 * found.step < taken
    assert 0 < 8 * found.span < found.step  # forward only


def test_a_small_micro_batch_takes_longer(cell: NetworkCell, split: SplitSummary) -> None:
    whole, parts = (
        probe_step_seconds(cell, TASKS, split, Levers(size), steps=5, clock=time.process_time)
        for size in (8, 1)
    )
    assert parts.step > 2 * whole.step


def test_a_probe_ends_in_time_with_one_step(cell: NetworkCell, split: SplitSummary) -> None:
    assert probe_step_seconds(cell, TASKS, split, steps=10**9, limit_s=0).steps == 1


def test_a_probe_leaves_nothing_behind(cell: NetworkCell, split: SplitSummary) -> None:
    def state() -> object:
        folders = sorted(str(path) for path in Path().rglob("*"))
        numbers = np.random.get_state()[1].tolist()  # type: ignore[index,union-attr]
        return folders, torch.get_rng_state().tolist(), numbers, random.getstate()

    threads = torch.get_num_threads()
    before = state()
    probe_step_seconds(cell, TASKS, split, steps=1)
    assert state() == before
    assert torch.get_num_threads() == threads


def test_an_estimate_is_the_sum_over_calls() -> None:
    calls = {
        Operator("product", 10**9, 100): 2,
        Operator("convolution", 10**9, 100): 1,
        Operator("pointwise", 0, 10**8): 3,
        Operator("reduction", 0, 10**7): 1,
        Operator("pointwise", 0, 0): 3,
    }
    assert estimated_seconds(Work(Counter(calls)), RATES) == pytest.approx(2 + 2 + 3 + 1 + 1e-4)


@pytest.mark.slow
def test_an_estimate_of_a_cell_is_in_the_order_of_a_probe(
    cell: NetworkCell, split: SplitSummary
) -> None:
    found = step_work(cell, TASKS, split).seconds(ONE_CORE)
    probe = probe_step_seconds(cell, TASKS, split, steps=5, clock=time.process_time)
    assert found.steps == 0
    # The rates are of one processor: of another, the order is all that can be asked for.
    assert 0.1 < found.step / probe.step < 10
    assert 0 < 8 * found.span < found.step


def test_rates_are_read_as_they_were_written(tmp_path: Path) -> None:
    RATES.write(tmp_path / "rates.json")
    assert Rates.read(tmp_path / "rates.json") == RATES


def test_rates_of_nothing_a_second_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rates.json"
    path.write_text(RATES.to_json().replace("1000000000.0", "0.0"), encoding="utf-8")
    with pytest.raises(BadData, match=r"benchmarks/rates.py --out .*rates.json"):
        Rates.read(path)


def test_a_network_reaches_a_share_of_what_a_card_does() -> None:
    card = CardRates(tflops={"bf16": 600.0}, copy_gb_s=3000.0, call_us=8.0)
    found = Rates.of_card(card, "bf16", reached=0.5)
    assert found is not None
    rates = found.product, found.convolution, found.pointwise, found.reduction, found.operator_s
    assert rates == pytest.approx((3e14, 3e14, 1.5e12, 1.5e12, 8e-6))
    assert Rates.of_card(card, "fp32", reached=0.5) is None


def test_an_epoch_is_steps_reading_and_validation() -> None:
    step, around = StepSeconds(step=1.0, span=0.1, steps=20), Around(9.0, 0.5, 0.01, 0.001)
    spans = ByPart(train=100, val=10, test=20)
    alone = epoch_seconds(step, spans, 32, around)
    assert alone == pytest.approx(4 * 1.01 + 0.1 + 10 * 0.101 + 0.5)
    assert epoch_seconds(step, spans, 32, around, workers=2) == pytest.approx(alone - 0.1)
    slow = dataclasses.replace(around, read=1.0)
    assert epoch_seconds(step, spans, 32, slow, workers=2) == pytest.approx(50 + 10 * 1.1 + 0.5)
    run = RunSeconds.of(step, spans, 32, around)
    assert run.run_seconds(3) == pytest.approx(9 + 3 * alone + 30 * 0.101)
