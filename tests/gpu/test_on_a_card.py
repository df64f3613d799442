"""On a real GPU: steps and recovery are what the CPU's tests prove."""

from __future__ import annotations

import pytest
import torch
from gpu_parts import correctness, running_out
from gpu_parts.card import float32_errors
from step import BACKBONES

from workflow_src.training.precision import turn_tf32_off

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"),
]
CUDA = torch.device("cuda")


@pytest.fixture(autouse=True)
def _as_in_an_attempt() -> None:
    turn_tf32_off()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_any_micro_batch_gives_the_gradient_of_the_whole_batch(backbone: str) -> None:
    errors = correctness.micro_batches(correctness.Case.of(backbone, small=False), CUDA)
    assert max(errors["fp64"].values()) <= correctness.FP64
    assert max(errors["fp32"].values()) <= correctness.FP32


@pytest.mark.parametrize("backbone", BACKBONES)
def test_float32_is_as_near_to_float64_as_on_the_cpu(backbone: str) -> None:
    errors = correctness.against_float64(correctness.Case.of(backbone, small=False), CUDA)
    assert errors["fp64_gradient"] <= correctness.FP64
    assert errors["fp32_gradient"] <= 10 * errors["fp32_cpu_gradient"]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_recomputed_activations_and_a_fused_optimizer(backbone: str) -> None:
    case = correctness.Case.of(backbone, small=False)
    assert correctness.recomputed(case, CUDA)["largest_difference"] <= correctness.FP32
    assert max(correctness.fused_adamw(case, CUDA).values()) <= 1e-5


def test_products_are_not_rounded_to_tf32() -> None:
    class Bench:
        device = CUDA

    assert max(float32_errors(Bench()).values()) <= 1e-5  # type: ignore[arg-type]


def test_keyed_draws_are_those_of_the_cpu() -> None:
    assert all(correctness.draws_equal(CUDA).values())


@pytest.mark.parametrize("place", running_out.ROOMS)
def test_memory_that_ran_out_changes_no_bit(place: str) -> None:
    found = running_out.found_in(CUDA, place, running_out.ROOMS[place])
    assert found["failed_in"]
    assert found["bit_equal"]


def test_moments_that_do_not_fit_change_no_parameter() -> None:
    found = running_out.in_the_optimizer(CUDA)
    assert found == {"of": "gpu", "bit_equal": True}


def test_one_span_that_does_not_fit_ends_with_words() -> None:
    found = running_out.one_span(CUDA)
    assert found["of"] == "gpu"
    assert found["rungs"] == [4, 2, 1, 1]
    assert found["bit_equal"]
