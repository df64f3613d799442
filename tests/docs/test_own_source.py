"""The source of docs/extending.md works in a copy of the workflow."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from workflow_src.artifacts.store_manifest import StoreManifest
from workflow_src.data.store import Store

from .page import REPOSITORY, blocks

PARTS = ("Snakefile", "rules", "config", "profiles", "workflow_src")
REGISTRY = "workflow_src/configuration/sources.py"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the workflow with the source of the page in it, and files for it to read."""
    for part in PARTS:
        origin, target = REPOSITORY / part, tmp_path / part
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(origin, target, ignore=ignored) if origin.is_dir() else shutil.copy(
            origin, target
        )
    files = blocks("A source")
    line = files.pop(REGISTRY)
    registry = tmp_path / REGISTRY
    text = registry.read_text(encoding="utf-8")
    registry.write_text(text.replace("_OPTIONS = {\n", f"_OPTIONS = {{\n{line}"), encoding="utf-8")
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / "raw" / "presses").mkdir(parents=True)
    for unit in range(8):
        for fault in ("normal", "crack"):
            numbers = np.random.default_rng(unit).integers(-9000, 9000, 3000, dtype="<i2")
            numbers[unit] = 16384 if fault == "crack" else 0
            numbers.tofile(tmp_path / "raw" / "presses" / f"u{unit}{fault[0]}_{fault}.i16")
    return tmp_path


def snakemake(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--profile", "profiles/local", *arguments]
    environment = {**os.environ, "PHM_DATA_ROOT": str(project / "raw")}
    environment.pop("PYTHONPATH", None)
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=300
    )


RUN = ("--config", "study=mine", "hardware=local", "datasets=[presses]")


@pytest.mark.slow
def test_the_source_of_the_page_makes_a_store(project: Path) -> None:
    done = snakemake(project, "data/presses/recordings.h5", *RUN)
    assert done.returncode == 0, done.stdout + done.stderr
    manifest = StoreManifest.read(project / "data/presses/manifest.json")
    assert (manifest.source, manifest.recordings, len(manifest.files)) == ("int16", 16, 16)
    with Store(project / "data/presses") as store:
        assert set(store.table["fault"]) == {"normal", "crack"}
        assert store.read("u3c_crack", 3, 4).item() == 25.0  # half of full scale


@pytest.mark.slow
def test_a_wrong_key_of_that_source_is_told_as_any_other(project: Path) -> None:
    rig = project / "config/rigs/presses.yaml"
    rig.write_text(rig.read_text().replace("full_scale: 50", "ful_scale: 50"), encoding="utf-8")
    done = snakemake(project, "data/presses/recordings.h5", *RUN)
    assert done.returncode != 0
    assert "int16.ful_scale" in done.stdout + done.stderr
