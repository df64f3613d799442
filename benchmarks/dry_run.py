"""What a user waits for before anything is submitted: parsing, a dry run, one decision.

    python benchmarks/dry_run.py [--cells 1000] [--attempts 3] [--heartbeats 100]

Makes a study of so many networks in a temporary folder, each with a journal of `--attempts`
attempts that ran out of host memory, with `--heartbeats` events of progress in each, and times

- the parsing of the Snakefile: `--list-rules` for the default study, less the start of Snakemake
  with an empty file;
- `--dry-run --profile profiles/slurm-a100` of the large study, with its journals on disk;
- the plan of the large study, with a forecast of each network, in this process;
- `decide()` on one of these journals.

The median of three; nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import yaml
from parse_cells import large_run

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from workflow_src import cells as paths  # noqa: E402
from workflow_src.artifacts.forecast_file import (  # noqa: E402
    CellForecast,
    DatasetForecast,
    forecast_key,
)
from workflow_src.configuration import Configuration, load  # noqa: E402
from workflow_src.scheduling.attempt_request import AttemptRequest  # noqa: E402
from workflow_src.scheduling.journal import Journal  # noqa: E402
from workflow_src.scheduling.next_request import Forecast, Policy, decide  # noqa: E402
from workflow_src.scheduling.plan import page  # noqa: E402
from workflow_src.scheduling.status import planned  # noqa: E402
from workflow_src.targets import Targets  # noqa: E402

HARDWARE = "a100-80g"
DECISIONS = 200


def study_of(wanted: int) -> Configuration:
    """Networks alone: a baseline asks for nothing that is decided."""
    models = ["dlinear", "patchtst", "timesnet", "fno"]
    run = large_run(wanted, study="large", hardware=HARDWARE, models=models)
    Path("large.yaml").write_text(yaml.safe_dump(run), encoding="utf-8")
    return load(run, REPOSITORY / "config")


def write_journals(configuration: Configuration, attempts: int, heartbeats: int) -> int:
    cells = planned(configuration)
    for one in cells:
        journal = Journal(paths.runs("large", one.cell) / "attempts.jsonl")
        journal.path.parent.mkdir(parents=True)
        lines: list[dict[str, object]] = []
        for number in range(attempts):
            told = AttemptRequest(
                hardware=HARDWARE, attempt=number + 1, memory_mb=4000 + 2000 * number
            )
            lines.append({"event": "started", "identity": one.identity, "told": told.model_dump()})
            lines += [{"event": "checkpoint", "step": step} for step in range(heartbeats)]
            lines.append({"event": "ended", "cause": "host_oom", "message": "what it said"})
        text = "".join(json.dumps({"time": 0.0, **line}) + "\n" for line in lines)
        journal.path.write_text(text, encoding="utf-8")
    return len(cells)


def write_forecasts(configuration: Configuration) -> None:
    """The same one for all networks: what a trace says costs the plan nothing."""
    by_dataset: dict[str, dict[str, CellForecast]] = {}
    for one in planned(configuration):
        forecast = CellForecast(
            name=f"{one.cell.model}/{one.cell.task_set}",
            parameters=1,
            share=64,
            micro_batch=64,
            activation_checkpointing=False,
            device_mb=1000,
            host_mb=4000,
        )
        request = configuration.request(*one.cell.key)
        key = forecast_key(
            configuration.resolve(*one.cell.key), request, configuration.hardware[HARDWARE]
        )
        by_dataset.setdefault(one.cell.dataset, {})[key] = forecast
    for dataset, found in by_dataset.items():
        DatasetForecast(cells=found).write(paths.forecast_file("large", dataset))


def show_plan(configuration: Configuration) -> None:
    """What `snakemake plan` prints."""
    targets = Targets(configuration, REPOSITORY)
    page(targets.planned(), configuration.hardware)


def median(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def snakemake(*arguments: str) -> None:
    command = [sys.executable, "-m", "snakemake", *arguments]
    subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--attempts", type=int, default=3)
    parser.add_argument("--heartbeats", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        configuration = study_of(options.cells)
        cells = write_journals(configuration, options.attempts, options.heartbeats)
        Path("empty.smk").write_text("", encoding="utf-8")
        start = median(lambda: snakemake("--snakefile", "empty.smk", "--list-rules"))
        local = ("--snakefile", str(REPOSITORY / "Snakefile"))
        own = ("--profile", str(REPOSITORY / "profiles" / "local"))
        parse = median(lambda: snakemake(*local, *own, "--list-rules")) - start
        slurm = ("--profile", str(REPOSITORY / "profiles" / "slurm-a100"), "--quiet", "all")
        large = ("--configfile", "large.yaml", "--dry-run")
        dry = median(lambda: snakemake(*local, *slurm, *large))
        write_forecasts(configuration)
        plan = median(lambda: show_plan(configuration))
        one = planned(configuration)[0]
        events = Journal(paths.runs("large", one.cell) / "attempts.jsonl").events()
        site, hardware = configuration.sites[HARDWARE], configuration.hardware[HARDWARE]
        policy = Policy(1, site, HARDWARE, one.identity, classes=configuration.classes)
        forecast = Forecast.configured(configuration.request(*one.cell.key), 64)

        def decisions() -> None:
            for attempt in range(DECISIONS):
                decide(forecast, events, hardware, replace(policy, attempt=attempt + 1))

        decision = median(decisions) / DECISIONS
        print(f"{cells} cells, {len(events)} events in each journal; seconds")
        print(f"  start of Snakemake with an empty file {start:8.2f}")
        print(f"  parsing, beyond that                  {parse:8.2f}")
        print(f"  dry run with all journals             {dry:8.2f}")
        print(f"  the plan, with all forecasts          {plan:8.2f}")
        print(f"  one decision                          {decision:8.6f}")
        os.chdir(REPOSITORY)


if __name__ == "__main__":
    main()
