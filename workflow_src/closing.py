"""What is written and said when a run ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from workflow_src.cells import Cell
from workflow_src.tables.plan import table_folder
from workflow_src.targets import Targets


def show_tables(targets: Targets) -> None:
    """Print the tables, where all are there and none of an unfinished study is younger.

    An older one is then of the past, and removed.
    """
    tables = [Path(file) for file in targets.table_files()]
    if not all(file.exists() for file in tables):
        return
    partial = table_folder(targets.study, partial=True)
    youngest = max((file.stat().st_mtime for file in partial.glob("*")), default=0.0)
    if youngest < min(file.stat().st_mtime for file in tables):
        shutil.rmtree(partial, ignore_errors=True)
        _call(targets.basedir, "show", "--plan", targets.plan_json())


def write_partial_tables(targets: Targets) -> None:
    """Write and print the tables of what exists; a failure here hides no other one.

    Tables that are older than the settings of a cell go: no number without its cell.
    """
    settings = [Path(file) for file in targets.every("cell.json")]
    newest = max((file.stat().st_mtime for file in settings if file.exists()), default=0.0)
    for file in (*map(Path, targets.table_files()), Path(targets.study, "results.csv")):
        if file.exists() and file.stat().st_mtime < newest:
            file.unlink()
    if any(Path(file).exists() for file in targets.every("metrics.json")):
        _call(targets.basedir, "tables", "--partial", "--plan", targets.plan_json())


def sum_up(targets: Targets, logs: Iterable[str]) -> None:
    """Write the tables of what exists, and print what failed and what to do next.

    `logs` are Snakemake's own, of this run. A failure here hides no other one.
    """
    from workflow_src.scheduling.digest import digest

    def log_of(rule: str, cell: Cell) -> Path:
        return Path(targets.log(rule).format(**vars(cell)))

    try:
        write_partial_tables(targets)
        words = digest(
            targets.configuration,
            map(Path, logs),
            log_of,
            targets.requests.of,
            only_data=targets.asks_only_for_data(),
        )
        print(words, flush=True)
    except Exception as error:
        print(f"What failed could not be summed up: {error!r}", flush=True)


def _call(basedir: Path, *arguments: str) -> None:
    path = os.pathsep.join(filter(None, [str(basedir), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "workflow_src", *arguments]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False)
