"""AdamW with all of its memory taken before the first step."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import AdamW

from workflow_src.configuration import Training


def adamw(parameters: Iterable[nn.Parameter], training: Training) -> AdamW:
    """AdamW (Loshchilov & Hutter, ICLR 2019) whose moments exist: no step is the one that fails.

    An optimizer step cannot be taken back once it has begun, so nothing may run out of memory in
    it. A fused one needs no temporaries either.
    """
    optimizer = AdamW(
        parameters,
        lr=training.learning_rate,
        weight_decay=training.weight_decay,
        fused=training.fused_optimizer,
    )
    _allocate(optimizer)
    return optimizer


def _allocate(optimizer: AdamW) -> None:
    """A step of rate 0 along a gradient of 0: it moves nothing, and is not counted."""
    (group,) = optimizer.param_groups
    rate, decay = group["lr"], group["weight_decay"]
    group["lr"] = group["weight_decay"] = 0.0
    for parameter in group["params"]:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    group["lr"], group["weight_decay"] = rate, decay
    for state in optimizer.state.values():
        state["step"].zero_()
    optimizer.zero_grad()
