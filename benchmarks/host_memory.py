"""Peak host memory of training over the size of the store and the number of workers.

    .venv/bin/python benchmarks/host_memory.py [--gib 0.1 1 4 16] [--workers 0 2 8] [--steps 200]

Each run is a whole attempt at a small DLinear (batches of 32 spans of 4096 + 96 samples x 2
channels), stopped after so many steps and saved, in a process of its own. MB are MiB of anonymous
and shared memory, summed over that process and its workers and looked at every 0.2 s, a page that
several share counted once in all (Pss_Anon and Pss_Shmem of smaps_rollup). Mapped files are left
out: they are the libraries, which all processes of a machine share; the reader maps none. So is
the page cache, which belongs to no process and which the system gives up for anybody who asks.
The cache of recordings is `--cache-mb` in each process, so small that the smallest store fills it:
what is left to grow is what must not.

`replaced` is the loader that the program before this one had, for sizes that fit into the memory
that is free: every recording for each of train, val and test, as float64 and as float32.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import large_store
import numpy as np
import psutil

from workflow_src.cells import Cell
from workflow_src.configuration import REVISIONS, Dataset, NetworkCell, Training
from workflow_src.configuration.resolved_cell import NetworkModel
from workflow_src.configuration.schema import TaskSet
from workflow_src.data.store import MANIFEST, Store
from workflow_src.limits import MB, descendants

SAMPLES, CHANNELS, WINDOW, HORIZON = 2**18, 2, 4096, 96
MODEL = {
    "kind": "network",
    "backbone": "dlinear",
    "embedding": "patch",
    "normalisation": "window",
    "width": 64,
    "depth": 1,
    "patch_length": 64,
    "patch_count": 32,
    "dropout": 0.0,
    "kernel": 9,
    "individual": False,
}
REPLACED_BYTES = 36  # a sample: (8 + 4) in each of three parts


def held(pid: int) -> int:
    """Bytes of a process, those that n processes share counted 1/n; 0 where it has ended."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            sizes = [line.split() for line in file if line.startswith(("Pss_Anon", "Pss_Shmem"))]
    except OSError:
        return 0
    return sum(1024 * int(size) for _, size, _ in sizes)


def peak_mb(command: Sequence[str], folder: Path, every_s: float = 0.2) -> float:
    """Run `command` in `folder`; the most that it and its children held together, MB."""
    root = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    highest = 0
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL) as run:
        while run.poll() is None:
            highest = max(highest, sum(map(held, (run.pid, *descendants(run.pid)))))
            time.sleep(every_s)
    if run.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {run.returncode}")
    return highest / MB


# ------------------------------------------------------------------------------- one run


def write_cell(folder: Path, name: str) -> Path:
    """The cell.json of a study `name`; relative to `folder`, as rules name it."""
    dataset = large_store.dataset(WINDOW, HORIZON)
    cell = NetworkCell(
        cell=Cell("split", "dlinear", "all", 1),
        dataset=Dataset.model_validate(dataset),
        amplitude_comparable=False,
        rig={},
        split_table=None,
        tasks=TaskSet.model_validate({"classification": {}, "signal_prediction": {}}),
        model=NetworkModel.model_validate(MODEL),
        revision=REVISIONS["models"],
        training=Training(batch_size=32, epochs=100),
    )
    path = folder / name / "results" / cell.cell.folder / "cell.json"
    cell.named(cell.cell, cell.content()).write(path)
    return path.relative_to(folder)


def train(cell: Path, workers: int, cache_mb: int, steps: int) -> None:
    """An attempt that is told to leave after `steps`."""
    from workflow_src.errors import Stopped
    from workflow_src.scheduling.attempt_request import AttemptRequest
    from workflow_src.scheduling.journal import Journal
    from workflow_src.scheduling.stop import Reason, Stop
    from workflow_src.training.run import attempt, limit_memory

    class AfterSteps(Stop):
        asked = 0

        def reason(self, needed_s: float) -> Reason | None:
            self.asked += 1
            return "terminated" if self.asked >= steps else None

    told = AttemptRequest(workers=workers, cache_mb=cache_mb)
    limit_memory(told)  # as every attempt does
    try:
        attempt(cell, told, Journal(cell.with_name("attempts.jsonl")), AfterSteps())
    except Stopped:
        return
    raise SystemExit("the store has too few spans for so many steps")


def replaced(store: Path) -> None:
    """Every recording three times, as float64 and as float32."""
    kept: list[Mapping[str, Any]] = []
    with Store(store) as opened:
        for _ in ("train", "val", "test"):
            for name, length in zip(
                opened.table["recording_id"], opened.table["length"], strict=True
            ):
                double = opened.read(name, 0, int(length)).astype(np.float64)
                kept.append({"double": double, "single": double.astype(np.float32)})
    time.sleep(1.0)  # long enough to be looked at


# ------------------------------------------------------------------------------- all runs


def measure(gib: float, options: argparse.Namespace) -> list[float | None]:
    """Peaks at each number of workers and of what was replaced (None: does not fit), MB."""
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        keys = large_store.dataset(WINDOW, HORIZON)
        large_store.write(folder / "data", gib, options.samples, CHANNELS, keys)
        samples = json.loads((folder / "data/rig" / MANIFEST).read_text())["bytes"] / 4
        this, found = [sys.executable, str(Path(__file__).resolve())], list[float | None]()
        limits = ["--cache-mb", str(options.cache_mb), "--steps", str(options.steps)]
        for workers in options.workers:
            cell = write_cell(folder, f"workers{workers}")
            found.append(peak_mb([*this, "--cell", str(cell), str(workers), *limits], folder))
        fits = REPLACED_BYTES * samples < 0.6 * psutil.virtual_memory().available
        found.append(peak_mb([*this, "--replaced", "data/rig"], folder) if fits else None)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, nargs="+", default=[0.1, 1, 4, 16])
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2, 8])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--cache-mb", type=int, default=32)
    parser.add_argument("--samples", type=int, default=SAMPLES, help="of a recording")
    parser.add_argument("--folder", type=Path, help="for the stores, which are removed afterwards")
    parser.add_argument("--cell", nargs=2, help="one run: its cell.json and workers")
    parser.add_argument("--replaced", type=Path, help="one run: the store")
    options = parser.parse_args()
    if options.cell:
        train(Path(options.cell[0]), int(options.cell[1]), options.cache_mb, options.steps)
        return
    if options.replaced:
        replaced(options.replaced)
        return
    names = [f"{workers} workers" for workers in options.workers] + ["replaced"]
    print(f"{'store, GiB':<12}" + "".join(f"{name:>12}" for name in names), flush=True)
    rows = []
    for gib in options.gib:
        rows.append(measure(gib, options))
        shown = ("-" if found is None else f"{found:,.0f} MB" for found in rows[-1])
        print(f"{gib:<12g}" + "".join(f"{text:>12}" for text in shown), flush=True)
    pairs = list(zip(rows[0], rows[-1], strict=True))[:-1]
    growth = (f"{100 * (last / first - 1):+.1f} %" for first, last in pairs if first and last)
    print(f"{'growth':<12}" + "".join(f"{text:>12}" for text in growth))


if __name__ == "__main__":
    main()
