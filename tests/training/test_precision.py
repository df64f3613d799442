"""Loss scales are exact powers of two, lose no batch and resume; autocast does as the key says."""

from __future__ import annotations

import json
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from workflow_src.configuration import Training
from workflow_src.training.precision import LossScale, Precision, PrecisionName

from ..examples import examples

NAMES = get_args(PrecisionName)
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def test_the_names_are_those_of_the_key() -> None:
    assert get_args(Training.model_fields["precision"].annotation) == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_products_are_computed_in_the_precision_of_the_key(
    name: PrecisionName, device: str
) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    layer = nn.Linear(3, 2).to(device)
    with Precision(name).autocast(device):
        out = layer(torch.ones(1, 3, device=device))
    assert out.dtype == HALF.get(name, torch.float32)
    assert layer(torch.ones(1, 3, device=device)).dtype == torch.float32
    assert layer.weight.dtype == torch.float32


def gradients(name: PrecisionName, scale: LossScale) -> list[torch.Tensor]:
    """Unscaled gradients of a small regression at a scale."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 1))
    with Precision(name).autocast("cpu"):
        out = net(torch.randn(5, 6))
    (out.float().square().mean() * scale.scale).backward()
    scale.unscale(net.parameters())
    return [parameter.grad for parameter in net.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("name", ["fp32", "bf16"])
@given(power=st.integers(0, 24))
@examples(10)
def test_a_scale_changes_no_bit_of_a_gradient(name: PrecisionName, power: int) -> None:
    plain, scaled = (gradients(name, LossScale(start=2.0**p)) for p in (0, power))
    assert len(plain) == 6
    assert all(map(torch.equal, plain, scaled))


def test_a_scale_saves_gradients_that_float16_flushes_to_zero() -> None:
    """5e-9 is below the least float16, 6e-8."""

    def gradient(scale: LossScale) -> float:
        weight = nn.Parameter(torch.ones(4, 4))
        with Precision("fp16").autocast("cpu"):
            inner = torch.ones(1, 4) @ weight
            out = inner @ torch.full((4, 1), 1e-3)
        (out.float().sum() * 5e-6 * scale.scale).backward()
        scale.unscale([weight])
        assert weight.grad is not None
        return float(weight.grad.mean())

    assert gradient(LossScale(start=1.0, largest=1.0)) == 0.0
    assert gradient(Precision("fp16").loss_scale()) == pytest.approx(5e-9, rel=1e-2)


def test_an_overflowing_step_is_replayed_at_half_the_scale_until_it_fits() -> None:
    """The gradient at the output is 100 times the scale; float16 ends at 65504."""
    weight, scale = nn.Parameter(torch.ones(4, 1)), Precision("fp16").loss_scale()
    replays = 0
    while True:
        weight.grad = None
        with Precision("fp16").autocast("cpu"):
            out = torch.ones(1, 4) @ weight
        (out.float().sum() * 100.0 * scale.scale).backward()
        scale.unscale([weight])
        assert weight.grad is not None
        if weight.grad.isfinite().all():
            break
        assert scale.overflowed()
        replays += 1
    assert (scale.scale, replays) == (2.0**9, 7)
    assert torch.equal(weight.grad, torch.full((4, 1), 100.0))


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 4))
def test_the_scale_is_a_power_of_two_within_its_bounds_and_resumes(
    good: list[bool], grow_every: int
) -> None:
    scale = LossScale(start=4.0, largest=32.0, grow_every=grow_every)
    run, expected = 0, 4.0
    for step in good:
        if step:
            scale.succeeded()
            run += 1
            if run == grow_every:
                run, expected = 0, min(2 * expected, 32.0)
        else:
            assert scale.overflowed() == (expected > 1.0)
            run, expected = 0, max(expected / 2, 1.0)
        assert scale.scale == expected
        resumed = LossScale(start=4.0, largest=32.0, grow_every=grow_every)
        resumed.load_state_dict(json.loads(json.dumps(scale.state_dict())))
        assert resumed.state_dict() == scale.state_dict()
        scale = resumed


@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_only_float16_is_scaled(name: PrecisionName) -> None:
    scale = Precision(name).loss_scale()
    for _ in range(3000):
        scale.succeeded()
    assert scale.scale == 1.0
    assert not scale.overflowed()
    assert scale.scale == 1.0


def test_float16_starts_at_two_to_the_sixteenth_and_grows_every_two_thousand_steps() -> None:
    scale = Precision("fp16").loss_scale()
    scales = []
    for _ in range(20_000):
        scale.succeeded()
        scales.append(scale.scale)
    assert scales[1998:2000] == [2.0**16, 2.0**17]
    assert scales[-1] == 2.0**24
