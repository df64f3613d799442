"""Two processes that share each batch do what one does that computes it in halves."""

from __future__ import annotations

import csv
import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from workflow_src.cells import runs_beside
from workflow_src.scheduling.attempt_request import AttemptRequest

from ..journal_lines import lines
from .conftest import WriteCell
from .test_running_out import WIDE, Did, Plan, attempt, events, outputs, rung, start

pytestmark = [pytest.mark.slow, pytest.mark.faults]

BATCH, STEPS = 8, 6  # 24 spans: three steps an epoch, two epochs
TRAINING = {"batch_size": BATCH, "epochs": 2}
EVERY_STEP, UNHURRIED = 1e-9, 1e9
PAIR = AttemptRequest(devices=2, micro_batch_size=BATCH // 2, checkpoint_minutes=UNHURRIED)
ALONE = AttemptRequest(micro_batch_size=BATCH // 2, checkpoint_minutes=UNHURRIED)
PAIR_SAVING = AttemptRequest(devices=2, micro_batch_size=BATCH // 2, checkpoint_minutes=EVERY_STEP)
KILLED = 9


def free_port() -> str:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return str(listening.getsockname()[1])


def pair(
    cell: Path,
    told: AttemptRequest,
    first: Plan | None = None,
    second: Plan | None = None,
    ends: int = 0,
) -> tuple[list[Did], list[str]]:
    """What two ranks did, and their logs; both end with the code `ends`."""
    meeting = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    reports = [cell.parent / f"did.{rank}.json" for rank in (0, 1)]
    running: list[subprocess.Popen[str]] = []
    try:
        for rank, plan in enumerate((first or Plan(), second or Plan())):
            environment = {**meeting, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            running.append(start(cell, reports[rank], told, plan, **environment))
        logs = [each.communicate(timeout=300)[0] for each in running]
    finally:
        for each in running:
            each.kill()
            each.wait()
    assert [each.returncode for each in running] == [ends, ends], "\n".join(logs)
    found = [Did(**json.loads(path.read_text())) if path.exists() else Did() for path in reports]
    return found, logs


def history(cell: Path) -> list[dict[str, float]]:
    """The rows, without what depends on the machine."""
    with (runs_beside(cell) / "history.csv").open(newline="", encoding="utf-8") as file:
        return [
            {name: float(value) for name, value in row.items() if value and _repeats(name)}
            for row in csv.DictReader(file)
        ]


def _repeats(column: str) -> bool:
    return column != "seconds" and not column.endswith("_mb")


def assert_same_history(cell: Path, other: Path) -> None:
    """To rounding, at six digits: what ranks sum up is added in another order."""
    rows, expected = history(cell), history(other)
    assert len(rows) == len(expected) > 0
    for row, one in zip(rows, expected, strict=True):
        assert row.keys() == one.keys()
        assert {"val_loss", "val_classification_span_accuracy"} <= row.keys()
        for values in (row, one):
            values.pop("micro_batch_size")  # a rank's is at most its share
        assert row == pytest.approx(one, rel=2e-5, abs=1e-6, nan_ok=True)


def together(ranks: list[Did]) -> list[dict[str, Any]]:
    """The steps of both as one process would have done them."""
    first, second = (did.steps for did in ranks)
    return [
        {**one, "index": one["index"] + other["index"]}
        for one, other in zip(first, second, strict=True)
    ]


def spans(steps: list[dict[str, Any]]) -> list[list[int]]:
    return [step["index"] for step in steps]


def test_two_ranks_are_one_process_in_halves(write_cell: WriteCell) -> None:
    cell, clean = (write_cell(name, **TRAINING) for name in ("pair", "alone"))
    did, _ = pair(cell, PAIR)
    alone = attempt(clean, ALONE, Plan())
    assert spans(together(did)) == spans(alone.steps)
    assert len(alone.steps) == STEPS
    assert outputs(cell) == outputs(clean)
    assert_same_history(cell, clean)
    report = json.loads((cell.parent / "training.json").read_text(encoding="utf-8"))
    assert (report["devices"], report["steps"], report["micro_batch_size"]) == (2, STEPS, 4)


@pytest.mark.parametrize("size", [5, 23])  # last batches of four spans and of one
def test_uneven_shares_and_an_empty_one(write_cell: WriteCell, size: int) -> None:
    """One process divides such batches otherwise: equal to rounding, and nothing waits for ever."""
    training = {"batch_size": size, "epochs": 2, "early_stopping_patience": 2}
    cell, clean = (write_cell(name, **training) for name in ("pair", "alone"))
    did, _ = pair(cell, AttemptRequest(devices=2, checkpoint_minutes=EVERY_STEP))
    alone = attempt(clean, AttemptRequest(checkpoint_minutes=UNHURRIED), Plan())
    assert spans(together(did)) == spans(alone.steps)
    if size == 23:
        assert [len(step["index"]) for step in did[0].steps] == [11, 0, 11, 0]
    assert_same_history(cell, clean)


@pytest.mark.parametrize("saves", [2, 3])  # inside an epoch, at its end
def test_killed_ranks_go_on_as_two_or_as_one(write_cell: WriteCell, saves: int) -> None:
    clean = write_cell("clean", **TRAINING)
    attempt(clean, ALONE, Plan())
    for name in ("two", "one"):
        cell = write_cell(name, **TRAINING)
        dies = Plan(killed_after=saves)
        pair(cell, PAIR_SAVING, dies, dies, ends=KILLED)
        assert (runs_beside(cell) / "last.ckpt").exists()
        if name == "two":
            did, _ = pair(cell, PAIR)
            steps = together(did)
        else:
            steps = attempt(cell, ALONE, Plan()).steps
        assert len(steps) == STEPS - saves
        found = [event["event"] for event in lines(runs_beside(cell) / "attempts.jsonl")]
        assert found.count("resumed") == 1
        assert outputs(cell) == outputs(clean), name
        assert_same_history(cell, clean)


def test_what_one_rank_has_no_memory_for_both_do_again(write_cell: WriteCell) -> None:
    """And arrive at what two ranks make that were told these sizes."""
    training = {"batch_size": 2 * BATCH, "epochs": 2}  # steps of 16 and of 8 spans
    cell, clean = (write_cell(name, WIDE, **training) for name in ("disturbed", "clean"))
    told = AttemptRequest(devices=2, micro_batch_size=BATCH, checkpoint_minutes=UNHURRIED)
    did, logs = pair(cell, told, second=Plan("forward"))
    assert did[1].failed_in == ["forward trunk"]
    assert did[0].failed_in == ["backward trunk"]  # which it had finished
    sizes = [[step["size"] for step in each.steps] for each in did]
    assert sizes == [[8, 8, 4, 4]] * 2
    assert events(cell) == [rung("training", 8, 4)]
    assert "the same step again at 4" in logs[0]
    follow = Plan(sizes=[*sizes[0], did[0].predicted_at])
    expected, _ = pair(clean, told, follow, follow)
    assert [each.failed_in for each in expected] == [[], []]
    assert together(did) == together(expected)
    assert outputs(cell) == outputs(clean)


def test_a_signal_to_one_rank_is_obeyed_by_both(write_cell: WriteCell) -> None:
    cell, clean = (write_cell(name, **TRAINING) for name in ("stopped", "clean"))
    did, _ = pair(cell, PAIR, second=Plan(terminated_at=2))
    for each in did:
        assert len(each.steps) == 2
        assert each.error is not None
        assert (each.error["reason"], each.error["cause"]) == ("terminated", "terminated")
    assert (runs_beside(cell) / "last.ckpt").exists()
    assert not (cell.parent / "model.safetensors").exists()
    pair(cell, PAIR)
    attempt(clean, ALONE, Plan())
    assert outputs(cell) == outputs(clean)
