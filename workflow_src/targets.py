"""What the rules ask: patterns, inputs, params and resources of every target (no torch)."""

from __future__ import annotations

import atexit
import fnmatch
import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from snakemake.exceptions import WorkflowError

from workflow_src import cells as paths
from workflow_src.artifacts.forecast_file import (
    CellForecast,
    Correction,
    DatasetForecast,
    forecast_key,
)
from workflow_src.cells import Cell
from workflow_src.configuration import REVISIONS, Configuration, load, snapshot
from workflow_src.configuration.command_line import over_files
from workflow_src.configuration.loading import page_part
from workflow_src.configuration.schema import SiteClass
from workflow_src.errors import BadData, UserError
from workflow_src.forecasting.learn import learn
from workflow_src.scheduling.attempt_history import cause_without_end, last_sample
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.capacity import Demand, with_capacity
from workflow_src.scheduling.dry_run import leave_jobs_out
from workflow_src.scheduling.events import Ended, Event
from workflow_src.scheduling.forced import TRAINED, forced_cells, trained_files
from workflow_src.scheduling.hardware import (
    Machine,
    detected,
    first_here,
    larger_than_all,
    require_one_accelerator,
)
from workflow_src.scheduling.journal import Journal
from workflow_src.scheduling.lock import newest
from workflow_src.scheduling.next_request import (
    Forecast,
    JobRequest,
    Policy,
    site_resources,
)
from workflow_src.scheduling.observed import Known, Observed, observe, write_observed
from workflow_src.scheduling.other_code import of_other_code, told
from workflow_src.scheduling.plan import ROWS, PlannedCell, plan, totals
from workflow_src.scheduling.preference import Choice, prefer
from workflow_src.scheduling.rounds import one_timer_at_a_time
from workflow_src.scheduling.status import State, Status, planned, survey
from workflow_src.tables.plan import TablePlan, table_files, table_folder

DATA_TARGETS = ("data", "audit", "rigs", "forecasts", "plan")  # rules/targets.smk
CELL = "{dataset}/{model}/{task_set}/seed{seed}"
EXAMPLE_ACCOUNT = "my-project"  # of config/site.example.yaml


