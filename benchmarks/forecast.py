"""What the forecast says of a training step's memory, against what torch's allocator gave out.

    .venv/bin/python benchmarks/forecast.py [--cases 160] [--seed 1] [--csv docs/forecast.csv]

Cases are drawn from four backbones, task sets, windows of 1024 to 4096 samples, 1 to 6 channels,
widths, micro-batches, precisions and recomputation of activations. Each runs two steps on the CPU,
one thread, on noise; the peak is the most bytes that torch's allocator has given out at once, as
torch.profiler records each allocation. TimesNet runs with the periods that the forecast assumes,
and once more with those of the noise. The numbers do not depend on what else runs.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from step import ADAMW, BACKBONES, Loop, build, draw, peak_bytes
from step import Levers as StepLevers

from workflow_src.forecasting.trace import Levers, bound_memory, trace_step
from workflow_src.limits import MB
from workflow_src.tasks import TASKS
from workflow_src.training.precision import PrecisionName

TASK_SETS = {
    "all": TASKS,
    "faults": ("classification", "anomaly_detection"),
    "life": ("signal_prediction", "rul_prediction"),
}
HORIZON, BATCH = 96, 32


@dataclass(frozen=True)
class Case:
    """One step."""

    backbone: str
    tasks: str
    window: int
    channels: int
    width: int
    micro_batch: int
    precision: PrecisionName
    checkpointing: bool
    fused: bool


def drawn(count: int, seed: int) -> list[Case]:
    """Different cases, backbones in turn."""
    rng = random.Random(seed)
    found: dict[Case, None] = {}
    while len(found) < count:
        case = Case(
            backbone=list(BACKBONES)[len(found) % len(BACKBONES)],
            tasks=rng.choice(list(TASK_SETS)),
            window=rng.choice((1024, 2048, 4096)),
            channels=rng.randint(1, 6),
            width=rng.choice((32, 64, 128)),
            micro_batch=rng.choice((1, 3, 8, 16, BATCH)),
            precision=rng.choice(("fp32", "fp32", "bf16")),
            checkpointing=rng.random() < 0.3,
            fused=rng.random() < 0.8,
        )
        found[case] = None
    return list(found)


def measured(case: Case, *, bounded: bool) -> int:
    """Bytes of the case's second step; `bounded` with the values that take most memory."""

    def prepare() -> Callable[[], object]:
        network = build(**_shape(case), **_sizes(case))
        if bounded:
            bound_memory(network)
        levers = StepLevers(case.micro_batch, case.checkpointing, case.precision, case.fused)
        loop, batch = Loop(network, levers), draw(BATCH, HORIZON, case.window, case.channels)
        loop(batch)
        return lambda: loop(batch)

    return peak_bytes(prepare)


def forecast(case: Case) -> tuple[int, int]:
    """Bytes of the same, and of the largest tensor."""
    training = ADAMW.model_copy(
        update={
            "fused_optimizer": case.fused,
            "precision": case.precision,
            "gradient_clip": 1.0,
            "batch_size": BATCH,
        }
    )
    traced = trace_step(
        lambda: build(**_shape(case), **_sizes(case)),
        lambda size: draw(size, HORIZON, case.window, case.channels),
        training,
        Levers(case.micro_batch, case.checkpointing),
    )
    return traced.peak, traced.largest


def _shape(case: Case) -> dict[str, Any]:
    return {
        "backbone": case.backbone,
        "horizon": HORIZON,
        "tasks": TASK_SETS[case.tasks],
        "window": case.window,
        "channels": case.channels,
    }


def _sizes(case: Case) -> dict[str, int]:
    return {"width": case.width, "patch_length": case.window // 32, "patch_count": 64}


def row(case: Case) -> dict[str, Any]:
    """What both said of a case, and how far the forecast is off."""
    said, largest = forecast(case)
    peak = measured(case, bounded=True)
    of_noise = peak if case.backbone != "timesnet" else measured(case, bounded=False)
    return {
        **asdict(case),
        "forecast_mb": round(said / MB, 3),
        "peak_mb": round(peak / MB, 3),
        "error_percent": round(100 * (said / peak - 1), 3),
        "margin_mb": round(largest / MB, 3),
        "noise_mb": round(of_noise / MB, 3),
        "covered": said + largest >= max(peak, of_noise),
    }


def show(rows: list[dict[str, Any]]) -> None:
    """One line a backbone, and one of all."""
    print(f"{'':<10}{'cases':>6}{'mean error':>12}{'worst':>9}{'too low':>9}{'with margin':>13}")
    groups = {name: [r for r in rows if r["backbone"] == name] for name in BACKBONES}
    for name, group in {**groups, "all": rows}.items():
        if not group:
            continue
        errors = [abs(r["error_percent"]) for r in group]
        low = sum(r["error_percent"] < 0 or r["noise_mb"] > r["forecast_mb"] for r in group)
        missed = sum(not r["covered"] for r in group)
        print(
            f"{name:<10}{len(group):>6}{statistics.mean(errors):>10.2f} %{max(errors):>7.2f} %"
            f"{low:>9}{missed:>13}"
        )


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=160)
    parser.add_argument("--seed", type=int, default=1, help="of the draw")
    parser.add_argument("--csv", type=Path, help="where to write one row per case")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for case in drawn(options.cases, options.seed):
        rows.append(row(case))
        print(*rows[-1].values(), file=sys.stderr, flush=True)
    if options.csv:
        with options.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    show(rows)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's notices
    sys.exit(main())
