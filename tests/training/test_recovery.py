"""What runs out of memory is undone and done again, smaller; what fails otherwise is not."""

from __future__ import annotations

import gc
import random
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from workflow_src.errors import Diverged, OutOfMemory, Stopped
from workflow_src.training.module import TrainingModule
from workflow_src.training.precision import LossScale
from workflow_src.training.recovery import Recovery
from workflow_src.training.step import StepOptions, sample_keys, step, valid_labels

from .conftest import WriteCell, attempt
from .test_resume import outcome
from .test_step import batch, build, gradients

TOO_MUCH = 1 << 50  # bytes; no machine has them, so the failure is a real one
FAILURES: dict[str, Callable[[], object]] = {
    "torch": lambda: torch.empty(TOO_MUCH, dtype=torch.uint8),
    "numpy": lambda: np.empty(TOO_MUCH, np.uint8),
    "python": lambda: bytearray(TOO_MUCH),
}


class Work:
    """Fails at sizes above `fits`, and remembers the sizes; `fits` 0: it always fails."""

    def __init__(self, fits: int, fail: Callable[[], object] = FAILURES["torch"]) -> None:
        self.fits, self.fail = fits, fail
        self.sizes: list[int] = []

    def __call__(self, size: int) -> str:
        self.sizes.append(size)
        if size > self.fits:
            self.fail()
        return f"done at {size}"


def recovery(size: int = 11, **options: Any) -> tuple[Recovery, list[dict[str, Any]]]:
    """A Recovery and what it tells."""
    told: list[dict[str, Any]] = []
    network = build("dlinear")
    made = Recovery(network, size, tell=lambda event: told.append(event.to_json()), **options)
    return made, told


# --------------------------------------------------------------------------- sizes


@pytest.mark.parametrize("fail", FAILURES.values(), ids=FAILURES)
def test_sizes_halve_until_it_fits(fail: Callable[[], object]) -> None:
    made, told = recovery()
    work = Work(2, fail)
    assert made.run("training", work) == "done at 2"
    assert work.sizes == [11, 5, 2]
    assert (made.size, made.checkpointing) == (2, False)
    assert made.run("validation", work) == "done at 2"
    assert work.sizes == [11, 5, 2, 2]  # it does not grow again
    assert [(event["event"], event["of"], event["during"]) for event in told] == [
        ("out_of_memory", "host", "training")
    ] * 2
    assert [event["before"]["micro_batch"] for event in told] == [11, 5]
    assert [event["after"]["micro_batch"] for event in told] == [5, 2]
    assert all(event["message"] for event in told)


def test_at_one_span_activations_are_recomputed_then_it_is_over() -> None:
    made, told = recovery()
    work = Work(0)
    with pytest.raises(OutOfMemory) as caught:
        made.run("training", work)
    assert work.sizes == [11, 5, 2, 1, 1]
    assert made.checkpointing
    assert made.network.trunk.backbone.checkpointing
    assert told[-1]["before"] == {"micro_batch": 1, "activation_checkpointing": False}
    assert told[-1]["after"] == {"micro_batch": 1, "activation_checkpointing": True}
    assert caught.value.of == "host"
    assert "micro-batch 11 down to 1, recomputing activations" in str(caught.value)
    assert "memory_mb" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None  # would keep what the failed work had in memory


@pytest.mark.parametrize("during", ["validation", "prediction"])
def test_without_a_backward_pass_there_is_nothing_to_recompute(during: str) -> None:
    made, told = recovery(2)
    work = Work(0)
    with pytest.raises(OutOfMemory, match=f"in {during}"):
        made.run(during, work)
    assert work.sizes == [2, 1]
    assert not made.checkpointing
    assert len(told) == 1


def test_activations_that_are_recomputed_already() -> None:
    made, _ = recovery(1, checkpointing=True)
    work = Work(0)
    with pytest.raises(OutOfMemory):
        made.run("training", work)
    assert work.sizes == [1]


@pytest.mark.parametrize(("size", "fits"), [(1, 1), (3, 2), (64, 63), (300, 30)])
def test_any_size_ends_at_the_first_half_that_fits(size: int, fits: int) -> None:
    made, told = recovery(size)
    work = Work(fits)
    assert made.run("training", work) == f"done at {made.size}"
    assert made.size <= fits or size <= fits
    assert len(told) == len(work.sizes) - 1
    for larger, smaller in zip(work.sizes, work.sizes[1:], strict=False):
        assert larger > fits
        assert smaller == larger // 2


