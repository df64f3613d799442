"""The experiment that failed: what its steps take, how large a batch fits, how long it would run.

Four networks on windows of 4096 samples x 2 channels, four tasks, a forecast as long as the window;
batches, windows per record and epochs as they were. `small` is 64 patches of 128 and width 256,
`original` 128 patches of 256 and width 1024.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from step import ADAMW, BACKBONES, Levers, Loop, build, draw

from gpu_parts.bench import GB, SMALL, SMALL_WINDOW, Bench, line
from gpu_parts.running_out import Limit
from workflow_src.forecasting.allocator import reserved_bytes
from workflow_src.forecasting.trace import Levers as TracedLevers
from workflow_src.forecasting.trace import trace_step
from workflow_src.training.out_of_memory import exhausted, free
from workflow_src.training.precision import PrecisionName, turn_tf32_off

CHANNELS = 2
RECORDS = 9577  # of the six rigs 1, 2, 5, 6, 13 and 19 of PHM-Vibench
EPOCHS, SEEDS = 200, 2
BATCHES = {"dlinear": 384, "fno": 320, "patchtst": 512, "timesnet": 512}
WINDOWS_PER_RECORD = {"dlinear": 4, "fno": 64, "patchtst": 128, "timesnet": 128}
CARDS_GB = (16, 32, 40, 80)
SIZES: dict[str, dict[str, Any]] = {
    "small": {"patch_length": 128, "patch_count": 64, "width": 256},
    "original": {"patch_length": 256, "patch_count": 128, "width": 1024},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "timesnet": {"feed_forward": 512, "kernels": 6},  # 150 million parameters where small
}
LEVERS: dict[str, tuple[PrecisionName, bool]] = {
    "bf16": ("bf16", False),
    "fp16": ("fp16", False),
    "checkpointing": ("fp32", True),
    "checkpointing_bf16": ("bf16", True),
}


@dataclass(frozen=True)
class Setting:
    """One network of the experiment, on one device.

    Attributes:
        backbone, dimensions: keys of `BATCHES` and `SIZES`.
        micro_batches: at which a step is measured.
    """

    bench: Bench
    backbone: str
    dimensions: str
    micro_batches: tuple[int, ...]

    def network(self, device: torch.device | None = None) -> Any:
        """The network, made where it is used."""
        window, sizes = self._sizes()
        with device or self.bench.device:
            return build(self.backbone, window, window=window, channels=CHANNELS, **sizes)

    def batch(self, size: int, device: torch.device | None = None) -> Any:
        """Spans whose horizon is as long as the window."""
        window, _ = self._sizes()
        with device or self.bench.device:
            return draw(size, window, window, CHANNELS)

    def _sizes(self) -> tuple[int, dict[str, Any]]:
        if self.bench.cuda:
            return 4096, {**SIZES[self.dimensions], **OPTIONS.get(self.backbone, {})}
        larger = {"patch_count": 32, "width": 32} if self.dimensions == "original" else {}
        return SMALL_WINDOW, SMALL[self.backbone] | larger


def measure(bench: Bench) -> None:
    """Small dimensions of all four first; then the original ones."""
    turn_tf32_off()
    outside = bench.outside_mb() * 1024**2
    micro = {"small": (8, 24, 64), "original": (4, 12, 32)} if bench.cuda else {}
    for dimensions in SIZES:
        for backbone in BACKBONES:
            sizes = micro.get(dimensions, (1, 2, 4))
            setting = Setting(bench, backbone, dimensions, sizes)
            bench.tried(dimensions, backbone, work=lambda s=setting: measured(s, outside))


def measured(setting: Setting, outside: float) -> dict[str, Any]:
    """Bytes and seconds at three micro-batches, what each lever changes, what fits, hours."""
    bench, network = setting.bench, setting.network()
    points = {size: cost(setting, network, size) for size in setting.micro_batches}
    middle = setting.micro_batches[1]
    costs = {name: cost(setting, network, middle, *lever) for name, lever in LEVERS.items()}
    levers = {name: relative(each, points[middle]) for name, each in costs.items()}
    reserved = line({size: each["reserved"] for size, each in points.items()})
    seconds = line({size: each["seconds"] for size, each in points.items()})
    fits = {f"{gb}_gb": largest(reserved, gb * GB - outside) for gb in CARDS_GB}
    found = {
        "parameters": sum(p.numel() for p in network.parameters()),
        "points": {str(size): each for size, each in points.items()},
        "line_bytes": {"constant": reserved[0], "per_span": reserved[1]},
        "line_s": {"constant": seconds[0], "per_span": seconds[1]},
        "levers_at": middle,
        "levers": levers,
        "forecast": forecasts(setting, {"fp32": points[middle], **costs}),
        "fits": fits,
        **hours(setting.backbone, seconds, max(1, fits["80_gb"]), levers["bf16"]["seconds"]),
    }
    del network
    bench.free()
    if setting.dimensions == "small":
        found["verified"] = verified(
            setting, min(fits["16_gb"], BATCHES[setting.backbone]), outside
        )
    return found


def cost(
    setting: Setting,
    network: Any,
    micro: int,
    precision: PrecisionName = "fp32",
    checkpointing: bool = False,
) -> dict[str, float]:
    """Peak bytes and seconds of an optimizer step over `micro` spans at once."""
    bench, batch = setting.bench, setting.batch(micro)
    levers = Levers(micro, checkpointing=checkpointing, precision=precision)

    def prepare() -> Any:
        loop = Loop(network, levers)
        return lambda: loop(batch)

    peak = bench.peak(prepare)
    loop = Loop(network, levers)
    seconds = bench.seconds(lambda: loop(batch), rounds=2)
    network.zero_grad()
    return {**peak, "seconds": seconds}


def forecasts(
    setting: Setting, measured: dict[str, dict[str, float]]
) -> dict[str, dict[str, float]]:
    """Forecast over measured bytes at the middle micro-batch: of tensors, and as reserved.

    Reserved without workspaces of libraries, context and margin (`StepMemory` adds those). fp16
    takes what bf16 takes.
    """
    found: dict[str, dict[str, float]] = {}
    for name in [each for each in measured if each != "fp16"]:
        traced = forecast(setting, *LEVERS.get(name, ("fp32", False)))
        found[name] = {kind: taken / measured[name][kind] for kind, taken in traced.items()}
    return found


def forecast(setting: Setting, precision: PrecisionName, checkpointing: bool) -> dict[str, int]:
    """Bytes that a step at the middle micro-batch is forecast to take."""
    micro, host = setting.micro_batches[1], torch.device("cpu")
    keys = {"precision": precision, "gradient_clip": 1.0, "batch_size": micro}
    traced = trace_step(
        lambda: setting.network(host),
        lambda size: setting.batch(size, host),
        ADAMW.model_copy(update=keys),
        TracedLevers(micro, checkpointing),
        setting.bench.device.type,
    )
    if setting.bench.cuda:
        return {"tensors": traced.peak, "reserved": reserved_bytes(traced.changes)}
    # In a rehearsal the weights are there before anything is measured.
    tensors = traced.peak - 4 * traced.parameters
    return {"tensors": tensors, "reserved": tensors}


def relative(some: dict[str, float], base: dict[str, float]) -> dict[str, float]:
    """Bytes of tensors and seconds over those of float32 with activations kept."""
    return {key: some[key] / base[key] for key in ("tensors", "seconds")}


def largest(bytes_line: tuple[float, float], allowed: float) -> int:
    """The largest micro-batch whose line stays within `allowed` bytes; 0: not even one span."""
    constant, per_span = bytes_line
    return max(0, math.floor((allowed - constant) / per_span)) if per_span > 0 else 0


def hours(backbone: str, seconds: tuple[float, float], micro: int, bf16: float) -> dict[str, float]:
    """Hours per epoch at the original batch, and GPU-hours of all epochs and seeds."""
    batch = BATCHES[backbone]
    micro = min(micro, batch)
    whole, rest = divmod(batch, micro)
    per_batch = whole * (seconds[0] + seconds[1] * micro)
    per_batch += (seconds[0] + seconds[1] * rest) if rest else 0.0
    spans = RECORDS * WINDOWS_PER_RECORD[backbone]
    per_epoch = spans / batch * per_batch / 3600
    return {
        "spans_per_epoch": spans,
        "hours_per_epoch": per_epoch,
        "gpu_hours": per_epoch * EPOCHS * SEEDS,
        "gpu_hours_bf16": per_epoch * EPOCHS * SEEDS * bf16,
    }


def verified(setting: Setting, micro: int, outside: float) -> dict[str, Any]:
    """Whether the largest micro-batch for 16 GB fits under a real limit, and a larger one does not.

    In a rehearsal the limit is on what the process maps beyond what it has, and far too wide.
    """
    device, found = setting.bench.device, dict[str, Any]({"micro_batch": micro})
    if not setting.bench.cuda:
        micro = setting.micro_batches[-1]
    for name, size in (("fits", micro), ("a_fifth_more_fits", math.ceil(1.2 * micro))):
        limit = Limit(device)
        setting.bench.free()
        held = torch.cuda.memory_reserved(device) if setting.bench.cuda else 0
        limit.leave(16 * GB - outside - held)
        try:
            loop = Loop(setting.network(), Levers(size))
            batch = setting.batch(size)
            loop(batch)
            loop(batch)
            found[name] = loop.recovery.size == size
        except Exception as error:
            if exhausted(error) is None:
                raise
            found[name] = False
        finally:
            limit.lift()
        loop = batch = None
        free()
    return found
