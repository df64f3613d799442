"""From tokens to a few features: what the heads of whole-window labels share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_EPSILON = 1e-6  # keeps the slope of the square root finite where all tokens agree


class PooledLinear(nn.Module):
    """Mean and standard deviation over tokens, normalised, and extra inputs, to `outputs`.

    A linear map of the concatenation of pooled tokens (2D) and extras (E). The two blocks of its
    matrix are initialised by their own fan-in: a handful of extras beside hundreds of token
    features would else start with next to no say.
    """

    def __init__(self, width: int, outputs: int, extras: int = 0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(2 * width)
        self.pooled = nn.Linear(2 * width, outputs)
        self.extra = nn.Linear(extras, outputs, bias=False) if extras else None

    def forward(self, tokens: Tensor, extra: Tensor | None = None) -> Tensor:
        """Tokens (B, N, D) and extra (B, E) to (B, outputs)."""
        mean = tokens.mean(1)  # (B, D)
        deviation = (tokens.var(1, correction=0) + _EPSILON).sqrt()  # (B, D)
        output: Tensor = self.pooled(self.norm(torch.cat([mean, deviation], 1)))  # (B, outputs)
        if (extra is None) != (self.extra is None):
            raise ValueError("a head gets extra inputs exactly where it was built for them")
        if extra is not None and self.extra is not None:
            output = output + self.extra(extra.to(output.dtype))
        return output
