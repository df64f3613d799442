"""What rules get from the targets, where Snakemake is not needed to see it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from workflow_src.configuration import load
from workflow_src.targets import Targets

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def targets() -> Targets:
    """Those of the default run."""
    run = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text(encoding="utf-8"))
    return Targets(load({**run, "hardware": "local"}, REPOSITORY / "config"), REPOSITORY)


@pytest.mark.parametrize("failing", ["false | cat", "false; true", "echo $NOT_SET"])
def test_a_rules_shell_ends_at_the_first_failure(targets: Targets, failing: str) -> None:
    prefix = targets.shell_prefix().replace("{{", "{").replace("}}", "}")
    for command, fails in ((f"{failing}", True), ("true | cat", False)):
        done = subprocess.run(["bash", "-c", prefix + command], capture_output=True, check=False)
        assert (done.returncode != 0) == fails
