"""DLinear: one linear map over time for the trend, one for the rest.

Source: Zeng et al., "Are transformers effective for time series forecasting?", AAAI 2023 (DLinear),
here on tokens with a SiLU behind, from as many tokens to as many.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from workflow_src.configuration.backbones import BackboneOptions
from workflow_src.errors import UserError
from workflow_src.models.draws import KeyedDropout
from workflow_src.models.stack import Stack, TokenSizes


class Options(BackboneOptions):
    """Keys of DLinear."""

    kernel: int = Field(ge=3, description="Length of the moving average (odd).", examples=[9])
    individual: bool = Field(
        strict=True, description="Own matrices for each feature.", examples=[False]
    )


def moving_average_matrix(length: int, kernel: int) -> Tensor:
    """Build A with trend = A x: the mean of `kernel` samples around each, ends held.

    The sample before the first is the first and the one after the last is the last, as if the
    sequence were padded by copies of its ends.

    Args:
        length: number of steps N.
        kernel: odd number of steps averaged.

    Returns:
        (N, N) float64; each row sums to 1.

    Raises:
        UserError: the kernel is even or below 1.
    """
    if kernel < 1 or kernel % 2 == 0:
        raise UserError(
            "The moving average of DLinear needs a middle.",
            where="kernel of the model",
            found=str(kernel),
            expected="an odd number of tokens from 1 on",
            remedy=f"kernel: {max(kernel, 0) + 1}",
        )
    half = kernel // 2
    step = torch.arange(length)[:, None]  # (N, 1)
    seen = (step + torch.arange(-half, half + 1)).clamp(0, length - 1)  # (N, kernel)
    share = torch.full(seen.shape, 1.0 / kernel, dtype=torch.float64)
    return torch.zeros(length, length, dtype=torch.float64).scatter_add_(1, seen, share)


class DLinearLayer(nn.Module):
    """y = SiLU(Ws (x - A x) + Wt A x + b) along the tokens, A the moving average.

    Both maps are linear in x, so they are one: W = Ws + (Wt - Ws) A, with one product over the
    batch and nothing but x kept for the backward pass (no trend, remainder or padded copy). The
    merge costs N^3, below the product's B N^2 D for the few hundred tokens at most of a window.
    Of the two biases of the source only the sum matters, so there is one.

    Weights start as U(+-1/sqrt N), the source's own. The constant 1/N that is also in use makes
    all output tokens equal, and a head that averages tokens then never parts their rows.

    Args:
        tokens: number of tokens N.
        width: features D of a token.
        kernel: odd number of tokens of the moving average.
        individual: own matrices for each feature (D times the weights) or shared ones.
        residual: add the input to the output.
        dropout: rate on what the layer puts out.
        salt: number of the layer for its draws.
    """

    moving_average: Tensor

    def __init__(
        self,
        tokens: int,
        width: int,
        kernel: int,
        *,
        individual: bool = False,
        residual: bool = False,
        dropout: float = 0.0,
        salt: int = 0,
    ) -> None:
        super().__init__()
        maps = (width,) if individual else ()
        bound = tokens**-0.5
        self.seasonal = nn.Parameter(torch.empty(*maps, tokens, tokens).uniform_(-bound, bound))
        self.trend = nn.Parameter(torch.empty(*maps, tokens, tokens).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(*maps, tokens).uniform_(-bound, bound))
        self.residual = residual
        self.dropout = KeyedDropout(dropout, salt)
        # float64, so that a model in double precision is exact; cast where it is used
        average = moving_average_matrix(tokens, kernel)
        self.register_buffer("moving_average", average, persistent=False)

    def forward(self, tokens: Tensor, keys: Tensor | None = None) -> Tensor:
        """Map tokens (B, N, D) to (B, N, D)."""
        average = self.moving_average.to(self.trend.dtype)
        weight = self.seasonal + (self.trend - self.seasonal) @ average  # (N, N) or (D, N, N)
        if weight.dim() == 3:
            by_feature = tokens.permute(2, 1, 0)  # (B, N, D) -> (D, N, B)
            mapped = torch.baddbmm(self.bias[..., None], weight, by_feature)  # (D, N, B)
            mapped = mapped.permute(2, 1, 0)  # -> (B, N, D)
        else:
            mapped = weight @ tokens + self.bias[:, None]  # (N, N) @ (B, N, D) -> (B, N, D)
        out: Tensor = self.dropout(functional.silu(mapped), keys)
        return tokens + out if self.residual else out


def build(sizes: TokenSizes, options: Options) -> Stack:
    """Stack of DLinear layers; depth 1 is DLinear itself, further layers are residual.

    Raises:
        UserError: the kernel is even.
    """
    return Stack(
        DLinearLayer(
            sizes.count,
            sizes.width,
            options.kernel,
            individual=options.individual,
            residual=index > 0,
            dropout=sizes.dropout,
            salt=index,
        )
        for index in range(sizes.depth)
    )
