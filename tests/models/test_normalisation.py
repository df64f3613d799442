"""Window normalisation: the reference RevIN, small units, dead channels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.models.normalisation import WindowScale, normalise

from ..examples import examples


@pytest.mark.oracle("revin_*")
def test_reference(oracle: Any) -> None:
    window, forecast = oracle.input(), oracle.input("h")
    normed, scale = normalise(window, eps=oracle.meta["eps"])
    affine = {}
    if oracle.meta["affine"]:
        affine = {name: oracle[f"sd.affine_{name}"].requires_grad_() for name in ("weight", "bias")}
        normed = normed * affine["weight"] + affine["bias"]
        restored = scale.undo((forecast - affine["bias"]) / (affine["weight"] + 1e-10))
    else:
        restored = scale.undo(forecast)
    oracle.holds("out", "norm", normed)
    oracle.holds("out", "denorm", restored)
    ((normed * oracle["cot.norm"]).sum() + (restored * oracle["cot.denorm"]).sum()).backward()
    oracle.holds("gin", "x", window.grad)
    oracle.holds("gin", "h", forecast.grad)
    for name, parameter in affine.items():
        oracle.holds("gsd", f"affine_{name}", parameter.grad)


@pytest.mark.parametrize("amplitude", [1e-12, 3e-4, 1.0, 1e6])
def test_any_unit_is_brought_to_unit_variance(amplitude: float) -> None:
    window = amplitude * torch.randn(4, 512, 2)
    normed, _ = normalise(window)
    torch.testing.assert_close(normed.std(dim=1, correction=0), torch.ones(4, 2))
    torch.testing.assert_close(normed.mean(dim=1), torch.zeros(4, 2), atol=1e-5, rtol=0)


@given(value=st.floats(-1e6, 1e6, width=32), channels=st.integers(1, 8), length=st.integers(1, 300))
@examples(50)
def test_constant_channel_neither_divides_by_zero_nor_amplifies(
    value: float, channels: int, length: int
) -> None:
    window = torch.full((2, length, channels), value)
    normed, scale = normalise(window)
    torch.testing.assert_close(scale.std, torch.ones(2, 1, channels))
    assert normed.abs().max() <= 1e-5 * max(abs(value), 1.0)
    assert scale.apply(window + 1.0).abs().max() < 2.0


def test_undo_reverses_apply_for_any_horizon() -> None:
    window = 3e-4 * torch.randn(3, 128, 2, dtype=torch.float64) + 9.81
    _, scale = normalise(window)
    target = 3e-4 * torch.randn(3, 17, 2, dtype=torch.float64) + 9.81
    torch.testing.assert_close(scale.undo(scale.apply(target)), target, atol=1e-13, rtol=0)


def test_statistics_are_those_of_the_window_and_carry_no_gradient() -> None:
    window = torch.randn(2, 64, 3, requires_grad=True)
    _, scale = normalise(window)
    assert not scale.mean.requires_grad
    assert not scale.std.requires_grad


def test_identity_changes_nothing() -> None:
    window = torch.randn(2, 64, 3)
    assert torch.equal(WindowScale.identity(window).apply(window), window)
