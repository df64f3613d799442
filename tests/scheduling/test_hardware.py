"""Kinds of nodes: what is found on a machine, what is refused, and what runs side by side."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from workflow_src import limits
from workflow_src.configuration import Hardware, load
from workflow_src.configuration.schema import Request as Configured
from workflow_src.configuration.schema import SiteClass
from workflow_src.errors import UserError
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.capacity import Demand, require_capacity
from workflow_src.scheduling.events import Ended, Event, Started
from workflow_src.scheduling.hardware import (
    Machine,
    detected,
    first_here,
    larger,
    larger_than_all,
    within,
)
from workflow_src.scheduling.next_request import INNER_SNAKEMAKE_MB, Forecast, Policy, decide
from workflow_src.targets import Targets

REPOSITORY = Path(__file__).parents[2]
CLASSES = {
    path.stem: Hardware.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    for path in (REPOSITORY / "config" / "hardware").glob("*.yaml")
}
WITH_GPU = Machine(host_memory_mb=64_000, cores=8, gpus=2, device_memory_mb=24_000)
WITHOUT = Machine(host_memory_mb=16_000, cores=4, gpus=0, device_memory_mb=0)

numbers = st.none() | st.integers(1, 10**6)
hardwares = st.builds(
    Hardware,
    accelerator=st.sampled_from(["cpu", "cuda", "detect"]),
    gpus=numbers,
    device_memory_mb=numbers,
    host_memory_mb=st.none() | st.integers(300, 10**6),
    memory_share=st.floats(0.01, 1.0),
    cores=numbers,
)
machines = st.builds(
    Machine,
    host_memory_mb=st.integers(300, 10**6),
    cores=st.integers(1, 256),
    gpus=st.integers(0, 8),
    device_memory_mb=st.integers(0, 10**6),
)


# ------------------------------------------------------------------------------- classes


def test_the_classes_of_the_repository() -> None:
    gpus = {"v100-16g", "v100-32g", "a100-40g", "a100-80g", "h100-80g"}
    assert set(CLASSES) == gpus | {"cpu", "local"}
    for name in gpus:
        each = CLASSES[name]
        assert each.accelerator == "cuda"
        assert each.gpu_model == name.partition("-")[0]
        assert round((each.device_memory_mb or 0) / 1024) == int(name.rpartition("-")[2][:-1])
        assert ("bf16" in each.precisions) == (not name.startswith("v100"))


def test_the_nearest_larger_class_comes_first() -> None:
    assert larger(CLASSES, CLASSES["v100-16g"])[:2] == ["v100-32g", "a100-40g"]
    assert larger(CLASSES, CLASSES["a100-80g"]) == []
    assert larger(CLASSES, CLASSES["v100-16g"], "host")[0] in ("a100-40g", "a100-80g")
    assert larger(CLASSES, CLASSES["cpu"]) == [], "a processor has no memory of a GPU"


def test_larger_than_all_is_larger_than_each() -> None:
    both = {name: CLASSES[name] for name in ("v100-16g", "a100-40g")}
    assert larger_than_all(CLASSES, both) == ["h100-80g", "a100-80g"]
    assert larger_than_all(CLASSES, {"v100-16g": CLASSES["v100-16g"]}) == larger(
        CLASSES, CLASSES["v100-16g"]
    )


# ------------------------------------------------------------------------------- this machine


def test_of_several_classes_a_machine_is_the_first_that_it_can_be() -> None:
    names = ("a100-80g", "v100-16g", "cpu")
    preferred = {name: CLASSES[name] for name in names}
    assert list(first_here(preferred, WITH_GPU)) == ["v100-16g"]  # 24 GB
    found = first_here(preferred, WITHOUT)
    assert list(found) == ["cpu"]
    assert found["cpu"].cores == WITHOUT.cores
    del preferred["cpu"]
    with pytest.raises(UserError, match="none of the hardware classes") as refused:
        first_here(preferred, WITHOUT)
    assert "--config hardware=local" in str(refused.value)
    # A single one is taken as it is meant, with what there is.
    (hardware,) = first_here({"a100-80g": CLASSES["a100-80g"]}, WITH_GPU).values()
    assert hardware.device_memory_mb == WITH_GPU.device_memory_mb


def test_local_is_this_machine() -> None:
    found, here = detected(CLASSES["local"]), Machine.here()
    assert found.accelerator == ("cuda" if limits.devices() else "cpu")
    assert (found.host_memory_mb, found.cores) == (limits.Host().limit // limits.MB, limits.cores())
    assert found.planned_mb == int(0.9 * here.host_memory_mb)
    assert detected(found) == found, "found out once"
    assert detected(CLASSES["a100-80g"]) is CLASSES["a100-80g"]


@given(hardwares, machines)
def test_no_more_than_the_machine_has_nor_than_the_file_states(
    hardware: Hardware, machine: Machine
) -> None:
    try:
        found = within(hardware, machine)
    except UserError:
        assert (hardware.accelerator, machine.gpus) == ("cuda", 0)
        return
    assert found.accelerator in ("cpu", "cuda")
    for key in ("host_memory_mb", "cores"):
        stated = getattr(hardware, key)
        there = getattr(machine, key)
        assert getattr(found, key) == (there if stated is None else min(stated, there))
    assert (found.planned_mb or 0) <= machine.host_memory_mb
    if found.accelerator == "cuda":
        assert found.gpus is not None
        assert 1 <= found.gpus <= machine.gpus
    assert Hardware.model_validate(found.model_dump(exclude_unset=True)) == found
    assert within(found, machine) == found


def test_what_is_detected_decides_no_number_and_reaches_the_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workflow_src.configuration import snapshot

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(snapshot.VARIABLE, "")
    run = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text(encoding="utf-8"))
    configuration = load({**run, "hardware": "local"}, REPOSITORY / "config")
    made = []
    for machine in (WITH_GPU, WITHOUT):
        hardware = {"local": within(configuration.hardware["local"], machine)}
        targets = Targets(replace(configuration, hardware=hardware), REPOSITORY)
        targets.keep()
        job = Targets(snapshot.kept(), REPOSITORY)
        assert job.configuration.hardware == hardware
        cell = targets.cells[0]
        assert job.requests.of(cell) == targets.requests.of(cell)
        made.append([targets.configuration.resolve(*cell.key) for cell in targets.cells])
        assert targets.requests.of(cell).gpus == min(machine.gpus, 1)
    assert made[0] == made[1]


# ------------------------------------------------------------------------------- refused

OFFER = Hardware(
    accelerator="cuda",
    gpus=2,
    host_memory_mb=20_000,
    memory_share=0.5,
    cores=8,
    precisions=["fp32", "fp16"],
    max_runtime_minutes=600,
)
ASKED = Demand("d/net/all/1", Configured(), frozenset(), threads=2, precision="fp32")


@pytest.mark.parametrize(
    ("request_keys", "threads", "remedy"),
    [
        ({"memory_mb": 9801}, 1, {"request": {"memory_mb": 9800}}),
        ({"runtime_minutes": 601}, 1, {"request": {"runtime_minutes": 600}}),
        ({"devices": 3}, 1, {"request": {"devices": 2}}),
        ({"workers": 7}, 2, {"request": {"workers": 6}}),
        ({"workers": 3, "devices": 2}, 2, {"request": {"workers": 2}}),
        ({"devices": 2}, 5, {"request": {"devices": 1}}),
        ({"devices": 2, "workers": 4}, 5, {"request": {"devices": 1, "workers": 3}}),
    ],
)
def test_more_than_a_node_has_is_refused_and_the_line_shown_mends_it(
    request_keys: dict[str, int], threads: int, remedy: dict[str, Any]
) -> None:
    asked = replace(ASKED, request=Configured(**request_keys), threads=threads)
    with pytest.raises(UserError, match="more than a node of class mine") as refused:
        require_capacity(asked, "mine", OFFER, CLASSES)
    shown = yaml.safe_load(str(refused.value).partition("remedy:")[2])
    assert shown == remedy
    mended = Configured(**(request_keys | shown["request"]))
    require_capacity(replace(asked, request=mended), "mine", OFFER, CLASSES)


def test_threads_that_no_node_has_are_a_key_of_training() -> None:
    asked = replace(ASKED, threads=9)
    with pytest.raises(UserError, match="9 cores") as refused:
        require_capacity(asked, "mine", OFFER, CLASSES)
    shown = yaml.safe_load(str(refused.value).partition("remedy:")[2])
    assert shown == {"overrides": [{"cells": ASKED.cell, "training": {"torch_threads": 8}}]}


def test_what_a_pattern_sets_is_mended_by_a_pattern() -> None:
    much = Configured(memory_mb=50_000)
    asked = replace(ASKED, request=much, by_pattern=frozenset({"memory_mb"}))
    with pytest.raises(UserError, match="the next class is") as refused:
        require_capacity(asked, "mine", OFFER, CLASSES)
    shown = yaml.safe_load(str(refused.value).partition("remedy:")[2])
    assert shown == {"requests": [{"cells": ASKED.cell, "memory_mb": 9800}]}


def test_a_v100_computes_in_no_bf16() -> None:
    asked = replace(ASKED, precision="bf16")
    with pytest.raises(UserError, match="v100-16g does not compute in bf16") as refused:
        require_capacity(asked, "v100-16g", CLASSES["v100-16g"], CLASSES)
    said = str(refused.value)
    assert ASKED.cell in said
    assert "a100-40g, a100-80g, h100-80g" in said
    assert "precision: fp16" in said
    require_capacity(asked, "a100-40g", CLASSES["a100-40g"], CLASSES)


def test_what_is_raised_stays_within_the_share_that_may_be_planned() -> None:
    def memory_ran_out(memory_mb: int) -> list[Event]:
        request = AttemptRequest(hardware="mine", memory_mb=memory_mb)
        return [Started(identity="cell", request=request), Ended(cause="host_oom")]

    policy = Policy(1, SiteClass(), "mine", "cell", attempt=2, classes=CLASSES)
    forecast = Forecast(memory_mb=9000, runtime_minutes=60)
    most = 10_000 - INNER_SNAKEMAKE_MB
    assert decide(forecast, memory_ran_out(9000), OFFER, policy).memory_mb == most
    refusal = decide(forecast, memory_ran_out(most), OFFER, policy).refusal
    assert refusal.startswith("fits nowhere")
    assert "the next class is v100-" in refusal


# ------------------------------------------------------------------------------- side by side

# The resources of the workflow, with jobs that only say when they ran.
SNAKEFILE = """
from workflow_src import start
configfile: "config/config.yaml"
T = start.of_workflow(workflow, config)
NETWORKS = [cell.name for cell in T.cells if cell.model != "trivial"]
rule all:
    input: expand("heavy/{cell}", cell=NETWORKS), expand("light/{i}", i=range(3))
