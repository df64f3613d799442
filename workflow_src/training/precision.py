"""The key `training.precision`: in what torch computes, and how losses are scaled for it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, TypedDict

import torch
from torch import Tensor

PrecisionName = Literal["fp32", "bf16", "fp16"]

_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def turn_tf32_off() -> None:
    """Compute float32 products and convolutions in float32 on a GPU, too.

    TensorFloat-32 rounds their inputs to 10 bits. Results would then depend on the GPU and, by more
    than float32 rounds, on the micro-batch.
    """
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


@dataclass(frozen=True)
class Precision:
    """float32 throughout, or products in half precision beside float32 parameters.

    Mixed precision is that of Micikevicius et al., "Mixed precision training", ICLR 2018: weights,
    gradients and the optimizer stay float32, torch.autocast casts for each operator. The layers
    keep their transforms and statistics in float32 (`models/precision.py`).

    Each micro-batch rounds its own gradient of a weight to half precision, so a step at another
    micro-batch equals the full-batch step to 4e-3 (bf16) or 5e-4 (fp16), not 1e-6 as in float32.
    """

    name: PrecisionName

    def autocast(self, device_type: str) -> AbstractContextManager[object]:
        """Context of a forward pass on "cpu" or "cuda"; losses and backward belong outside."""
        if self.name not in _HALF:
            return nullcontext()
        return torch.autocast(device_type=device_type, dtype=_HALF[self.name])

    def loss_scale(self) -> LossScale:
        """The scale that losses start with: 2**16 for fp16, else 1 for good."""
        return LossScale() if self.name == "fp16" else LossScale(start=1.0, largest=1.0)


class LossScaleState(TypedDict):
    """What a checkpoint keeps of a LossScale."""

    scale: float
    good_steps: int


class LossScale:
    """Dynamic loss scale (Micikevicius et al. 2018, section 3.2), always a power of two.

    float16 flushes gradients below 6e-8 to zero, so losses are multiplied by the scale before the
    backward pass and gradients divided by it after. A power of two changes exponents only: in
    float32 and bfloat16 the gradients are the same bits at any scale. torch's GradScaler skips the
    batch whose gradients overflow; here the same step is to be replayed at half the scale, so that
    every batch counts and the scale depends on nothing but the numbers.

    Args:
        start: first scale.
        largest: scale beyond which it does not grow.
        grow_every: good steps in a row after which it doubles.

    Attributes:
        scale: what losses are multiplied by, at least 1.
    """

    def __init__(
        self, start: float = 2.0**16, largest: float = 2.0**24, grow_every: int = 2000
    ) -> None:
        self.scale = start
        self._largest = largest
        self._grow_every = grow_every
        self._good_steps = 0

    def unscale(self, parameters: Iterable[Tensor]) -> None:
        """Divide the gradients by the scale, in place."""
        if self.scale == 1.0:
            return
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.mul_(1.0 / self.scale)

    def succeeded(self) -> None:
        """Count a step whose gradient was finite; grow after enough of them in a row."""
        self._good_steps += 1
        if self._good_steps >= self._grow_every:
            self.scale = min(2.0 * self.scale, self._largest)
            self._good_steps = 0

    def overflowed(self) -> bool:
        """Halve the scale after a gradient that was not finite, for the step to be replayed.

        Returns:
            False, with the scale as it was, where half of it is below 1: the gradient itself is
            too large then, and training has diverged.
        """
        self._good_steps = 0
        if self.scale < 2.0:
            return False
        self.scale /= 2.0
        return True

    def state_dict(self) -> LossScaleState:
        """Scale and good steps so far, as plain numbers."""
        return {"scale": self.scale, "good_steps": self._good_steps}

    def load_state_dict(self, state: LossScaleState) -> None:
        """Go on from a checkpoint."""
        self.scale = float(state["scale"])
        self._good_steps = int(state["good_steps"])
