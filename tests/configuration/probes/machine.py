"""Keys of the run, of requests, hardware and site, seen in what Snakemake is told."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from workflow_src import limits
from workflow_src.__main__ import _parser
from workflow_src.cells import grid, runs
from workflow_src.errors import UserError
from workflow_src.forecasting.seconds import Rates
from workflow_src.rule_shell import prefix
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.events import Ended, Started
from workflow_src.scheduling.journal import Journal

CELL = {"dataset": "d", "model": "net", "task_set": "all", "seed": "1"}


def shell_prefix(targets: Any) -> str:
    return prefix(targets.configuration, targets.basedir)


def told(world: Any, run: dict[str, Any] | None = None, **files: Any) -> dict[str, Any]:
    """The resources of the training rule for a cell."""
    wildcards = type("Wildcards", (), CELL)
    resources = world.targets(run, **files).training_resources()
    return {name: value(wildcards, 1) for name, value in resources.items()}


def names(world: Any, run: dict[str, Any] | None = None, **files: Any) -> list[str]:
    return [cell.name for cell in grid(world.load(run, **files))]


# ------------------------------------------------------------------------------- the grid


def study(world: Any) -> None:
    targets = world.targets({"study": "mine"})
    files = targets.table_files() + targets.cell_files() + [targets.log("train")]
    assert {Path(file).parts[0] for file in files} == {"mine"}


def datasets(world: Any) -> None:
    second = world.load({"datasets": ["d", "e"]}, datasets__e={"extends": "d"})
    assert [c.dataset for c in grid(second)] == ["d", "d", "e", "e"]


def models(world: Any) -> None:
    assert names(world, {"models": ["pt"]}) == ["d/pt/all/1"]


def task_sets(world: Any) -> None:
    assert names(world, {"task_sets": ["one"], "models": ["net"]}) == ["d/net/one/1"]


def seeds(world: Any) -> None:
    assert names(world, {"seeds": [4, 5], "models": ["net"]}) == ["d/net/all/4", "d/net/all/5"]


def include(world: Any) -> None:
    assert names(world, {"include": ["*/tr/*"]}) == ["d/tr/all/1"]


def exclude(world: Any) -> None:
    assert names(world, {"exclude": ["*/tr/*"]}) == ["d/net/all/1"]


def data_root(world: Any) -> None:
    root = world.new_folder()
    assert world.load({"data_root": str(root)}).data_root() == root
    assert str(root) in shell_prefix(world.targets({"data_root": str(root)}))
    assert world.load().data_root() is None


def overrides(world: Any) -> None:
    run = {"overrides": [{"cells": "*", "training": {"epochs": 9}}]}
    assert world.cell(run)["training"]["epochs"] == 9


def override_cells(world: Any) -> None:
    run: dict[str, Any] = {"seeds": [1, 2]}
    for pattern, epochs in (("*/net/*/1", (9, 1)), ("*/net/*/2", (1, 9))):
        run["overrides"] = [{"cells": pattern, "training": {"epochs": 9}}]
        found = [world.cell(run, f"d/net/all/{s}")["training"]["epochs"] for s in (1, 2)]
        assert tuple(found) == epochs


# ------------------------------------------------------------------------------- requests


def request(world: Any) -> None:
    plain, more = told(world), told(world, {"request": {"memory_mb": 9000}})
    assert more["mem_mb"] - plain["mem_mb"] == 5000


def requests(world: Any) -> None:
    rules = {"requests": [{"cells": "*/net/*", "runtime_minutes": 77}]}
    assert told(world, rules)["runtime"] == 77


def rule_cells(world: Any) -> None:
    rules = [{"cells": c, "runtime_minutes": m} for c, m in (("*/pt/*", 77), ("*/net/*", 88))]
    assert told(world, {"models": ["net", "pt"], "requests": rules})["runtime"] == 88


def rule(key: str, resource: str, value: Any, expected: Any) -> Any:
    def probe(world: Any) -> None:
        assert told(world)[resource] != expected
        assert told(world, {"request": {key: value}})[resource] == expected
        by_rule = {"requests": [{"cells": "*/net/*", key: value}]}
        assert told(world, by_rule)[resource] == expected

    return probe


def devices(world: Any) -> None:
    rule("devices", "devices", 2, 2)(world)
    gpu = told(world, {"request": {"devices": 3}, "hardware": "big"})
    assert gpu["gpu"] == 3
    _cores(world, {"devices": 3}, 3)


def workers(world: Any) -> None:
    rule("workers", "workers", 2, 2)(world)
    _cores(world, {"workers": 2}, 3)


def _cores(world: Any, request: dict[str, Any], cores: int) -> None:
    wildcards = type("Wildcards", (), CELL)
    assert world.targets({"request": request}).training_threads(wildcards, 1) == cores


def checkpoint_minutes(world: Any) -> None:
    """As a resource, not a param: another value reruns nothing."""
    rule("checkpoint_minutes", "checkpoint_minutes", 2.5, "2.5")(world)
    text = world.targets().training_shell()
    assert "--checkpoint-minutes {resources.checkpoint_minutes}" in text
    given = ["train", "cell.json", "--checkpoint-minutes", "2.5"]
    assert _parser().parse_args(given).checkpoint_minutes == 2.5


# ------------------------------------------------------------------------------- machines


def hardware(world: Any) -> None:
    assert told(world)["accelerator"] == "cpu"
    assert told(world, {"hardware": "big"})["accelerator"] == "cuda"
    # The first of a list that has what a cell asks for.
    files = {"hardware__huge": {"accelerator": "cuda"}, "hardware__big": {"precisions": ["fp32"]}}
    for precision, name in (("fp32", "big"), ("bf16", "huge")):
        run = {"hardware": ["big", "huge"], "training": {"precision": precision}}
        asked = told(world, run, **files)
        assert (asked["hardware"], asked["gpu"]) == (name, 1)
        assert asked["gpu_model"] == ("a100" if name == "big" else None)
    with pytest.raises(UserError, match="some have GPUs") as refused:
        world.targets({"hardware": ["big", "local", "huge"]}, **files)
    assert "hardware: [big, huge]" in str(refused.value)


def wait_minutes(world: Any) -> None:
    """How long Slurm lets a training wait where another class would do."""
    files = {"hardware__huge": {"accelerator": "cuda"}, "site": {"big": {"extra": "--no-kill"}}}
    run = {"hardware": ["big", "huge"], "request": {"runtime_minutes": 60}}
    assert told(world, run, **files)["slurm_extra"] == "--no-kill"
    waits = told(world, {**run, "wait_minutes": 30}, **files)
    assert waits["slurm_extra"] == "--no-kill --deadline=now+90minutes"
    assert told(world, {**run, "hardware": "big"}, **files)["slurm_extra"] == "--no-kill"


def accelerator(world: Any) -> None:
    for name, gpus in (("cpu", None), ("cuda", 1)):
        resources = told(world, hardware__local={"accelerator": name})
        assert (resources["accelerator"], resources.get("gpu")) == (name, gpus)
    here = "cuda" if limits.devices() else "cpu"
    assert told(world, hardware__local={"accelerator": "detect"})["accelerator"] == here
    found = world.targets(hardware__local={"accelerator": "detect"}).configuration.hardware["local"]
    assert (found.accelerator, found.cores) == (here, limits.cores())


def gpu_model(world: Any) -> None:
    for model in ("a100", "v100"):
        run = {"hardware": "big"}
        assert told(world, run, hardware__big={"gpu_model": model})["gpu_model"] == model


def host_memory_mb(world: Any) -> None:
    _refused_beyond(world, "host_memory_mb", {"memory_mb": 90000})


def max_runtime_minutes(world: Any) -> None:
    _refused_beyond(world, "max_runtime_minutes", {"runtime_minutes": 900})


def _refused_beyond(world: Any, key: str, request: dict[str, int]) -> None:
    (asked,) = request.values()
    told(world, {"request": request}, hardware__local={key: 2 * asked})
    with pytest.raises(UserError, match=f"more than a node[\\s\\S]*found: *{asked}"):
        told(world, {"request": request}, hardware__local={key: asked - 1})


def memory_share(world: Any) -> None:
    run = {"request": {"memory_mb": 5000}}
    for share, allowed in ((1.0, True), (0.4, False)):
        files = {"hardware__local": {"host_memory_mb": 10000, "memory_share": share}}
        if allowed:
            told(world, run, **files)
            continue
        with pytest.raises(UserError, match="at most 3800"):
            told(world, run, **files)


def cores(world: Any) -> None:
    """The line that the message shows mends it."""
    run = {"request": {"workers": 5}}
    told(world, run, hardware__local={"cores": 6})
    with pytest.raises(UserError, match=r"found: *6 cores[\s\S]*request: \{workers: 3\}"):
        told(world, run, hardware__local={"cores": 4})
    told(world, {"request": {"workers": 3}}, hardware__local={"cores": 4})


def gpus(world: Any) -> None:
    run = {"request": {"devices": 4}, "hardware": "big"}
    told(world, run, hardware__big={"gpus": 4})
    with pytest.raises(UserError, match=r"found: *4[\s\S]*request: \{devices: 2\}"):
        told(world, run, hardware__big={"gpus": 2})


def precisions(world: Any) -> None:
    run = {"training": {"precision": "bf16"}}
    told(world, run, hardware__local={"precisions": ["bf16"]})
    with pytest.raises(UserError, match="class local does not compute in bf16") as refused:
        told(world, run, hardware__local={"precisions": ["fp32", "fp16"]})
    assert "cell d/net/all/1" in str(refused.value)
    assert "precision: fp16" in str(refused.value)


def device_memory_mb(world: Any) -> None:
    """Where one span does not fit, the class that has more is named."""
    classes = {"hardware__big": {"device_memory_mb": 16384}}
    classes["hardware__huge"] = {"accelerator": "cuda", "device_memory_mb": 40960}
    targets = world.targets({"hardware": "big"}, **classes)
    (cell,) = (cell for cell in targets.cells if cell.model == "net")
    smallest = {"hardware": "big", "micro_batch_size": 1, "activation_checkpointing": True}
    identity = targets.configuration.resolve(*cell.key).identity
    journal = Journal(runs(targets.study, cell) / "attempts.jsonl")
    journal.path.parent.mkdir(parents=True)
    journal.append(Started(identity=identity, request=AttemptRequest(**smallest)))
    journal.append(Ended(cause="gpu_oom", message=""))
    assert "the next class is huge with 40960 MB" in targets.requests.of(cell).refusal


def rate(key: str, value: Any, of: str, expected: float) -> Any:
    """What the seconds of a step are computed from (tests/forecasting/test_dataset_forecast.py)."""

    def probe(world: Any) -> None:
        stated = {"tflops": {"fp32": 10.0}, "copy_gb_s": 1000.0}
        found = []
        for rates in (stated, stated | {key: value}):
            content = {"accelerator": "cuda", "rates": rates}
            configuration = world.load({"hardware": "card"}, hardware__card=content)
            card = configuration.hardware["card"].rates
            found.append(getattr(Rates.of_card(card, "fp32", reached=1.0), of))
        assert found[0] != found[1] == pytest.approx(expected)

    return probe


def site(key: str, resource: str) -> Any:
    def probe(world: Any) -> None:
        assert resource not in told(world)
        (world.config / "site.yaml").write_text(f"local:\n  {key}: mine\nbig: {{}}\n")
        assert told(world)[resource] == "mine"
        assert resource not in told(world, {"hardware": "big"})

    return probe


def modules(world: Any) -> None:
    """They are loaded in a job, and there alone, by a shell that forbids unset variables."""
    assert "module load" not in shell_prefix(world.targets())
    site = {"local": {"modules": ["cuda/12.6", "a b"]}}
    prefix = shell_prefix(world.targets(site=site)).replace("{{", "{").replace("}}", "}")
    init = world.new_folder() / "init" / "bash"
    init.parent.mkdir(parents=True)
    init.write_text('module() { echo "$# $@ $UNSET_BEFORE"; }\n', encoding="utf-8")
    for job, said in (("", "on\n"), ("7", "3 load cuda/12.6 a b \non\n")):
        variables = {**os.environ, "SLURM_JOB_ID": job, "MODULESHOME": str(init.parents[1])}
        command = ["bash", "-c", f"{prefix} modules train; echo on"]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
        assert done.stdout == said
        # A module that is not there ends the job.
        variables["MODULESHOME"] = "/nowhere"
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        assert (done.returncode != 0) == bool(job)
    # Of several classes, those of the one that a training is told.
    run = {"hardware": ["local", "small", "plain"]}
    classes = {"hardware__small": {"accelerator": "cpu"}, "hardware__plain": {"accelerator": "cpu"}}
    site["small"] = {"modules": ["other"]}
    prefix = shell_prefix(world.targets(run, site=site, **classes))
    prefix = prefix.replace("{{", "{").replace("}}", "}")
    variables = {**os.environ, "SLURM_JOB_ID": "7", "MODULESHOME": str(init.parents[1])}
    for name, said in (("small", "2 load other \n"), ("plain", "")):
        command = ["bash", "-c", f"{prefix} modules train x --hardware {name} --refused 0"]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
        assert done.stdout == said


PROBES = {
    "Run.study": study,
    "Run.datasets": datasets,
    "Run.models": models,
    "Run.task_sets": task_sets,
    "Run.seeds": seeds,
    "Run.include": include,
    "Run.exclude": exclude,
    "Run.data_root": data_root,
    "Run.overrides": overrides,
    "Run.request": request,
    "Run.requests": requests,
    "Run.hardware": hardware,
    "Run.wait_minutes": wait_minutes,
    "Override.cells": override_cells,
    "RequestRule.cells": rule_cells,
    "Request.micro_batch_size": rule("micro_batch_size", "micro_batch_size", 4, 4),
    "Request.memory_mb": rule("memory_mb", "mem_mb", 5000, 5200),
    "Request.runtime_minutes": rule("runtime_minutes", "runtime", 33, 33),
    "Request.checkpoint_minutes": checkpoint_minutes,
    "Request.activation_checkpointing": rule(
        "activation_checkpointing", "activation_checkpointing", True, 1
    ),
    "Request.devices": devices,
    "Request.workers": workers,
    "Hardware.accelerator": accelerator,
    "Hardware.gpu_model": gpu_model,
    "Hardware.gpus": gpus,
    "Hardware.device_memory_mb": device_memory_mb,
    "Hardware.host_memory_mb": host_memory_mb,
    "Hardware.memory_share": memory_share,
    "Hardware.cores": cores,
    "Hardware.precisions": precisions,
    "Hardware.max_runtime_minutes": max_runtime_minutes,
    "Hardware.rates": rate("copy_gb_s", 500.0, "reduction", 5e11),
    "CardRates.tflops": rate("tflops", {"fp32": 20.0}, "product", 2e13),
    "CardRates.copy_gb_s": rate("copy_gb_s", 2000.0, "pointwise", 2e12),
    "CardRates.call_us": rate("call_us", 7.0, "operator_s", 7e-6),
    "SiteClass.partition": site("partition", "slurm_partition"),
    "SiteClass.account": site("account", "slurm_account"),
    "SiteClass.qos": site("qos", "qos"),
    "SiteClass.constraint": site("constraint", "constraint"),
    "SiteClass.extra": site("extra", "slurm_extra"),
    "SiteClass.modules": modules,
}
