"""The learning rate, the clipped gradient, the validation loss, and what is said of a NaN."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from workflow_src.cells import runs_beside
from workflow_src.configuration import NetworkCell, Training
from workflow_src.data.split_files import read_split
from workflow_src.data.windows import SpanReader
from workflow_src.errors import Diverged
from workflow_src.scheduling.cause import Cause, cause_of
from workflow_src.training import module
from workflow_src.training.assembly import MultiTaskNetwork, build_network
from workflow_src.training.batches import PartBatches, TrainingBatches
from workflow_src.training.checkpoints import load_weights
from workflow_src.training.module import TrainingModule
from workflow_src.training.recovery import Recovery
from workflow_src.training.schedule import RateFactor
from workflow_src.training.step import StepOptions, StepTotals, loss_sums, step, valid_labels

from ..journal_lines import lines
from .conftest import WriteCell, attempt


def network_of(cell_file: Path) -> tuple[MultiTaskNetwork, SpanReader]:
    cell = NetworkCell.read(cell_file)
    split = read_split(Path("data/split"))
    reader = SpanReader(Path("data/small"), split, cell.dataset)
    return build_network(cell, cell.task_names, split.summary), reader


@pytest.mark.parametrize(("total", "share"), [(100, 0.1), (7, 0.5), (1, 0.0), (30, 0.0)])
def test_the_rate_rises_to_its_peak_then_falls_along_a_cosine(total: int, share: float) -> None:
    factor = RateFactor(total, share, "cosine")
    warmup = math.ceil(total * share)
    rates = [factor(done) for done in range(total)]
    assert rates[:warmup] == pytest.approx([(i + 1) / warmup for i in range(warmup)])
    assert rates[warmup] == 1.0
    half = warmup + (total - warmup) / 2
    if half.is_integer() and total > 1:
        assert rates[int(half)] == pytest.approx(0.5)
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert factor(total) == pytest.approx(0.0)
    assert factor(total + 5) == pytest.approx(0.0)


def test_a_constant_rate_stays_at_its_peak() -> None:
    factor = RateFactor(50, 0.1, "constant")
    assert [factor(done) for done in (0, 4, 5, 49)] == [0.2, 1.0, 1.0, 1.0]


class Watching(TrainingModule):
    """Keeps the norm of the gradient and the rate that each optimizer step saw."""

    def configure_optimizers(self) -> Any:
        optimizers, schedules = super().configure_optimizers()
        self.seen: list[tuple[float, float]] = []

        def look(optimizer: torch.optim.Optimizer, *_: Any) -> None:
            gradients = [p.grad.flatten() for p in optimizer.param_groups[0]["params"]]
            self.seen.append((float(torch.cat(gradients).norm()), optimizer.param_groups[0]["lr"]))

        optimizers[0].register_step_pre_hook(look)
        return optimizers, schedules


def watched(monkeypatch: pytest.MonkeyPatch, cell: Path) -> list[tuple[float, float]]:
    made: list[Watching] = []

    def make(*arguments: Any, **options: Any) -> Watching:
        made.append(Watching(*arguments, **options))
        return made[-1]

    with monkeypatch.context() as patch:
        patch.setattr("workflow_src.training.fit.TrainingModule", make)
        attempt(cell)
    return made[0].seen


def test_the_gradient_is_clipped_and_the_schedule_followed(
    write_cell: WriteCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"batch_size": 5, "epochs": 2, "learning_rate": 0.01, "warmup_share": 0.3}
    free = watched(monkeypatch, write_cell("free", gradient_clip=0.0, **options))
    clipped = watched(monkeypatch, write_cell("clipped", gradient_clip=0.05, **options))
    assert max(norm for norm, _ in free) > 0.1
    assert max(norm for norm, _ in clipped) <= 0.05 * (1 + 1e-5)
    factor = RateFactor(10, 0.3, "cosine")
    assert [rate for _, rate in clipped] == pytest.approx([0.01 * factor(i) for i in range(10)])


def test_the_validation_loss_is_over_the_whole_part(write_cell: WriteCell) -> None:
    """Twelve spans in batches of five: the mean of batch means would be another number."""
    cell = write_cell("a", batch_size=5, epochs=1)
    attempt(cell)
    logged = float(
        (runs_beside(cell) / "history.csv").read_text(encoding="utf-8").split("\n")[1].split(",")[3]
    )
    network, reader = network_of(cell)
    load_weights(network, cell.parent / "model.safetensors")
    network.eval()

    def objective(size: int) -> float:
        """Weighted task means, over batches of `size` and then over these."""
        values = []
        for batch in PartBatches(reader, reader.rows("val"), size):
            sums = loss_sums(network, batch, len(batch), StepOptions())
            counts = valid_labels(network, batch)
            values.append(
                sum(
                    objective.weight
                    * float(sums[objective.name])
                    / max(1, int(counts[objective.name]))
                    for objective in network.objectives
                )
            )
        return sum(values) / len(values)

    assert logged == pytest.approx(objective(1000), rel=2e-5)
    assert logged != pytest.approx(objective(5), rel=2e-4)


def test_labels_are_smoothed_as_configured(write_cell: WriteCell) -> None:
    network, reader = network_of(write_cell("a"))
    with contextlib.closing(reader):
        objective = next(each for each in network.objectives if each.name == "classification")
        batch = next(iter(PartBatches(reader, reader.rows("train"), 4)))
    logits = torch.randn(4, len(reader.classes))
    share = torch.full_like(logits, 0.05 / len(reader.classes))
    share[torch.arange(4), batch.fault] += 0.95
    expected = -(share * logits.log_softmax(1)).sum(1)
    found = objective.loss(logits, batch, None)  # type: ignore[arg-type]
    torch.testing.assert_close(found, expected)


def test_the_dropout_mask_changes_from_step_to_step(write_cell: WriteCell) -> None:
    network, reader = network_of(write_cell("a"))
    training = TrainingModule(
        Recovery(network, 4),
        Training(),
        TrainingBatches(reader, reader.rows("train"), 4, seed=7),
    )
    batch = next(iter(training.batches))
    one, two = (training.network.trunk.train()(batch.window, batch.index + i) for i in (0, 1000))
    assert not torch.equal(one.tokens, two.tokens)


def diverge(cell: Path) -> Diverged:
    with pytest.raises(Diverged) as caught:
        attempt(cell)
    return caught.value


def test_a_run_that_diverges_names_spans_and_a_remedy(write_cell: WriteCell) -> None:
    cell = write_cell("a", learning_rate=1e30, gradient_clip=0.0, epochs=20, batch_size=5)
    error = diverge(cell)
    text = str(error)
    assert "not finite" in text
    assert "learning_rate: 0.001" in text
    assert "spans [" in text
    named = [int(n) for n in text.split("spans [")[1].split("]")[0].split(",")]
    assert len(named) in (5, 4)
    assert set(named) <= set(network_of(cell)[1].rows("train").tolist())
    assert cause_of(error) is Cause.DIVERGED
    last = lines(runs_beside(cell) / "attempts.jsonl")[-1]
    assert (last["event"], last["cause"]) == ("ended", "diverged")
    assert not (cell.parent / "model.safetensors").exists()


def test_a_gradient_that_is_not_finite_is_not_stepped_along(
    write_cell: WriteCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its loss is finite, but a square root has no finite slope at zero."""
    before: dict[str, torch.Tensor] = {}  # of the first parameter

    def poisoned(network: MultiTaskNetwork, *rest: Any) -> StepTotals:
        parameter = next(network.parameters())
        before["value"] = parameter.detach().clone()
        before["parameter"] = parameter
        sums = step(network, *rest)
        (parameter * 0).abs().sqrt().sum().backward()
        return sums

    monkeypatch.setattr(module, "step", poisoned)
    assert "gradient" in str(diverge(write_cell("a")))
    assert torch.equal(before["parameter"], before["value"])


def test_a_validation_that_is_not_finite_is_divergence(write_cell: WriteCell) -> None:
    """One step, finite loss and gradient; after it the outputs are beyond float32."""
    cell = write_cell("a", learning_rate=1e30, batch_size=1000, epochs=1, warmup_share=0.0)
    assert "validation" in str(diverge(cell))
