"""Allocations that fail for want of memory: training goes on smaller, and loses nothing.

Run as a script, this file is one attempt in a process of its own, whose limit (RLIMIT_DATA) is
lowered at a chosen place. Nothing stands in for an allocation or for its failure.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from workflow_src.cells import runs_beside
from workflow_src.errors import OutOfMemory, Stopped
from workflow_src.limits import MB, limit_private_memory, private_memory_now
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.cause import cause_of
from workflow_src.scheduling.events import Shrank
from workflow_src.scheduling.journal import Journal
from workflow_src.training import run
from workflow_src.training.checkpoints import Checkpoints
from workflow_src.training.module import TrainingModule
from workflow_src.training.predict import predict
from workflow_src.training.recovery import Recovery

if TYPE_CHECKING:
    from .conftest import WriteCell

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[2]
BATCH, TOKENS, HIDDEN = 8, 64, 32768
# Of a batch within a layer, the only tensors that matter: 64 MB, or 8 MB a span. Forward ends with
# two a layer, and backward begins with one more; without gradients there are two at once. So the
# whole batch takes 4 in forward and 5 in backward, half of it 2.5: what else a process maps
# meanwhile (a thread's stack, the heap) is some 16 MB and decides nothing.
HIDDEN_BYTES = BATCH * 4 * TOKENS * HIDDEN
SHORT = {
    "forward": 13 * HIDDEN_BYTES // 4,
    "backward": 9 * HIDDEN_BYTES // 2,
    "validation": 3 * HIDDEN_BYTES // 2,
    "prediction": 3 * HIDDEN_BYTES // 2,
    "everywhere": HIDDEN_BYTES // BATCH // 2,
}
WIDE = {
    "backbone": "patchtst",
    "heads": 2,
    "feed_forward": HIDDEN,
    "patch_count": TOKENS,
    "depth": 2,
}
TRAINING = {"batch_size": BATCH, "epochs": 2}  # 24 spans: three steps an epoch
STEPS = 6
UNHURRIED, EVERY_STEP = 1e9, 1e-9  # checkpoint_minutes

# --------------------------------------------------------------------------- the attempt


@dataclass
class Plan:
    """How an attempt is to be disturbed.

    Attributes:
        place: where memory is taken away: forward, backward, worker, validation, prediction or
            everywhere (it is not given back); or nowhere.
        step: before which step it is.
        sizes: micro-batch at each step and, the last, at prediction: a clean run that follows them.
        killed_after: checkpoints after which the process ends at once; 0: it does not.
        terminated_at: step after which it is told to leave; 0: it is not.
    """

    place: str = ""
    step: int = 2
    sizes: Sequence[int] = ()
    killed_after: int = 0
    terminated_at: int = 0


@dataclass
class Did:
    """What an attempt did.

    Attributes:
        steps: `size` and `checkpointing` of each optimizer step, spans in its batch (`index`) and
            labels that the running metrics have seen in the epoch so far (`seen`).
        failed_in: phase and component that ran when memory ran out, each time.
        predicted_at: micro-batch at the end of prediction.
        error: what ended it; its text, and `of` and `cause`.
    """

    steps: list[dict[str, Any]] = field(default_factory=list)
    failed_in: list[str] = field(default_factory=list)
    predicted_at: int = 0
    error: dict[str, Any] | None = None


class Disturbed(TrainingModule):
    """Training that follows a plan and writes down what it did."""

    plan: Plan
    did: Did

    def __init__(self, recovery: Recovery, *arguments: Any, **options: Any) -> None:
        super().__init__(recovery, *arguments, **options)
        self._phase = ""
        mark, tell = self.mark, recovery.tell

        def marked(phase: str, component: str | None) -> None:
            self._phase = f"{phase} {component}"
            mark(phase, component)

        def told(event: Shrank) -> None:
            self.did.failed_in.append(self._phase)
            tell(event)

        self.mark, recovery.tell = marked, told

    def training_step(self, batch: Any, batch_index: int) -> None:
        step = self.global_step
        if self.plan.sizes:
            self.recovery.size = self.plan.sizes[step]
        if step == self.plan.step:
            self._take_memory_away()
        super().training_step(batch, batch_index)
        seen = self.metrics["train"].state_dict()["classification"].sum()
        self.did.steps.append(
            {
                "size": self.recovery.size,
                "checkpointing": self.recovery.checkpointing,
                "index": batch.index.tolist(),
                "seen": int(seen),
            }
        )

    def _take_memory_away(self) -> None:
        place = self.plan.place
        if place in ("forward", "backward", "everywhere"):
            leave(SHORT[place])
        elif place == "worker":
            (worker,) = multiprocessing.active_children()
            assert worker.pid is not None
            resource.prlimit(worker.pid, resource.RLIMIT_AS, (MB, resource.RLIM_INFINITY))

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        if self.plan.place == "validation" and self.batches.epoch == 0:
            leave(SHORT[self.plan.place])

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        if self.plan.place == "validation":
            limit_private_memory(resource.RLIM_INFINITY)


def leave(room: int) -> None:
    """Let this process map so many bytes more."""
    limit_private_memory(private_memory_now() + room)


class StopAt:
    """Says to leave once so many steps are done."""

    def __init__(self, did: Did, step: int) -> None:
        self.did, self.step = did, step

    def reason(self, needed_s: float) -> str | None:
        return "terminated" if 0 < self.step <= len(self.did.steps) else None

    def at_step_ends(self) -> Any:
        return nullcontext()


def attempt(cell: Path, told: AttemptRequest, plan: Plan) -> Did:
    """Attempt the cell in this process, framed in the journal as a supervisor does it."""
    did = Did()
    module = type("Module", (Disturbed,), {"plan": plan, "did": did})
    save, saves = Checkpoints.save, 0

    def save_then_die(self: Checkpoints, trainer: Any, module: Any) -> None:
        nonlocal saves
        save(self, trainer, module)
        saves += 1
        if saves == plan.killed_after:
            os._exit(9)

    def predict_disturbed(recovery: Recovery, *arguments: Any) -> Any:
        if plan.sizes:
            recovery.size = plan.sizes[-1]
        if plan.place == "prediction":
            leave(SHORT[plan.place])
        found = predict(recovery, *arguments)
        did.predicted_at = recovery.size
        return found

    identity = json.loads(cell.read_text(encoding="utf-8"))["identity"]
    journal = Journal(runs_beside(cell) / "attempts.jsonl")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workflow_src.training.fit.TrainingModule", module)
        patch.setattr("workflow_src.training.run.predict", predict_disturbed)
        patch.setattr(Checkpoints, "save", save_then_die)
        stop: Any = StopAt(did, plan.terminated_at)
        try:
            with journal.attempt(identity, told):
                run.attempt(cell, told, journal, stop)
        except (OutOfMemory, Stopped) as error:
            did.error = {"text": str(error), "cause": cause_of(error).text, **vars(error)}
    return did


def main(cell: str, told: str, plan: str, report: str) -> None:
    """The script: paths and JSON in, `Did` as JSON into the file `report`."""
    did = attempt(Path(cell), AttemptRequest.model_validate_json(told), Plan(**json.loads(plan)))
    Path(report).write_text(json.dumps(asdict(did)), encoding="utf-8")


# --------------------------------------------------------------------------- the tests


def start(
    cell: Path, report: Path, told: AttemptRequest, plan: Plan, **environment: str
) -> subprocess.Popen[str]:
    """Begin an attempt in a process of its own."""
    arguments = [str(cell), told.model_dump_json(), json.dumps(asdict(plan)), str(report)]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, __file__, *arguments],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def disturbed(cell: Path, plan: Plan, told: AttemptRequest) -> tuple[Did, str]:
    """What such an attempt did, and its log."""
    report = cell.parent / "did.json"
    running = start(cell, report, told, plan)
    try:
        log, _ = running.communicate(timeout=300)
    finally:
        running.kill()
    assert running.returncode == 0, log
    return Did(**json.loads(report.read_text(encoding="utf-8"))), log


def outputs(cell: Path) -> tuple[bytes, bytes]:
    return tuple(  # type: ignore[return-value]
        (cell.parent / name).read_bytes() for name in ("model.safetensors", "predictions.h5")
    )


def events(cell: Path) -> list[dict[str, Any]]:
    """What the journal says of memory that ran out, less times and the system's words."""
    from ..journal_lines import lines  # here, as the process under test runs this file by itself

    found = lines(runs_beside(cell) / "attempts.jsonl")
    return [
        {name: event[name] for name in ("of", "during", "before", "after")}
        for event in found
        if event["event"] == "out_of_memory"
    ]


