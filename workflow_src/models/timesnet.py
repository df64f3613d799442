"""TimesNet: the tokens folded by their strongest periods and convolved in two dimensions.

Source: Wu et al., "TimesNet: temporal 2D-variation modeling for general time series analysis",
ICLR 2023, eqs. 1 to 6. There the periods come from the mean spectrum of the batch, so a sample's
result depends on its batch mates; here each sample has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from workflow_src.configuration.backbones import BackboneOptions
from workflow_src.errors import UserError
from workflow_src.models.draws import KeyedDropout
from workflow_src.models.precision import at_least_single
from workflow_src.models.stack import Stack, TokenSizes


class Options(BackboneOptions):
    """Keys of TimesNet."""

    feed_forward: int = Field(ge=1, description="Width inside a block.", examples=[128])
    top_k: int = Field(ge=1, description="Periods of a sample.", examples=[3])
    kernels: int = Field(ge=1, description="Kernels of an Inception block.", examples=[4])


def amplitude_spectrum(tokens: Tensor) -> Tensor:
    """Amplitude of each frequency, averaged over features: (B, N, D) to (B, N // 2 + 1).

    In float32 for tokens in half precision.
    """
    amplitude: Tensor = torch.fft.rfft(at_least_single(tokens), dim=1).abs().mean(dim=2)
    return amplitude


def strongest_frequencies(amplitude: Tensor, count: int) -> Tensor:
    """Indices (B, count) of the largest amplitudes (B, F), descending, the mean left out."""
    return amplitude[:, 1:].topk(count, dim=1).indices + 1


class InceptionConvolution(nn.Module):
    """Mean of n parallel 2-D convolutions with kernels 1, 3, ..., 2 n - 1, done as one.

    A sum of convolutions is the convolution with the sum of the kernels, each padded with zeros to
    the largest: exact, also for the gradient of each kernel. Kernels start as N(0, 2 / (out k k)),
    biases as 0, as in the source's code.

    Args:
        inputs: features in.
        outputs: features out.
        kernels: number n of kernels.
    """

    def __init__(self, inputs: int, outputs: int, kernels: int) -> None:
        super().__init__()
        self.kernels = nn.ParameterList(
            torch.randn(outputs, inputs, size, size) * (2.0 / (outputs * size * size)) ** 0.5
            for size in range(1, 2 * kernels, 2)
        )
        self.biases = nn.Parameter(torch.zeros(kernels, outputs))

    def merged(self) -> tuple[Tensor, Tensor]:
        """Mean kernel (out, in, 2 n - 1, 2 n - 1) and mean bias (out,)."""
        total, *larger = self.kernels
        for kernel in larger:
            total = functional.pad(total, (1, 1, 1, 1)) + kernel
        return total / len(self.kernels), self.biases.mean(dim=0)


def convolve(image: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """Convolve (B, in, H, W) to (B, out, H, W) with zeros around.

    What of the kernel can only meet the zeros around a small image is cut off beforehand: folding
    32 tokens by a period of 32 needs one row of an 11 x 11 kernel.
    """
    reach = kernel.shape[-1] // 2
    rows, columns = (min(reach, size - 1) for size in image.shape[-2:])
    kernel = kernel[
        :, :, reach - rows : reach + rows + 1, reach - columns : reach + columns + 1
    ]  # (out, in, 2 rows + 1, 2 columns + 1)
    return functional.conv2d(image, kernel, bias, padding=(rows, columns))


def by_period(periods: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Each distinct period of (B, k), ascending, and the rows (b,) that have it."""
    for period in sorted(set(periods.flatten().tolist())):
        yield period, (periods == period).any(dim=1).nonzero().squeeze(1)


class TimesBlock(nn.Module):
    """y = x + sum_i softmax(a)_i image_i(x), i over the k strongest periods of each sample.

    The samples of a batch that share a period are convolved together, once per distinct period (at
    most about 2 sqrt N of them), and a sample's weights for one period are summed.

    Args:
        width: features D of a token.
        feed_forward: features between the two convolutions.
        top_k: periods k a sample.
        kernels: kernels of an inception convolution.
        dropout: rate on what the block adds.
        salt: number of the block for its draws.

    Attributes:
        groups: which rows of (B, k) periods are convolved with which period.
    """

    def __init__(
        self,
        width: int,
        feed_forward: int,
        top_k: int,
        kernels: int,
        dropout: float = 0.0,
        salt: int = 0,
    ) -> None:
        super().__init__()
        self.top_k = top_k
        self.groups: Callable[[Tensor], Iterable[tuple[int, Tensor]]] = by_period
        self.expand = InceptionConvolution(width, feed_forward, kernels)
        self.contract = InceptionConvolution(feed_forward, width, kernels)
        self.dropout = KeyedDropout(dropout, salt)

    def forward(
        self, tokens: Tensor, keys: Tensor | None = None, frequencies: Tensor | None = None
    ) -> Tensor:
        """Map tokens (B, N, D) to (B, N, D).

        Args:
            tokens: (B, N, D).
            keys: (B,) int64, fix the draws of dropout.
            frequencies: (B, k) int64, cycles per N tokens, all above 0; the strongest of each
                sample where not given.
        """
        amplitude = amplitude_spectrum(tokens)  # (B, F)
        if frequencies is None:
            frequencies = strongest_frequencies(amplitude, self.top_k)  # (B, k)
        share = amplitude.gather(1, frequencies).softmax(dim=1)  # (B, k)
        periods = tokens.shape[1] // frequencies  # (B, k)
        expand, contract = self.expand.merged(), self.contract.merged()
        # under autocast the images are in half precision, their weights and sum in float32
        added = torch.zeros_like(tokens, dtype=share.dtype)
        for period, rows in self.groups(periods):
            weight = (share * (periods == period)).sum(dim=1)[rows, None, None]  # (b, 1, 1)
            folded = self._folded(tokens[rows], period, expand, contract)  # (b, N, D)
            added = added.index_add(0, rows, weight * folded)
        out: Tensor = tokens + self.dropout(added, keys)
        return out

    def bound_memory(self, tokens: int) -> None:
        """Compute as for samples whose periods take most memory, whatever a batch holds.

        All samples have the k - 1 periods that pad `tokens` tokens most; and last, so that all
        else is there in its backward pass, the one with most patches beneath the kernel. Each other
        period has one sample, while there are samples: half precision keeps a kernel per period.
        """
        reach = len(self.expand.kernels) - 1
        padded, patches = {}, {}
        for period in {tokens // frequency for frequency in range(1, tokens // 2 + 1)}:
            rows = -(-tokens // period)
            padded[period] = rows * period
            area = (2 * min(reach, rows - 1) + 1) * (2 * min(reach, period - 1) + 1)
            patches[period] = rows * period * area
        last = max(patches, key=lambda period: patches[period])
        others = sorted(padded.keys() - {last}, key=lambda period: -padded[period])
        shared, single = others[: self.top_k - 1], others[self.top_k - 1 :]

        def most(periods: Tensor) -> Iterator[tuple[int, Tensor]]:
            rows = torch.arange(len(periods), device=periods.device)
            for period in single[: periods.numel() - self.top_k]:
                yield period, rows[:1]
            for period in (*shared, last):
                yield period, rows

        self.groups = most

    def _folded(
        self,
        tokens: Tensor,
        period: int,
        expand: tuple[Tensor, Tensor],
        contract: tuple[Tensor, Tensor],
    ) -> Tensor:
        """Fold tokens (b, N, D) to rows of `period`, convolve twice, unfold to (b, N, D)."""
        batch, count, width = tokens.shape
        rows = -(-count // period)
        padded = functional.pad(tokens, (0, 0, 0, rows * period - count))  # (b, rows p, D)
        # (b, rows, p, D) seen as (b, D, rows, p): channels last in memory, nothing is copied
        image = padded.view(batch, rows, period, width).permute(0, 3, 1, 2)
        image = convolve(functional.gelu(convolve(image, *expand)), *contract)
        unfolded = image.permute(0, 2, 3, 1).reshape(batch, rows * period, width)
        return unfolded[:, :count]  # (b, rows p, D) -> (b, N, D)


class TimesLayer(nn.Module):
    """A TimesBlock and the LayerNorm that the source puts behind each."""

    def __init__(self, block: TimesBlock, width: int) -> None:
        super().__init__()
        self.block = block
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, keys: Tensor | None = None) -> Tensor:
        """Map tokens (B, N, D) to (B, N, D)."""
        normed: Tensor = self.norm(self.block(tokens, keys))
        return normed


def build(sizes: TokenSizes, options: Options) -> Stack:
    """Stack of TimesBlocks, each followed by a LayerNorm; depth 1 is LayerNorm(TimesBlock(x)).

    Raises:
        UserError: more periods asked for than the tokens have frequencies.
    """
    tokens, top_k = sizes.count, options.top_k
    if not 1 <= top_k <= tokens // 2:
        raise UserError(
            "The tokens do not have as many periods as TimesNet is told to use.",
            where="top_k of the model",
            found=f"top_k {top_k}, patch_count {tokens}",
            expected=f"1 to patch_count // 2 = {tokens // 2} periods",
            remedy=f"top_k: {tokens // 2}" if tokens > 1 else "patch_count: 16",
        )
    blocks = (
        TimesBlock(sizes.width, options.feed_forward, top_k, options.kernels, sizes.dropout, index)
        for index in range(sizes.depth)
    )
    return Stack(TimesLayer(block, sizes.width) for block in blocks)
