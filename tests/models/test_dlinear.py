"""DLinear against the reference arrays, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from workflow_src.errors import UserError
from workflow_src.models.dlinear import DLinearLayer, Options, build, moving_average_matrix
from workflow_src.models.stack import TokenSizes

from ..examples import examples


@pytest.mark.oracle("decomp_*")
def test_decomposition_reference(oracle: Any) -> None:
    series = oracle.input()
    average = moving_average_matrix(series.shape[1], oracle.meta["kernel"])
    trend = average.to(oracle.dtype) @ series
    seasonal = series - trend
    oracle.holds("out", "trend", trend)
    oracle.holds("out", "seasonal", seasonal)
    ((trend * oracle["cot.trend"]).sum() + (seasonal * oracle["cot.seasonal"]).sum()).backward()
    oracle.holds("gin", "x", series.grad)


@pytest.mark.oracle("dlinear_*")
def test_layer_reference(oracle: Any) -> None:
    """The kernel of 65 tokens stands in the reference's code, not among its arrays."""
    tokens, individual = oracle.input(), oracle.meta["individual"]
    _, count, width = tokens.shape

    def theirs(part: str, leaf: str) -> Tensor:
        stem = f"sd.Linear_{part}"
        if not individual:
            return oracle[f"{stem}.{leaf}"]
        return torch.stack([oracle[f"{stem}.{channel}.{leaf}"] for channel in range(width)])

    layer = DLinearLayer(count, width, 65, individual=individual)
    weights = {name: theirs(name.title(), "weight") for name in ("seasonal", "trend")}
    oracle.fill(layer, weights | {"bias": theirs("Seasonal", "bias") + theirs("Trend", "bias")})
    out = layer(tokens)
    oracle.holds("out", "y", out)
    (out * oracle["cot.y"]).sum().backward()
    oracle.holds("gin", "x", tokens.grad)
    if oracle.has("gsd."):
        oracle.holds("gsd", "Linear_Seasonal.weight", layer.seasonal.grad)
        oracle.holds("gsd", "Linear_Trend.weight", layer.trend.grad)
        oracle.holds("gsd", "Linear_Seasonal.bias", layer.bias.grad)
        oracle.holds("gsd", "Linear_Trend.bias", layer.bias.grad)


@pytest.mark.parametrize("kernel", [0, 4, -3])
def test_kernel_without_a_middle_is_refused(kernel: int) -> None:
    with pytest.raises(UserError, match="kernel: "):
        moving_average_matrix(8, kernel)


@given(length=st.integers(1, 40), half=st.integers(0, 60))
@examples(40)
def test_moving_average_keeps_constants_and_equals_the_padded_mean(length: int, half: int) -> None:
    kernel = 2 * half + 1
    average = moving_average_matrix(length, kernel)
    torch.testing.assert_close(average.sum(dim=1), torch.ones(length, dtype=torch.float64))
    series = torch.randn(1, 1, length, dtype=torch.float64)
    padded = functional.pad(series, (half, half), mode="replicate")
    expected = functional.avg_pool1d(padded, kernel, stride=1)[0, 0]
    torch.testing.assert_close(average @ series[0, 0], expected)


def test_only_the_tokens_and_the_preactivation_are_kept_per_sample() -> None:
    layer = DLinearLayer(32, 16, 9)
    kept: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        if tensor.dim() == 3 and tensor.shape[0] == 8:
            kept.append(tensor.untyped_storage().data_ptr())
        return tensor

    tokens = torch.randn(8, 32, 16, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        layer(tokens)
    assert len(set(kept)) <= 2


def test_rows_of_the_maps_start_apart() -> None:
    out = build(TokenSizes(16, 4, 1, 0.0), Options(kernel=5, individual=False))(
        torch.randn(1, 16, 4)
    )
    assert out.std(dim=1).min() > 0.01


def test_only_layers_behind_the_first_add_their_input() -> None:
    first, second = build(TokenSizes(16, 4, 2, 0.0), Options(kernel=5, individual=False)).layers
    tokens = torch.randn(2, 16, 4)
    for layer in (first, second):
        nn.init.zeros_(layer.seasonal)
        nn.init.zeros_(layer.trend)
        nn.init.zeros_(layer.bias)
    assert torch.equal(first(tokens), torch.zeros_like(tokens))
    assert torch.equal(second(tokens), tokens)
