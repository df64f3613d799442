"""What the rules ask: patterns, inputs, params and resources of every target (no torch)."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pydantic import JsonValue

from workflow_src import cells as paths
from workflow_src.cells import Cell
from workflow_src.configuration import REVISIONS, Configuration, snapshot
from workflow_src.configuration.loading import page_part
from workflow_src.errors import UserError
from workflow_src.requests import Requests
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.forced import TRAINED, forced_cells, trained_files
from workflow_src.scheduling.hardware import detected, require_one_accelerator
from workflow_src.scheduling.next_request import site_resources
from workflow_src.scheduling.observed import write_observed
from workflow_src.scheduling.other_code import of_other_code, told
from workflow_src.scheduling.plan import PlannedCell, plan, totals
from workflow_src.scheduling.status import State, Status, planned, survey
from workflow_src.tables.plan import TablePlan, table_files

if TYPE_CHECKING:
    from snakemake.settings.types import DAGSettings

DATA_TARGETS = ("data", "audit", "rigs", "forecasts", "plan")  # rules/targets.smk
CELL = "{dataset}/{model}/{task_set}/seed{seed}"


class Wildcards(Protocol):
    """What Snakemake has matched for a rule, which has some of these."""

    dataset: str
    model: str
    task_set: str
    seed: str
    rig: str


Resource = Callable[[Wildcards, int], int | str | None]  # of a rule, at its n-th attempt


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
        self.study = configuration.run.study
        self.cells = paths.grid(configuration)
        networks = set(self.models("network"))
        self.trainings = [cell for cell in self.cells if cell.model in networks]
        self.plan = TablePlan.from_configuration(configuration, self.cells)
        for cell in self.cells:  # Keys that contradict each other in a cell are told at once.
            configuration.resolve(*cell.key)
        # Snakemake's, known once it has read all.
        self.settings: Callable[[], DAGSettings | None] = lambda: None
        self._forced_by: tuple[DAGSettings, frozenset[Cell]] | None = None  # and what they force
        self.side_by_side = 1  # jobs
        self._check_data_root()
        self.requests = Requests(configuration, self.trainings, learned)

    def keep(self) -> None:
        """Keep the configuration for the jobs of this run; called when it begins."""
        folders = [str(paths.results(self.study, cell)) for cell in self._forced()]
        snapshot.keep(
            self.configuration,
            folders,
            [one.model_dump() for one in self.requests.corrections.values()],
        )
        write_observed(self.study, self.requests.observed)

    # ------------------------------------------------------------------ names

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

    def table_of(self, wildcards: Wildcards) -> str:
        """Labels of the recordings of a dataset's rig."""
        return self._of_rig(wildcards, "recordings.csv")

    def store_of(self, wildcards: Wildcards) -> str:
        """Store of a dataset's rig."""
        return self._of_rig(wildcards, "recordings.h5")

    def _of_rig(self, wildcards: Wildcards, name: str) -> str:
        rig = self.configuration.datasets[wildcards.dataset].rig
        return str(paths.rig_folder(rig) / name)

    def parts_of(self, wildcards: Wildcards) -> list[str]:
        """Stores that a union of rigs is made of; none for any other rig."""
        rigs = self.configuration.rigs[wildcards.rig].options.member_rigs()
        return [str(paths.rig_folder(rig) / "recordings.h5") for rig in rigs]

    def built_of(self, wildcards: Wildcards) -> list[str]:
        """What is built of a rig before its recordings are read."""
        asked = self.configuration.rigs[wildcards.rig].options.is_built_first()
        return [str(paths.rig_folder(wildcards.rig) / "built.json")] if asked else []

    def features_of(self, wildcards: Wildcards) -> list[str]:
        """Features of a dataset's spans, for a model that uses them."""
        used = self.configuration.uses_features(wildcards.model)
        return [str(paths.features_file(wildcards.dataset))] if used else []

    def forecast_of(self, wildcards: Wildcards) -> list[str]:
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

    def reference_of(self, wildcards: Wildcards) -> list[str]:
        """Features of a dataset's spans, where forecasts are compared with the one in there."""
        asked = self.configuration.task_sets[wildcards.task_set].given()
        known = "signal_prediction" in asked
        return [str(paths.features_file(wildcards.dataset))] if known else []

    def every(self, name: str) -> list[str]:
        """One file of the results of every cell."""
        return [str(paths.results(self.study, cell) / name) for cell in self.cells]

    # ------------------------------------------------------------------ params

    def cell_json(self, wildcards: Wildcards) -> str:
        """The resolved configuration of a cell."""
        return self.configuration.resolve(*_of(wildcards)).to_json()

    def rig_json(self, wildcards: Wildcards) -> str:
        """What decides a rig's recordings."""
        return _json(self.configuration.rig_part(wildcards.rig))

    def page_json(self, wildcards: Wildcards) -> str:
        """What a rig's page tells beside its recordings."""
        return _json(page_part(self.configuration.rigs[wildcards.rig]))

    def split_json(self, wildcards: Wildcards) -> str:
        """What decides a dataset's split."""
        return _json(self.configuration.split_part(wildcards.dataset))

    def features_json(self, wildcards: Wildcards) -> str:
        """What decides the features of a dataset's spans."""
        return _json(self.configuration.features_part(wildcards.dataset))

    def forecast_keys(self, wildcards: Wildcards) -> list[str]:
        """What decides the forecasts of a dataset's networks."""
        cells = [cell for cell in self.trainings if cell.dataset == wildcards.dataset]
        asked = self.requests
        return sorted({asked.forecast_key(c, name) for c in cells for name in asked.classes_of(c)})

    def prediction_revision(self) -> int:
        """Raised by hand when more is kept of a span; finished weights predict anew."""
        return REVISIONS["predictions"]

    def score_revision(self) -> int:
        """Raised by hand when the same predictions would score otherwise."""
        return REVISIONS["scores"]

    def plan_json(self) -> str:
        """What decides the tables."""
        return self.plan.to_json()

    def other_code(self, wildcards: Wildcards) -> list[str]:
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

    def tell_of_other_code(self, *, is_plan: bool) -> None:
        """Say which cells other code has trained, and how to train them anew.

        Not those that a plan (a dry run) already trains anew.
        """
        forced = self._forced() if is_plan else frozenset()
        if said := told(self.study, [cell for cell in self.cells if cell not in forced]):
            print(said, file=sys.stderr, flush=True)

    # ------------------------------------------------------------------ resources

    def sum_up_plan(self, *, is_short: bool) -> None:
        """Print what is left to train at the end of a dry run; `is_short`: it left out its jobs."""
        if not self.asks_only_for_data():
            jobs = ["Its jobs are left out; `-p` prints them."] if is_short else []
            told = totals(self.planned(), self.side_by_side) + self.requests.learned_in_words()
            print("\n".join(told + jobs), flush=True)

    def planned(self) -> list[PlannedCell]:
        """The trainings, and what each will ask for."""
        statuses = survey(self.study, planned(self.configuration))
        forced = self._forced()
        statuses = [
            Status(one.cell, State.NOT_STARTED, epochs=one.epochs) if one.cell in forced else one
            for one in statuses
        ]
        return plan(self.configuration, statuses, self.requests.of, self.requests.forecast)

    def training_resources(self) -> dict[str, Resource]:
        """A callable for each resource of the training rule."""

        def resource(name: str) -> Resource:
            def value(wildcards: Wildcards, attempt: int) -> int | str | None:
                return self.requests.of(Cell(*_of(wildcards)), attempt).resources().get(name)

            return value

        # Snakemake asks for the same names at each attempt; None is not asked of Slurm.
        return {name: resource(name) for name in self.requests.resource_names(self.cells[0])}

    @staticmethod
    def training_shell() -> str:
        """The training rule's shell text, whose flags are the fields of a request."""
        return f"verb train {{input.cell}} {AttemptRequest.flags()} > {{log}} 2>&1"

    def training_threads(self, wildcards: Wildcards, attempt: int) -> int:
        """CPU threads of a training target."""
        return self.requests.of(Cell(*_of(wildcards)), attempt).cores

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


def _of(wildcards: Wildcards) -> tuple[str, str, str, int]:
    return wildcards.dataset, wildcards.model, wildcards.task_set, int(wildcards.seed)


def _json(value: JsonValue) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
