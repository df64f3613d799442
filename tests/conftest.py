"""One thread a process, examples of properties, a small disk; skips that CI could remove fail.

Tests run side by side (`make test`), one process a core: threads of torch and BLAS would only
disturb each other. What trains sets the threads of its cell's configuration.
"""

from __future__ import annotations

import gc
import os
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from .examples import register_profiles

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch or numpy
register_profiles()

# Reasons that no package on a machine without the hardware removes.
_CANNOT_BE_REMOVED = ("no GPU",)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a test with `fast_cases`, the cases whose id matches no pattern there are slow."""
    for item in items:
        mark = item.get_closest_marker("fast_cases")
        if mark is not None and not any(fnmatchcase(item.callspec.id, each) for each in mark.args):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """What is imported and collected stays to the end: no collection of garbage looks at it."""
    gc.disable()
    collected = yield
    gc.freeze()
    gc.enable()
    return collected


@pytest.fixture(autouse=True)
def _no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run of Snakemake leaves to its jobs ends with the test."""
    monkeypatch.setenv("WORKFLOW_RUN", "")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = _avoidable(terminalreporter)
    if skipped:
        terminalreporter.write_line("Skipped in CI, where the reason could have been removed:")
        for reason in skipped:
            terminalreporter.write_line(f"  {reason}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and _avoidable(reporter) and session.exitstatus == 0:
        session.exitstatus = 1


def _avoidable(reporter: pytest.TerminalReporter) -> list[str]:
    if os.environ.get("CI") != "true":
        return []
    reports = reporter.stats.get("skipped", [])
    texts = [f"{report.nodeid}: {report.longrepr[2]}" for report in reports]
    return [text for text in texts if not any(reason in text for reason in _CANNOT_BE_REMOVED)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system of 1 MB")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system of 1 MB can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
