"""What follows from an edit of the code that trains: words, and a training only where it is asked
for, by `--forcerun` or by `code: strict`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .test_failures import EPOCHS, _kill_in_training
from .test_waiting_jobs import QUEUE, SUBMIT, run_and_edit_while_waiting

pytestmark = pytest.mark.slow

WORDS = "trained with other code"
MODEL = "workflow_src/models/dlinear.py"


def _edit_code(project, text, file=MODEL):
    path = project.folder / file
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def _tables(project):
    return {name: text.decode() for name, text in project.tables.items() if name.endswith("md")}


def _code(kept):
    return json.loads(kept.read("training.json"))["code"]


def test_words_in_the_code_are_no_other_code(finished):
    _edit_code(finished, "\n# A remark.\n")
    dry = finished.dry()
    assert dry.nothing_to_do
    assert WORDS not in dry.text + finished.verb("status").text


def test_other_code_is_told_and_trained_anew_by_the_command_that_is_told(finished, table_rules):
    """The whole way of a refactoring: words at each place, no training, then one that is asked."""
    fno, trivial = finished.kept("fno"), finished.kept("trivial")
    weights, code = fno.read("model.safetensors"), _code(fno)
    _edit_code(finished, "\nADDED = 1\n")

    dry = finished.dry()
    assert dry.rules == {"paper_tables": 1, "all": 1}, dry.text
    outcome = finished.snakemake()
    assert outcome.rules == {"paper_tables": 1, "all": 1}, outcome.text
    again = finished.snakemake()
    assert again.nothing_to_do
    for said in (dry, outcome, again):
        assert f"2 cells were {WORDS}" in said.text
        assert "tiny/dlinear/all/1, tiny/fno/all/1" in said.text
    for name, table in _tables(finished).items():
        if "cost" not in name:
            assert f"{WORDS.capitalize()} than that of now: tiny/dlinear/all/1" in table, name
    status = finished.verb("status")
    assert status.text.count(WORDS) == 3  # the first line, and a line each
    told = json.loads(finished.verb("status", "--json").text)
    found = {one["cell"]: one["other_code"] for one in told}
    assert found == {
        "tiny/dlinear/all/1": True,
        "tiny/fno/all/1": True,
        "tiny/trivial/all/1": False,
    }

    behind = re.findall(r"^  (--forcerun .*)$", again.text, re.MULTILINE)[-1]
    command = " ".join(finished.command()) + " " + behind
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=finished.folder,
        env={**finished.variables, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert WORDS not in said
    assert fno.event_names == ["started", "ended"] * 2
    assert fno.epochs == [1, 2]
    assert trivial.event_names == ["started", "ended"]
    assert fno.read("model.safetensors") == weights  # the edit changed no number
    assert _code(fno) != code
    (aside,) = (fno.runs / "aside").iterdir()
    assert (aside / "model.safetensors").read_bytes() == weights
    assert finished.snakemake().nothing_to_do
    assert not any(WORDS in table.lower() for table in _tables(finished).values())


def test_a_baselines_code_is_watched_too(finished):
    _edit_code(finished, "\nADDED = 1\n", "workflow_src/classic/trivial.py")
    dry = finished.dry()
    assert "train" not in dry.rules
    assert f"1 cell was {WORDS} than that of now: tiny/trivial/all/1" in dry.text


def test_forcerun_train_reaches_the_job_and_trains_from_the_first_step(finished, table_rules):
    dlinear = finished.kept("dlinear")
    before = dlinear.events[-1]["time"]
    weights = dlinear.read("model.safetensors")
    outcome = finished.snakemake("--forcerun", "train")
    assert outcome.code == 0, outcome.text
    assert outcome.rules == {"train": 2, "evaluate": 2, **table_rules}
    assert dlinear.event_names == ["started", "ended", "started", "ended"]
    assert dlinear.events[2]["time"] > before
    assert dlinear.events[3]["steps"] == dlinear.events[1]["steps"] > 0
    assert dlinear.read("model.safetensors") == weights
    assert (next((dlinear.runs / "aside").iterdir()) / "history.csv").exists()
    assert finished.snakemake().nothing_to_do


def test_a_store_that_is_forced_costs_no_epoch_and_a_file_that_is_forced_its_cell(finished):
    dlinear, fno = finished.kept("dlinear"), finished.kept("fno")
    file = (dlinear.results / "predictions.h5").relative_to(finished.folder)
    outcome = finished.snakemake("--forcerun", "recordings", str(file))
    assert outcome.code == 0, outcome.text
    assert (dlinear.runs / "aside").exists()
    assert not (fno.runs / "aside").exists()


def test_a_forced_training_that_is_interrupted_goes_on(finished):
    """Its further attempts, and later commands that force nothing, go on from its checkpoint."""
    override = {"cells": "*/dlinear/*", "training": {"epochs": EPOCHS}}
    finished.edit("config.yaml", overrides=[override], models=["dlinear"])
    dlinear = finished.kept("dlinear")
    assert finished.snakemake().code == 0
    weights, history = dlinear.read("model.safetensors"), dlinear.epochs
    begun = len(dlinear.events)

    (dlinear.runs / "history.csv").unlink()  # to see how far the new one is
    code, text = _kill_in_training(finished, dlinear, 5, "--forcerun", "train", "--retries", "1")
    assert code == 0, text  # the second attempt
    names = dlinear.event_names[begun:]
    assert names == ["started", "ended", "started", "resumed", "ended"]
    assert dlinear.epochs == history
    assert dlinear.read("model.safetensors") == weights

    (dlinear.runs / "history.csv").unlink()
    code, text = _kill_in_training(finished, dlinear, 5, "--forcerun", "train")
    assert code != 0, text
    assert finished.snakemake().code == 0
    assert dlinear.event_names[-3:] == ["started", "resumed", "ended"]
    assert dlinear.read("model.safetensors") == weights


def test_a_job_of_a_scheduler_is_told_too(finished):
    submit = finished.folder / "submit.sh"
    submit.write_text(SUBMIT, encoding="utf-8")
    submit.chmod(0o755)
    (finished.folder / "go").touch()
    outcome = finished.snakemake(*QUEUE, "--forcerun", "train")
    assert outcome.code == 0, outcome.text
    for model in ("dlinear", "fno"):
        assert finished.kept(model).event_names == ["started", "ended"] * 2
        assert (finished.kept(model).runs / "aside").exists()


def test_strict_trains_anew_by_itself(finished, table_rules):
    finished.edit("config.yaml", code="strict")
    outcome = finished.snakemake()
    assert outcome.rules["train"] == 2, outcome.text
    fno = finished.kept("fno")
    assert fno.cell["code"] == _code(fno)
    assert finished.snakemake().nothing_to_do

    _edit_code(finished, "\n# A remark.\n")
    assert finished.dry().nothing_to_do
    _edit_code(finished, "\nADDED = 1\n")
    outcome = finished.snakemake()
    assert outcome.code == 0, outcome.text
    assert outcome.rules == {"cell": 2, "train": 2, "evaluate": 2, **table_rules}
    assert fno.cell["code"] == _code(fno)
    assert "resumed" not in fno.event_names
    assert WORDS not in outcome.text


def test_strict_holds_for_a_job_that_waited(finished):
    """The code is edited while a job waits: it does not train under the name of the old one."""
    finished.edit("config.yaml", code="strict", models=["dlinear"])
    with pytest.raises(AssertionError, match="code: strict"):
        run_and_edit_while_waiting(finished, lambda: _edit_code(finished, "\nADDED = 1\n"))
    dlinear = finished.kept("dlinear")
    assert dlinear.events[-1]["cause"] == "error"
    outcome = finished.snakemake()
    assert outcome.code == 0, outcome.text
    assert dlinear.cell["code"] == _code(dlinear)
