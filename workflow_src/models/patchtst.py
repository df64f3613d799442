"""PatchTST: a transformer encoder over patches.

Sources: Nie et al., "A time series is worth 64 words", ICLR 2023; attention of Vaswani et al.,
"Attention is all you need", NeurIPS 2017, eq. 1, with the norm behind each branch as there.
PatchTST's BatchNorm would mix samples (and change with the micro-batch): it is LayerNorm here.
"""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from workflow_src.configuration.backbones import BackboneOptions
from workflow_src.errors import UserError
from workflow_src.models.draws import KeyedDropout
from workflow_src.models.stack import Stack, TokenSizes


class Options(BackboneOptions):
    """Keys of PatchTST."""

    heads: int = Field(ge=1, description="Attention heads.", examples=[4])
    feed_forward: int = Field(ge=1, description="Width inside a block.", examples=[128])


class SelfAttention(nn.Module):
    """softmax(q k^T / sqrt(D/H)) v over H heads, with q, k and v from one product.

    Args:
        width: features D of a token.
        heads: H, a divisor of D.

    Raises:
        UserError: the heads do not divide the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            fitting = max(h for h in range(1, max(heads, 1) + 1) if width % h == 0)
            raise UserError(
                "The attention heads do not share the width evenly.",
                where="heads of the model",
                found=f"width {width}, heads {heads}",
                expected="heads that divide the width",
                remedy=f"heads: {fitting}",
            )
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def queries_keys_values(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project tokens (B, N, D) to q, k, v, each (B, H, N, D/H)."""
        batch, count, width = tokens.shape
        fused = self.qkv(tokens).view(batch, count, 3, self.heads, width // self.heads)
        q, k, v = fused.permute(2, 0, 3, 1, 4)  # (B, N, 3, H, D/H) -> 3 x (B, H, N, D/H)
        return q, k, v

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, N, D) to (B, N, D)."""
        read = functional.scaled_dot_product_attention(*self.queries_keys_values(tokens))
        out: Tensor = self.out(read.transpose(1, 2).flatten(2))  # (B, H, N, D/H) -> (B, N, D)
        return out


class EncoderLayer(nn.Module):
    """x = LN(x + attention(x)), then x = LN(x + W2 GELU(W1 x + b1) + b2).

    Args:
        width: features D of a token.
        heads: attention heads, a divisor of D.
        feed_forward: hidden features of the second branch.
        dropout: rate on what each branch adds (not on the attention weights).
        salt: number of the layer for its draws.
    """

    def __init__(
        self, width: int, heads: int, feed_forward: int, dropout: float = 0.0, salt: int = 0
    ) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads)
        self.hidden = nn.Linear(width, feed_forward)
        self.out = nn.Linear(feed_forward, width)
        self.attention_norm = nn.LayerNorm(width)
        self.out_norm = nn.LayerNorm(width)
        self.attention_dropout = KeyedDropout(dropout, 2 * salt)
        self.out_dropout = KeyedDropout(dropout, 2 * salt + 1)

    def forward(self, tokens: Tensor, keys: Tensor | None = None) -> Tensor:
        """Map tokens (B, N, D) to (B, N, D)."""
        attended = self.attention_dropout(self.attention(tokens), keys)
        tokens = self.attention_norm(tokens + attended)
        branch = self.out_dropout(self.out(functional.gelu(self.hidden(tokens))), keys)
        normed: Tensor = self.out_norm(tokens + branch)
        return normed


def build(sizes: TokenSizes, options: Options) -> Stack:
    """Stack of encoder layers closed by a LayerNorm; depth 1 is one layer and that norm.

    Raises:
        UserError: the heads do not divide the width.
    """
    layers = (
        EncoderLayer(sizes.width, options.heads, options.feed_forward, sizes.dropout, index)
        for index in range(sizes.depth)
    )
    return Stack(layers, closing=nn.LayerNorm(sizes.width))
