"""Normalisation of a window by its own statistics, kept so that forecasts can be scaled back.

Source: Kim et al., "Reversible instance normalization" (RevIN), ICLR 2022, without the affine part.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from workflow_src.models.precision import at_least_single


@dataclass(frozen=True)
class WindowScale:
    """Mean and standard deviation of each window and channel, in the unit of the signal.

    Attributes:
        mean: (B, 1, C).
        std: (B, 1, C), above zero.
    """

    mean: Tensor
    std: Tensor

    def apply(self, signal: Tensor) -> Tensor:
        """Scale a signal (B, T, C) of any length T as its window was scaled."""
        return (signal - self.mean) / self.std

    def undo(self, signal: Tensor) -> Tensor:
        """Give a scaled signal (B, T, C) back the unit of its window."""
        return signal * self.std + self.mean

    @classmethod
    def identity(cls, window: Tensor) -> WindowScale:
        """Scale that leaves windows (B, L, C) as they are."""
        mean = torch.zeros_like(window[:, :1])
        return cls(mean, torch.ones_like(mean))


def normalise(window: Tensor, eps: float = 0.0) -> tuple[Tensor, WindowScale]:
    """Bring each window and channel to mean 0 and standard deviation 1.

    RevIN adds eps = 1e-5 to the variance, which would swamp signals in small units (an rms of
    3e-4 has variance 9e-8), so nothing is added by default. A channel that is constant up to
    rounding cannot be scaled: it keeps its unit (std 1) and only loses its mean, so that neither
    its rounding noise nor a later target is blown up.

    Args:
        window: (B, L, C), the input part of the span only, in any unit.
        eps: added to the biased variance, in the squared unit of the signal.

    Returns:
        Scaled window (B, L, C) and its WindowScale; no gradient flows through the statistics.
        Both are float32 for a window in half precision.
    """
    window = at_least_single(window)
    with torch.no_grad():
        variance, mean = torch.var_mean(window, dim=1, correction=0, keepdim=True)  # (B, 1, C)
        std = (variance + eps).sqrt()
        rounding = 8 * torch.finfo(window.dtype).eps * window.abs().amax(dim=1, keepdim=True)
        scale = WindowScale(mean, torch.where(std > rounding, std, torch.ones_like(std)))
    return scale.apply(window), scale
