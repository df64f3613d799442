"""Embeddings: a window (B, L, C) becomes tokens (B, N, D), each from a patch of all channels.

Sources: Nie et al., "A time series is worth 64 words", ICLR 2023 (patches, learned positions that
start as U(+-0.02)); the hierarchical signal embedding (HSE) of PHM-Vibench (patches at random
starts, each sample beside its time).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from workflow_src.errors import UserError
from workflow_src.models.draws import fresh_keys, random_integers
from workflow_src.models.precision import full_precision

_STARTS_SALT = 0x485345  # apart from the small salts of the layers


def _require_a_patch(patch_length: int, patch_count: int) -> None:
    if patch_length < 1 or patch_count < 1:
        raise UserError(
            "A window needs at least one patch of at least one sample.",
            where="patch_length and patch_count of the model",
            found=f"patch_length {patch_length}, patch_count {patch_count}",
            expected="both from 1 on",
            remedy="patch_length: 32 and patch_count: 32",
        )


def patch_stride(window: int, patch_length: int, patch_count: int) -> int:
    """Distance of the starts of two patches, in samples: the largest that fits the window.

    Raises:
        UserError: a patch is longer than the window, or there are more patches than starts.
    """
    _require_a_patch(patch_length, patch_count)
    if patch_length > window:
        raise UserError(
            "A patch is longer than the window.",
            where="patch_length of the model",
            found=f"patch_length {patch_length}, window {window}",
            expected="patch_length <= window; `embedding: hse` alone takes longer ones",
            remedy=f"patch_length: {max(1, 2 * window // (patch_count + 1))}",
        )
    if patch_count == 1:
        return patch_length
    stride = (window - patch_length) // (patch_count - 1)
    if stride < 1:
        most = window - patch_length + 1
        raise UserError(
            "The window holds fewer different patches than asked for.",
            where="patch_count of the model",
            found=f"patch_count {patch_count}, patch_length {patch_length}, window {window}",
            expected=f"patch_count <= window - patch_length + 1 = {most}",
            remedy=f"patch_count: {most}",
        )
    return stride


class PatchEmbedding(nn.Module):
    """Linear map of evenly spaced patches plus learned positions, as one strided convolution.

    The last patch ends with the last sample, where forecasts begin; what the stride leaves over is
    cut off at the start of the window (fewer than `patch_count` samples).

    Args:
        window: samples L.
        channels: channels C, all of them in each patch.
        patch_length: samples of a patch.
        patch_count: patches N.
        width: features D of a token.

    Raises:
        UserError: the patches do not fit the window.
    """

    def __init__(
        self, window: int, channels: int, patch_length: int, patch_count: int, width: int
    ) -> None:
        super().__init__()
        self.stride = patch_stride(window, patch_length, patch_count)
        self.skipped = window - patch_length - (patch_count - 1) * self.stride
        # no bias: the positions hold it
        self.projection = nn.Conv1d(channels, width, patch_length, self.stride, bias=False)
        self.positions = nn.Parameter(torch.empty(patch_count, width).uniform_(-0.02, 0.02))

    def forward(self, window: Tensor, keys: Tensor | None = None) -> Tensor:
        """Map windows (B, L, C) to tokens (B, N, D); nothing is drawn, `keys` are not read."""
        signal = window[:, self.skipped :].transpose(1, 2)  # (B, L, C) -> (B, C, L')
        tokens: Tensor = self.projection(signal).transpose(1, 2)  # (B, D, N) -> (B, N, D)
        return tokens + self.positions


class HybridSpatialEmbedding(nn.Module):
    """HSE: Linear, SiLU, Linear on patches of [signal, time], at random starts in training.

    In evaluation the starts are evenly spaced up to the patch that ends with the last sample,
    so that a result is repeatable (the source draws there too). In training they are drawn per
    sample and sorted, so that the tokens run along time in both. Time is (start + j) / rate for
    sample j of a patch, thus its share in the first map is affine in the start: two vectors replace
    half of the inputs.

    Where a patch is longer than the window, each sample and its time are held, ceil(P / L) times in
    a row, and the patches lie in what that makes, as in the source. Then time is no longer affine.

    Args:
        window: samples L.
        patch_channels: neighbouring channels in a patch; all C of the window in the trunk.
        patch_length: samples of a patch.
        patch_count: patches N.
        width: features D of a token.
        rate_hz: sampling rate; None counts time in samples.

    Raises:
        UserError: no patch, or none of a sample.
    """

    def __init__(
        self,
        window: int,
        patch_channels: int,
        patch_length: int,
        patch_count: int,
        width: int,
        rate_hz: float | None = None,
    ) -> None:
        super().__init__()
        _require_a_patch(patch_length, patch_count)
        self.window, self.patch_channels = window, patch_channels
        self.held = -(-patch_length // window)  # times that a sample is held, H
        self.patch_length, self.patch_count = patch_length, patch_count
        self.rate_hz = 1.0 if rate_hz is None else rate_hz
        # inputs in the order (sample of the patch, signal | time, channel)
        self.hidden = nn.Linear(patch_length * 2 * patch_channels, width)
        self.out = nn.Linear(width, width)

    def starts(self, samples: int, keys: Tensor | None, device: torch.device) -> Tensor:
        """First samples of the patches (B, N) int64: drawn in training, even in evaluation.

        They count the samples as held, L H of them.
        """
        last = self.window * self.held - self.patch_length
        if self.training:
            keys = fresh_keys(samples, device) if keys is None else keys
            drawn = random_integers(keys, _STARTS_SALT, self.patch_count, last + 1)
            return drawn.sort(dim=1).values
        before_last = torch.arange(self.patch_count - 1, -1, -1, device=device)  # N - 1, ..., 0
        even = last - before_last * last // max(self.patch_count - 1, 1)
        return even.expand(samples, -1)  # (N,) -> (B, N)

    def forward(self, window: Tensor, keys: Tensor | None = None) -> Tensor:
        """Map windows (B, L, C) to tokens (B, N, D); `keys` (B,) int64 fix the starts."""
        starts = self.starts(len(window), keys, window.device)
        return self.embed(window, starts, torch.zeros_like(starts), self.rate_hz)

    def embed(
        self, window: Tensor, starts: Tensor, channel_starts: Tensor, rate_hz: float | Tensor
    ) -> Tensor:
        """Embed the patches at given places.

        Args:
            window: (B, L, C).
            starts: (B, N) int64, first sample of each patch, in the window as held.
            channel_starts: (B, N) int64, first channel of each patch.
            rate_hz: sampling rate, one for all or one a sample (B,).

        Returns:
            Tokens (B, N, D).
        """
        window = window.repeat_interleave(self.held, dim=1) if self.held > 1 else window
        channels = window.shape[2]  # (B, L, C) -> (B, L H, C)
        length, used = self.patch_length, self.patch_channels
        within = torch.arange(length, device=window.device)
        offset = within[:, None] * channels + torch.arange(used, device=window.device)  # (P, c)
        first = starts * channels + channel_starts  # (B, N), in the flattened window
        index = (first[:, :, None] + offset.flatten()).flatten(1)  # (B, N, P c) -> (B, N P c)
        patches = window.flatten(1).gather(1, index).view(*starts.shape, -1)  # (B, N, P c)

        weight = self.hidden.weight.view(-1, length, 2, used)  # (D, P, 2, c)
        time = self._time(weight[:, :, 1].sum(dim=2), starts, rate_hz)  # (B, N, D)
        signal = functional.linear(patches, weight[:, :, 0].flatten(1), self.hidden.bias)
        tokens: Tensor = self.out(functional.silu(signal + time))
        return tokens

    def _time(self, by_sample: Tensor, starts: Tensor, rate_hz: float | Tensor) -> Tensor:
        """Share of time (B, N, D) in the first map, from its weights (D, P) summed over channels.

        In float32 under autocast: half precision does not count the samples of a long window.
        """
        within, dtype = torch.arange(self.patch_length, device=starts.device), by_sample.dtype
        with full_precision(starts.device):
            if self.held > 1:
                times = (starts[..., None] + within) // self.held  # (B, N, P)
                weighted = functional.linear(times.to(dtype), by_sample)
            else:
                slope, offset_j = by_sample.sum(dim=1), by_sample @ within.to(dtype)  # (D,)
                weighted = starts[..., None] * slope + offset_j
            rate = torch.as_tensor(rate_hz, dtype=dtype, device=starts.device)
            return weighted / rate.view(-1, 1, 1)
