"""A process killed at any batch and started again trains on the batches of one that was not."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import WriteCell
from .test_resume import outcome

ROOT = Path(__file__).resolve().parents[2]
STEPS, EPOCHS = 5, 12  # 24 training spans in batches of five: the last has four
# An attempt that notes each batch, before it steps on it: step, hash of the ids, hash of the spans.
NOTING = """
import hashlib, sys
from pathlib import Path
from workflow_src.scheduling.journal import Journal
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.training.module import TrainingModule
from workflow_src.training.run import attempt

def main():
    cell, notes, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    step = TrainingModule.training_step

    def noted(self, batch, index):
        hashes = [
            hashlib.sha256(part.contiguous().numpy().tobytes()).hexdigest()
            for part in (batch.index, batch.window, batch.horizon)
        ]
        with notes.open("a") as file:
            print(self.global_step, len(batch), *hashes, file=file, flush=True)
        step(self, batch, index)

    TrainingModule.training_step = noted
    told = AttemptRequest(checkpoint_minutes=1e-9, workers=workers)
    attempt(cell, told, Journal(cell.with_name("attempts.jsonl")))

if __name__ == "__main__":
    main()
"""


def start(folder: Path, cell: Path, notes: Path, workers: int) -> subprocess.Popen[bytes]:
    script = folder / "noting.py"
    script.write_text(NOTING)
    return subprocess.Popen(
        [sys.executable, str(script), str(cell), str(notes), str(workers)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def lines(notes: Path) -> list[str]:
    """Of batches that were noted whole."""
    return notes.read_text().split("\n")[:-1] if notes.exists() else []


def killed_at(batch: int, process: subprocess.Popen[bytes], notes: Path) -> None:
    """Wait until so many batches are noted, then kill the process and its workers."""
    ends = time.monotonic() + 200
    while len(lines(notes)) < batch and process.poll() is None:
        assert time.monotonic() < ends
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    "training",
    [{}, {"sampling": "class", "augmentation": {"noise_db": 10, "polarity": True, "shift": 50}}],
    ids=["plain", "drawn by class and changed"],
)
def test_killed_twice_and_resumed(
    write_cell: WriteCell, tmp_path: Path, workers: int, training: dict[str, Any]
) -> None:
    options = {"batch_size": 5, "epochs": EPOCHS, **training}
    whole, cell = write_cell("undisturbed", **options), write_cell("killed", **options)
    assert start(tmp_path, whole, tmp_path / "whole", 0).wait() == 0
    expected = lines(tmp_path / "whole")
    assert [line.split()[:2] for line in expected] == [
        [str(step), "4" if step % STEPS == STEPS - 1 else "5"] for step in range(EPOCHS * STEPS)
    ]

    seed = random.SystemRandom().randrange(10**6)
    at = sorted(random.Random(seed).sample(range(1, EPOCHS * STEPS - STEPS), 2))
    found: list[str] = []
    for attempt, batch in enumerate(at):
        notes = tmp_path / f"attempt{attempt}"
        process = start(tmp_path, cell, notes, workers)
        killed_at(max(1, batch - at[attempt - 1] if attempt else batch), process, notes)
        found = joined(found, lines(notes))
    assert start(tmp_path, cell, tmp_path / "last", workers).wait() == 0
    resumed = lines(tmp_path / "last")
    assert int(resumed[0].split()[0]) > 0, "it went on, not from the beginning"
    assert joined(found, resumed) == expected, f"killed at {at}, seed {seed}"
    assert outcome_beside(cell) == outcome_beside(whole)


def joined(before: list[str], after: list[str]) -> list[str]:
    """What both say, where they overlap: a step after the last checkpoint is done again."""
    first = int(after[0].split()[0]) if after else len(before)
    assert first <= len(before)
    again = after[: len(before) - first]
    assert again == before[first : first + len(again)]
    return before[:first] + after


def outcome_beside(cell: Path) -> dict[str, Any]:
    return {name: value for name, value in outcome(cell).items() if name != "history"}
