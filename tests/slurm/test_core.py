"""What must hold on every cluster, through the real executor plugin on a real Slurm."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from pathlib import Path

import pytest

from workflow_src.configuration import load
from workflow_src.scheduling.next_request import STUB_MB, Forecast, JobRequest, Policy, decide

from .study import (
    CLASSES,
    INNER_MB,
    MEMORY_MB,
    STUDY_RUN,
    Study,
    attempts_running,
    megabytes,
    minutes,
)

pytestmark = pytest.mark.slurm


def decided(study: Study, hardware: str) -> JobRequest:
    """The first request of a cell, from the configuration alone."""
    folder = study.folder / "config"
    given = {**STUDY_RUN, "hardware": hardware}
    configuration = load(given, folder, [folder / "config.yaml"])
    forecast = Forecast.configured(configuration.request("tiny", "dlinear", "all", 1), 64)
    policy = Policy(1, configuration.sites[hardware], hardware)
    return decide(forecast, [], configuration.hardware[hardware], policy)


def test_slurm_is_asked_what_was_decided(prepared, copied):
    """Memory, time, cores, GPU and partition, for each kind of node; training then runs there."""
    studies = {profile: copied(prepared, profile) for profile in CLASSES}
    with contextlib.ExitStack() as stack:
        masters = {}
        for profile, study in studies.items():
            results = study.cell("dlinear").results.relative_to(study.folder)
            begun = study.begun(str(results / "metrics.json"), profile=profile)
            masters[profile] = stack.enter_context(begun)
        for profile, master in masters.items():
            outcome = studies[profile].finish(master)
            assert outcome.code == 0, outcome.text
    for profile, study in studies.items():
        cell, request = study.cell("dlinear"), decided(study, CLASSES[profile])
        (job,) = study.asked("train", cell)
        assert megabytes(job["MinMemoryNode"]) == request.memory_mb + INNER_MB
        assert request.memory_mb == MEMORY_MB
        assert minutes(job["TimeLimit"]) == request.runtime_minutes == 5
        assert int(job["NumCPUs"]) == request.cores == 1
        assert job["Partition"] == request.site.partition == profile.removeprefix("slurm-")
        assert job["JobState"] == "COMPLETED"
        assert job["Features"] == ("gpu80g" if profile == "slurm-a100" else "(null)")
        gpu = f"gres:gpu:{request.gpu_model}:{request.gpus}"
        assert job.get("TresPerJob", "") == (gpu if request.gpus else "")
        assert (request.gpus > 0) == (profile != "slurm-cpu")
        (started,) = cell.of("started")
        assert started["job"] == job["JobId"]
        assert started["limit_mb"] == request.memory_mb + INNER_MB
        assert started["until"] == pytest.approx(started["time"] + 300, abs=60)
        assert cell.causes == ["done"]
        expected = {"load rehearsed/1.0"} if profile == "slurm-v100" else set()
        assert study.modules == expected


def test_a_bug_costs_one_training_and_no_other_cell(prepared, copied, undisturbed):
    """What follows it is refused on one core without a GPU; mended, that cell alone is run."""
    study = copied(prepared)
    broken = study.cell("dlinear", 2)
    study.rehearse({broken.name: {"at_step": 4, "do": "bug"}})
    failed = study.snakemake("--retries", "2", profile="slurm-a100")
    assert failed.code != 0
    assert len(broken.of("started")) == 1
    assert broken.causes == ["error"]
    assert "FAILED tiny/dlinear/all/2: ended by an error" in failed.text
    assert "a bug of this model alone" in failed.text
    first, *refused = study.asked("train", broken)
    assert first["TresPerJob"] == "gres:gpu:a100:1"
    assert len(refused) == 2
    for job in refused:
        assert (job["NumCPUs"], minutes(job["TimeLimit"])) == ("1", 1)
        assert megabytes(job["MinMemoryNode"]) == STUB_MB
        assert "TresPerJob" not in job
        assert job["JobState"] == "FAILED"
    others = [cell for cell in study.trained if cell != broken]
    assert all(
        cell.causes == ["done"] and (cell.results / "metrics.json").exists() for cell in others
    )
    partial = study.folder / "tiny" / "tables" / "partial" / "classification_simulated.md"
    assert "no result: ended by an error (seed 2)" in partial.read_text(encoding="utf-8")

    study.rehearse({})
    mended = study.snakemake("--retries", "2", profile="slurm-a100")
    assert mended.code == 0, mended.text
    assert (mended.rules["train"], mended.rules["evaluate"]) == (1, 1)
    assert broken.causes == ["error", "done"]
    assert broken.told("attempt") == [1, 1]
    assert all(cell.causes == ["done"] for cell in others)
    assert study.tables == undisturbed.tables


def test_a_kernel_kill_is_answered_with_more_memory(prepared, copied, undisturbed):
    """Six cells on two kinds of node; one really out of memory goes on from its checkpoint."""
    study = copied(prepared)
    hungry = study.cell("fno", 1)
    study.rehearse({hungry.name: {"at_step": 6, "do": "eat"}})
    outcome = study.snakemake(profile="slurm-a100")
    assert outcome.code == 0, outcome.text

    first, second = study.asked("train", hungry)
    assert first["JobState"] == "FAILED"
    assert megabytes(first["MinMemoryNode"]) == MEMORY_MB + INNER_MB
    assert second["JobState"] == "COMPLETED"
    assert megabytes(second["MinMemoryNode"]) == MEMORY_MB * 3 // 2 + INNER_MB
    assert hungry.causes == ["host_oom", "done"]
    killed = hungry.of("ended")[0]
    assert killed["signal"] == "SIGKILL"
    assert "killed by the kernel" in killed["message"]
    assert killed["limit_mb"] == MEMORY_MB + INNER_MB
    assert len(hungry.of("resumed")) == 1
    assert hungry.epochs == list(range(1, len(hungry.epochs) + 1))

    others = [cell for cell in study.trained if cell != hungry]
    assert all(cell.causes == ["done"] for cell in others)
    trained = Counter(job["Partition"] for job in study.asked("train"))
    baselines = Counter(job["Partition"] for job in study.asked("classic"))
    assert (trained, baselines) == ({"a100": 5}, {"cpu": 2})
    for cell in study.trained:
        whole = undisturbed.cell(cell.model, cell.seed)
        for name in ("model.safetensors", "predictions.h5", "metrics.json"):
            assert cell.read(name) == whole.read(name), (cell.name, name)
    assert study.tables == undisturbed.tables


def test_after_the_master_is_killed_no_cell_is_trained_twice_at_once(prepared, copied, undisturbed):
    """Its jobs run on; a second master submits them again, and those wait."""
    study = copied(prepared)
    slow = {cell.name: {"seconds_a_step": 4.0} for cell in study.trained}
    study.rehearse(slow)
    with study.begun() as master:
        study.wait(lambda: all(cell.of("started") for cell in study.trained), "a training")
        master.kill()
        master.wait()
    assert len(attempts_running(study.folder)) == len(study.trained)

    most: Counter[str] = Counter()
    with watched(study.folder, most):
        assert study.snakemake("--unlock").code == 0
        study.rehearse({})
        outcome = study.snakemake()
    assert outcome.code == 0, outcome.text
    assert set(most.values()) == {1}, most
    assert len(most) == len(study.trained)
    for cell in study.trained:
        first, second = study.asked("train", cell)
        assert minutes_overlap(first, second), "the second began when the first was over"
        assert cell.causes[-1] == "done"
    assert study.tables == undisturbed.tables


def minutes_overlap(first: dict[str, str], second: dict[str, str]) -> bool:
    """Whether a job began before another one had ended, as Slurm tells."""
    return second["StartTime"] < first["EndTime"]


@contextlib.contextmanager
def watched(project: Path, most: Counter[str]):
    """Meanwhile, note how many training processes each cell has at most."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.2):
            for cell, count in Counter(attempts_running(project)).items():
                most[cell] = max(most[cell], count)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
