"""Where the cells of a configuration fit."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.conftest import WriteCell, small_rig, write_cell
from workflow_src.configuration import Hardware, NetworkCell
from workflow_src.forecasting.step_memory import PROCESS_MB
from workflow_src.forecasting.survey import CellSurvey, survey_cell, table

ROOT = Path(__file__).parents[2]
__all__ = ["small_rig", "write_cell"]
CPU = Hardware(accelerator="cpu", host_memory_mb=64_000)
GPU = Hardware(accelerator="cuda", gpu_model="v100", device_memory_mb=16_384, precisions=("fp32",))


@pytest.fixture
def forecast(write_cell: WriteCell) -> CellSurvey:
    cell = NetworkCell.read(write_cell("study", batch_size=32))
    narrow = CPU.model_copy(update={"host_memory_mb": 1})
    return survey_cell("split/net/all", cell, {"cpu": CPU, "gpu": GPU, "narrow": narrow})


def test_a_small_cell_fits_at_its_whole_batch_and_nowhere_in_a_megabyte(
    forecast: CellSurvey,
) -> None:
    assert forecast.rooms["cpu"].micro_batch == forecast.batch == 32
    assert PROCESS_MB < forecast.rooms["cpu"].needed_mb < PROCESS_MB + 100
    assert forecast.rooms["gpu"].micro_batch == 32
    assert forecast.rooms["narrow"].micro_batch == 0
    assert re.fullmatch(r"no: 5\d\d MB", str(forecast.rooms["narrow"]))
    assert forecast.one_mb > 0
    assert forecast.whole_mb > 0


def test_a_precision_that_a_class_lacks_is_said(write_cell: WriteCell) -> None:
    cell = NetworkCell.read(write_cell("study", precision="bf16"))
    assert str(survey_cell("a/b/c", cell, {"gpu": GPU}).rooms["gpu"]) == "no bf16"


def test_the_table_has_a_line_a_cell_and_a_column_a_class(forecast: CellSurvey) -> None:
    head, line, *_ = table([forecast], ["cpu", "gpu", "narrow"]).splitlines()
    assert head.split()[-3:] == ["cpu", "gpu", "narrow"]
    assert line.startswith("split/net/all")
    assert len(head) == len(line)


@pytest.mark.slow
@pytest.mark.parametrize("given", [[], ["--configfile", "own.yaml"]])
def test_the_verb_asks_for_the_splits_that_it_needs_and_the_remedy_plans_them(
    tmp_path: Path, given: list[str]
) -> None:
    (tmp_path / "own.yaml").write_text("datasets: [gearbox_sim]\n", encoding="utf-8")
    dataset = "gearbox_sim" if given else "bearing_sim"
    command = [sys.executable, "-m", "workflow_src", "forecast", f"{dataset}/dlinear/*", *given]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    remedy = re.search(r"remedy: +snakemake --profile profiles/local (.*)", done.stderr)
    assert remedy is not None
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--dry-run",
        "--snakefile",
        str(ROOT / "Snakefile"),
    ]
    command += ["--profile", str(ROOT / "profiles" / "local"), *remedy[1].split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"data/{dataset}/split.csv" in done.stdout + done.stderr
