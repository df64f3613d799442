"""What a run that fails says at its end, and what `status` says of it, by the real Snakemake."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.slow


def _digest(text: str) -> str:
    """What follows the tables, up to Snakemake's own end."""
    return text[text.index("\nFAILED ") + 1 :].partition("\nComplete log")[0]


def test_a_failed_cell_is_named_with_its_cause_and_remedy(finished):
    finished.edit("models/dlinear.yaml", training={"learning_rate": 1e30, "gradient_clip": 0.0})
    failed = finished.snakemake()
    assert failed.code != 0
    first, kept, *then = _digest(failed.text).splitlines()
    assert first == (
        "FAILED tiny/dlinear/all/1: loss diverged: Training diverged: the loss of classification "
        "is not finite, stopped at epoch 0/2"
    )
    assert "kept: tiny/runs/tiny/dlinear/all/seed1   the 2 other cells are done" in kept
    assert (finished.folder / kept.partition("log: ")[2]).is_file()
    assert then[-2:] == [
        "          learning_rate: 0.001",
        "        then run the same command again",
    ]

    status = json.loads(finished.verb("status", "--json").text)
    assert {one["model"]: one["state"] for one in status} == {
        "dlinear": "failed",
        "fno": "done",
        "trivial": "done",
    }
    (dlinear,) = [one for one in status if one["model"] == "dlinear"]
    assert (dlinear["cause"], dlinear["attempts"], dlinear["epochs"]) == ("diverged", 1, 2)

    # A job that Slurm runs once more only says the same, and the log holds it all again.
    cell = "tiny/results/tiny/dlinear/all/seed1/cell.json"
    refused = finished.verb("train", cell, "--attempt", "2", "--refused", "1")
    assert refused.code == 1
    assert "loss diverged" in refused.text
    assert "learning_rate: 0.001" in refused.text


def test_a_split_that_cannot_be_made_is_named_and_its_cells_counted(fresh):
    """The log of the rule, not that of a cell which was never started."""
    span = {"window": 1024, "horizon": 32, "per_recording": 1}  # a recording has 640 samples
    fresh.edit("datasets/tiny.yaml", span=span)
    failed = fresh.snakemake()
    assert failed.code != 0
    digest = _digest(failed.text)
    assert digest.startswith("FAILED split of data/tiny: A recording is shorter than a span.")
    assert "next: span: {window: 608, horizon: 32}" in digest
    assert "log: data/logs/tiny.split.log" in digest
    assert digest.endswith("3 cells are not started, as what they read could not be made")
    assert digest.count("FAILED") == 1