rule heavy:
    output: "heavy/{dataset}/{model}/{task_set}/{seed}"
    threads: T.training_threads
    resources: **T.training_resources()
    shell: "echo {resources.mem_mb} > {output}; date +%s.%N >> {output}; sleep 1;"
           " date +%s.%N >> {output}"
rule light:
    output: "light/{i}"
    resources: **T.light_resources(memory_mb=300, minutes=1)
    shell: "echo {resources.mem_mb} > {output}; date +%s.%N >> {output}; sleep 1;"
           " date +%s.%N >> {output}"
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Four cells of 500 MB each (with what Snakemake takes), and light jobs of 300."""
    shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    run = {"study": "s", "datasets": ["life_sim"], "models": ["dlinear", "patchtst", "trivial"]}
    run |= {"task_sets": ["all"], "seeds": [1, 2], "hardware": "local"}
    run |= {"request": {"memory_mb": 300}, "training": {"epochs": 1}}
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump(run), encoding="utf-8")
    (tmp_path / "config/site.yaml").unlink(missing_ok=True)
    (tmp_path / "Snakefile").write_text(SNAKEFILE, encoding="utf-8")
    return tmp_path


def ran(study: Path, *options: str, **hardware: Any) -> list[tuple[str, float, float, int]]:
    """(rule, start, end, MB) of each job of a real run on a machine of 1300 MB."""
    keys = {"accelerator": "detect", "host_memory_mb": 1300, **hardware}
    (study / "config/hardware/local.yaml").write_text(yaml.safe_dump(keys), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "8", *options],
        cwd=study,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = []
    for rule in ("heavy", "light"):
        for path in (study / rule).rglob("*"):
            if path.is_file():
                memory, start, end = path.read_text(encoding="utf-8").split()
                jobs.append((rule, float(start), float(end), int(memory)))
    assert len(jobs) == 7
    return jobs


def most(jobs: list[tuple[str, float, float, int]], *, of: str = "MB") -> int:
    """The most memory, or heavy jobs, at any one time."""
    return max(
        sum(
            job[3] if of == "MB" else job[0] == "heavy" for job in jobs if job[1] <= moment < job[2]
        )
        for _, moment, _, _ in jobs
    )


@pytest.mark.slow
def test_side_by_side_only_what_fits_into_memory(study: Path) -> None:
    jobs = ran(study)
    assert 800 <= most(jobs) <= 1300, "some at once, and the light ones count"
    assert {job[3] for job in jobs} == {500, 300}, "no request was trimmed"


@pytest.mark.slow
def test_what_the_user_says_of_the_machine_counts(study: Path) -> None:
    assert most(ran(study, "--resources", "mem_mb=700")) <= 700


@pytest.mark.slow
def test_no_more_cells_at_once_than_gpus(study: Path) -> None:
    """No GPU is needed: the command says how many there are."""
    jobs = ran(study, "--resources", "gpu=2", host_memory_mb=100_000)
    assert most(jobs, of="cells") == 2


@pytest.mark.slow
def test_more_than_the_machine_has_is_refused_not_trimmed(study: Path) -> None:
    with pytest.raises(AssertionError, match="more than a node of class local"):
        ran(study, "--resources", "mem_mb=400")
    run = yaml.safe_load((study / "config/config.yaml").read_text(encoding="utf-8"))
    run["request"]["devices"] = 3
    (study / "config/config.yaml").write_text(yaml.safe_dump(run), encoding="utf-8")
    with pytest.raises(AssertionError, match=r"request: \{devices: 2\}"):
        ran(study, "--resources", "gpu=2", host_memory_mb=100_000)