class Targets:
    """Everything that a rule needs to know of the run."""

    def __init__(
        self,
        configuration: Configuration,
        basedir: Path,
        learned: Sequence[Mapping[str, JsonValue]] | None = None,
    ) -> None:
        # A job finds `detect` already replaced in what its run has kept.
        hardware = {name: detected(each) for name, each in configuration.hardware.items()}
        require_one_accelerator(hardware)
        self.configuration = configuration = replace(configuration, hardware=hardware)
        self.basedir = basedir
        self._learned = learned  # when the run of this job began; None: this process learns
        self.study = configuration.run.study
        self.cells = paths.grid(configuration)
        networks = set(self.models("network"))
        self.trainings = [cell for cell in self.cells if cell.model in networks]
        self.plan = TablePlan.from_configuration(configuration, self.cells)
        for cell in self.cells:  # Keys that contradict each other in a cell are told at once.
            configuration.resolve(*cell.key)
        self.settings: Callable[[], Any] = lambda: None  # Snakemake's, known once it has read all
        classes = configuration.classes
        more = {n for of in ("gpu", "host") for n in larger_than_all(classes, hardware, of)}
        self._larger = {name: classes[name] for name in more}
        self._forced_by: tuple[Any, frozenset[Cell]] | None = None  # settings, and what they force
        self.side_by_side = 1  # jobs
        self._check_data_root()
        for cell in self.trainings:  # what is more than a node offers is refused
            self.classes_of(cell)

    def keep(self) -> None:
        """Keep the configuration for the jobs of this run; called when it begins."""
        folders = [str(paths.results(self.study, cell)) for cell in self._forced()]
        snapshot.keep(
            self.configuration, folders, [one.model_dump() for one in self.corrections.values()]
        )
        write_observed(self.study, self.observed)

    # ------------------------------------------------------------------ names

    @property
    def command(self) -> str:
        """The interpreter that runs Snakemake, with the package beside the Snakefile."""
        return f"PYTHONPATH={shlex.quote(str(self.basedir))}:${{PYTHONPATH:-}} " + shlex.join(
            [sys.executable, "-m", "workflow_src"]
        )

    def result(self, name: str) -> str:
        """Pattern of a file of a cell's results."""
        return f"{self.study}/results/{CELL}/{name}"

    def log(self, rule: str) -> str:
        """Pattern of a rule's log for a cell."""
        return f"{self.study}/logs/{rule}/{CELL}.log"

    def benchmark(self, rule: str) -> str:
        """Pattern of a rule's benchmark for a cell."""
        return f"{self.study}/benchmarks/{rule}/{CELL}.tsv"

    @staticmethod
    def one_of(names: Iterable[str]) -> str:
        """A wildcard constraint that matches exactly `names`; without one, nothing."""
        return "|".join(re.escape(name) for name in names) or "(?!)"

    def models(self, kind: str) -> list[str]:
        """Names of the models of one kind."""
        models = self.configuration.models
        return [name for name, model in models.items() if model.kind == kind]

    # ------------------------------------------------------------------ inputs

    def stores(self) -> list[str]:
        """Every rig's store."""
        return [str(paths.rig_folder(r) / "recordings.h5") for r in self.configuration.rigs]

    def pages(self) -> list[str]:
        """Every rig's page."""
        return [str(paths.rig_folder(r) / "rig.html") for r in self.configuration.rigs]

    def splits(self) -> list[str]:
        """Every dataset's split."""
        return [str(paths.split_folder(d) / "split.csv") for d in self.configuration.datasets]

    def audits(self) -> list[str]:
        """Every dataset's audit."""
        return [str(paths.split_folder(d) / "audit.json") for d in self.configuration.datasets]

    def forecasts(self) -> list[str]:
        """Every forecast of the study."""
        datasets = dict.fromkeys(cell.dataset for cell in self.trainings)
        return [str(paths.forecast_file(self.study, dataset)) for dataset in datasets]

    def table_of(self, wildcards: Any) -> str:
        """Labels of the recordings of a dataset's rig."""
        return self._of_rig(wildcards, "recordings.csv")

    def store_of(self, wildcards: Any) -> str:
        """Store of a dataset's rig."""
        return self._of_rig(wildcards, "recordings.h5")

    def _of_rig(self, wildcards: Any, name: str) -> str:
        rig = self.configuration.datasets[wildcards.dataset].rig
        return str(paths.rig_folder(rig) / name)

    def parts_of(self, wildcards: Any) -> list[str]:
        """Stores that a union of rigs is made of; none for any other rig."""
        rigs = self.configuration.rigs[wildcards.rig].options.member_rigs()
        return [str(paths.rig_folder(rig) / "recordings.h5") for rig in rigs]

    def built_of(self, wildcards: Any) -> list[str]:
        """What is built of a rig before its recordings are read."""
        asked = self.configuration.rigs[wildcards.rig].options.is_built_first()
        return [str(paths.rig_folder(wildcards.rig) / "built.json")] if asked else []

    def features_of(self, wildcards: Any) -> list[str]:
        """Features of a dataset's spans, for a model that uses them."""
        used = self.configuration.uses_features(wildcards.model)
        return [str(paths.features_file(wildcards.dataset))] if used else []

    def forecast_of(self, wildcards: Any) -> list[str]:
        """What a cell's network is expected to need.

        Empty for a finished cell: a new forecast would otherwise retrain it.
        """
        cell = Cell(*_of(wildcards))
        outputs = map(Path, trained_files(self.study, [cell]))
        done = (
            self._is_current(cell)
            and cell not in self._forced()
            and all(file.exists() for file in outputs)
        )
        return [] if done else [str(paths.forecast_file(self.study, cell.dataset))]

    def reference_of(self, wildcards: Any) -> list[str]:
        """Features of a dataset's spans, where forecasts are compared with the one in there."""
        asked = self.configuration.task_sets[wildcards.task_set].given()
        known = "signal_prediction" in asked
        return [str(paths.features_file(wildcards.dataset))] if known else []

    def every(self, name: str) -> list[str]:
        """One file of the results of every cell."""
        return [str(paths.results(self.study, cell) / name) for cell in self.cells]

    # ------------------------------------------------------------------ params

    def cell_json(self, wildcards: Any) -> str:
        """The resolved configuration of a cell."""
        return self.configuration.resolve(*_of(wildcards)).to_json()

    def rig_json(self, wildcards: Any) -> str:
        """What decides a rig's recordings."""
        return _json(self.configuration.rig_part(wildcards.rig))

    def page_json(self, wildcards: Any) -> str:
        """What a rig's page tells beside its recordings."""
        return _json(page_part(self.configuration.rigs[wildcards.rig]))

    def split_json(self, wildcards: Any) -> str:
        """What decides a dataset's split."""
        return _json(self.configuration.split_part(wildcards.dataset))

    def features_json(self, wildcards: Any) -> str:
        """What decides the features of a dataset's spans."""
        return _json(self.configuration.features_part(wildcards.dataset))

    def forecast_keys(self, wildcards: Any) -> list[str]:
        """What decides the forecasts of a dataset's networks."""
        cells = [cell for cell in self.trainings if cell.dataset == wildcards.dataset]
        return sorted({self._forecast_key(c, name) for c in cells for name in self.classes_of(c)})

    def prediction_revision(self) -> int:
        """Raised by hand when more is kept of a span; finished weights predict anew."""
        return REVISIONS["predictions"]

    def score_revision(self) -> int:
        """Raised by hand when the same predictions would score otherwise."""
        return REVISIONS["scores"]

    def plan_json(self) -> str:
        """What decides the tables."""
        return self.plan.to_json()

    def other_code(self, wildcards: Any) -> list[str]:
        """Cells of which the tables say that other code has trained them.

        Not those that this run trains anew: what is said of them would hold no more at its end.
        """
        forced = self._forced()
        kept = [cell for cell in self.cells if cell not in forced and self._is_current(cell)]
        return [cell.name for cell in of_other_code(self.study, kept)]

    def _forced(self) -> frozenset[Cell]:
        """What this run is told to train from the first step."""
        settings = self.settings()
        if settings is None:
            return frozenset()
        if self._forced_by is None or self._forced_by[0] is not settings:
            cells = frozenset(forced_cells(settings, self.study, self.cells))
            self._forced_by = settings, cells
        return self._forced_by[1]

    def asks_only_for_data(self) -> bool:
        """Whether each target of this run is a rule or a file that no cell is part of."""
        settings = self.settings()
        named = set() if settings is None else set(settings.targets)
        return bool(named) and all(
            name in DATA_TARGETS or Path(name).parts[:1] == (str(paths.DATA),) for name in named
        )

    def _is_current(self, cell: Cell) -> bool:
        """Whether what is there is of the present settings, as far as a cell.json tells."""
        try:
            text = (paths.results(self.study, cell) / "cell.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return True
        return self.configuration.resolve(*cell.key).identity in text

    def table_files(self) -> list[str]:
        """Every table of the study."""
        return [str(path) for path in table_files(self.plan)]

    def cell_files(self) -> list[str]:
        """Every result of every cell.

        Asked for beside the tables: Snakemake passes over a missing file that lies between files
        which are there and up to date.
        """
        networks = set(self.models("network"))
        baseline = ["predictions.h5", "training.json"]
        return [
            str(paths.results(self.study, cell) / name)
            for cell in self.cells
            for name in (
                "cell.json",
                "metrics.json",
                *(TRAINED if cell.model in networks else baseline),
            )
        ]

    def shell_prefix(self) -> str:
        """What every rule's shell text may use: `verb`, and `sources` (where files are found).

        Not params: a moved environment or folder changes no number. A prefix takes the place of
        Snakemake's own, which makes the shell end at the first failure, inside a pipe too.
        """
        root = self.configuration.data_root()
        options = ["--config-folder", str(self.configuration.folder)]
        sources = shlex.join(options + (["--data-root", str(root)] if root else []))
        prefix = f"set -euo pipefail; {self._modules()}"
        prefix += f'verb() {{ modules "$@"; {self.command} "$@"; }}; sources=({sources}); '
        return prefix.replace("{", "{{").replace("}", "}}")  # Snakemake formats it

    def _modules(self) -> str:
        """`modules`: in a job it loads those of the class that a verb is told, else of the first.

        The rules that run beside Snakemake need none.
        `module` is a function of the user's shell: /bin/sh, through which Slurm starts jobs, may
        have dropped it, but not the place where it is defined.
        """
        begin = 'type module > /dev/null 2>&1 || source "$MODULESHOME/init/bash"'

        def load(site: SiteClass) -> str:
            # Such functions read variables that may not be set.
            return f"set +u; {begin}; module load {shlex.join(site.modules)}; set -u"

        sites = self.configuration.sites
        loads = {name: load(site) if site.modules else ":" for name, site in sites.items()}
        cases = [f'*" --hardware {name} "*) {each};;' for name, each in loads.items()]
        cases.append(f"*) {next(iter(loads.values()))};;")
        told = f'case " $* " in {" ".join(cases)} esac'
        return f'modules() {{ if [ -n "${{SLURM_JOB_ID:-}}" ]; then {told}; fi; }}; '

    def show_tables(self) -> None:
        """Print the tables, where all are there and none of an unfinished study is younger.

        An older one is then of the past, and removed.
        """
        tables = [Path(file) for file in self.table_files()]
        if not all(file.exists() for file in tables):
            return
        partial = table_folder(self.study, partial=True)
        youngest = max((file.stat().st_mtime for file in partial.glob("*")), default=0.0)
        if youngest < min(file.stat().st_mtime for file in tables):
            shutil.rmtree(partial, ignore_errors=True)
            self._call("show", "--plan", self.plan_json())

    def write_partial_tables(self) -> None:
        """Write and print the tables of what exists; a failure here hides no other one.

        Tables that are older than the settings of a cell go: no number without its cell.
        """
        settings = [Path(file) for file in self.every("cell.json")]
        newest = max((file.stat().st_mtime for file in settings if file.exists()), default=0.0)
        for file in (*map(Path, self.table_files()), Path(self.study, "results.csv")):
            if file.exists() and file.stat().st_mtime < newest:
                file.unlink()
        if any(Path(file).exists() for file in self.every("metrics.json")):
            self._call("tables", "--partial", "--plan", self.plan_json())

    def sum_up(self, logs: Iterable[str]) -> None:
        """Write the tables of what exists, and print what failed and what to do next.

        `logs` are Snakemake's own, of this run. A failure here hides no other one.
        """
        from workflow_src.scheduling.digest import digest

        def log_of(rule: str, cell: Cell) -> Path:
            return Path(self.log(rule).format(**vars(cell)))

        try:
            self.write_partial_tables()
            words = digest(
                self.configuration,
                map(Path, logs),
                log_of,
                self.request,
                only_data=self.asks_only_for_data(),
            )
            print(words, flush=True)
        except Exception as error:
            print(f"What failed could not be summed up: {error!r}", flush=True)

    def tell_of_other_code(self, *, is_plan: bool) -> None:
        """Say which cells other code has trained, and how to train them anew.

        Not those that a plan (a dry run) already trains anew.
        """
        forced = self._forced() if is_plan else frozenset()
        if said := told(self.study, [cell for cell in self.cells if cell not in forced]):
            print(said, file=sys.stderr, flush=True)

    def _call(self, *arguments: str) -> None:
        path = os.pathsep.join(filter(None, [str(self.basedir), os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-m", "workflow_src", *arguments]
        subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False)

    # ------------------------------------------------------------------ resources

    def request(self, cell: Cell, attempt: int = 1) -> JobRequest:
        """What the next attempt of `cell` asks for, the `attempt`-th of this invocation."""
        journal = paths.runs(self.study, cell) / "attempts.jsonl"
        written = journal.stat().st_size if journal.exists() else 0
        forecasts = tuple(self.forecast(cell, name) for name in self.classes_of(cell))
        return self._decided(cell, attempt, written, forecasts)

    @functools.cache  # noqa: B019 - lives as long as the process
    def classes_of(self, cell: Cell) -> Sequence[str]:
        """The hardware classes whose nodes have what `cell` asks for, the first choice first.

        Raises:
            UserError: there is none.
        """
        configuration = self.configuration
        training = configuration.resolve(*cell.key).training
        if training is None:
            return list(configuration.hardware)
        keys = [
            set(rule.model_fields_set)
            for rule in configuration.run.requests
            if fnmatch.fnmatchcase(cell.name, rule.cells)
        ]
        demand = Demand(
            cell=cell.name,
            request=configuration.request(*cell.key),
            by_pattern=frozenset().union(*keys),
            threads=training.torch_threads,
            precision=training.precision,
        )
        return with_capacity(demand, configuration.hardware, configuration.classes)

    def forecast(self, cell: Cell, name: str) -> CellForecast | None:
        """What `cell` is expected to need on a hardware class.

        None: there is no forecast of its present settings.
        """
        made = self._forecast_as_made(cell, name)
        return None if made is None else made.corrected(self.corrections.get((name, cell.model)))

    @functools.cached_property
    def corrections(self) -> Mapping[tuple[str, str], Correction]:
        """What finished attempts teach, by hardware class and model: fixed when a run begins."""
        if self._learned is None:
            return learn(self.observed)
        found = map(Correction.model_validate, self._learned)
        return {(one.hardware, one.model): one for one in found}

    @functools.cached_property
    def observed(self) -> list[Observed]:
        """What finished attempts of the study used, as far as the journals tell at first asking."""
        return observe(self.study, self._known)

    def _known(self, cell: Cell, hardware: str) -> Known | None:
        if cell.of_all_seeds not in self._of_grid or hardware not in self.configuration.hardware:
            return None
        identity = self.configuration.resolve(*cell.key).identity
        request = self.configuration.request(*cell.key)
        return Known(identity, request, self._forecast_as_made(cell, hardware))

    @functools.cached_property
    def _of_grid(self) -> frozenset[tuple[str, str, str]]:
        return frozenset(cell.of_all_seeds for cell in self.trainings)

    def _forecast_as_made(self, cell: Cell, name: str) -> CellForecast | None:
        """Before anything is learned."""
        file = paths.forecast_file(self.study, cell.dataset)
        try:
            known = self._forecasts(file, file.stat().st_mtime_ns)
        except FileNotFoundError:
            return None
        return known.get(self._forecast_key(cell, name))

    @functools.cache  # noqa: B019 - lives as long as the process
    def _forecasts(self, file: Path, written_ns: int) -> Mapping[str, CellForecast]:
        try:
            return DatasetForecast.read(file).cells
        except BadData:  # since `require_forecasts`; a request is due all the same
            return {}

    @functools.cache  # noqa: B019 - lives as long as the process
    def _forecast_key(self, cell: Cell, name: str) -> str:
        configuration = self.configuration
        request, hardware = configuration.request(*cell.key), configuration.hardware[name]
        return forecast_key(configuration.resolve(*cell.key), request, hardware)

    # Snakemake asks for each resource by itself; nothing has happened while the journal has not
    # grown.
    @functools.cache  # noqa: B019 - lives as long as the process
    def _decided(
        self,
        cell: Cell,
        attempt: int,
        journal_bytes: int,
        forecasts: tuple[CellForecast | None, ...],
    ) -> JobRequest:
        names = self.classes_of(cell)
        known = zip(names, forecasts, strict=True)
        choices = [self._choice(cell, attempt, *each) for each in known]
        return prefer(choices, self._events(cell, attempt) if journal_bytes else [])

    def _choice(self, cell: Cell, attempt: int, name: str, forecast: CellForecast | None) -> Choice:
        configuration = self.configuration
        resolved, request = configuration.resolve(*cell.key), configuration.request(*cell.key)
        training, hardware = resolved.training, configuration.hardware[name]
        policy = Policy(
            threads=1 if training is None else training.torch_threads,
            site=configuration.sites[name],
            hardware=name,
            identity=resolved.identity,
            run=snapshot.run_name(),
            attempt=attempt,
            wait_minutes=configuration.run.wait_minutes,
            classes=self._larger if name == self.classes_of(cell)[-1] else {},
        )
        batch_size, epochs = (1, 1) if training is None else (training.batch_size, training.epochs)
        configured = Forecast.configured(request, batch_size, forecast, epochs)
        return Choice(hardware, configured, policy)

    def _events(self, cell: Cell, attempt: int) -> list[Event]:
        """The journal; a start without an end, which Snakemake calls failed, gets its end."""
        folder = paths.runs(self.study, cell)
        events = Journal(folder / "attempts.jsonl").events()
        sample = last_sample(newest(folder)[1])
        cause = cause_without_end(events, sample) if attempt > 1 else None
        if cause is not None:
            events.append(Ended(cause=cause.text, message="no end was written"))
        return events

    def sum_up_plan(self, *, is_short: bool) -> None:
        """Print what is left to train at the end of a dry run; `is_short`: it left out its jobs."""
        if not self.asks_only_for_data():
            jobs = ["Its jobs are left out; `-p` prints them."] if is_short else []
            told = totals(self.planned(), self.side_by_side) + self.learned_in_words()
            print("\n".join(told + jobs), flush=True)

    def learned_in_words(self) -> list[str]:
        """The corrections that change what is asked for."""
        return [line for one in self.corrections.values() for line in one.in_words()]

    def planned(self) -> list[PlannedCell]:
        """The trainings, and what each will ask for."""
        statuses = survey(self.study, planned(self.configuration))
        forced = self._forced()
        statuses = [
            Status(one.cell, State.NOT_STARTED, epochs=one.epochs) if one.cell in forced else one
            for one in statuses
        ]
        return plan(self.configuration, statuses, self.request, self.forecast)

    def training_resources(self) -> dict[str, Callable[..., int | str | None]]:
        """A callable for each resource of the training rule."""

        def resource(name: str) -> Callable[..., int | str | None]:
            def value(wildcards: Any, attempt: int) -> int | str | None:
                return self.request(Cell(*_of(wildcards)), attempt).resources().get(name)

            return value

        # Snakemake asks for the same names at each attempt; None is not asked of Slurm.
        first, classes = self.cells[0], self.configuration.hardware
        each = [self._choice(first, 1, name, None).request([]) for name in classes]
        return {name: resource(name) for one in each for name in one.resources()}

    @staticmethod
    def training_shell() -> str:
        """The training rule's shell text, whose flags are the fields of a request."""
        return f"verb train {{input.cell}} {AttemptRequest.flags()} > {{log}} 2>&1"

    def training_threads(self, wildcards: Any, attempt: int) -> int:
        """CPU threads of a training target."""
        return self.request(Cell(*_of(wildcards)), attempt).cores

    def light_resources(self, memory_mb: int, minutes: int) -> dict[str, int | str]:
        """Resources of a rule that needs no GPU: the site's class `cpu`, where it names one."""
        asked: dict[str, int | str] = {"mem_mb": memory_mb, "runtime": minutes}
        return asked | site_resources(self.configuration.light_site)

    def _check_data_root(self) -> None:
        rigs = self.configuration.rigs.items()
        needed = [(name, path) for name, rig in rigs for path in rig.options.data_paths()]
        needed = [(name, path) for name, path in needed if not Path(path).is_absolute()]
        root = self.configuration.data_root()
        if needed and (root is None or not root.is_dir()):
            raise UserError(
                f"The folder of the real rigs ({', '.join(dict(needed))}) "
                + ("is not known." if root is None else "does not exist."),
                found=None if root is None else str(root),
                expected="a folder that holds " + ", ".join(path for _, path in needed),
                remedy="data_root: /path/to/recordings   # in the config, or\n"
                "export PHM_DATA_ROOT=/path/to/recordings",
            )

    def shared_resources(self) -> dict[str, int]:
        """What cells that run side by side on this machine may take of it together."""
        hardware = next(iter(self.configuration.hardware.values()))  # this machine
        shared = {"mem_mb": hardware.planned_mb}
        if hardware.accelerator == "cuda":
            shared["gpu"] = hardware.gpus
        return {name: most for name, most in shared.items() if most is not None}

    def require_forecasts(self) -> None:
        """Refuse a damaged forecast.

        Raises:
            BadData: one cannot be read.
        """
        for file in map(Path, self.forecasts()):
            if file.exists():
                DatasetForecast.read(file)

    def require_own_site(self) -> None:
        """Refuse the names of the example, which no cluster knows.

        Raises:
            UserError: one is there.
        """
        site = self.configuration.folder / "site.yaml"
        for part in (*self.configuration.sites.values(), self.configuration.light_site):
            if part.account == EXAMPLE_ACCOUNT:
                raise UserError(
                    f"`account: {EXAMPLE_ACCOUNT}` is the example's; no cluster has it.",
                    where=str(site),
                    expected="the account that your cluster bills, or no line `account`",
                    remedy=f"sed -i '/account: .*{EXAMPLE_ACCOUNT}/d' {shlex.quote(str(site))}",
                )


def build(
    config: Mapping[str, Any],
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


def of_workflow(workflow: Any, config: Mapping[str, Any]) -> Targets:
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


def _of_run(workflow: Any, config: Mapping[str, Any]) -> Targets:
    files, scheduled = workflow.overwrite_configfiles, workflow.resource_settings.nodes
    asked = workflow.config_settings.config_args
    config = over_files(config, asked, scheduled=scheduled is not None)
    if scheduled is not None:
        targets = build(config, workflow.basedir, files)
        targets.require_own_site()
        targets.require_forecasts()
        targets.side_by_side = scheduled
        return targets
    stated = workflow.global_resources
    here = {name: stated[name].value for name in ("mem_mb", "gpu") if name in stated}
    targets = build(config, workflow.basedir, files, _machine(here))
    targets.require_forecasts()
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


def _of(wildcards: Any) -> tuple[str, str, str, int]:
    return wildcards.dataset, wildcards.model, wildcards.task_set, int(wildcards.seed)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
