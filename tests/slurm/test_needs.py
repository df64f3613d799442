"""Cells that need little memory and much: what each is given, and what is refused beforehand."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import yaml

from ..workflow.conftest import DATASET, RIG
from .study import INNER_MB, SITE, Study, megabytes

pytestmark = pytest.mark.slurm

NODE_MB = 8000  # of both nodes of partition cpu
# Of one backbone, so that what differs is the need; by batches of 1024 spans.
SIZES = {
    "small": {"width": 32, "depth": 2, "patch_count": 32},
    "middle": {"width": 128, "depth": 4, "patch_count": 48},
    "large": {"width": 64, "depth": 12, "patch_count": 770},
}


@pytest.fixture
def study(unprepared: Study, copied) -> Study:
    """Three networks on more spans than a batch has; a node is as Slurm knows it."""
    study: Study = replace(copied(unprepared), patience_s=1200)
    study.edit("rigs/tiny.yaml", **{**RIG, "simulated": {**RIG["simulated"], "samples": 6000}})
    span = {"window": 1024, "horizon": 64, "per_recording": 5}
    study.edit("datasets/tiny.yaml", **{**DATASET, "span": span})
    for name, sizes in SIZES.items():
        study.edit(f"models/{name}.yaml", extends="fno", patch_length=16, **sizes)
    study.edit(
        "config.yaml",
        models=list(SIZES),
        seeds=[1],
        training={"epochs": 1, "batch_size": 1024},
        request={"runtime_minutes": 30},
    )
    study.edit("hardware/cpu.yaml", host_memory_mb=NODE_MB, max_runtime_minutes=60)
    study.edit("hardware/tight.yaml", accelerator="cpu", host_memory_mb=500)
    study.edit("site.yaml", tight=SITE["cpu"])
    outcome = study.snakemake("data", profile="local")
    assert outcome.code == 0, outcome.text
    return study


def use(study: Study, *classes: str) -> None:
    """Let the profile name the classes."""
    file = study.folder / "profiles" / "slurm-cpu" / "config.yaml"
    profile = yaml.safe_load(file.read_text(encoding="utf-8"))
    file.write_text(yaml.safe_dump(profile | {"config": {"hardware": list(classes)}}))


def test_each_cell_is_given_what_it_needs(study):
    """Known before anything trains; a class where nothing fits is refused with the next one."""
    use(study, "tight")
    planned = study.snakemake("plan")
    assert planned.code == 0, planned.text
    for text in (planned.text, study.snakemake("--dry-run").text):
        assert "fits nowhere: 3\n" in text
        for name in SIZES:
            said = rf"tiny/{name}/all/1: fits nowhere: .* there are 300 MB, class tight; "
            assert re.search(said + f"the next class is cpu with {NODE_MB} MB", text), text
    assert not study.asked("train")

    use(study, "tight", "cpu")
    cells = [study.cell(name) for name in SIZES]
    targets = [str(cell.results.relative_to(study.folder) / "metrics.json") for cell in cells]
    outcome = study.snakemake(*targets)
    assert outcome.code == 0, outcome.text
    peaks = []
    for cell in cells:
        assert cell.causes == ["done"], cell.name
        (job,), (ended,) = study.asked("train", cell), cell.of("ended")
        (asked,), peak = cell.told("memory_mb"), ended["peaks_mb"]["host_mb"]
        assert megabytes(job["MinMemoryNode"]) == asked + INNER_MB
        assert peak <= asked <= 1.5 * peak, (cell.name, asked, peak)
        assert not cell.of("out_of_memory")
        assert cell.told("hardware") == ["cpu"]
        peaks.append(peak)
    assert max(peaks) >= 10 * min(peaks)
