"""What was interrupted and resumed equals the undisturbed run, bit for bit (CPU, one thread)."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workflow_src.cells import runs_beside
from workflow_src.errors import Stopped
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.cause import Cause
from workflow_src.scheduling.journal import Journal
from workflow_src.scheduling.stop import Stop
from workflow_src.training import checkpoints
from workflow_src.training.checkpoints import Checkpoints
from workflow_src.training.module import TrainingModule

from ..journal_lines import lines
from .conftest import WriteCell, attempt

ROOT = Path(__file__).resolve().parents[2]
EVERY_BATCH, NEVER_INSIDE = 1e-9, 1e9
BATCH = {"batch_size": 5}  # 24 training spans: five steps an epoch, the last of four spans
STEPS = 5


class Killed(Exception):
    """Stands for a kill: nothing that training does afterwards is seen."""


def told(minutes: float = NEVER_INSIDE) -> AttemptRequest:
    return AttemptRequest(checkpoint_minutes=minutes)


def outcome(cell: Path) -> dict[str, Any]:
    """All of a finished cell that must not depend on how often it was interrupted."""
    report = json.loads((cell.parent / "training.json").read_text(encoding="utf-8"))
    with (runs_beside(cell) / "history.csv").open(newline="", encoding="utf-8") as file:
        history = [
            {name: value for name, value in row.items() if name != "seconds" and name[-3:] != "_mb"}
            for row in csv.DictReader(file)
        ]
    return {
        "weights": (cell.parent / "model.safetensors").read_bytes(),
        "predictions": (cell.parent / "predictions.h5").read_bytes(),
        "history": history,
        **{name: report[name] for name in ("steps", "epochs", "best_epoch", "parameters")},
    }


_UNDISTURBED: dict[str, dict[str, Any]] = {}


def undisturbed(write_cell: WriteCell, **training: Any) -> dict[str, Any]:
    """The outcome of a run with these options that nothing stops; they are trained once."""
    key = json.dumps(training, sort_keys=True)
    if key not in _UNDISTURBED:
        cell = write_cell("undisturbed", **training)
        attempt(cell, told())
        _UNDISTURBED[key] = outcome(cell)
    return _UNDISTURBED[key]


def interrupt_after_save(cell: Path, saves: int, minutes: float) -> bool:
    """Attempt the cell and kill it right after its `saves`-th checkpoint; False: it finished."""
    save, count = Checkpoints.save, 0

    def save_then_die(self: Checkpoints, trainer: Any, module: Any) -> None:
        nonlocal count
        save(self, trainer, module)
        count += 1
        if count == saves:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_then_die)
        patch.setattr(checkpoints, "_SHARE", math.inf)  # epochs of a few ms are not worth a save
        try:
            attempt(cell, told(minutes))
        except Killed:
            return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_stopped_at_the_end_of_an_epoch(write_cell: WriteCell, epoch: int) -> None:
    expected = undisturbed(write_cell, **BATCH)
    cell = write_cell("stopped", **BATCH)
    assert interrupt_after_save(cell, epoch, NEVER_INSIDE)
    attempt(cell, told())
    assert outcome(cell) == expected
    assert expected["steps"] == 3 * STEPS


@pytest.mark.slow
@pytest.mark.parametrize("step", range(1, 2 * STEPS + 1))
def test_stopped_after_any_step(write_cell: WriteCell, step: int) -> None:
    expected = undisturbed(write_cell, epochs=2, **BATCH)
    cell = write_cell("stopped", epochs=2, **BATCH)
    assert interrupt_after_save(cell, step, EVERY_BATCH)
    attempt(cell, told())
    assert outcome(cell) == expected


@pytest.mark.slow
def test_stopped_at_each_step_in_turn(write_cell: WriteCell) -> None:
    """Ten attempts of one step each make one run."""
    cell = write_cell("pieces", epochs=2, **BATCH)
    for _ in range(2 * STEPS):
        assert interrupt_after_save(cell, 1, EVERY_BATCH)
    assert not interrupt_after_save(cell, 1, EVERY_BATCH)
    assert outcome(cell) == undisturbed(write_cell, epochs=2, **BATCH)
    events = [event["event"] for event in lines(runs_beside(cell) / "attempts.jsonl")]
    assert events.count("started") == 2 * STEPS + 1
    assert events.count("resumed") == 2 * STEPS


def test_stopped_between_two_checkpoints(
    write_cell: WriteCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps after the last checkpoint are done again, the row of a lost epoch written again."""
    cell = write_cell("stopped", **BATCH)
    training_step = TrainingModule.training_step

    def die_in_the_eighth_step(self: TrainingModule, batch: Any, batch_index: int) -> None:
        if self.global_step == 7:
            raise Killed
        training_step(self, batch, batch_index)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingModule, "training_step", die_in_the_eighth_step)
        with pytest.raises(Killed):
            attempt(cell, told())
    history = runs_beside(cell) / "history.csv"
    with history.open("a", encoding="utf-8") as file:
        file.write("2,0.1,0.5,0.5,0.5,0.5\n3,0.")  # of an epoch that no checkpoint holds
    attempt(cell, told())
    assert outcome(cell) == undisturbed(write_cell, **BATCH)
    assert [row["epoch"] for row in outcome(cell)["history"]] == ["1", "2", "3"]


