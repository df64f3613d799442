"""The page of the public rigs is what its command prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_page_is_what_its_command_prints() -> None:
    command = [sys.executable, "docs/datasets.py"]
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    page = (REPOSITORY / "docs" / "datasets.md").read_text(encoding="utf-8")
    assert page == done.stdout, "python docs/datasets.py > docs/datasets.md"
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 69 + 18


@pytest.mark.slow
def test_the_snakefile_imports_nothing_of_the_package() -> None:
    code = "import sys, workflow_src.targets; print([m for m in sys.modules if 'bearing_d' in m])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['workflow_src.configuration.bearing_datasets']"
