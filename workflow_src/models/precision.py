"""What stays in float32 where the rest of a layer runs in half precision (torch.autocast)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def at_least_single(tensor: Tensor) -> Tensor:
    """Bring float16 and bfloat16 to float32; float32 and float64 stay as they are."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def full_precision(device: torch.device) -> AbstractContextManager[None]:
    """Switch autocast off for what is computed on `device` within; nothing happens without it.

    Transforms need it: torch has no FFT in bfloat16, and one in float16 only on GPUs and only for
    powers of two; products with cosines would keep 8 (bfloat16) or 11 bits of each frequency.
    """
    kind = device.type
    if not (torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)):
        return nullcontext()
    return torch.autocast(device_type=kind, enabled=False)
