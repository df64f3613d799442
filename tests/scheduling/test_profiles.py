"""What the Slurm profiles say, and that the plugin that is installed understands it so."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import snakemake_executor_plugin_slurm as plugin
import yaml
from snakemake.cli import get_argument_parser
from throttler import Throttler

PROFILES = sorted((Path(__file__).parents[2] / "profiles").glob("slurm-*/config.yaml"))
HOURS = 2


@pytest.fixture(params=PROFILES, ids=lambda path: path.parent.name)
def profile(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(yaml.safe_load(request.param.read_text(encoding="utf-8")))


def test_a_controller_that_is_silent_for_an_hour_is_outlasted(profile: dict[str, Any]) -> None:
    seconds = profile["slurm-status-attempts"] / profile["max-status-checks-per-second"]
    assert seconds >= HOURS * 3600


def test_these_are_options_of_snakemake_and_of_the_plugin(profile: dict[str, Any]) -> None:
    options = get_argument_parser().format_help()
    own = {field.name for field in dataclasses.fields(plugin.ExecutorSettings)}
    for key in profile:
        if key.startswith("slurm-"):
            assert key.removeprefix("slurm-").replace("-", "_") in own
        else:
            assert f"--{key}" in options or key in ("config",)


@pytest.mark.parametrize(("attempts", "kept"), [(3, 0), (8, 1)])
def test_the_plugin_forgets_jobs_when_its_attempts_are_used_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attempts: int, kept: int
) -> None:
    """Why there are many: its own code, and a squeue that fails five times."""
    script, calls = tmp_path / "squeue", tmp_path / "calls"
    script.write_text(
        f"#!/bin/sh\necho . >> {calls}\n[ $(wc -l < {calls}) -gt 5 ] || exit 1\necho '7|RUNNING'\n"
    )
    script.chmod(0o755)
    # Where Slurm is installed without a controller, it would ask sacct.
    age = tmp_path / "scontrol"
    age.write_text("#!/bin/sh\necho 'MinJobAge = 300 sec'\n")
    age.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    settings = SimpleNamespace(
        status_attempts=attempts, status_command="squeue", init_seconds_before_status_checks=1
    )
    executor = SimpleNamespace(
        workflow=SimpleNamespace(executor_settings=settings),
        logger=logging.getLogger("test"),
        get_status_command=lambda: "squeue",
        run_uuid="run",
        status_rate_limiter=Throttler(rate_limit=100, period=1),
        next_seconds_between_status_checks=1,
        _status_query_cycle_rows=[],
        _status_query_failures=0,
        _status_query_calls=0,
        _status_query_total_seconds=0.0,
        _status_query_min_seconds=None,
        _status_query_max_seconds=0.0,
    )
    job = SimpleNamespace(external_jobid="7", aux={}, job=None)

    async def looked() -> list[Any]:
        return [j async for j in plugin.Executor.check_active_jobs(executor, [job])]

    assert len(asyncio.run(looked())) == kept
