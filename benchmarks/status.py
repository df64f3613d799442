"""How long `status` and the digest of failures take for a large study on disk.

    python benchmarks/status.py [--cells 1000] [--epochs 200]

Writes what such a study leaves (journals, locks, histories of `--epochs` rows, scores) into a
temporary folder: of five cells three are done, one runs, one has failed. Prints a table of seconds;
nothing is asserted.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from parse_cells import large_run

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from workflow_src import cells as paths  # noqa: E402
from workflow_src.configuration import Configuration, load, snapshot  # noqa: E402
from workflow_src.scheduling.attempt_request import AttemptRequest  # noqa: E402
from workflow_src.scheduling.digest import digest  # noqa: E402
from workflow_src.scheduling.events import Ended, Started  # noqa: E402
from workflow_src.scheduling.journal import Journal  # noqa: E402
from workflow_src.scheduling.lock import Lock  # noqa: E402
from workflow_src.scheduling.status import planned  # noqa: E402
from workflow_src.targets import Targets  # noqa: E402

TASKS = ("classification", "anomaly_detection", "signal_prediction", "rul_prediction")
HISTORY = ("epoch", "seconds", "micro_batch_size", "val_loss", *(f"loss_{task}" for task in TASKS))
FILLED = 40  # columns of memory and metrics beside these


def configuration_of(wanted: int) -> Configuration:
    return load(large_run(wanted, study="large"), REPOSITORY / "config")


def write_study(configuration: Configuration, epochs: int) -> int:
    snapshot.keep(configuration)
    cells = planned(configuration)
    for number, one in enumerate(cells):
        folder = paths.runs("large", one.cell)
        journal = Journal(folder / "attempts.jsonl")
        journal.append(Started(identity=one.identity, request=AttemptRequest(hardware="local")))
        write_history(folder / "history.csv", epochs)
        lock = Lock(folder)
        lock.take()
        lock.beat(time=time.time(), used_mb=1000, limit_mb=4000)
        if number % 5 == 0:  # it runs: this process holds the lock
            continue
        lock.release()
        cause = "host_oom" if number % 5 == 1 else "done"
        journal.append(Ended(cause=cause, message="what it said", peak_rss_mb=1000.0))
        if cause == "done":
            metrics = paths.results("large", one.cell) / "metrics.json"
            metrics.parent.mkdir(parents=True)
            metrics.write_text(json.dumps({"identity": one.identity, "scores": "x" * 20_000}))
    return len(cells)


def write_history(path: Path, epochs: int) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*HISTORY, *(f"column_{number}" for number in range(FILLED))])
        writer.writerows(
            [epoch + 1, *[12.345678] * (len(HISTORY) + FILLED - 1)] for epoch in range(epochs)
        )


def seconds_of(*options: str) -> float:
    command = [sys.executable, "-m", "workflow_src", "status", *options]
    begun = time.perf_counter()
    subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        configuration = configuration_of(options.cells)
        written = write_study(configuration, options.epochs)
        print(f"{written} cells, histories of {options.epochs} epochs; seconds")
        for name, choice in (("status", ()), ("status --json", ("--json",))):
            print(f"  {name:<16} {min(seconds_of(*choice) for _ in range(3)):6.2f}")
        targets = Targets(configuration, REPOSITORY)
        begun = time.perf_counter()
        digest(configuration, [], lambda rule, cell: Path(rule, cell.name), targets.requests.of)
        print(f"  {'digest':<16} {time.perf_counter() - begun:6.2f}")
        os.chdir(REPOSITORY)


if __name__ == "__main__":
    main()
