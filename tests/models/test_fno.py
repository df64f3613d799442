"""FNO against the reference arrays and torch.fft, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from workflow_src.errors import UserError
from workflow_src.models.fno import FourierLayer, Options, build, fourier_matrices
from workflow_src.models.stack import TokenSizes

from ..examples import examples


def spectral_weight(complex_weight: Tensor) -> Tensor:
    """(in, out, modes) complex as (modes, in, re | im, out) real; holds for gradients too."""
    return torch.view_as_real(complex_weight).permute(2, 0, 3, 1).contiguous()


@pytest.mark.oracle("spectralconv_*")
def test_spectral_path_reference(oracle: Any) -> None:
    """From 5 to 7 features, where our layer maps D to D: its spectral path alone."""
    series = oracle.input()  # (B, C, L)
    modes, length = oracle.meta["modes"], series.shape[2]
    layer = FourierLayer(length, oracle.meta["cin"], modes)
    layer.spectral = nn.Parameter(spectral_weight(oracle["sd.weights1"]))
    spectrum = layer.spectrum(series.transpose(1, 2))  # (B, 2 M, C')
    out = (layer.synthesis.to(oracle.dtype) @ spectrum).transpose(1, 2)
    oracle.holds("out", "y", out)
    (out * oracle["cot.y"]).sum().backward()
    oracle.holds("gin", "x", series.grad)
    oracle.close("weights1", layer.spectral.grad, spectral_weight(oracle["gsd.weights1"]))


@pytest.mark.oracle("fno_*")
def test_stack_reference(oracle: Any) -> None:
    """The reference lifts its series by a linear map, as our patch embedding does."""
    meta, series = oracle.meta, oracle.input()
    lift = nn.Linear(series.shape[2], meta["width"])
    sizes = TokenSizes(series.shape[1], meta["width"], meta["num_layers"], 0.0)
    stack = build(sizes, Options(modes=meta["modes"]))
    stack.closing = nn.Linear(meta["width"], meta["output_dim"])

    def theirs(kind: str) -> dict[str, Tensor]:
        arrays = {f"closing.{part}": oracle[f"{kind}.fc1.{part}"] for part in ("weight", "bias")}
        for index in range(meta["num_layers"]):
            spectral = oracle[f"{kind}.spectral_layers.{index}.weights"]
            arrays[f"layers.{index}.spectral"] = spectral_weight(spectral)
            skip, own = f"{kind}.conv_layers.{index}.", f"layers.{index}.skip."
            arrays[f"{own}weight"] = oracle[f"{skip}weight"].squeeze(-1)
            arrays[f"{own}bias"] = oracle[f"{skip}bias"]
        return arrays

    oracle.fill(lift, {part: oracle[f"sd.fc0.{part}"] for part in ("weight", "bias")})
    oracle.fill(stack, theirs("sd"))
    out = stack(lift(series))
    oracle.holds("out", "y", out)
    (out * oracle["cot.y"]).sum().backward()
    oracle.holds("gin", "x", series.grad)
    oracle.holds("gsd", "fc0.weight", lift.weight.grad)
    oracle.holds("gsd", "fc0.bias", lift.bias.grad)
    for name, gradient in theirs("gsd").items():
        oracle.close(name, stack.get_parameter(name).grad, gradient)


@given(length=st.integers(1, 60), data=st.data())
@examples(40)
def test_matrices_are_the_truncated_transform_and_its_inverse(
    length: int, data: st.DataObject
) -> None:
    modes = data.draw(st.integers(1, length // 2 + 1))
    analysis, synthesis = fourier_matrices(length, modes)
    series = torch.randn(length, dtype=torch.float64)
    spectrum = torch.fft.rfft(series)[:modes]
    torch.testing.assert_close(analysis @ series, torch.cat([spectrum.real, spectrum.imag]))
    # any coefficients, also an imaginary part of the mean, which irfft ignores
    anything = torch.randn(modes, dtype=torch.complex128)
    padded = functional.pad(anything, (0, length // 2 + 1 - modes))
    expected = torch.fft.irfft(padded, n=length)
    torch.testing.assert_close(synthesis @ torch.cat([anything.real, anything.imag]), expected)


@pytest.mark.parametrize(("modes", "length"), [(10, 16), (0, 16), (2, 1)])
def test_modes_beyond_the_spectrum_are_refused(modes: int, length: int) -> None:
    with pytest.raises(UserError, match=f"modes: {length // 2 + 1}"):
        fourier_matrices(length, modes)
