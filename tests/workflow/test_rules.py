"""What every rule declares, asked of Snakemake's own parser."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TARGETS = {"all", "data", "audit", "rigs", "forecasts", "tables"}

# Loads the workflow as Snakemake itself does, and prints what each rule lacks.
ASK = """
import sys
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, ResourceSettings

with SnakemakeApi() as api:
    workflow = api.workflow(
        snakefile=Path("Snakefile"),
        config_settings=ConfigSettings(config={"hardware": "local"}),
        resource_settings=ResourceSettings(cores=1),
    )._workflow
    for rule in workflow.rules:
        print(rule.name, len(rule.log), rule.benchmark is not None, "mem_mb" in rule.resources,
              bool(rule._restart_times), rule.group, sep="\\t")
"""


def _declared():
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines() if line.count("\t") == 5]
    return {line[0]: line[1:] for line in lines}


@pytest.mark.slow
def test_every_rule_has_log_benchmark_threads_and_memory_and_no_retries_of_its_own():
    declared = _declared()
    assert set(declared) > TARGETS
    for name, (logs, benchmark, memory, retries, group) in declared.items():
        assert (retries, group) == ("False", "None"), name
        if name not in TARGETS:
            is_made_each_time = name in {"plan", "partial_tables"}
            assert (logs, memory) == ("1", "True"), name
            assert (benchmark == "False") == is_made_each_time, name
    texts = "".join(path.read_text() for path in (REPOSITORY / "rules").glob("*.smk"))
    blocks = re.split(r"^rule (\w+):$", texts, flags=re.MULTILINE)[1:]
    for name, body in zip(blocks[::2], blocks[1::2], strict=True):
        assert name in TARGETS or re.search(r"^    threads:", body, re.MULTILINE), name


def test_the_snakefile_is_a_table_of_contents():
    assert len((REPOSITORY / "Snakefile").read_text(encoding="utf-8").splitlines()) <= 60
    for path in (REPOSITORY / "rules").glob("*.smk"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 150, path.name
        assert not re.search(r"^\s*(def|class|if|for|import|from) ", text, re.MULTILINE), path.name


def _lint():
    spec = importlib.util.spec_from_file_location(
        "lint_workflow", REPOSITORY / "tests" / "lint_workflow.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_snakemakes_own_linter_finds_nothing_that_counts():
    assert _lint().findings() == []


def test_only_the_missing_environment_is_passed_over():
    lint = _lint()
    report = """Lints for rule train (line 3, a.smk):
    * Specify a conda environment or container for each rule.:
      This way, the used software for each specific step is documented.
    * No log directive defined:
      Without a log directive, all output will be printed to the terminal.
"""
    assert lint.counted(report) == ["rule train (line 3, a.smk): No log directive defined"]