STOPS_EARLY = {"epochs": 40, "learning_rate": 0.3, "early_stopping_patience": 2, **BATCH}


@pytest.mark.slow
@pytest.mark.parametrize("stops", ["after the last", "after each"])
def test_early_stopping_and_best_weights_are_resumed(write_cell: WriteCell, stops: str) -> None:
    expected = undisturbed(write_cell, **STOPS_EARLY)
    epochs, best = expected["epochs"], expected["best_epoch"]
    assert epochs < 40, "the case needs a run that stops early"
    assert best == epochs - 2
    losses = [float(row["val_loss"]) for row in expected["history"]]
    assert min(losses) == losses[best - 1]
    first = epochs if stops == "after the last" else 1
    for epoch in range(first, epochs + 1):  # the last: stopped, but its weights not written yet
        cell = write_cell(f"stopped{epoch}", **STOPS_EARLY)
        assert interrupt_after_save(cell, epoch, NEVER_INSIDE)
        attempt(cell, told())
        assert outcome(cell) == expected, f"stopped after epoch {epoch} of {epochs}"


@pytest.mark.slow
def test_the_weights_of_the_best_epoch_are_kept(write_cell: WriteCell) -> None:
    """They are those of an undisturbed run of just so many epochs (at a constant rate)."""
    constant = {"schedule": "constant", "warmup_share": 0.0}
    stopped = write_cell("stopped", **STOPS_EARLY, **constant)
    attempt(stopped, told())
    best = outcome(stopped)["best_epoch"]
    whole = write_cell("whole", **{**STOPS_EARLY, **constant, "epochs": best})
    attempt(whole, told())
    assert outcome(whole)["weights"] == outcome(stopped)["weights"]


@pytest.mark.slow
def test_a_resumed_epoch_counts_the_seconds_before(write_cell: WriteCell) -> None:
    cell = write_cell("a", epochs=1, **BATCH)
    assert interrupt_after_save(cell, 2, EVERY_BATCH)
    begun = time.monotonic()
    attempt(cell, told())
    report = json.loads((cell.parent / "training.json").read_text(encoding="utf-8"))
    assert 0 < report["seconds"] < 60 + time.monotonic() - begun  # not since the machine's start


def test_a_checkpoint_holds_nothing_that_runs_code(write_cell: WriteCell) -> None:
    import torch

    cell = write_cell("a", epochs=2, early_stopping_patience=1, **BATCH)
    assert interrupt_after_save(cell, 3, EVERY_BATCH)
    checkpoint = torch.load(runs_beside(cell) / "last.ckpt", weights_only=True)
    assert (checkpoint["cell"]["epoch"], checkpoint["cell"]["position"]) == (0, 3)


