"""Attempts at many small different networks, which show what corrections of forecasts are worth.

    python benchmarks/calibration.py [--folder calibration] [--datasets 60] [--only 0 60]

Writes a copy of the workflow to `--folder` (default: a temporary one), with a study of so many
datasets on two simulated rigs. Each has four networks and three task sets; window, batch size,
widths, depths and patches are drawn anew for each dataset. Snakemake trains them for one epoch, one
dataset after the other (`--only`: from this one to before that one), one training at a time. A
training takes about ten seconds of the processor, most of it imports, and its forecast some more.
The same command goes on where it was stopped. At the end the forecasts are scored.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[1]
PARTS = ("Snakefile", "rules", "config", "profiles", "workflow_src")
PYTHON = (sys.executable, "-m")
STUDY = "calibration"
MODELS = ("dlinear", "patchtst", "timesnet", "fno")
SPLIT = {
    "strategy": "unit",
    "test_share": 0.25,
    "validation": {"strategy": "unit", "share": 0.2},
}
# Short recordings, few of them: at most some steps an epoch.
RIGS: dict[str, dict[str, Any]] = {
    "bearing_short": {"kind": "bearing", "units_per_class": 8, "samples": 9000},
    "life_short": {"kind": "run_to_failure", "units_per_class": 3, "samples": 4500},
}
TASK_SETS = {
    "bearing_short": ("all", "classification", "signal"),
    "life_short": ("all", "anomaly", "rul"),
}
PER_RECORDING = {"bearing_short": 2, "life_short": 1}
WINDOWS = (512, 1024, 2048, 4096)
BATCHES = (8, 16, 32, 64, 128)


def drawn(number: int) -> tuple[str, dict[str, Any], list[dict[str, Any]]]:
    """Name of the dataset with this number, its keys, and the sizes of its networks."""
    draw = random.Random(number)
    name, rig = f"d{number:03d}", draw.choice(list(RIGS))
    window, batch = draw.choice(WINDOWS), draw.choice(BATCHES)
    dataset = {
        "rig": rig,
        "label": name,
        "span": {"window": window, "horizon": 64, "per_recording": PER_RECORDING[rig]},
        "split": SPLIT,
        "unsupported_tasks": "drop",
    }
    overrides: list[dict[str, Any]] = [{"cells": f"{name}/*", "training": {"batch_size": batch}}]
    for model in MODELS:
        sizes: dict[str, Any] = {
            "width": draw.choice((16, 32, 64, 128)),
            "depth": draw.choice((1, 2, 3)),
            "patch_length": draw.choice((16, 32, 64)),
            "patch_count": draw.choice((16, 32, 64)),
        }
        overrides.append({"cells": f"{name}/{model}/*", "model": sizes})
    return name, dataset, overrides


def write_project(folder: Path, datasets: int, models: Sequence[str]) -> None:
    """A copy of the workflow whose default run is the study."""
    for part in PARTS:
        source = REPOSITORY / part
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, folder / part)
    (folder / "config" / "site.yaml").unlink(missing_ok=True)
    files: dict[str, Any] = {
        f"rigs/{name}.yaml": {
            "source": "simulated",
            "simulated": options,
            "unit": "g",
            "amplitude_comparable": False,
        }
        for name, options in RIGS.items()
    }
    overrides, excluded, names = [], [], []
    for number in range(datasets):
        name, dataset, own = drawn(number)
        files[f"datasets/{name}.yaml"] = dataset
        overrides += [one for one in own if _is_of(one["cells"], models)]
        names.append(name)
        sets = {task_set for each in TASK_SETS.values() for task_set in each}
        excluded += [f"{name}/*/{one}/*" for one in sorted(sets - {*TASK_SETS[dataset["rig"]]})]
    files["config.yaml"] = {
        "study": STUDY,
        "datasets": names,
        "models": list(models),
        "task_sets": sorted({one for each in TASK_SETS.values() for one in each}),
        "seeds": [1],
        "exclude": excluded,
        "training": {"epochs": 1},
        "overrides": overrides,
    }
    for name, content in files.items():
        (folder / "config" / name).write_text(yaml.safe_dump(content), encoding="utf-8")


def _is_of(pattern: str, models: Sequence[str]) -> bool:
    model = pattern.split("/")[1]
    return model == "*" or model in models


def train(folder: Path, number: int, models: Sequence[str]) -> int:
    """Train the networks of one dataset; Snakemake's exit status."""
    name, dataset, _ = drawn(number)
    targets = [
        f"{STUDY}/results/{name}/{model}/{task_set}/seed1/training.json"
        for model in models
        for task_set in TASK_SETS[dataset["rig"]]
    ]
    profile = ("--profile", str(folder / "profiles" / "local"), "--cores", "1", "--quiet", "all")
    return call(folder, "nice", "-n", "15", *PYTHON, "snakemake", *targets, *profile)


def call(folder: Path, *command: str) -> int:
    """Exit status of a command in the project; what Snakemake says goes to stderr."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    told = sys.stderr if "snakemake" in command else None
    done = subprocess.run(command, cwd=folder, env=environment, stdout=told, check=False)
    return done.returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--datasets", type=int, default=60)
    parser.add_argument("--only", type=int, nargs=2, metavar=("FROM", "TO"))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary, STUDY)).resolve()
        if not folder.exists():
            folder.mkdir(parents=True)
            write_project(folder, options.datasets, options.models)
        for number in range(*(options.only or (0, options.datasets))):
            code = train(folder, number, options.models)
            print(f"dataset {number}: exit status {code}", flush=True)
        call(folder, *PYTHON, "workflow_src", "forecast", "--score", STUDY)


if __name__ == "__main__":
    main()
