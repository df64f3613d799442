"""In CI a test that is skipped for a reason that a package removes fails the run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


ALONE, WORKER = ([], ["-n", "1"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "reason", "ci", "code"),
    [
        (ALONE, "no pdflatex", "true", 1),
        (WORKER, "no pdflatex", "true", 1),
        (WORKER, "no GPU", "true", 0),
        (WORKER, "no pdflatex", "", 0),
    ],
)
def test_a_skip_fails_in_ci_alone(
    tmp_path: Path, processes: list[str], reason: str, ci: str, code: int
) -> None:
    for name in ("conftest.py", "examples.py"):
        shutil.copy(HERE / name, tmp_path)
    (tmp_path / "__init__.py").touch()
    tests = f"import pytest\ndef test_a(): pytest.skip({reason!r})\ndef test_b(): pass\n"
    (tmp_path / "test_some.py").write_text(tests, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *processes, tmp_path],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "CI": ci},
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "1 passed, 1 skipped" in done.stdout
    assert ("reason could have been removed" in done.stdout) == bool(code)
