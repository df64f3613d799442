"""Finishing a cell, finishing it again, and what another identity left behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from workflow_src.cells import runs_beside
from workflow_src.configuration import REVISIONS
from workflow_src.data.split_files import SplitTable, read_split, write_split
from workflow_src.errors import BadData, UserError
from workflow_src.predictions import read_predictions
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.cause import Cause, cause_of
from workflow_src.training import run
from workflow_src.training.module import TrainingModule
from workflow_src.training.run import link_or_copy, move_aside_foreign

from ..journal_lines import lines
from .conftest import DATASET, TASKS, WriteCell, attempt

OUTPUTS = ("model.safetensors", "predictions.h5", "training.json")


def read_outputs(cell: Path) -> dict[str, bytes]:
    return {name: (cell.parent / name).read_bytes() for name in OUTPUTS}


def forbid(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError(f"{name} was called")

    monkeypatch.setattr(owner, name, fail)


def test_a_finished_cell_has_its_outputs_and_no_optimizer_state(write_cell: WriteCell) -> None:
    cell = write_cell("a", early_stopping_patience=2)
    attempt(cell)
    folder = runs_beside(cell)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*OUTPUTS, "attempts.jsonl", "history.csv", "identity"]
    )
    assert sorted(path.name for path in cell.parent.iterdir()) == sorted(["cell.json", *OUTPUTS])
    for name in OUTPUTS:  # one file, two names: no second copy of the bytes
        assert (folder / name).samefile(cell.parent / name)
    predictions = read_predictions(cell.parent / "predictions.h5")
    assert set(predictions.tasks) == set(TASKS)
    assert set(predictions.spans["part"]) == {"val", "test"}
    report = json.loads((cell.parent / "training.json").read_text(encoding="utf-8"))
    assert report["steps"] == 2 * report["epochs"]
    assert report["attempts"] == 1


@pytest.mark.slow
def test_the_micro_batch_changes_nothing_but_rounding(write_cell: WriteCell) -> None:
    one, other = write_cell("one"), write_cell("other")
    attempt(one)
    attempt(other, AttemptRequest(micro_batch_size=3))
    for task in TASKS:
        a, b = (
            read_predictions(cell.parent / "predictions.h5").tasks[task].outputs["model"]
            for cell in (one, other)
        )
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_the_same_cell_in_two_studies_is_the_same_bytes(write_cell: WriteCell) -> None:
    one, other = write_cell("one"), write_cell("other")
    attempt(one)
    attempt(other)
    for name in ("model.safetensors", "predictions.h5"):
        assert (one.parent / name).read_bytes() == (other.parent / name).read_bytes()


def test_lost_outputs_are_laid_again_without_reading_any_data(
    write_cell: WriteCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = write_cell("a")
    attempt(cell)
    before = read_outputs(cell)
    for name in OUTPUTS:
        (cell.parent / name).unlink()
    forbid(monkeypatch, run, "SpanReader")
    attempt(cell)
    assert read_outputs(cell) == before


def test_lost_predictions_cost_no_epoch(
    write_cell: WriteCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = write_cell("a")
    attempt(cell)
    before = read_outputs(cell)
    for folder in (runs_beside(cell), cell.parent):
        (folder / "predictions.h5").unlink()
    forbid(monkeypatch, TrainingModule, "training_step")
    attempt(cell)
    assert read_outputs(cell) == before


@pytest.mark.parametrize("damaged", [False, True])
def test_predictions_of_another_revision_cost_no_epoch(
    write_cell: WriteCell, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    cell = write_cell("a")
    attempt(cell)
    before = read_outputs(cell)
    file = runs_beside(cell) / "predictions.h5"
    if damaged:
        file.write_bytes(before["predictions.h5"][:100])
    else:
        with h5py.File(file, "r+") as content:
            content.attrs["revision"] = REVISIONS["predictions"] - 1
            content["tasks/signal_prediction/outputs/model"][0] += 1
    forbid(monkeypatch, TrainingModule, "training_step")
    attempt(cell)
    assert read_outputs(cell) == before


def test_stopped_before_predictions_keeps_the_weights(
    write_cell: WriteCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = write_cell("a")
    with monkeypatch.context() as patch:
        forbid(patch, run, "predict")
        with pytest.raises(AssertionError):
            attempt(cell)
    assert not (cell.parent / "model.safetensors").exists()
    forbid(monkeypatch, TrainingModule, "training_step")
    attempt(cell)
    assert read_predictions(cell.parent / "predictions.h5").tasks


def test_another_configuration_starts_anew_and_keeps_what_was(write_cell: WriteCell) -> None:
    cell = write_cell("a")
    attempt(cell)
    weights = (cell.parent / "model.safetensors").read_bytes()
    write_cell("a", learning_rate=1e-4)
    attempt(cell)
    assert (cell.parent / "model.safetensors").read_bytes() != weights
    fresh = write_cell("fresh", learning_rate=1e-4)
    attempt(fresh)
    assert (cell.parent / "model.safetensors").read_bytes() == (
        fresh.parent / "model.safetensors"
    ).read_bytes()
    (aside,) = (runs_beside(cell) / "aside").iterdir()
    assert (aside / "model.safetensors").read_bytes() == weights
    events = lines(runs_beside(cell) / "attempts.jsonl")
    assert [event["event"] for event in events].count("started") == 2
    assert json.loads((cell.parent / "training.json").read_text())["attempts"] == 1


def _other_recordings() -> None:
    """A store whose files agree on another content."""
    path = Path("data/small/manifest.json")
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(manifest | {"sha256": "0" * 64}), encoding="utf-8")
    with h5py.File("data/small/recordings.h5", "r+") as file:
        file.attrs["sha256"] = "0" * 64


def _another_split() -> None:
    split = read_split(Path("data/split"))
    rows = split.rows.iloc[[1, 0, *range(2, len(split.rows))]]
    write_split(SplitTable(rows, split.summary), Path("data/split"))


@pytest.mark.slow
@pytest.mark.parametrize("change", [_other_recordings, _another_split])
def test_other_recordings_or_another_split_start_anew(
    write_cell: WriteCell, change: Callable[[], None]
) -> None:
    cell = write_cell("a")
    attempt(cell)
    change()
    attempt(cell)
    assert len(list((runs_beside(cell) / "aside").iterdir())) == 1


def test_a_kill_while_moving_aside_leaves_nothing_to_go_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever file was moved last before the kill, none of the rest is taken for the cell's."""
    names = ("history.csv", "predictions.h5", "training.json", "model.safetensors")
    rename = Path.rename
    for moved in range(len(names) + 1):
        folder = tmp_path / str(moved)
        folder.mkdir()
        for name in names:
            (folder / name).write_text("foreign", encoding="utf-8")
        move_aside_foreign(folder, "first")
        left = moved

        def limited(self: Path, target: Path) -> Path:
            nonlocal left
            if left == 0:
                raise InterruptedError
            left -= 1
            return rename(self, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", limited)
            with pytest.raises(InterruptedError):
                move_aside_foreign(folder, "second")
        move_aside_foreign(folder, "second")
        assert not [name for name in names if (folder / name).exists()]
        assert (folder / "identity").read_text(encoding="utf-8") == "second"
        move_aside_foreign(folder, "second")  # its own: stays
        assert (folder / "identity").exists()


@pytest.mark.slow
def test_early_stopping_without_validation_is_refused(write_cell: WriteCell) -> None:
    from workflow_src.data.prepare import prepare_split

    cell = write_cell("a", early_stopping_patience=3)
    split = {**DATASET["split"], "validation": {"strategy": "none"}}  # type: ignore[dict-item]
    shutil.rmtree("data/split")
    part = {"dataset": {**DATASET, "split": split}, "table": None}
    prepare_split("split", part, config_folder=Path())
    with pytest.raises(UserError, match="early_stopping_patience: 0"):
        attempt(cell)
    cell = write_cell("b")
    attempt(cell)  # without patience such a split trains
    assert set(read_predictions(cell.parent / "predictions.h5").spans["part"]) == {"test"}


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (BadData("x"), Cause.BAD_DATA),
        (UserError("x"), Cause.ERROR),
        (ValueError("x"), Cause.ERROR),
        (KeyboardInterrupt(), Cause.TERMINATED),
        (SystemExit(1), Cause.TERMINATED),
    ],
)
def test_causes_of_exceptions(error: BaseException, cause: Cause) -> None:
    assert cause_of(error) is cause


def test_an_error_is_journalled_then_raised(
    write_cell: WriteCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = write_cell("a")
    with h5py.File("data/small/recordings.h5", "r+") as file:
        for name in list(file):
            del file[name]
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is, it must be recorded
        attempt(cell)
    started, ended = lines(runs_beside(cell) / "attempts.jsonl")
    assert (started["event"], ended["event"]) == ("started", "ended")
    assert ended["cause"] in ("bad_data", "error")
    assert ended["message"]


def test_a_copy_where_no_link_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("new", encoding="utf-8")
    target.write_text("old", encoding="utf-8")

    def refuse(*_: Any) -> None:
        raise OSError("links are not supported")

    monkeypatch.setattr("os.link", refuse)
    link_or_copy(source, target)
    assert target.read_text(encoding="utf-8") == "new"
    assert not target.samefile(source)
    assert len(list(tmp_path.iterdir())) == 2
