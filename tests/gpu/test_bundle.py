"""The wheels of `make bundle`, on machines that have torch and little else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
WHEELS = ROOT / ".wheels"
VERSIONS = ("3.11", "3.12", "3.13")
PLATFORMS = ["manylinux_2_17_x86_64", "manylinux2014_x86_64"]
# What a machine with a card has; each brings what it needs.
BARE = [
    "torch",
    "pytorch-lightning",
    "numpy",
    "scipy",
    "pandas",
    "h5py",
    "scikit-learn",
    "psutil",
    "pyarrow",
    "matplotlib",
    "rich",
    "safetensors",
    "nvidia-ml-py",
]


@pytest.fixture(autouse=True)
def _fetched() -> None:
    if not (WHEELS / ".fetched").exists():
        pytest.fail("the wheels are not there: make .wheels/.fetched")


@pytest.mark.parametrize("version", VERSIONS)
def test_each_wheel_fits_and_what_it_needs_is_there(version: str) -> None:
    number = tuple(map(int, version.split(".")))
    tags = {
        *cpython_tags(number, platforms=PLATFORMS),
        *compatible_tags(number, platforms=PLATFORMS),
    }
    wheels = sorted((WHEELS / version).glob("*.whl"))
    bundled = {}
    for wheel in wheels:
        name, bundled_version, _, fits = parse_wheel_filename(wheel.name)
        bundled[name] = bundled_version
        assert fits & tags, wheel.name
    assert {"pydantic", "pydantic-core", "nptdms", "openpyxl"} <= set(bundled)
    assert sum(wheel.stat().st_size for wheel in wheels) < 30 * 1024**2
    there = {canonicalize_name(name) for name in BARE}
    for wheel in wheels:
        for need in needs(wheel, version):
            name = canonicalize_name(need.name)
            met = name in there or (name in bundled and need.specifier.contains(bundled[name]))
            assert met, f"{wheel.name} needs {need}"


def needs(wheel: Path, version: str) -> list[Requirement]:
    """What a wheel requires on that Python, extras left out."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    stated = map(Requirement, metadata.get_all("Requires-Dist", []))
    here = {"python_version": version, "python_full_version": f"{version}.0", "extra": ""}
    return [each for each in stated if each.marker is None or each.marker.evaluate(here)]


def test_bundle_and_sources_travel_together() -> None:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True
    )
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    tracked = sum(path.stat().st_size for path in files if path.is_file())
    bundle = sum(path.stat().st_size for path in (WHEELS / "3.12").glob("*.whl"))
    assert tracked + bundle < 64 * 1024**2


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with what such a machine has, and the bundle in a folder beside."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    pip = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-index"]
    subprocess.run([*pip, "--find-links", str(WHEELS / "bare"), *BARE], check=True)
    version = ".".join(map(str, sys.version_info[:2]))
    bundle = map(str, (WHEELS / version).glob("*.whl"))
    subprocess.run([*pip, "--no-deps", "--target", str(folder / "site"), *bundle], check=True)
    return folder


STUDY = """
import json, sys
from pathlib import Path
from gpu_parts.study import Study
study = Study(Path.cwd(), "cpu")
study.prepare()
cell = study.cell("bare", "dlinear", {}, epochs=1)
study.train(cell)
print(json.dumps(sorted(path.name for path in cell.parent.iterdir())))
"""

ATTEMPT = """
import json, sys
from pathlib import Path
from workflow_src.scheduling.journal import Journal
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.training.run import attempt
attempt(Path(sys.argv[1]), AttemptRequest(), Journal(Path("attempts.jsonl")))
print(json.dumps(sorted(sys.modules)))
"""


def test_a_cell_is_trained_by_the_verb(bare: Path) -> None:
    """And an attempt imports nothing that it does not need."""
    python = str(bare / "venv" / "bin" / "python")
    there = [bare / "site", ROOT, ROOT / "benchmarks"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, there))}
    missing = [python, "-c", "import snakemake"]
    assert subprocess.run(missing, env=environment, capture_output=True, check=False).returncode

    def run(code: str, *arguments: str) -> list[str]:
        done = subprocess.run(
            [python, "-c", code, *arguments],
            cwd=bare,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found: list[str] = json.loads(done.stdout.strip().splitlines()[-1])
        return found

    written = run(STUDY)
    assert {"model.safetensors", "predictions.h5", "training.json"} <= set(written)
    cell = "bare/results/bearing_sim/dlinear/all/seed42/cell.json"
    for name in ("model.safetensors", "predictions.h5", "training.json"):
        for below in ("results", "runs"):
            (bare / cell.replace("results", below)).with_name(name).unlink()
    imported = set(run(ATTEMPT, cell))
    assert not imported & {"openpyxl", "nptdms", "snakemake", "bearing_datasets", "sklearn"}
    assert not any(name.startswith("workflow_src.drawing") for name in imported)
