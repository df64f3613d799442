"""What the forecast says of a training step's seconds, against sixty real steps.

    .venv/bin/python benchmarks/seconds.py [--cells 36] [--steps 60] [--csv docs/seconds.csv]

Cells are four backbones x windows of 1024, 2048 and 4096 samples x 1 to 3 channels with batches of
32, 16 and 8 spans, sizes as in config/models. Each takes sixty steps, each on noise of its own,
in the trainer's order and without Lightning: their mean is the truth. The probe is the median of
twenty others, of a network built anew, between the first thirty and the last. How far these two
halves are apart is what no forecast can know. The estimate is what a trace on fake tensors
computes, at rates that are measured anew before every four cells. All times are the processor's,
one thread.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rates import rates as measured_rates
from step import ADAMW, build, draw

from workflow_src.configuration import Training
from workflow_src.forecasting.operations import Work, operations_and_bytes
from workflow_src.forecasting.seconds import Rates, estimated_seconds, timed
from workflow_src.forecasting.steps import Steps
from workflow_src.forecasting.trace import Levers
from workflow_src.training.assembly import MultiTaskNetwork

HORIZON, PATCHES = 96, 32
WINDOWS = (1024, 2048, 4096)
INPUTS = ((1, 32), (2, 16), (3, 8))  # channels, batch
SIZES: dict[str, dict[str, Any]] = {
    "dlinear": {"kernel": 9, "individual": False},
    "fno": {"modes": 16},
    "patchtst": {"heads": 4, "feed_forward": 128},
    "timesnet": {"feed_forward": 32, "top_k": 2, "kernels": 2},
}


@dataclass(frozen=True)
class Cell:
    """One network and its batch."""

    backbone: str
    window: int
    channels: int
    batch: int

    def network(self) -> MultiTaskNetwork:
        """With four heads, from seed 0."""
        return build(
            self.backbone,
            HORIZON,
            window=self.window,
            channels=self.channels,
            width=64,
            depth=2,
            patch_length=self.window // PATCHES,
            patch_count=PATCHES,
            **SIZES[self.backbone],
        )

    @property
    def training(self) -> Training:
        """Keys of `training:`."""
        return ADAMW.model_copy(update={"batch_size": self.batch, "gradient_clip": 1.0})

    def draw(self, size: int) -> Any:
        """As many spans of noise."""
        return draw(size, HORIZON, self.window, self.channels)


CELLS = [
    Cell(backbone, window, *inputs)
    for window, inputs, backbone in itertools.product(WINDOWS, INPUTS, SIZES)
]


class Real:
    """Steps of a cell, each on noise of its own; three before the first are left out."""

    def __init__(self, cell: Cell) -> None:
        self.cell, self.replica = cell, Steps(cell.network().train(), cell.training, cell.batch)
        self.seconds(3)

    def seconds(self, steps: int) -> float:
        """Mean of the processor's seconds of so many more."""
        taken = 0.0
        for _ in range(steps):
            batch = self.cell.draw(self.cell.batch)
            start = time.process_time()
            self.replica.checked(batch)
            taken += time.process_time() - start
        return taken / steps


def traced(cell: Cell) -> tuple[Work, float]:
    """What a step computes, and the seconds of finding it out."""
    start = time.process_time()
    work = operations_and_bytes(cell.network, cell.draw, cell.training, Levers(cell.batch))
    return work, time.process_time() - start


def row(cell: Cell, steps: int, found: Rates) -> dict[str, Any]:
    """The truth and both forecasts of a cell."""
    work, trace_s = traced(cell)
    real = Real(cell)
    first = real.seconds(steps // 2)
    torch.manual_seed(1)
    probe = timed(
        cell.network(),
        cell.draw(cell.batch),
        cell.training,
        Levers(cell.batch),
        min(20, steps),
        clock=time.process_time,
    )
    second = real.seconds(steps // 2)
    truth, estimate = (first + second) / 2, estimated_seconds(work, found)
    return {
        **asdict(cell),
        "ms": round(1e3 * truth, 3),
        "halves_percent": round(100 * (second / first - 1), 2),
        "probe_ms": round(1e3 * probe.step, 3),
        "probe_error_percent": round(100 * (probe.step / truth - 1), 2),
        "estimate_ms": round(1e3 * estimate, 3),
        "estimate_error_percent": round(100 * (estimate / truth - 1), 2),
        "mflop": round(work.operations / 1e6, 2),
        "mb": round(work.moved / 2**20, 2),
        "operators": work.operators,
        "trace_s": round(trace_s, 2),
    }


def show(rows: Sequence[dict[str, Any]]) -> None:
    """One line a backbone, and one of all."""
    print(f"{'':<32}{'after a probe':>22}{'before any':>22}{'halves apart':>22}")
    print(f"{'':<10}{'cells':>6}{'ms':>16}" + f"{'mean error':>12}{'worst':>10}" * 3)
    groups = {name: [r for r in rows if r["backbone"] == name] for name in SIZES}
    for name, group in {**groups, "all": list(rows)}.items():
        if not group:
            continue
        taken = [r["ms"] for r in group]
        line = f"{name:<10}{len(group):>6}{f'{min(taken):.0f} to {max(taken):.0f}':>16}"
        for column in ("probe_error_percent", "estimate_error_percent", "halves_percent"):
            errors = [r[column] for r in group]
            worst = max(errors, key=abs)
            line += f"{statistics.mean(map(abs, errors)):>10.1f} %{worst:>+8.1f} %"
        print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=len(CELLS), help="the first so many")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=1.0, help="of measuring each rate")
    parser.add_argument("--csv", type=Path, help="where to write one row per cell")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for number, cell in enumerate(CELLS[: options.cells]):
        if number % len(SIZES) == 0:  # they drift where others use the same machine
            found = measured_rates(options.seconds)
            print(found, file=sys.stderr, flush=True)
        rows.append(row(cell, options.steps, found))
        print(*rows[-1].values(), file=sys.stderr, flush=True)
    if options.csv:
        with options.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    show(rows)


if __name__ == "__main__":
    main()
