"""Runs Snakemake's linter; what it finds fails, but for environments, which pip provides here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PASSED_OVER = "Specify a conda environment or container for each rule."


def findings() -> list[str]:
    """Where and what, for each finding that counts; RuntimeError where the linter itself fails."""
    command = [sys.executable, "-m", "snakemake", "--profile", "profiles/local", "--lint"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    report = done.stdout + done.stderr
    if done.returncode != 0 and "Lints for " not in report:
        raise RuntimeError(report)
    return counted(report)


def counted(report: str) -> list[str]:
    """The findings in the linter's text, without those that are passed over."""
    where, found = "", []
    for line in report.splitlines():
        if place := re.fullmatch(r"Lints for (.+):", line):
            where = place[1]
        elif (what := re.fullmatch(r" +\* (.+):", line)) and what[1] != PASSED_OVER:
            found.append(f"{where}: {what[1]}")
    return found


if __name__ == "__main__":
    found = findings()
    print("\n".join(found) or "snakemake --lint: nothing that counts")
    sys.exit(1 if found else 0)
