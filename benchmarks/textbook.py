"""The blocks as their papers write them, in plain torch modules, beside ours: time and bytes.

    .venv/bin/python benchmarks/textbook.py [--quick]

Forward and backward of one block at the sizes of `step.py`, measured as it does. Each block is made
from one of ours and holds the same weights, so that the two give the same tokens (TimesNet: for one
sample, as its periods here are the batch's).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from step import BACKBONES, BATCH, SIZES, SLOW_BATCH, in_turns, medians, peak_bytes
from torch import Tensor, nn
from torch.nn import functional

from workflow_src.limits import MB
from workflow_src.models.backbones import build_backbone
from workflow_src.models.dlinear import DLinearLayer
from workflow_src.models.fno import FourierLayer
from workflow_src.models.patchtst import EncoderLayer
from workflow_src.models.timesnet import InceptionConvolution, TimesLayer


class Decomposition(nn.Module):
    """Zeng et al. 2023: a moving average over padded tokens, and one Linear for each part."""

    def __init__(self, ours: DLinearLayer, kernel: int) -> None:
        super().__init__()
        count = ours.trend.shape[-1]
        self.kernel = kernel
        self.seasonal, self.trend = nn.Linear(count, count), nn.Linear(count, count)
        with torch.no_grad():
            self.seasonal.weight.copy_(ours.seasonal)
            self.trend.weight.copy_(ours.trend)
            self.seasonal.bias.copy_(ours.bias)
            self.trend.bias.zero_()

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        series = tokens.transpose(1, 2)  # (B, N, D) -> (B, D, N)
        half = self.kernel // 2
        padded = functional.pad(series, (half, half), mode="replicate")  # (B, D, N + k - 1)
        trend = functional.avg_pool1d(padded, self.kernel, stride=1)  # (B, D, N)
        mapped = self.seasonal(series - trend) + self.trend(trend)
        return functional.silu(mapped).transpose(1, 2)  # (B, D, N) -> (B, N, D)


class Spectral(nn.Module):
    """Li et al. 2021: rfft, a complex product on the lowest modes of a zeroed spectrum, irfft."""

    def __init__(self, ours: FourierLayer) -> None:
        super().__init__()
        real, imaginary = ours.spectral.detach().unbind(2)  # (M, D, D') each
        self.weight = nn.Parameter(torch.complex(real, imaginary).clone())
        self.skip = nn.Conv1d(ours.skip.in_features, ours.skip.out_features, 1)
        with torch.no_grad():
            self.skip.weight.copy_(ours.skip.weight[:, :, None])
            self.skip.bias.copy_(ours.skip.bias)  # type: ignore[union-attr]

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        series = tokens.transpose(1, 2)  # (B, N, D) -> (B, D, N)
        modes, _, out = self.weight.shape
        seen = torch.fft.rfft(series)  # (B, D, N // 2 + 1)
        kept = seen.new_zeros(len(seen), out, seen.shape[2])
        kept[:, :, :modes] = torch.einsum("bim,mio->bom", seen[:, :, :modes], self.weight)
        summed = torch.fft.irfft(kept, n=series.shape[2]) + self.skip(series)  # (B, D', N)
        return functional.gelu(summed).transpose(1, 2)  # (B, D', N) -> (B, N, D')


class Encoder(nn.TransformerEncoderLayer):
    """Vaswani et al. 2017: torch's own layer around nn.MultiheadAttention, norm behind."""

    def __init__(self, ours: EncoderLayer) -> None:
        width, hidden = ours.hidden.in_features, ours.hidden.out_features
        super().__init__(
            width, ours.attention.heads, hidden, 0.0, activation="gelu", batch_first=True
        )
        attention = ours.attention
        pairs = {
            self.linear1: ours.hidden,
            self.linear2: ours.out,
            self.norm1: ours.attention_norm,
            self.norm2: ours.out_norm,
            self.self_attn.out_proj: attention.out,
        }
        for mine, its in pairs.items():
            mine.load_state_dict(its.state_dict())
        with torch.no_grad():
            self.self_attn.in_proj_weight.copy_(attention.qkv.weight)
            self.self_attn.in_proj_bias.copy_(attention.qkv.bias)


