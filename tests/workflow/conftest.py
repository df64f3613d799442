"""Projects in temporary folders, run by the real Snakemake."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
PARTS = ("Snakefile", "rules", "config", "profiles", "workflow_src")
STUDY = "tiny"
TABLE_RULES = {"results": 1, "paper_tables": 1, "all": 1}

RIG = {
    "source": "simulated",
    "simulated": {"kind": "run_to_failure", "units_per_class": 3, "samples": 640},
    "unit": "g",
    "amplitude_comparable": True,
}
DATASET = {
    "rig": STUDY,
    "label": "tiny rig",
    "note": "specimens held out",
    "span": {"window": 256, "horizon": 32, "per_recording": 1},
    "split": {
        "strategy": "unit",
        "test_share": 0.25,
        "validation": {"strategy": "unit", "share": 0.25},
    },
}
RUN = {
    "study": STUDY,
    "datasets": [STUDY],
    "models": ["dlinear", "fno", "trivial"],
    "task_sets": ["all"],
    "seeds": [1],
    "training": {"epochs": 2, "batch_size": 64},
}


@dataclass(frozen=True)
class Outcome:
    """What Snakemake said and did."""

    code: int
    text: str

    @property
    def rules(self) -> dict[str, int]:
        """Number of jobs that were started (or would be, in a dry run), by rule."""
        return dict(Counter(rule for rule, _ in self.jobs))

    @property
    def jobs(self) -> list[tuple[str, str]]:
        """(rule, model or empty) of each job, in order."""
        found = []
        for block in re.split(r"^\[.*\]$", self.text, flags=re.MULTILINE):
            rule = re.search(r"^(?:local)?rule (\w+):$", block, re.MULTILINE)
            if rule:
                model = re.search(r"^ +wildcards: .*\bmodel=(\w+)", block, re.MULTILINE)
                found.append((rule[1], model[1] if model else ""))
        return found

    @property
    def nothing_to_do(self) -> bool:
        return self.code == 0 and "Nothing to be done" in self.text and not self.jobs

    def resources(self, rule: str) -> dict[str, str]:
        """Resources of the first job of `rule`."""
        block = re.search(rf"^(?:local)?rule {rule}:\n(?: .*\n)+", self.text, re.MULTILINE)
        assert block, self.text
        line = re.search(r"^ +resources: (.*)$", block[0], re.MULTILINE)
        assert line, block[0]
        return dict(part.split("=", 1) for part in line[1].split(", "))


@dataclass(frozen=True)
class Kept:
    """What a project holds of one model's only cell."""

    folder: Path
    model: str

    def _below(self, kind: str) -> Path:
        return self.folder / STUDY / kind / STUDY / self.model / "all" / "seed1"

    @property
    def results(self) -> Path:
        return self._below("results")

    @property
    def runs(self) -> Path:
        return self._below("runs")

    @property
    def events(self) -> list[dict[str, Any]]:
        lines = (self.runs / "attempts.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    @property
    def event_names(self) -> list[str]:
        return [event["event"] for event in self.events]

    @property
    def epochs(self) -> list[int]:
        path = self.runs / "history.csv"
        if not path.exists():
            return []
        with path.open(encoding="utf-8", newline="") as file:
            return [int(row["epoch"]) for row in csv.DictReader(file)]

    @property
    def cell(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.results / "cell.json").read_text())
        return content

    def read(self, name: str) -> bytes:
        return (self.results / name).read_bytes()


@dataclass(frozen=True)
class Project:
    """A copy of the workflow with a run that takes seconds."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    patience_s: float = 480  # with a command

    def command(self, *arguments: str, profile: str = "local") -> list[str]:
        options = ["--profile", str(self.folder / "profiles" / profile)]
        if profile == "local":
            options += ["--cores", "2"]
        return [sys.executable, "-m", "snakemake", *options, *arguments]

    @property
    def variables(self) -> dict[str, str]:
        # Unbuffered, as some shells set it, would hide a log whose lines are out of order.
        own = {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "PYTHONUNBUFFERED": ""}
        return {**os.environ, **own, **self.environment}

    def snakemake(
        self, *arguments: str, profile: str = "local", where: Path | None = None
    ) -> Outcome:
        return self._call(self.command(*arguments, profile=profile), where)

    def dry(self, *arguments: str, profile: str = "local") -> Outcome:
        return self.snakemake("--dry-run", *arguments, profile=profile)

    def bare(self, *arguments: str) -> Outcome:
        """Snakemake without a profile."""
        return self._call([sys.executable, "-m", "snakemake", *arguments], None)

    def verb(self, *arguments: str) -> Outcome:
        return self._call([sys.executable, "-m", "workflow_src", *arguments], None)

    def _call(self, command: list[str], where: Path | None) -> Outcome:
        done = subprocess.run(
            command,
            cwd=where or self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=self.patience_s,
            check=False,
        )
        return Outcome(done.returncode, done.stdout)

    def kept(self, model: str) -> Kept:
        return Kept(self.folder, model)

    def edit(self, file: str, **keys: Any) -> None:
        """Set keys of a YAML file below config/; None removes one."""
        path = self.folder / "config" / file
        old = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
        new = {key: value for key, value in {**old, **keys}.items() if value is not None}
        path.write_text(yaml.safe_dump(new), encoding="utf-8")

    @property
    def tables(self) -> dict[str, bytes]:
        """The tables of scores; those of cost hold seconds and differ between runs."""
        folder = self.folder / STUDY / "tables"
        return {path.name: path.read_bytes() for path in folder.glob("*_simulated.*")}


def _write_project(folder: Path) -> Project:
    folder.mkdir(parents=True)
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(source, folder / part)
        else:
            shutil.copy2(source, folder / part)
    (folder / "config" / "site.yaml").unlink(missing_ok=True)
    project = Project(folder)
    project.edit(f"rigs/{STUDY}.yaml", **RIG)
    project.edit(f"datasets/{STUDY}.yaml", **DATASET)
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(RUN), encoding="utf-8")
    return project


@pytest.fixture(scope="session")
def unrun(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of which nothing has run; not to be changed."""
    return _write_project(tmp_path_factory.mktemp("unrun") / "project")


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Outcome]:
    """A project that one plain command has finished, and what it said; not to be changed."""
    project = _write_project(tmp_path_factory.mktemp("finished") / "project")
    outcome = project.snakemake()
    assert outcome.code == 0, outcome.text
    return project, outcome


@pytest.fixture
def copied(tmp_path: Path) -> Callable[..., Project]:
    """Copies a project (modification times included), as often as asked."""

    def copy(project: Project, name: str = "project") -> Project:
        return Project(Path(shutil.copytree(project.folder, tmp_path / name)))

    return copy


@pytest.fixture
def fresh(copied: Callable[..., Project], unrun: Project) -> Project:
    """A project of which nothing has run."""
    return copied(unrun)


@pytest.fixture
def finished(copied: Callable[..., Project], first_run: tuple[Project, Outcome]) -> Project:
    """A finished project of the test's own."""
    return copied(first_run[0])


@pytest.fixture
def table_rules() -> dict[str, int]:
    """The jobs that follow whenever a score may have changed."""
    return dict(TABLE_RULES)
