"""The targets of a workflow that Snakemake begins, or of a job of it."""

from __future__ import annotations

import atexit
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue
from snakemake.exceptions import WorkflowError

from workflow_src.artifacts.forecast_file import DatasetForecast
from workflow_src.configuration import Configuration, load, snapshot
from workflow_src.configuration.command_line import over_files
from workflow_src.errors import UserError
from workflow_src.scheduling.dry_run import leave_jobs_out
from workflow_src.scheduling.hardware import Machine, first_here
from workflow_src.scheduling.plan import ROWS
from workflow_src.scheduling.rounds import one_timer_at_a_time
from workflow_src.targets import Targets

if TYPE_CHECKING:
    from snakemake.workflow import Workflow

EXAMPLE_ACCOUNT = "my-project"  # of config/site.example.yaml


def build(
    config: Mapping[str, JsonValue],
    basedir: str,
    files: Sequence[str | Path],
    machine: Machine | None = None,
) -> Targets:
    """The targets of a run; UserError names the first wrong key.

    Cells that run side by side on `machine` ask for no more than it has.
    """
    folder = Path(basedir)
    configuration = load(config, folder / "config", [Path(file) for file in files])
    if machine is not None:
        hardware = first_here(configuration.hardware, machine)
        configuration = replace(configuration, hardware=hardware)
    return Targets(configuration, folder)


def of_workflow(workflow: Workflow, config: Mapping[str, JsonValue]) -> Targets:
    """The targets of Snakemake's `workflow`; a job's are those that its run has kept.

    Without a scheduler, Snakemake is told what cells share, where `--resources` does not say it:
    it then starts no more of them at once.
    """
    try:
        if not workflow.is_main_process:
            learned = snapshot.corrections()
            return Targets(snapshot.kept(), Path(workflow.basedir), learned)
        targets = _of_run(workflow, config)
    except UserError as error:
        raise WorkflowError(str(error)) from None
    one_timer_at_a_time()
    targets.settings = lambda: workflow.dag_settings
    # Whatever comes of this command: a plan, a run with nothing to do, with or without failures.
    atexit.register(lambda: targets.tell_of_other_code(is_plan=workflow.dryrun))
    asks_for_jobs = workflow.output_settings.printshellcmds or workflow.output_settings.verbose
    is_short = len(targets.trainings) > ROWS and not asks_for_jobs
    if is_short:
        leave_jobs_out(lambda: workflow.dryrun and not targets.asks_only_for_data())
    atexit.register(lambda: targets.sum_up_plan(is_short=is_short) if workflow.dryrun else None)
    return targets


def _of_run(workflow: Workflow, config: Mapping[str, JsonValue]) -> Targets:
    files, scheduled = workflow.overwrite_configfiles, workflow.resource_settings.nodes
    asked = workflow.config_settings.config_args
    config = over_files(config, asked, scheduled=scheduled is not None)
    if scheduled is not None:
        targets = build(config, workflow.basedir, files)
        require_own_site(targets.configuration)
        require_forecasts(targets.forecasts())
        targets.side_by_side = scheduled
        return targets
    stated = workflow.global_resources
    here = {name: stated[name].value for name in ("mem_mb", "gpu") if name in stated}
    targets = build(config, workflow.basedir, files, _machine(here))
    require_forecasts(targets.forecasts())
    targets.side_by_side = workflow.resource_settings.cores or 1
    for name, most in targets.shared_resources().items():
        if name not in stated:
            workflow.register_resource(name, most)
    return targets


def _machine(stated: Mapping[str, int]) -> Machine:
    """This machine; what `--resources` says of it counts."""
    here = Machine.here()
    return replace(
        here,
        host_memory_mb=stated.get("mem_mb", here.host_memory_mb),
        gpus=stated.get("gpu", here.gpus),
    )


def require_forecasts(files: Iterable[str]) -> None:
    """Refuse a damaged forecast among `files`.

    Raises:
        BadData: one cannot be read.
    """
    for file in map(Path, files):
        if file.exists():
            DatasetForecast.read(file)


def require_own_site(configuration: Configuration) -> None:
    """Refuse the names of the example, which no cluster knows.

    Raises:
        UserError: one is there.
    """
    site = configuration.folder / "site.yaml"
    for part in (*configuration.sites.values(), configuration.light_site):
        if part.account == EXAMPLE_ACCOUNT:
            raise UserError(
                f"`account: {EXAMPLE_ACCOUNT}` is the example's; no cluster has it.",
                where=str(site),
                expected="the account that your cluster bills, or no line `account`",
                remedy=f"sed -i '/account: .*{EXAMPLE_ACCOUNT}/d' {shlex.quote(str(site))}",
            )
