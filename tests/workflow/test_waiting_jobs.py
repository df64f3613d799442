"""A job that waits in a queue: real Snakemake, and a queue that starts a job when told to."""

from __future__ import annotations

import subprocess
import time

import pytest

pytestmark = pytest.mark.slow

# Prints the job's id at once, as sbatch does, and starts the job when the file `go` is there.
SUBMIT = """#!/usr/bin/env bash
( until [ -e go ]; do sleep 0.1; done; exec bash "$1" ) > job.log 2>&1 &
echo $!
touch waiting
"""
QUEUE = (
    *("--executor", "cluster-generic", "--cluster-generic-submit-cmd", "./submit.sh"),
    *("--jobs", "2", "--seconds-between-status-checks", "1"),
)


def run_and_edit_while_waiting(project, edit):
    """Run; call `edit` between the job's submission and its start; give the time of the edit."""
    submit = project.folder / "submit.sh"
    submit.write_text(SUBMIT, encoding="utf-8")
    submit.chmod(0o755)
    master = subprocess.Popen(
        project.command(*QUEUE),
        cwd=project.folder,
        env=project.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        end = time.monotonic() + 60
        while not (project.folder / "waiting").exists():
            assert time.monotonic() < end, "no job was submitted within a minute"
            assert master.poll() is None, master.communicate()[0]
            time.sleep(0.1)
        edit()
        edited = time.time()
        (project.folder / "go").touch()
        text, _ = master.communicate(timeout=project.patience_s)
    finally:
        master.kill()
        (project.folder / "go").touch()  # a job left over by a failure ends instead of polling
    assert master.returncode == 0, text
    return edited


def test_an_edit_does_not_reach_a_job_that_waits(finished):
    """The job trains with the value it was submitted with, and the record says the same."""
    dlinear = finished.kept("dlinear")
    weights, old = dlinear.read("model.safetensors"), dlinear.cell
    assert finished.verb("forget", "tiny/tiny/dlinear/all/1").code == 0
    model_file = finished.folder / "config" / "models" / "dlinear.yaml"
    before = model_file.read_text(encoding="utf-8")

    edited = run_and_edit_while_waiting(
        finished,
        lambda: finished.edit("models/dlinear.yaml", training={"learning_rate": 0.05}),
    )
    assert dlinear.event_names == ["started", "ended"]
    assert dlinear.events[0]["time"] > edited
    assert dlinear.cell == old
    assert dlinear.read("model.safetensors") == weights

    # The edit stands in the config and has not been trained: the next run sees it.
    outcome = finished.dry()
    assert [job for job in outcome.jobs if job[0] in ("cell", "train", "classic")] == [
        ("cell", "dlinear"),
        ("train", "dlinear"),
    ]
    # Taken back, it leaves nothing to do, for the old value is what was trained.
    model_file.write_text(before, encoding="utf-8")
    assert finished.dry().nothing_to_do


def test_another_command_meanwhile_does_not_reach_a_job_that_waits(finished):
    """Partial tables of another study, in the same folder."""
    dlinear = finished.kept("dlinear")
    weights = dlinear.read("model.safetensors")
    assert finished.verb("forget", "tiny/tiny/dlinear/all/1").code == 0

    def other():
        said = finished.snakemake("partial_tables", "--config", "study=other", "hardware=local")
        assert said.code == 0, said.text

    run_and_edit_while_waiting(finished, other)
    assert dlinear.event_names == ["started", "ended"]
    assert dlinear.read("model.safetensors") == weights
    assert finished.dry().nothing_to_do  # the tables were made by a job, too


def test_a_broken_config_does_not_stop_a_job_that_waits(finished):
    """Keys that do not exist, a model taken away, YAML torn in the middle of an edit."""
    dlinear = finished.kept("dlinear")
    weights = dlinear.read("model.safetensors")
    assert finished.verb("forget", "tiny/tiny/dlinear/all/1").code == 0

    def breaks():
        finished.edit("models/fno.yaml", no_such_key=1)
        finished.edit("config.yaml", models=["trivial"])
        (finished.folder / "config" / "task_sets.yaml").write_text("all: {", encoding="utf-8")

    run_and_edit_while_waiting(finished, breaks)
    assert dlinear.event_names == ["started", "ended"]
    assert dlinear.read("model.safetensors") == weights
    assert finished.dry().code != 0  # the next command does see it
