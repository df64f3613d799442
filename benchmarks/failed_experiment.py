"""What the experiment that ended without memory, time or tables would need, before anything runs.

    .venv/bin/python benchmarks/failed_experiment.py [--classes v100-16g a100-80g h100-80g]

The runs of config/experiments/foundation.yaml: four networks, six rigs, two seeds, 200 epochs and
four tasks. Batches, windows per record and both sizes of the trunks are the original's: 64 patches
of 128 samples with 256 features a token, and 128 patches of 256 with 1024. The heads are ours; the
original's held up to 3.2 billion parameters. No recording is read: rigs of as many channels share a
forecast. Hours are at the peak rates of the cards' data sheets, in float32 without TF32: no
training is that fast.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from tests.split_summaries import split_summary  # noqa: E402
from workflow_src.artifacts.forecast_file import CellForecast  # noqa: E402
from workflow_src.artifacts.split_summary import SplitSummary  # noqa: E402
from workflow_src.cells import rotation_of  # noqa: E402
from workflow_src.configuration import Configuration, Hardware, NetworkCell, load  # noqa: E402
from workflow_src.data.label_support import require  # noqa: E402
from workflow_src.forecasting.dataset_forecast import forecast_cell  # noqa: E402
from workflow_src.forecasting.seconds import (  # noqa: E402
    Rates,
    RunSeconds,
    StepSeconds,
    step_work,
)
from workflow_src.forecasting.trace import Levers  # noqa: E402
from workflow_src.scheduling.hardware import detected  # noqa: E402

# Records and channels of each rig, as PHM-Vibench counts them.
RIGS = {
    "vibench_cwru": (155, 2),
    "vibench_xjtu": (9215, 2),
    "vibench_ottawa23": (60, 3),
    "vibench_thu": (12, 2),
    "vibench_ottawa19": (36, 2),
    "vibench_hust24": (99, 3),
}
WINDOWS_PER_RECORD = {"dlinear": 4, "fno": 64, "patchtst": 128, "timesnet": 128}
PARTS = {"train": 0.7, "val": 0.1, "test": 0.2}
SIZES: dict[str, dict[str, Any]] = {
    "small": {"width": 256, "patch_length": 128, "patch_count": 64},
    "original": {"width": 1024, "patch_length": 256, "patch_count": 128},
}
# Between the convolutions of TimesNet: 150 million parameters in two blocks, and 2.4 billion.
FEED_FORWARD = {"small": 512, "original": 2048}
LAUNCH_US = 5.0  # no call of an operator is faster than the launch of its kernel
CLASSES = ("v100-16g", "v100-32g", "a100-40g", "a100-80g", "h100-80g")


@dataclass(frozen=True)
class Line:
    """A network on the rigs of one number of channels, on one class."""

    size: str
    model: str
    channels: int
    forecast: CellForecast
    hours: float | None

    def cells(self) -> tuple[str, ...]:
        """Texts of the table."""
        one = self.forecast
        parts = -(-one.share // one.micro_batch)
        fits = f"{one.micro_batch} x {parts}" + " recomputed" * one.activation_checkpointing
        return (
            "no" if one.refusal else fits,
            f"{one.device_mb:,}",
            "" if self.hours is None else f"{self.hours:,.1f}",
        )


def configuration(size: str) -> Configuration:
    """Of the experiment in one of its two sizes."""
    file = REPOSITORY / "config/experiments/foundation.yaml"
    run = yaml.safe_load(file.read_text(encoding="utf-8"))
    run["overrides"][0]["model"] = SIZES[size]
    wide = {"feed_forward": FEED_FORWARD[size], "kernels": 6, "top_k": 3}
    run["overrides"].append({"cells": "*/timesnet/*", "model": wide})
    return load(run | {"hardware": "a100-80g"}, REPOSITORY / "config")


def split(model: str, records: int, channels: int) -> SplitSummary:
    """Of a rig that nobody has opened: ten classes, as many spans as the original drew."""
    spans = {
        part: max(1, round(share * records * WINDOWS_PER_RECORD[model]))
        for part, share in PARTS.items()
    }
    kinds = [f"vibration{i}" for i in range(channels)]
    return split_summary(
        window=4096,
        horizon=96,
        span=4192,
        channels=channels,
        channel_kinds=kinds,
        classes=["normal", *(f"fault{i}" for i in range(1, 10))],
        spans=spans,
    )


def lines_of(size: str, name: str, hardware: Hardware) -> Iterator[Line]:
    """A line per network and number of channels; the hours are of all its rigs and seeds."""
    run = configuration(size)
    for model in WINDOWS_PER_RECORD:
        for channels in sorted({channels for _, channels in RIGS.values()}):
            rigs = [rig for rig, (_, has) in RIGS.items() if has == channels]
            dataset = next(name for name in run.datasets if rotation_of(name)[0] == rigs[0])
            cell = run.resolve(dataset, model, "all", 42)
            assert isinstance(cell, NetworkCell)
            store = Path("data", cell.dataset.rig, "recordings.h5")
            store.parent.mkdir(parents=True, exist_ok=True)
            store.touch()
            request = run.request(dataset, model, "all", 42)
            of_rig = split(model, RIGS[rigs[0]][0], channels)
            found = forecast_cell(cell, of_rig, request, hardware)
            hours = None
            if not found.refusal:
                step = fastest_step(cell, of_rig, found, hardware)
                splits = (split(model, RIGS[rig][0], channels) for rig in rigs)
                hours = sum(
                    RunSeconds.of(step, each.spans, cell.training.batch_size).run_seconds(
                        cell.training.epochs
                    )
                    for each in splits
                )
                hours *= len(run.run.seeds) / 3600
            yield Line(size, model, channels, found, hours)


def fastest_step(
    cell: NetworkCell, of_rig: SplitSummary, found: CellForecast, hardware: Hardware
) -> StepSeconds:
    """At the peak rates of the class's card."""
    assert hardware.rates is not None
    card = hardware.rates.model_copy(update={"call_us": LAUNCH_US})
    rates = Rates.of_card(card, "fp32", reached=1.0)
    assert rates is not None
    tasks, _ = require(of_rig, cell.task_names, "drop")
    levers = Levers(found.micro_batch, found.activation_checkpointing)
    return step_work(cell, tasks, of_rig, levers).seconds(rates)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--classes", nargs="+", default=["v100-16g", "a100-80g", "h100-80g"], choices=CLASSES
    )
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=SIZES)
    options = parser.parse_args()
    classes = {name: detected(configuration("small").class_named(name)) for name in options.classes}
    print(f"{'':<28}" + "".join(f"{name:^40}" for name in classes))
    head = f"{'micro x parts':>18}{'GPU MB':>9}{'hours >=':>11}  "
    print(f"{'size':<10}{'network':<10}{'channels':>8}" + head * len(classes))
    totals = dict.fromkeys(classes, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for size in options.sizes:
            found = [list(lines_of(size, name, each)) for name, each in classes.items()]
            for row in zip(*found, strict=True):
                first = row[0]
                text = f"{first.size:<10}{first.model:<10}{first.channels:>8}"
                for name, line in zip(classes, row, strict=True):
                    fits, memory, hours = line.cells()
                    text += f"{fits:>18}{memory:>9}{hours:>11}  "
                    totals[name] += line.hours or 0.0
                print(text.rstrip(), flush=True)
    print("GPU-hours, at least: " + ", ".join(f"{n} {total:,.0f}" for n, total in totals.items()))
    return 0


if __name__ == "__main__":
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's notices
    sys.exit(main())
