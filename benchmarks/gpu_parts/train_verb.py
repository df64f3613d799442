"""The verb `train` end to end: predictions, peaks, workers, a kill, a deadline."""

from __future__ import annotations

import json
import shutil
import signal
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gpu_parts.bench import NEEDS_A_CARD, Bench
from gpu_parts.study import Study
from workflow_src.cells import runs_beside
from workflow_src.limits import Device
from workflow_src.predictions import MODEL_ROW, read_predictions

MODEL, TRAINING = "patchtst", {"epochs": 2, "batch_size": 64}
OUTPUTS = ("model.safetensors", "predictions.h5")
OFTEN = {"checkpoint_minutes": 1e-9}  # after each step
DEADLINE_S = 16.0  # the last 15 of them belong to Snakemake: it saves after its first step


def measure(bench: Bench) -> None:
    """One cell, again and again: undisturbed first, which all others are held against."""
    for name, value in nvml(bench).items():
        bench.put(name, value=value)
    study = Study(bench.folder, bench.device.type)
    study.prepare()
    undisturbed = study.cell("undisturbed", MODEL, {}, **TRAINING)
    used = Utilisation(bench)
    seconds = study.train(undisturbed)
    bench.put("seconds", value=seconds)
    bench.put("nvml_utilisation_percent", value=used.mean())
    report = json.loads((undisturbed.parent / "training.json").read_text(encoding="utf-8"))
    for key in ("seconds_per_epoch", "steps", "peaks_mb"):
        bench.put(key, value=report[key])
    expected = contents(undisturbed)
    checks: dict[str, Any] = {
        "killed": killed,
        "deadline": deadline,
        "workers": workers,
    }
    for name, check in checks.items():
        cell = study.cell(name, MODEL, {}, **TRAINING)
        bench.tried(name, work=lambda c=check, one=cell: c(study, one, expected))
    bench.tried("predictions_on_the_cpu", work=lambda: on_the_cpu(study, undisturbed))


def contents(cell: Path) -> tuple[bytes, ...]:
    """Final weights and predictions."""
    return tuple((cell.parent / name).read_bytes() for name in OUTPUTS)


def killed(study: Study, cell: Path, expected: tuple[bytes, ...]) -> dict[str, Any]:
    """SIGKILL after a checkpoint; then the same command again."""
    code = study.until_checkpoint(cell, signal.SIGKILL, **OFTEN)
    seconds = study.train(cell)
    return {"ended_with": code, "resumed_s": seconds, "bit_equal": contents(cell) == expected}


def deadline(study: Study, cell: Path, expected: tuple[bytes, ...]) -> dict[str, Any]:
    """The job's time ends; then the same command again."""
    cause = study.until_deadline(cell, DEADLINE_S)
    seconds = study.train(cell)
    return {"cause": cause, "resumed_s": seconds, "bit_equal": contents(cell) == expected}


def workers(study: Study, cell: Path, expected: tuple[bytes, ...]) -> dict[str, Any]:
    """Two processes read ahead."""
    seconds = study.train(cell, workers=2)
    return {"seconds": seconds, "bit_equal": contents(cell) == expected}


def on_the_cpu(study: Study, cell: Path) -> dict[str, float]:
    """The same weights on the CPU: largest difference of each task's outputs over the largest one.

    Predictions that are gone are made again from the final weights, without training.
    """
    name = "predictions.h5"
    shutil.copy(cell.parent / name, cell.parent / "device.h5")
    for folder in (cell.parent, runs_beside(cell)):
        (folder / name).unlink(missing_ok=True)
    study.train(cell, accelerator="cpu")
    there, here = (read_predictions(cell.parent / file) for file in ("device.h5", name))
    found = {}
    for task, one in there.tasks.items():
        outputs, exact = one.outputs[MODEL_ROW], here.tasks[task].outputs[MODEL_ROW]
        finite = np.isfinite(exact)
        difference = np.abs(outputs[finite] - exact[finite]).max()
        found[task] = float(difference / np.abs(exact[finite]).max())
    return found


def nvml(bench: Bench) -> dict[str, Any]:
    """What a look at the card costs, and what pinned memory gains."""
    if not bench.cuda:
        return {"nvml_us": NEEDS_A_CARD, "pinned_memory": NEEDS_A_CARD}
    card, looks = Device(), 200
    start = time.perf_counter()
    for _ in range(looks):
        card.used()
    return {
        "nvml_us": 1e6 * (time.perf_counter() - start) / looks,
        "pinned_memory": pinned(bench),
    }


def pinned(bench: Bench) -> dict[str, float]:
    """GB/s from the host to the card, and of pinning a batch first, as training does."""
    pageable = torch.ones(2**26)
    held, size = pageable.pin_memory(), pageable.nbytes / 1e9
    copies = {
        "pageable_gb_s": lambda: pageable.to(bench.device),
        "pinned_gb_s": lambda: held.to(bench.device, non_blocking=True),
        "pinned_first_gb_s": lambda: pageable.pin_memory().to(bench.device, non_blocking=True),
    }
    return {name: size / bench.seconds(copy) for name, copy in copies.items()}


class Utilisation:
    """Samples the card's utilisation from now on; on the CPU there is none."""

    def __init__(self, bench: Bench) -> None:
        self._on, self._samples = bench.cuda, list[int]()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        if self._on:
            self._thread.start()

    def _run(self) -> None:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        while not self._ended.wait(0.1):
            self._samples.append(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)

    def mean(self) -> float | str:
        """Percent of the time in which a kernel ran, on average while any did."""
        if not self._on:
            return NEEDS_A_CARD
        self._ended.set()
        self._thread.join()
        return statistics.mean([sample for sample in self._samples if sample] or [0])
