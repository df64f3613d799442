"""What one thread of this processor does a second within a training step.

    .venv/bin/python benchmarks/rates.py [--seconds 2] [--out rates.json]

Five small steps, none of them of a model of this project, are timed with the processor's clock:
layers so small that calls of operators are all there is; then pointwise operators, reductions,
products and convolutions of tensors of some hundred KB to some MB. Of each, what those before it
explain is taken off; the rest is one rate. `workflow_src.forecasting` divides what a traced step
computes by them. `gpu.py` measures the peaks of a card.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from workflow_src.forecasting.operations import Kind, Operations, Work
from workflow_src.forecasting.seconds import Rates, estimated_seconds

_FREE = float("inf")
_UNKNOWN = Rates(product=_FREE, convolution=_FREE, pointwise=_FREE, reduction=_FREE, operator_s=0.0)


def rates(seconds: float) -> Rates:
    """Measure for about as many seconds a rate."""
    taken, work = timed(small_layers(), seconds)
    found = _UNKNOWN.model_copy(update={"operator_s": taken / work.operators})
    for kind, step in steps().items():
        taken, work = timed(step, seconds)
        amount = sum(
            count * (each.operations or each.moved)
            for each, count in work.calls.items()
            if each.kind == kind
        )
        left = taken - estimated_seconds(work, found)
        found = found.model_copy(update={kind: amount / left})
    return Rates.model_validate(found.model_dump())  # none of them may come out negative


def steps() -> dict[Kind, Callable[[], object]]:
    """In an order in which each has but one rate that those before do not tell."""
    return {
        "pointwise": pointwise(),
        "reduction": reductions(),
        "product": products(),
        "convolution": convolutions(),
    }


def small_layers() -> Callable[[], object]:
    """A step of a network of 10 x 3 layers of 8 features on four samples."""
    layers = (nn.Linear(8, 8), nn.GELU(), nn.LayerNorm(8))
    network = nn.Sequential(*(layer for _ in range(10) for layer in layers))
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    inputs = torch.randn(4, 8)

    def step() -> None:
        optimizer.zero_grad()
        network(inputs).square().mean().backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()

    return step


def pointwise() -> Callable[[], object]:
    """Sums, products, norms, activations and a transposition of tensors of 1 MB, both ways."""
    inputs = torch.randn(16, 64, 256, requires_grad=True)
    other, gradient = torch.randn(16, 64, 256), torch.randn(16, 256, 64)

    def step() -> None:
        out = inputs
        for _ in range(2):
            out = out * other + out - inputs
            out = nn.functional.gelu(nn.functional.layer_norm(out, (256,))) + out
        out.transpose(1, 2).contiguous().backward(gradient)

    return step


def reductions() -> Callable[[], object]:
    """Means and deviations along the time of windows, without gradients."""
    windows = torch.randn(32, 2048, 2)

    def step() -> None:
        for each in (windows, windows.view(32, 64, 64)):
            each.mean(dim=1)
            each.var(dim=1)
            each.sum(dim=(0, 1))
            torch.linalg.vector_norm(each, dtype=torch.float64)

    return step


def products() -> Callable[[], object]:
    """Linear maps of 64, 128 and 256 features for 512 tokens."""
    maps = [nn.Linear(size, 2 * size) for size in (64, 128, 256)]
    tokens = [torch.randn(512, each.in_features, requires_grad=True) for each in maps]

    def step() -> None:
        for layer, inputs in zip(maps, tokens, strict=True):
            layer(inputs).sum().backward()

    return step


def convolutions() -> Callable[[], object]:
    """Kernels of 3, 5 and 7 over images of 64 features and 4 x 8 pixels."""
    layers = [nn.Conv2d(64, 32, size, padding=size // 2) for size in (3, 5, 7)]
    image = torch.randn(8, 64, 4, 8).to(memory_format=torch.channels_last).requires_grad_()

    def step() -> None:
        for layer in layers:
            layer(image).sum().backward()

    return step


def timed(step: Callable[[], object], seconds: float) -> tuple[float, Work]:
    """Median of the processor's seconds, and what is computed in them."""
    for _ in range(3):
        step()
    with Operations() as counted:
        step()
    taken: list[float] = []
    end = time.process_time() + seconds
    while len(taken) < 3 or time.process_time() < end:
        start = time.process_time()
        step()
        taken.append(time.process_time() - start)
    return statistics.median(taken), Work(counted.calls)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each rate")
    parser.add_argument("--out", type=Path, help="file for Rates.read")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    found = rates(options.seconds)
    print(f"products      {found.product / 1e9:8.1f} GFLOP/s")
    print(f"convolutions  {found.convolution / 1e9:8.1f} GFLOP/s")
    print(f"pointwise     {found.pointwise / 1e9:8.1f} GB/s")
    print(f"reductions    {found.reduction / 1e9:8.1f} GB/s")
    print(f"a call        {1e6 * found.operator_s:8.1f} us")
    if options.out:
        name = platform.processor() or platform.machine()
        found.model_copy(update={"processor": f"{name}, torch {torch.__version__}"}).write(
            options.out
        )


if __name__ == "__main__":
    main()
