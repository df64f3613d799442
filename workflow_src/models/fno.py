"""FNO: learned products on the lowest frequencies of the tokens.

Source: Li et al., "Fourier neural operator for parametric partial differential equations",
ICLR 2021, eqs. 2, 4 and 5, in one dimension.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from workflow_src.configuration.backbones import BackboneOptions
from workflow_src.errors import UserError
from workflow_src.models.draws import KeyedDropout
from workflow_src.models.precision import at_least_single, full_precision
from workflow_src.models.stack import Stack, TokenSizes


class Options(BackboneOptions):
    """Keys of FNO."""

    modes: int = Field(ge=1, description="Frequencies that are kept.", examples=[16])


def fourier_matrices(length: int, modes: int) -> tuple[Tensor, Tensor]:
    """Build the real form of the truncated discrete Fourier transform and of its inverse.

    Args:
        length: number of steps N.
        modes: lowest frequencies kept, zero included: M <= N // 2 + 1.

    Returns:
        Analysis (2 M, N), giving M real and then M imaginary parts of rfft(x); synthesis (N, 2 M),
        giving irfft of them with all higher frequencies zero. Both float64.

    Raises:
        UserError: more modes than `length` steps have.
    """
    most = length // 2 + 1
    if not 1 <= modes <= most:
        raise UserError(
            "The tokens do not have as many frequencies as FNO is told to keep.",
            where="modes of the model",
            found=f"modes {modes}, patch_count {length}",
            expected=f"1 to patch_count // 2 + 1 = {most} modes",
            remedy=f"modes: {most}",
        )
    frequency, step = torch.arange(modes), torch.arange(length)
    turns = (frequency[:, None] * step) % length  # integers: no rounding of large angles
    angle = turns.double() * (2 * math.pi / length)  # (M, N)
    analysis = torch.cat([angle.cos(), -angle.sin()])  # (2 M, N)
    # A frequency stands for its mirror image too, except 0 and N / 2, which are their own.
    alone = (frequency == 0) | (2 * frequency == length)
    weight = torch.where(alone, 1.0, 2.0).double() / length
    return analysis, (analysis * weight.repeat(2)[:, None]).T.contiguous()


class FourierLayer(nn.Module):
    """y = GELU(irfft(R rfft(x)) + W x + b), R one complex D x D matrix a mode.

    Two thin cosine and sine matrices replace the transforms: cheaper than rfft, a zeroed spectrum
    and irfft where few modes are kept. The complex products are real ones on the weights (M, D, 2,
    D), real and imaginary part side by side, so optimisers and precisions see real numbers only.
    R starts as (U[0, 1) + i U[0, 1)) / D^2, the source's own. Under autocast only W x is computed
    in half precision; the spectral path and the layer's result are float32.

    Args:
        tokens: number of tokens N.
        width: features D of a token.
        modes: lowest frequencies M that are mapped, at most N // 2 + 1.
        dropout: rate on what the layer puts out.
        salt: number of the layer for its draws.

    Raises:
        UserError: too many modes.
    """

    analysis: Tensor
    synthesis: Tensor

    def __init__(
        self, tokens: int, width: int, modes: int, dropout: float = 0.0, salt: int = 0
    ) -> None:
        super().__init__()
        self.spectral = nn.Parameter(torch.rand(modes, width, 2, width) / width**2)
        self.skip = nn.Linear(width, width)
        self.dropout = KeyedDropout(dropout, salt)
        # float64, so that a model in double precision is exact; cast where they are used
        analysis, synthesis = fourier_matrices(tokens, modes)
        self.register_buffer("analysis", analysis, persistent=False)
        self.register_buffer("synthesis", synthesis, persistent=False)

    def spectrum(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, N, D) to the mapped modes (B, 2 M, D'), real parts first."""
        batch = len(tokens)
        modes, width, _, out = self.spectral.shape
        seen = self.analysis.to(tokens.dtype) @ tokens  # (2 M, N) @ (B, N, D) -> (B, 2 M, D)
        seen = seen.view(batch, 2, modes, width).permute(2, 1, 0, 3)  # -> (M, 2, B, D)
        seen = seen.reshape(modes, 2 * batch, width)  # -> (M, 2 B, D)
        product = seen @ self.spectral.flatten(2)  # (M, 2 B, D) @ (M, D, 2 D') -> (M, 2 B, 2 D')
        product = product.view(modes, 2, batch, 2, out)  # (M, re|im of x, B, re|im of R, D')
        real = product[:, 0, :, 0] - product[:, 1, :, 1]  # (M, B, D')
        imaginary = product[:, 0, :, 1] + product[:, 1, :, 0]  # (M, B, D')
        return torch.cat([real, imaginary]).transpose(0, 1)  # (2 M, B, D') -> (B, 2 M, D')

    def forward(self, tokens: Tensor, keys: Tensor | None = None) -> Tensor:
        """Map tokens (B, N, D) to (B, N, D)."""
        skip = at_least_single(self.skip(tokens))
        tokens = at_least_single(tokens)
        with full_precision(tokens.device):
            synthesis = self.synthesis.to(tokens.dtype).expand(len(tokens), -1, -1)  # (B, N, 2 M)
            summed = torch.baddbmm(skip, synthesis, self.spectrum(tokens))  # (B, N, D)
        out: Tensor = self.dropout(functional.gelu(summed), keys)
        return out


def build(sizes: TokenSizes, options: Options) -> Stack:
    """Stack of Fourier layers closed by the source's linear projection.

    Depth 1 is one Fourier layer and the projection. The source's lifting is the patch embedding.

    Raises:
        UserError: more modes than the tokens have frequencies.
    """
    layers = (
        FourierLayer(sizes.count, sizes.width, options.modes, sizes.dropout, index)
        for index in range(sizes.depth)
    )
    return Stack(layers, closing=nn.Linear(sizes.width, sizes.width))
