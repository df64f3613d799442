"""Milliseconds and peak memory of one training step, a backbone and micro-batch.

    .venv/bin/python benchmarks/step.py [--window 1024] [--channels 1] [--batch 32] [--steps 20]

What it must cost at least: one forward and two backward products with each weight of the backbone
for every token (FNO's spectral weights: for their one frequency), 2 operations each; the column
`least` is that time at the speed of a large matrix product measured in the same run. Each backbone
runs in a process of its own, for its peak memory.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

BACKBONES = {
    "dlinear": {"kernel": 9, "individual": False},
    "patchtst": {"heads": 4, "feed_forward": 128},
    "timesnet": {"feed_forward": 32, "top_k": 2, "kernels": 2},
    "fno": {"modes": 16},
}
TASKS = ("classification", "anomaly_detection", "signal_prediction", "rul_prediction")


def measure(backbone: str, options: argparse.Namespace) -> None:
    import torch

    from workflow_src.models.network import build_trunk
    from workflow_src.tasks.batch import Batch
    from workflow_src.tasks.learner import HeadShape
    from workflow_src.tasks.learners import LearnFacts, build_learners
    from workflow_src.training.assembly import MultiTaskNetwork
    from workflow_src.training.step import step

    torch.set_num_threads(1)
    baseline = _peak_mb()
    sizes = {"backbone": backbone, "embedding": "patch", "normalisation": "window", "width": 64}
    sizes |= {"depth": 2, "patch_length": 64, "patch_count": 32, "dropout": 0.0}
    size, channels = options.batch, options.channels
    learners = build_learners(
        {task: {"weight": 1.0} for task in TASKS},
        facts=LearnFacts(("normal", "inner", "outer", "ball"), 1, 1),
    )
    network = MultiTaskNetwork(
        build_trunk(sizes | BACKBONES[backbone], options.window, channels),
        learners,
        HeadShape(tokens=32, width=64, horizon=64, channels=channels, classes=4),
    )
    batch = Batch(
        window=torch.randn(size, options.window, channels),
        horizon=torch.randn(size, 64, channels),
        fault=torch.randint(0, 4, (size,)),
        anomaly=torch.randint(0, 2, (size,)).float(),
        rul=torch.rand(size),
        log_amplitude=torch.randn(size, channels),
        age=torch.rand(size),
        index=torch.arange(size),
    )
    parameters = sum(p.numel() for p in network.parameters())
    for micro in (size, max(1, size // 4)):
        step(network, batch, micro)
        start = time.perf_counter()
        for _ in range(options.steps):
            step(network, batch, micro)
        each = (time.perf_counter() - start) / options.steps
        least = 6 * _uses(network) * size / _speed(torch)
        print(
            f"{backbone:<10}{micro:>6}{parameters:>12,}{1e3 * each:>10.1f}{1e3 * least:>8.1f}"
            f"{_peak_mb() - baseline:>10.0f}"
        )


def _uses(network: object) -> int:
    """How often a weight of the backbone is multiplied for one sample of 32 tokens."""
    weights = network.trunk.backbone.named_parameters()  # type: ignore[attr-defined]
    return sum(p.numel() * (1 if "spectral" in name else 32) for name, p in weights)


def _speed(torch: object) -> float:
    """Operations a second of a large matrix product on one thread."""
    a = torch.randn(1024, 1024)  # type: ignore[attr-defined]
    a @ a
    start = time.perf_counter()
    for _ in range(5):
        a @ a
    return 5 * 2 * 1024**3 / (time.perf_counter() - start)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--window", type=int, default=1024)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--only", choices=tuple(BACKBONES))
    options = parser.parse_args()
    if options.only:
        measure(options.only, options)
        return
    print(f"{'backbone':<10}{'micro':>6}{'parameters':>12}{'ms':>10}{'least':>8}{'MB above':>10}")
    for backbone in BACKBONES:
        command = [sys.executable, __file__, *sys.argv[1:], "--only", backbone]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
