"""Workers end with the process that reads through them, also one that dies while they start.

Run as a script, this file is that process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

# Absolute: a spawned worker runs this file by itself.
from tests.training.conftest import DATASET
from tests.waiting import eventually, gone
from workflow_src.configuration import Dataset
from workflow_src.data.split_files import read_split
from workflow_src.data.windows import SpanReader
from workflow_src.training.batches import TrainingBatches

ROOT = Path(__file__).resolve().parents[2]


class SlowToArrive(SpanReader):
    """A reader that takes a while to get into a worker, which says that it is there."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        Path(os.environ["WITNESS"]).write_text(str(os.getpid()), encoding="utf-8")
        time.sleep(3)
        self.__dict__.update(state)


def main(rig: str) -> None:
    split = read_split(Path(rig) / "data" / "split")
    reader = SlowToArrive(Path(rig) / "data" / "small", split, Dataset.model_validate(DATASET))
    for _ in TrainingBatches(reader, reader.rows("train"), 2, 1, workers=1):
        time.sleep(60)


@pytest.mark.faults
def test_a_worker_that_starts_while_its_reader_dies_ends(small_rig: Path, tmp_path: Path) -> None:
    witness = tmp_path / "pid"
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    reads = subprocess.Popen(
        [sys.executable, __file__, str(small_rig)],
        env={**os.environ, "WITNESS": str(witness), "PYTHONPATH": path},
    )
    try:
        worker = int(eventually(lambda: witness.exists() and witness.read_text(), 60))
    finally:
        reads.kill()
        reads.wait()
    try:
        eventually(lambda: gone(worker), 20)
    finally:
        if not gone(worker):
            psutil.Process(worker).kill()


if __name__ == "__main__":
    main(*sys.argv[1:])
