"""Microseconds that a task's meter takes in a training step, and their share of it.

    .venv/bin/python benchmarks/meters.py [--window 1024] [--channels 1] [--steps 200]

In a step of one micro-batch a fresh meter is updated with the outputs and its state is merged into
the epoch's: `update` and `merge` in microseconds, and both in percent of a DLinear step (four
tasks, width 64, depth 2, without the optimizer); medians on one thread. `again` is an update that
finds a state to join, as from the second micro-batch on. The last line is of all four tasks.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from workflow_src.configuration.task_set import TaskSet
from workflow_src.models.network import build_trunk
from workflow_src.tasks import TASKS
from workflow_src.tasks.batch import Batch
from workflow_src.tasks.objective import HeadShape
from workflow_src.tasks.objectives import ObjectiveFacts, build_objectives
from workflow_src.training.assembly import MultiTaskNetwork
from workflow_src.training.step import StepOptions, step, valid_labels

HORIZON = 64
MODEL = {
    "backbone": "dlinear",
    "embedding": "patch",
    "normalisation": "window",
    "width": 64,
    "depth": 2,
    "patch_length": 64,
    "patch_count": 32,
    "dropout": 0.0,
    "kernel": 9,
    "individual": False,
}


def build(window: int, channels: int) -> MultiTaskNetwork:
    objectives = build_objectives(
        TaskSet.model_validate({task: {"weight": 1.0} for task in TASKS}),
        facts=ObjectiveFacts(("normal", "inner", "outer", "ball"), 1, 1),
    )
    shape = HeadShape(tokens=32, width=64, horizon=HORIZON, channels=channels, classes=4)
    return MultiTaskNetwork(build_trunk(MODEL, window, channels), objectives, shape)


def draw(size: int, window: int, channels: int) -> Batch:
    return Batch(
        window=torch.randn(size, window, channels),
        horizon=torch.randn(size, HORIZON, channels),
        fault=torch.randint(0, 4, (size,)),
        anomaly=torch.randint(0, 2, (size,)).float(),
        rul=torch.rand(size),
        log_amplitude=torch.randn(size, channels),
        age=torch.rand(size),
        index=torch.arange(size),
    )


def microseconds(work: Callable[[], object], repeats: int) -> float:
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times)


def measure(size: int, options: argparse.Namespace) -> None:
    network = build(options.window, options.channels)
    batch = draw(size, options.window, options.channels)
    counts = valid_labels(network, batch)

    def gradients() -> None:
        step(network, batch, size, None, counts, StepOptions())

    whole = microseconds(gradients, max(5, options.steps // 10))
    with torch.no_grad():
        features = network.trunk(batch.window)
    total = 0.0
    for objective in network.objectives:
        with torch.no_grad():
            output = network.heads[objective.name](features.tokens, objective.extra(batch))
        fresh, epoch = objective.meter(), objective.meter()
        fresh.update(output, batch, features.scale)
        epoch.merge(fresh.state)

        def update(objective=objective, output=output) -> None:  # type: ignore[no-untyped-def]
            objective.meter().update(output, batch, features.scale)

        taken = microseconds(update, options.steps)
        again = microseconds(
            lambda m=fresh, o=output: m.update(o, batch, features.scale), options.steps
        )
        merged = microseconds(lambda e=epoch, f=fresh: e.merge(f.state), options.steps)
        total += taken + merged
        print(
            f"{objective.name:<24}{size:>6}{taken:>8.0f}{again:>8.0f}{merged:>8.0f}"
            f"{100 * (taken + merged) / whole:>8.2f}{epoch.state.nbytes:>8}"
        )
    print(f"{f'all, of {whole:,.0f}':<24}{size:>6}{total:>24.0f}{100 * total / whole:>8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--window", type=int, default=1024)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    columns = f"{'update':>8}{'again':>8}{'merge':>8}{'percent':>8}{'bytes':>8}"
    print(f"{'task':<24}{'batch':>6}{columns}")
    for size in (32, 512):
        measure(size, options)


if __name__ == "__main__":
    main()
