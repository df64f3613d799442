"""A backbone is a stack of layers: depth, and recomputation of activations, in one place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


@dataclass(frozen=True)
class TokenSizes:
    """What every backbone is built for.

    Attributes:
        count: tokens N.
        width: features D of a token.
        depth: layers.
        dropout: rate on what a layer puts out.
    """

    count: int
    width: int
    depth: int
    dropout: float


class Stack(nn.Module):
    """Layers `(tokens (B, N, D), keys (B,) | None) -> (B, N, D)` in order, then a closing module.

    Attributes:
        checkpointing: True keeps only each layer's input for the backward pass and recomputes the
            rest (Chen et al., "Training deep nets with sublinear memory cost", 2016). Results do
            not change: random draws are functions of the keys.
    """

    def __init__(self, layers: Iterable[nn.Module], closing: nn.Module | None = None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.closing = closing if closing is not None else nn.Identity()
        self.checkpointing = False

    def forward(self, tokens: Tensor, keys: Tensor | None = None) -> Tensor:
        """Map tokens (B, N, D) to (B, N, D); `keys` (B,) int64 fix the draws of dropout."""
        for layer in self.layers:
            if self.checkpointing and self.training:
                tokens = checkpoint(
                    layer, tokens, keys, use_reentrant=False, preserve_rng_state=keys is None
                )
            else:
                tokens = layer(tokens, keys)
        closed: Tensor = self.closing(tokens)
        return closed