@pytest.mark.parametrize(
    "error",
    [
        ValueError("shapes"),
        RuntimeError("mat1 and mat2"),
        Stopped("terminated", "left"),
        Diverged(""),
    ],
)
def test_other_errors_pass_at_once(error: Exception) -> None:
    made, told = recovery()
    undone: list[int] = []

    def work(size: int) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        made.run("training", work, lambda: undone.append(1))
    assert caught.value is error
    assert (made.size, told, undone) == (11, [], [])


def test_an_interrupt_passes_even_while_memory_runs_out() -> None:
    made, told = recovery()

    def work(size: int) -> None:
        try:
            bytearray(TOO_MUCH)
        except MemoryError:
            raise KeyboardInterrupt from None

    with pytest.raises(KeyboardInterrupt):
        made.run("training", work)
    assert told == []


# --------------------------------------------------------------------------- a clean replay


def test_each_failure_is_undone_once_and_draws_are_repeated() -> None:
    made, _ = recovery()
    done: list[str] = []
    draws: list[tuple[float, float, float]] = []

    def work(size: int) -> None:
        done.append(f"work at {size}")
        draws.append((float(torch.rand(())), float(np.random.rand()), random.random()))
        if size > 2:
            torch.empty(TOO_MUCH, dtype=torch.uint8)

    made.run("training", work, lambda: done.append("undo"))
    assert done == ["work at 11", "undo", "work at 5", "undo", "work at 2"]
    assert len(set(draws)) == 1
    following = (float(torch.rand(())), float(np.random.rand()), random.random())
    assert all(one != other for one, other in zip(following, draws[0], strict=True))


@pytest.mark.parametrize("fail", FAILURES.values(), ids=FAILURES)
def test_what_the_failed_work_held_is_free_before_the_next(fail: Callable[[], object]) -> None:
    made, _ = recovery(2)
    held: list[weakref.ref[torch.Tensor]] = []

    def work(size: int) -> None:
        assert [tensor() for tensor in held] == [None] * len(held)
        kept, cycle = torch.ones(3), [torch.ones(3)]
        cycle.append(cycle)  # type: ignore[arg-type]
        held.extend(weakref.ref(tensor) for tensor in (kept, cycle[0]))
        if size > 1:
            fail()

    gc.disable()  # it is Recovery that must collect
    try:
        made.run("training", work)
    finally:
        gc.enable()
    assert len(held) == 4


@pytest.mark.fast_cases("[68]-dlinear", "[14]-patchtst")
@pytest.mark.parametrize("backbone", ["dlinear", "patchtst"])
@pytest.mark.parametrize("calls", [1, 4, 6, 8])  # of ten: trunk and heads, two micro-batches
def test_a_step_done_again_is_the_clean_step(backbone: str, calls: int) -> None:
    """It fails with part of the gradient already there."""
    network, spans = build(backbone), batch(torch.float32)
    keys, counts = sample_keys(3, 5, spans.index), valid_labels(network, spans)
    step(network, spans, 5, keys, counts, StepOptions())
    expected = gradients(network)

    left = [calls]

    def mark(phase: str, component: str | None) -> None:
        left[0] -= phase == "forward"
        if left[0] == 0:
            torch.empty(TOO_MUCH, dtype=torch.uint8)

    made = Recovery(network, 10)  # of eleven spans
    network.zero_grad()
    made.run(
        "training",
        lambda size: step(network, spans, size, keys, counts, StepOptions(mark=mark)),
        network.zero_grad,
    )
    assert made.size == 5
    found = gradients(network)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


# --------------------------------------------------------------------------- beside others


@pytest.mark.parametrize(
    ("others_mb", "begins"), [(0, 64), (2000, 64), (2001, 32), (4000, 32), (5200, 8), (6000, 1)]
)
def test_an_attempt_begins_smaller_where_another_process_holds_memory(
    others_mb: float, begins: int
) -> None:
    made, told = recovery(64)
    made.begin_beside(others_mb, 4000.0, 6000.0)
    assert (made.size, made.told) == (begins, begins)
    if begins == 64:
        assert told == []
        return
    (event,) = told
    assert (event["of"], event["during"]) == ("gpu", "start")
    assert event["message"].startswith(f"others hold {others_mb:,.0f} of 6,000 MB, and 4,000 MB")
    again, _ = recovery(64)  # the neighbour has left
    again.load_state_dict(made.state_dict())
    assert again.size == 64