def rung(during: str, before: int, after: int) -> dict[str, Any]:
    at_before, at_after = (
        {"micro_batch": size, "activation_checkpointing": False} for size in (before, after)
    )
    return {"of": "host", "during": during, "before": at_before, "after": at_after}


def assert_as_undisturbed(cell: Path, did: Did, clean: Path) -> None:
    """As a clean run that is told, step by step, the micro-batch that the other arrived at."""
    sizes = [step["size"] for step in did.steps]
    undisturbed = attempt(clean, AttemptRequest(), Plan(sizes=[*sizes, did.predicted_at]))
    assert did.error is None
    assert undisturbed.failed_in == []
    assert did.steps == undisturbed.steps
    assert len(did.steps) == STEPS
    for first in (0, STEPS // 2):
        epoch = did.steps[first : first + STEPS // 2]
        spans = [span for step in epoch for span in step["index"]]
        assert len(spans) == len(set(spans)) == 24
        assert [step["seen"] for step in epoch] == [8, 16, 24]
    assert outputs(cell) == outputs(clean)


@pytest.mark.parametrize("place", ["forward", "backward"])
def test_in_a_step(write_cell: WriteCell, place: str) -> None:
    cell, clean = (write_cell(name, WIDE, **TRAINING) for name in ("disturbed", "clean"))
    did, log = disturbed(cell, Plan(place), AttemptRequest(checkpoint_minutes=UNHURRIED))
    assert did.failed_in == [f"{place} trunk"]
    assert events(cell) == [rung("training", 8, 4)]
    assert [step["size"] for step in did.steps] == [8, 8, 4, 4, 4, 4]
    assert "out of host memory in training at micro-batch 8: the same step again at 4" in log
    assert_as_undisturbed(cell, did, clean)


def test_in_validation(write_cell: WriteCell) -> None:
    cell, clean = (write_cell(name, WIDE, **TRAINING) for name in ("disturbed", "clean"))
    did, _ = disturbed(cell, Plan("validation"), AttemptRequest(checkpoint_minutes=UNHURRIED))
    assert events(cell) == [rung("validation", 8, 4)]
    assert [step["size"] for step in did.steps] == [8, 8, 8, 4, 4, 4]
    assert_as_undisturbed(cell, did, clean)


def test_in_prediction(write_cell: WriteCell) -> None:
    cell, clean = (write_cell(name, WIDE, **TRAINING) for name in ("disturbed", "clean"))
    did, _ = disturbed(cell, Plan("prediction"), AttemptRequest(checkpoint_minutes=UNHURRIED))
    assert events(cell) == [rung("prediction", 8, 4)]
    assert [step["size"] for step in did.steps] == [8] * STEPS
    assert did.predicted_at == 4
    assert_as_undisturbed(cell, did, clean)


def test_in_a_worker(write_cell: WriteCell) -> None:
    cell, clean = (write_cell(name, **TRAINING) for name in ("disturbed", "clean"))
    did, _ = disturbed(
        cell, Plan("worker"), AttemptRequest(checkpoint_minutes=UNHURRIED, workers=1)
    )
    (event,) = events(cell)
    assert event == {
        "of": "host",
        "during": "data",
        "before": {"workers": 1, "cache": True},
        "after": {"workers": 0, "cache": True},
    }
    assert_as_undisturbed(cell, did, clean)


def test_when_not_even_one_span_fits(write_cell: WriteCell) -> None:
    """The attempt ends and says what it tried; one with more memory goes on from its checkpoint."""
    cell, clean = (write_cell(name, WIDE, **TRAINING) for name in ("disturbed", "clean"))
    told = AttemptRequest(checkpoint_minutes=EVERY_STEP)
    did, _ = disturbed(cell, Plan("everywhere"), told)
    assert did.error is not None
    assert (did.error["of"], did.error["cause"]) == ("host", "host_oom")
    text = did.error["text"]
    assert "Out of host memory in training: one span does not fit." in text
    assert "micro-batch 8 down to 1, recomputing activations" in text
    assert "memory_mb" in text
    checkpointing = rung("training", 1, 1)
    checkpointing["after"]["activation_checkpointing"] = True
    smaller = [rung("training", size, size // 2) for size in (8, 4, 2)]
    assert events(cell) == [*smaller, checkpointing]
    assert (runs_beside(cell) / "last.ckpt").exists()
    assert not (cell.parent / "model.safetensors").exists()

    later, undisturbed = attempt(cell, told, Plan()), attempt(clean, told, Plan())
    assert did.steps + later.steps == undisturbed.steps
    assert len(did.steps) == 2
    assert outputs(cell) == outputs(clean)


if __name__ == "__main__":
    main(*sys.argv[1:])