class Inception(nn.Module):
    """Szegedy et al. 2015 as TimesNet uses it: one convolution a kernel, and their mean."""

    def __init__(self, ours: InceptionConvolution) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList()
        for kernel, bias in zip(ours.kernels, ours.biases, strict=True):
            out, inputs, size, _ = kernel.shape
            convolution = nn.Conv2d(inputs, out, size, padding=size // 2)
            with torch.no_grad():
                convolution.weight.copy_(kernel)
                convolution.bias.copy_(bias)  # type: ignore[union-attr]
            self.convolutions.append(convolution)

    def forward(self, image: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, H, W)."""
        each = [convolution(image) for convolution in self.convolutions]
        return torch.stack(each, -1).mean(-1)  # n x (B, out, H, W) -> (B, out, H, W)


class Times(nn.Module):
    """Wu et al. 2023: periods of the batch's mean spectrum, a fold and two inceptions for each."""

    def __init__(self, ours: TimesLayer) -> None:
        super().__init__()
        self.top_k = ours.block.top_k
        self.expand, self.contract = Inception(ours.block.expand), Inception(ours.block.contract)
        self.norm = nn.LayerNorm(ours.norm.normalized_shape)
        self.norm.load_state_dict(ours.norm.state_dict())

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        batch, count, width = tokens.shape
        amplitude = torch.fft.rfft(tokens, dim=1).abs().mean(2)  # (B, N // 2 + 1)
        frequencies = amplitude.mean(0)[1:].topk(self.top_k).indices + 1  # (k,)
        images = []
        for frequency in frequencies.tolist():
            period = count // frequency
            rows = -(-count // period)
            missing = tokens.new_zeros(batch, rows * period - count, width)
            padded = torch.cat([tokens, missing], 1)  # (B, rows p, D)
            image = padded.reshape(batch, rows, period, width).permute(0, 3, 1, 2).contiguous()
            image = self.contract(functional.gelu(self.expand(image)))  # (B, D, rows, p)
            unfolded = image.permute(0, 2, 3, 1).reshape(batch, -1, width)  # (B, rows p, D)
            images.append(unfolded[:, :count])
        share = amplitude[:, frequencies].softmax(1)[:, None, None]  # (B, k) -> (B, 1, 1, k)
        return self.norm((torch.stack(images, -1) * share).sum(-1) + tokens)


def textbook(name: str, ours: Any) -> nn.Module:
    """The block of a paper with the weights of ours."""
    if name == "dlinear":
        return Decomposition(ours, BACKBONES[name]["kernel"])
    return {"fno": Spectral, "patchtst": Encoder, "timesnet": Times}[name](ours)


def pair(name: str) -> tuple[nn.Module, nn.Module]:
    """The block as written, and ours."""
    torch.manual_seed(0)
    ours = build_backbone({"backbone": name, **SIZES, **BACKBONES[name]}).layers[0]
    return textbook(name, ours), ours


def work(block: nn.Module, shape: tuple[int, ...]) -> Callable[[], None]:
    """Forward and backward on tokens of `shape`."""
    tokens = torch.randn(shape)

    def run() -> None:
        block.zero_grad()
        out = block(tokens.detach().requires_grad_())
        out.backward(torch.ones_like(out))

    return run


def show(name: str, batch: int, seconds: float) -> None:
    """One line of the table."""
    shape = (batch, SIZES["patch_count"], SIZES["width"])
    rounds = in_turns([work(block, shape) for block in pair(name)], seconds)
    peaks = [peak_bytes(lambda each=each: work(pair(name)[each], shape)) / MB for each in (0, 1)]
    (written, _), (ours, ratio) = medians(rounds, 0), medians(rounds, 1)
    print(
        f"{name:<10}{batch:>6}{written:>13.1f}{ours:>10.1f}{ratio:>7.2f}"
        f"{peaks[0]:>13.1f}{peaks[1]:>10.1f}{peaks[1] / peaks[0]:>7.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small batch, few rounds")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    print(f"{'block':<10}{'batch':>6}{'written ms':>13}{'ours ms':>10}{'x':>7}", end="")
    print(f"{'written MB':>13}{'ours MB':>10}{'x':>7}")
    for name in BACKBONES:
        batch = SLOW_BATCH if name == "timesnet" else BATCH
        show(name, 4 if quick else batch, 0.0 if quick else 5.0)


if __name__ == "__main__":
    main()