@pytest.mark.fast_cases("7-flipped")
@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "lost"])
@pytest.mark.parametrize("saves", [1, 7])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    write_cell: WriteCell, capfd: pytest.CaptureFixture[str], damage: str, saves: int
) -> None:
    cell = write_cell("damaged", epochs=2, **BATCH)
    assert interrupt_after_save(cell, saves, EVERY_BATCH)
    path = runs_beside(cell) / "last.ckpt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"cut": content[: len(content) // 2], "flipped": content}.get(damage, b""))
    if damage == "lost":  # a kill between the two renames of a save
        path.unlink()
    attempt(cell, told(EVERY_BATCH))
    assert outcome(cell) == undisturbed(write_cell, epochs=2, **BATCH)
    assert ("last.ckpt is damaged" in capfd.readouterr().out) == (damage != "lost")
    events = lines(runs_beside(cell) / "attempts.jsonl")
    resumed = [event["checkpoint"] for event in events if event["event"] == "resumed"]
    assert resumed == (["previous.ckpt"] if saves > 1 else [])


@pytest.mark.slow
def test_a_kill_inside_a_save_leaves_nothing_behind(
    write_cell: WriteCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = write_cell("a", **BATCH)
    assert interrupt_after_save(cell, 1, NEVER_INSIDE)
    half, waiting = (runs_beside(cell) / f".12345.{name}" for name in ("last.ckpt", "lock.1"))
    for path in (half, waiting):
        path.write_bytes(b"half")
    attempt(cell, told())
    # Who waits for the lock is no holder of it, and alive.
    assert [path for path in runs_beside(cell).iterdir() if path.name[0] == "."] == [waiting]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Any]:
    """Starts `python -m workflow_src train`, as a rule does; none outlives the test."""
    started = []

    def start(cell: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "workflow_src", "train", str(cell), *options],
                env={**os.environ, "PYTHONPATH": path, **environment},
                cwd=tmp_path,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        )
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.communicate()


LONG = {"epochs": 40, **BATCH}  # seconds, with a checkpoint at each step


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_with_try_again_and_loses_nothing(
    write_cell: WriteCell, process: Any, number: signal.Signals
) -> None:
    cell = write_cell("stopped", **LONG)
    running = process(cell, "--checkpoint-minutes", str(EVERY_BATCH))
    checkpoint = runs_beside(cell) / "last.ckpt"
    while not checkpoint.exists() and running.poll() is None:
        time.sleep(0.01)
    running.send_signal(number)
    log, _ = running.communicate(timeout=60)
    assert running.returncode == Cause.TERMINATED.exit_code, log
    assert "Traceback" not in log
    assert "Saved, to be gone on with by the same command" in log
    journal = Journal(runs_beside(cell) / "attempts.jsonl")
    assert lines(journal.path)[-1]["cause"] == "terminated"
    assert checkpoint.exists()
    assert not (cell.parent / "model.safetensors").exists()

    attempt(cell, told())
    assert outcome(cell) == undisturbed(write_cell, **LONG)


@pytest.mark.fast_cases("validation_step")
@pytest.mark.parametrize("where", ["validation_step", "on_train_epoch_end"])
def test_a_signal_at_the_end_of_an_epoch_saves_it(
    write_cell: WriteCell, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Lightning's own handler would leave a validation at once, and lose the epoch."""
    cell = write_cell("stopped", **BATCH)
    stop, original = Stop(), getattr(TrainingModule, where)

    def struck(self: TrainingModule, *arguments: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        original(self, *arguments)

    before = signal.signal(signal.SIGTERM, stop.ask)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(TrainingModule, where, struck)
            with pytest.raises(Stopped, match="epoch 1, batch 0"):
                attempt(cell, told(), stop)
    finally:
        signal.signal(signal.SIGTERM, before)
    attempt(cell, told())
    assert outcome(cell) == undisturbed(write_cell, **BATCH)


@pytest.mark.slow
def test_the_log_of_a_run_is_short_also_within_slurm(write_cell: WriteCell, process: Any) -> None:
    """As one task of four of a Slurm job, where Lightning would ask for four processes."""
    cell = write_cell("a", epochs=20, **BATCH)
    slurm = {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "cell"}
    running = process(cell, **slurm)
    log, _ = running.communicate(timeout=60)
    assert running.returncode == 0, log
    assert "epoch 20.0 of 20, step 100, validation loss" in log
    assert len(log.splitlines()) == 1, log
