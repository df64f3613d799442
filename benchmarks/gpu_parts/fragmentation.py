"""What the allocator reserves for its tensors, with and without segments that grow."""

from __future__ import annotations

import torch
from step import Levers, Loop, build, draw, peak_bytes

from gpu_parts.bench import NEEDS_A_CARD, SMALL, SMALL_WINDOW, Bench
from gpu_parts.children import in_child
from workflow_src.limits import peak_resident
from workflow_src.training.precision import turn_tf32_off

HORIZON, CHANNELS = 96, 2
MICRO_BATCHES = (13, 8, 5, 3, 7, 13)  # of a batch of 13: last parts of several lengths


def measure(bench: Bench) -> None:
    """Both allocators, each in a process of its own; before CUDA is used in this one."""
    kinds = {
        "fixed_segments": "expandable_segments:False",
        "expandable_segments": "expandable_segments:True",
    }
    for name, setting in kinds.items():
        if name == "expandable_segments" and not bench.cuda:
            bench.put("fragmentation", name, value=NEEDS_A_CARD)
            continue
        limit = bench.left_s / 2
        bench.tried(
            "fragmentation",
            name,
            work=lambda s=setting, t=limit: in_child(
                lambda: ratio(bench.device), t, PYTORCH_CUDA_ALLOC_CONF=s
            ),
        )


def ratio(device: torch.device) -> dict[str, float]:
    """Most bytes reserved over most bytes of tensors, in steps of changing micro-batches.

    On the CPU what became resident stands for what is reserved.
    """
    turn_tf32_off()
    if device.type == "cuda":
        _steps(device)
        tensors, reserved = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
        return {"tensors": tensors, "reserved": reserved, "ratio": reserved / tensors}
    before = peak_resident()
    _steps(device)
    reserved = peak_resident() - before
    tensors = peak_bytes(lambda: lambda: _steps(device))
    return {"tensors": tensors, "reserved": reserved, "ratio": reserved / tensors}


def _steps(device: torch.device) -> None:
    """Two backbones one after the other, as tensors of many sizes come and go."""
    small = device.type == "cpu"
    for backbone in ("timesnet", "patchtst"):
        sizes, window = (SMALL[backbone], SMALL_WINDOW) if small else ({}, 4096)
        network = build(backbone, HORIZON, window=window, channels=CHANNELS, **sizes).to(device)
        loop = Loop(network, Levers(13))
        batch = draw(13, HORIZON, window, CHANNELS).to(device)
        for size in MICRO_BATCHES:
            loop.recovery.size = size
            loop(batch)
