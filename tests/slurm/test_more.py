"""Ends that take minutes to come: time limits, a lost node, other hardware on the way."""

from __future__ import annotations

import shutil
import signal
import time

import pytest

from .study import Cell, Study, minutes

pytestmark = pytest.mark.slurm

OUTPUTS = ("model.safetensors", "predictions.h5", "metrics.json")
# Snakemake's plugin by itself gives up after half a second of failures.
SILENT_S = 45


def same_bytes(study: Study, undisturbed: Study, *cells: Cell) -> None:
    """A cell's results are those of the undisturbed run."""
    for cell in cells:
        whole = undisturbed.cell(cell.model, cell.seed)
        for name in OUTPUTS:
            assert cell.read(name) == whole.read(name), (cell.name, name)


def test_time_limits_cost_no_step_that_was_saved(prepared, copied, undisturbed):
    """The own deadline, several times; Slurm's, which kills; and Slurm's where it was not known."""
    study = copied(prepared)
    study.edit("hardware/cpu.yaml", max_runtime_minutes=1)
    study.edit("config.yaml", request={"memory_mb": 1300, "runtime_minutes": 1})
    slow, hung, unknown = study.cell("dlinear", 1), study.cell("fno", 1), study.cell("fno", 2)
    hang = {"seconds_a_step": 0.5, "at_step": 8, "do": "hang", "once": True}
    study.rehearse(
        {
            slow.name: {"seconds_a_step": 6.0},
            hung.name: hang,
            unknown.name: {**hang, "silent": True},
        }
    )
    outcome = study.snakemake()
    assert outcome.code == 0, outcome.text

    assert len(slow.causes) >= 3
    assert slow.causes == ["deadline"] * (len(slow.causes) - 1) + ["done"]
    assert len(slow.of("resumed")) == len(slow.causes) - 1
    for job in study.asked("train"):
        assert minutes(job["TimeLimit"]) == 1

    for cell in (hung, unknown):
        killed, resumed = study.asked("train", cell)
        assert (killed["JobState"], resumed["JobState"]) == ("TIMEOUT", "COMPLETED")
        assert cell.causes == ["deadline", "done"]
        assert cell.of("ended")[0]["found_later"]
        assert len(cell.of("resumed")) == 1
    assert hung.of("started")[0]["until"] is not None
    assert unknown.of("started")[0]["until"] is None
    same_bytes(study, undisturbed, *study.trained)
    assert study.tables == undisturbed.tables


def test_a_lost_node_and_a_cancelled_job_are_resumed(prepared, copied, undisturbed, cluster):
    study = copied(prepared)
    lost, cancelled = study.cell("dlinear", 1), study.cell("fno", 1)
    both = (lost, cancelled)
    study.rehearse({cell.name: {"seconds_a_step": 3.0} for cell in both})
    targets = [str(cell.results.relative_to(study.folder) / "metrics.json") for cell in both]
    down = ""
    try:
        with study.begun(*targets) as master:
            study.wait(lambda: all(len(cell.epochs) >= 1 for cell in both), "an epoch")
            (job,) = study.asked("train", lost)
            down = job["NodeList"]
            for state in ("down", "drain"):  # or its daemon would report back within seconds
                node = ["nodename=" + down, "state=" + state, "reason=rehearsed"]
                cluster.ask("scontrol", "update", *node)
            study.wait(lambda: len(cancelled.of("started")) == 2, "a second attempt")
            epochs = len(cancelled.epochs)
            study.wait(lambda: len(cancelled.epochs) > epochs, "another epoch")
            cluster.ask("scancel", study.asked("train", cancelled)[-1]["JobId"])
            outcome = study.finish(master)
    finally:
        if down:
            cluster.ask("scontrol", "update", "nodename=" + down, "state=resume")
    assert outcome.code == 0, outcome.text
    jobs = study.asked("train", lost)
    assert [job["JobState"] for job in jobs] == ["NODE_FAIL", "COMPLETED"]
    assert jobs[1]["NodeList"] != down
    assert lost.causes == ["node_lost", "done"]
    jobs = study.asked("train", cancelled)
    assert [job["JobState"] for job in jobs] == ["NODE_FAIL", "CANCELLED", "COMPLETED"]
    assert cancelled.causes == ["node_lost", "terminated", "done"]
    # Slurm signals the Snakemake of a cancelled step, which passes nothing on, and then kills.
    assert ["found_later" in event for event in cancelled.of("ended")] == [True, True, False]
    same_bytes(study, undisturbed, *both)


def test_a_study_goes_on_on_another_kind_of_node(prepared, copied, undisturbed):
    """Interrupted (Ctrl-C) under one profile, continued from its checkpoint under another."""
    study = copied(prepared)
    cell = study.cell("dlinear", 1)
    target = str(cell.results.relative_to(study.folder) / "metrics.json")
    study.rehearse({cell.name: {"seconds_a_step": 3.0}})
    with study.begun(target, profile="slurm-a100") as master:
        study.wait(lambda: len(cell.epochs) >= 2, "two epochs")
        master.send_signal(signal.SIGINT)
        assert study.finish(master).code != 0
    study.cluster.wait_until_idle()
    (job,) = study.asked("train", cell)
    assert job["JobState"] == "CANCELLED"

    study.rehearse({})
    outcome = study.snakemake(target, profile="slurm-v100")
    assert outcome.code == 0, outcome.text
    assert cell.told("hardware") == ["a100-80g", "v100-16g"]
    assert [job["Partition"] for job in study.asked("train", cell)] == ["a100", "v100"]
    assert cell.causes == ["terminated", "done"]
    assert len(cell.of("resumed")) == 1
    same_bytes(study, undisturbed, cell)


def test_a_controller_that_does_not_answer_is_outlasted(prepared, copied, undisturbed, cluster):
    """Jobs end while every squeue fails; the first answer afterwards is enough."""
    study = copied(prepared)
    silent, squeue = cluster.folder / "silent", cluster.folder / "bin" / "squeue"
    squeue.write_text(
        f'#!/bin/sh\n[ ! -e {silent} ] || exit 1\nexec {shutil.which("squeue")} "$@"\n'
    )
    squeue.chmod(0o755)
    with study.begun() as master:
        study.wait(lambda: any(cell.of("started") for cell in study.trained), "a training")
        silent.touch()
        time.sleep(SILENT_S)
        assert master.poll() is None
        silent.unlink()
        outcome = study.finish(master)
    assert outcome.code == 0, outcome.text
    assert all(cell.causes == ["done"] for cell in study.trained)
    same_bytes(study, undisturbed, *study.trained)
