"""How long it takes to read, check and resolve the cells of a large study (no torch, no rules).

    python benchmarks/parse_cells.py [--cells 10000]

Prints a table of seconds; nothing is asserted.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from workflow_src.cells import grid  # noqa: E402
from workflow_src.configuration import load  # noqa: E402


def large_run(wanted: int, **keys: Any) -> dict[str, Any]:
    """The default run with `keys` above it, and as many seeds as `wanted` cells take."""
    run = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text(encoding="utf-8"))
    run |= {"hardware": "local"} | keys
    each = len(run["datasets"]) * len(run["models"]) * len(run["task_sets"])
    return {**run, "seeds": list(range(-(-wanted // each)))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=10_000)
    run = large_run(parser.parse_args().cells)
    run["overrides"] = [
        {"cells": f"*/*/*/{seed}", "training": {"epochs": 5 + seed}} for seed in range(20)
    ]
    begun = time.perf_counter()
    configuration = load(run, REPOSITORY / "config")
    loaded = time.perf_counter()
    cells = grid(configuration)
    gridded = time.perf_counter()
    for cell in cells:
        configuration.resolve(cell.dataset, cell.model, cell.task_set, cell.seed)
    resolved = time.perf_counter()
    print(f"{len(cells)} cells, {len(run['overrides'])} overrides")
    for name, seconds in (
        ("read and check the files", loaded - begun),
        ("make the grid", gridded - loaded),
        ("resolve every cell", resolved - gridded),
    ):
        print(f"  {name:<26} {seconds:6.2f} s")


if __name__ == "__main__":
    main()
