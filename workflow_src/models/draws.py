"""Random draws keyed by sample, so that a step is the same at any micro-batch.

A draw is a pure function of (key of the sample, salt of the place, position): a counter-based
generator in the sense of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
Torch's own generator hands out numbers in the order of calls instead, which depends on how a batch
was divided. Statistical quality is that of a 32-bit avalanche hash: ample for dropout and for
where a patch starts, unfit for cryptography.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LOW = 0xFFFFFFFF  # keeps the low 32 bits: int64 arithmetic then behaves as unsigned


def _mix(state: Tensor) -> Tensor:
    """Two rounds of xor-shift and multiply on values in [0, 2**32)."""
    state = ((state ^ (state >> 16)) * 0x7FEB352D) & _LOW
    state = ((state ^ (state >> 15)) * 0x846CA68B) & _LOW
    return state ^ (state >> 16)


def random_bits(keys: Tensor, salt: int, count: int) -> Tensor:
    """Draw `count` integers per sample, uniform on [0, 2**32).

    Args:
        keys: (B,) int64, one per sample; equal keys give equal draws.
        salt: number of the place that draws, so that two layers draw apart.
        count: draws per sample.

    Returns:
        (B, count) int64.
    """
    seed = _mix((keys & _LOW) ^ _mix(torch.full_like(keys, salt & _LOW) + 1))
    seed = _mix(seed ^ ((keys >> 32) & _LOW))
    position = torch.arange(count, device=keys.device)
    return _mix((seed[:, None] + position * 0x9E3779B1) & _LOW)  # (B, 1) + (count,)


def random_integers(keys: Tensor, salt: int, count: int, high: int) -> Tensor:
    """Draw `count` integers per sample, uniform on [0, high): (B, count) int64, high < 2**31."""
    return (random_bits(keys, salt, count) * high) >> 32


def fresh_keys(samples: int, device: torch.device) -> Tensor:
    """Keys (B,) from torch's generator, for callers that promise nothing about micro-batches."""
    return torch.randint(2**62, (samples,), device=device)


class KeyedDropout(nn.Module):
    """Dropout (Srivastava et al., JMLR 2014, inverted form) whose mask belongs to the sample.

    Args:
        rate: probability in [0, 1) that an element is zeroed.
        salt: number of this place in the network.
    """

    def __init__(self, rate: float, salt: int) -> None:
        super().__init__()
        self.rate, self.salt = rate, salt

    def forward(self, tokens: Tensor, keys: Tensor | None) -> Tensor:
        """Map (B, ...) to (B, ...); `keys` (B,) int64 are needed in training only."""
        if not self.training or self.rate == 0.0:
            return tokens
        if keys is None:
            keys = fresh_keys(len(tokens), tokens.device)
        bits = random_bits(keys, self.salt, tokens[0].numel())
        keep = (bits >= int(self.rate * 2**32)).view(tokens.shape)  # (B, N*D) -> (B, N, D)
        return tokens * keep / (1.0 - self.rate)
