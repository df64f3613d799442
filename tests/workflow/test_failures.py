"""Cells that fail, and processes that are killed, in runs of the real workflow."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time

import pytest

pytestmark = pytest.mark.slow

EPOCHS = 30


def test_a_failing_cell_fails_alone_and_is_mended_by_the_same_command(finished, table_rules):
    """A loss that is not finite: the other cells finish, the tables say why one is missing."""
    dlinear, fno = finished.kept("dlinear"), finished.kept("fno")
    finished.edit("models/dlinear.yaml", training={"learning_rate": 1e30, "gradient_clip": 0.0})
    finished.edit("models/fno.yaml", training={"learning_rate": 0.002})
    failed = finished.snakemake()
    assert failed.code != 0
    assert failed.rules["train"] == 2
    assert not (dlinear.results / "metrics.json").exists()
    assert fno.cell["training"]["learning_rate"] == 0.002
    assert (fno.results / "metrics.json").stat().st_mtime > fno.events[0]["time"]

    ended = dlinear.events[-1]
    assert (ended["event"], ended["cause"]) == ("ended", "diverged")
    assert "learning_rate: 0.001" in failed.text  # the log is shown, with its remedy

    partial = finished.folder / "tiny" / "tables" / "partial"
    table = (partial / "classification_simulated.md").read_text(encoding="utf-8")
    assert "no result: loss diverged" in table
    assert "| DLinear | error<sup>a</sup> |" in table

    assert not finished.tables, "tables of settings that are no more"

    kept = fno.read("metrics.json")
    finished.edit("models/dlinear.yaml", training={"learning_rate": 0.003})
    mended = finished.snakemake()
    assert mended.code == 0, mended.text
    assert finished.tables
    assert not partial.exists()
    assert mended.rules == {"cell": 1, "train": 1, "evaluate": 1, **table_rules}
    assert {model for _, model in mended.jobs if model} == {"dlinear"}
    assert dlinear.epochs == [1, 2]
    assert fno.read("metrics.json") == kept


def test_a_damaged_store_is_named_and_mended(finished):
    """Bad data is told from a bug: its own cause, the file, and no retraining of what stands."""
    dlinear = finished.kept("dlinear")
    assert finished.verb("forget", "tiny/tiny/dlinear/all/1").code == 0
    store = finished.folder / "data" / "tiny" / "recordings.h5"
    whole, stamp = store.read_bytes(), store.stat()
    store.write_bytes(whole[: len(whole) // 2])
    os.utime(store, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    failed = finished.snakemake()
    assert failed.code != 0
    assert failed.rules["train"] == 1
    assert dlinear.events[-1]["cause"] == "bad_data", dlinear.events
    assert "recordings.h5" in failed.text
    store.write_bytes(whole)
    os.utime(store, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert finished.dry().rules["train"] == 1


def _kill_in_training(project, kept, epochs, *arguments):
    """Start a run, and end its training of `kept` by SIGKILL after `epochs` epochs."""
    master = subprocess.Popen(
        project.command(*arguments),
        cwd=project.folder,
        env=project.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        end = time.monotonic() + 90
        while len(kept.epochs) < epochs:
            assert time.monotonic() < end, "no epoch was finished"
            assert master.poll() is None, master.communicate()[0]
            time.sleep(0.02)
        os.kill(kept.events[-1]["pid"], signal.SIGKILL)
        text, _ = master.communicate(timeout=120)
    finally:
        with contextlib.suppress(ProcessLookupError):
            master.kill()
    return master.returncode, text


def test_a_killed_training_fails_alone_goes_on_and_ends_with_the_same_bits(
    copied, finished, table_rules
):
    override = {"cells": "*/dlinear/*", "training": {"epochs": EPOCHS}}
    finished.edit("config.yaml", overrides=[override])
    dlinear, fno = finished.kept("dlinear"), finished.kept("fno")
    finished.verb("forget", "tiny/tiny/dlinear/all/1")  # the history shall hold this training only
    undisturbed = copied(finished, "undisturbed")

    finished.edit("models/fno.yaml", training={"learning_rate": 0.002})
    code, text = _kill_in_training(finished, dlinear, 5)
    assert code != 0
    assert dlinear.event_names == ["started"], "a killed supervisor writes no end"
    assert not (dlinear.results / "model.safetensors").exists()
    done = len(dlinear.epochs)
    assert 5 <= done < EPOCHS, "killed too late to show anything"
    assert (fno.results / "metrics.json").stat().st_mtime > dlinear.events[0]["time"]
    assert (finished.folder / "tiny" / "tables" / "partial").is_dir(), text

    again = finished.snakemake()
    assert again.code == 0, again.text
    assert again.rules == {"train": 1, "evaluate": 1, **table_rules}
    # The next attempt writes the end of the one that could not.
    assert dlinear.event_names == ["started", "ended", "started", "resumed", "ended"]
    assert (dlinear.events[1]["cause"], dlinear.events[1]["found_later"]) == ("terminated", True)
    assert dlinear.epochs == list(range(1, EPOCHS + 1))

    whole = undisturbed.kept("dlinear")
    target = whole.results.relative_to(undisturbed.folder) / "metrics.json"
    assert undisturbed.snakemake(str(target)).code == 0
    assert whole.event_names == ["started", "ended"]
    for name in ("model.safetensors", "predictions.h5", "metrics.json"):
        assert dlinear.read(name) == whole.read(name), name
