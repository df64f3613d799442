"""TimesNet against the reference arrays, with periods of each sample."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from workflow_src.errors import UserError
from workflow_src.models.stack import TokenSizes
from workflow_src.models.timesnet import (
    InceptionConvolution,
    Options,
    TimesBlock,
    amplitude_spectrum,
    build,
    convolve,
    strongest_frequencies,
)


def inception_arrays(
    oracle: Any, kind: str, count: int, theirs: str = "", own: str = ""
) -> dict[str, Tensor]:
    names = [f"{kind}.{theirs}kernels.{index}." for index in range(count)]
    kernels = {f"{own}kernels.{i}": oracle[name + "weight"] for i, name in enumerate(names)}
    return kernels | {f"{own}biases": torch.stack([oracle[name + "bias"] for name in names])}


def block_arrays(oracle: Any, kind: str) -> dict[str, Tensor]:
    count = oracle.meta["cfg"]["num_kernels"]
    expand = inception_arrays(oracle, kind, count, "conv.0.", "expand.")
    return expand | inception_arrays(oracle, kind, count, "conv.2.", "contract.")


@pytest.mark.oracle("fftperiod_*")
def test_periods_reference(oracle: Any) -> None:
    series = oracle.input()
    amplitude = amplitude_spectrum(series)
    shared = strongest_frequencies(amplitude.mean(dim=0, keepdim=True), oracle.meta["k"])
    assert shared[0].tolist() == oracle["x.freq_idx"].tolist()
    assert (series.shape[1] // shared[0]).tolist() == oracle["out.period"].tolist()
    weight = amplitude.gather(1, shared.expand(len(series), -1))
    oracle.holds("out", "weight", weight)
    (weight * oracle["cot.weight"]).sum().backward()
    oracle.holds("gin", "x", series.grad)


@pytest.mark.oracle("inception_*")
def test_inception_reference(oracle: Any) -> None:
    image, count = oracle.input(), oracle.meta["num_kernels"]
    layer = InceptionConvolution(image.shape[1], oracle["out.y"].shape[1], count)
    oracle.fill(layer, inception_arrays(oracle, "sd", count))
    out = convolve(image, *layer.merged())
    oracle.holds("out", "y", out)
    (out * oracle["cot.y"]).sum().backward()
    oracle.holds("gin", "x", image.grad)
    for name, gradient in inception_arrays(oracle, "gsd", count).items():
        oracle.close(name, layer.get_parameter(name).grad, gradient)


@pytest.mark.oracle("timesblock*")
def test_block_reference(oracle: Any) -> None:
    """With the frequencies of the batch's mean spectrum, as the reference chooses them."""
    cfg, tokens = oracle.meta["cfg"], oracle.input()
    block = TimesBlock(cfg["d_model"], cfg["d_ff"], cfg["top_k"], cfg["num_kernels"])
    oracle.fill(block, block_arrays(oracle, "sd"))
    mean_amplitude = amplitude_spectrum(tokens.detach()).mean(dim=0, keepdim=True)
    shared = strongest_frequencies(mean_amplitude, cfg["top_k"])
    out = block(tokens, frequencies=shared.expand(len(tokens), -1))
    oracle.holds("out", "y", out)
    (out * oracle["cot.y"]).sum().backward()
    oracle.holds("gin", "x", tokens.grad)
    if oracle.has("gsd."):
        for name, gradient in block_arrays(oracle, "gsd").items():
            oracle.close(name, block.get_parameter(name).grad, gradient)


def test_cutting_the_kernel_to_the_image_changes_nothing() -> None:
    layer = InceptionConvolution(3, 5, 6).double()
    for rows, columns in [(1, 32), (16, 2), (4, 8), (1, 1), (20, 20)]:
        image = torch.randn(2, 3, rows, columns, dtype=torch.float64)
        kernel, bias = layer.merged()
        expected = functional.conv2d(image, kernel, bias, padding=5)
        torch.testing.assert_close(convolve(image, kernel, bias), expected)


def test_each_sample_is_folded_by_its_own_periods() -> None:
    step = torch.arange(64, dtype=torch.float64)
    cycles = torch.tensor([3.0, 7.0, 16.0], dtype=torch.float64)
    tokens = torch.sin(2 * torch.pi * cycles[:, None] * step / 64 + 0.3)[..., None]  # (3, 64, 1)
    found = strongest_frequencies(amplitude_spectrum(tokens), 1)
    assert found[:, 0].tolist() == [3, 7, 16]


def test_silent_tokens_have_periods_too() -> None:
    block = TimesBlock(4, 4, 3, 2)
    tokens = torch.zeros(2, 16, 4, requires_grad=True)
    out = block(tokens)
    out.sum().backward()
    assert out.isfinite().all()
    assert tokens.grad is not None
    assert tokens.grad.isfinite().all()


@pytest.mark.parametrize(("tokens", "top_k"), [(16, 9), (1, 1)])
def test_more_periods_than_frequencies_are_refused(tokens: int, top_k: int) -> None:
    with pytest.raises(UserError, match="top_k of the model"):
        build(TokenSizes(tokens, 4, 1, 0.0), Options(feed_forward=4, top_k=top_k, kernels=2))