def test_a_need_that_exceeds_the_card_alone_is_tried() -> None:
    made, told = recovery(64)
    made.begin_beside(0.0, 7000.0, 6000.0)
    assert (made.size, told) == (64, [])


def test_what_began_smaller_stays_among_the_rungs_of_an_attempt_that_resumes() -> None:
    before, _ = recovery(64)
    before.run("training", Work(32))
    made, _ = recovery(64)
    made.begin_beside(3000.0, 4000.0, 6000.0)
    made.load_state_dict(before.state_dict())
    assert [rung["during"] for rung in made.rungs] == ["training", "start"]


# --------------------------------------------------------------------------- checkpoints


def test_a_later_attempt_begins_with_what_this_one_learned() -> None:
    made, told = recovery()
    made.run("training", Work(2))
    same, _ = recovery()
    same.load_state_dict(made.state_dict())
    assert (same.size, same.told, same.checkpointing) == (2, 11, False)
    assert same.state_dict() == made.state_dict()
    assert len(same.rungs) == len(told) == 2


def test_a_later_attempt_that_is_told_otherwise_begins_with_that() -> None:
    made, _ = recovery()
    with pytest.raises(OutOfMemory):
        made.run("training", Work(0))
    other, _ = recovery(4)
    other.load_state_dict(made.state_dict())
    assert (other.size, other.told, other.checkpointing) == (4, 4, False)
    assert other.rungs == made.rungs  # they are told in the report all the same


def test_recomputing_is_learned_and_never_unlearned() -> None:
    made, _ = recovery()
    with pytest.raises(OutOfMemory):
        made.run("training", Work(0))
    same, _ = recovery()
    same.load_state_dict(made.state_dict())
    assert same.checkpointing
    plain, _ = recovery()
    told_to, _ = recovery(checkpointing=True)
    told_to.load_state_dict(plain.state_dict())
    assert told_to.checkpointing


# --------------------------------------------------------------------------- float16


def half_precision(start: float, scales: list[float]) -> type[TrainingModule]:
    class Scaled(TrainingModule):
        """Begins at the scale `start` and writes down that of each step."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.loss_scale = LossScale(start=start)

        def training_step(self, batch: Any, batch_index: int) -> None:
            super().training_step(batch, batch_index)
            scales.append(self.loss_scale.scale)

    return Scaled


HALF = {"precision": "fp16", "batch_size": 8, "epochs": 2}


def test_a_step_that_overflows_is_done_again_at_half_the_scale(
    write_cell: WriteCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is the step that a run makes which began at the scale that is found."""
    found: list[float] = []
    cell, clean = (write_cell(name, **HALF) for name in ("overflowing", "clean"))
    monkeypatch.setattr("workflow_src.training.fit.TrainingModule", half_precision(2.0**24, found))
    attempt(cell)
    assert found[0] < 2.0**24, "the case needs a gradient that overflows"
    assert len(set(found)) == 1, "the case needs one that overflows in the first step alone"

    scales: list[float] = []
    module = half_precision(found[0], scales)
    monkeypatch.setattr("workflow_src.training.fit.TrainingModule", module)
    attempt(clean)
    assert scales == found
    assert outcome(cell) == outcome(clean)


def test_a_gradient_that_overflows_at_scale_one_has_diverged(
    write_cell: WriteCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    scales: list[float] = []

    class Broken(half_precision(2.0**4, scales)):  # type: ignore[misc]
        def training_step(self, batch: Any, batch_index: int) -> None:
            if self.global_step == 2:
                with torch.no_grad():
                    for parameter in self.network.heads["classification"].parameters():
                        parameter.fill_(1e9)  # infinite in float16
            super().training_step(batch, batch_index)

    monkeypatch.setattr("workflow_src.training.fit.TrainingModule", Broken)
    with pytest.raises(Diverged, match="is not finite"):
        attempt(write_cell("a", **HALF))
    assert scales == [16.0, 16.0]
