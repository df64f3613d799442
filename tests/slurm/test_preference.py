"""A list of hardware classes: what each cell is given when the first choice cannot take it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from .cluster import Cluster
from .study import SITE, Cell, Study

pytestmark = pytest.mark.slurm

WAIT_MINUTES = 1


def prefer(study: Study, *classes: str) -> None:
    """Let the profile name several classes."""
    file = study.folder / "profiles" / "slurm-a100" / "config.yaml"
    profile = yaml.safe_load(file.read_text(encoding="utf-8"))
    profile["config"] = {"hardware": list(classes), "wait_minutes": WAIT_MINUTES}
    file.write_text(yaml.safe_dump(profile), encoding="utf-8")


def offer(study: Study, name: str, partition: str, device_memory_mb: int) -> None:
    """A hardware class beside those that there are."""
    keys = {"accelerator": "cuda", "gpu_model": "a100", "device_memory_mb": device_memory_mb}
    (study.folder / "config" / "hardware" / f"{name}.yaml").write_text(yaml.safe_dump(keys))
    file = study.folder / "config" / "site.yaml"
    known = yaml.safe_load(file.read_text(encoding="utf-8"))
    file.write_text(yaml.safe_dump(known | {name: {"partition": partition}}), encoding="utf-8")


def results(study: Study, *cells: Cell) -> list[str]:
    """Targets."""
    return [str(cell.results.relative_to(study.folder) / "metrics.json") for cell in cells]


@pytest.fixture
def without_a100(cluster: Cluster) -> Iterator[None]:
    """No node of this kind takes a job."""
    for state in ("down", "drain"):  # or their daemons would report back within seconds
        node = ["nodename=a100n[1-2]", "state=" + state, "reason=rehearsed"]
        cluster.ask("scontrol", "update", *node)
    yield
    cluster.ask("scontrol", "update", "nodename=a100n[1-2]", "state=resume")


def test_what_waits_too_long_goes_to_the_next_class(prepared, copied, undisturbed, without_a100):
    """Slurm takes it from the queue; GPU model, partition, modules and journal follow the class."""
    study = copied(prepared)
    prefer(study, "a100-80g", "v100-16g")
    cells = study.cell("dlinear", 1), study.cell("fno", 1)
    outcome = study.snakemake(*results(study, *cells), profile="slurm-a100")
    assert outcome.code == 0, outcome.text
    for cell in cells:
        waited, trained = study.asked("train", cell)
        assert (waited["JobState"], waited["Partition"]) == ("DEADLINE", "a100")
        assert (waited["TresPerJob"], waited["Features"]) == ("gres:gpu:a100:1", "gpu80g")
        assert (trained["JobState"], trained["Partition"]) == ("COMPLETED", "v100")
        assert (trained["TresPerJob"], trained["Features"]) == ("gres:gpu:v100:1", "(null)")
        assert trained["Deadline"] == "N/A"  # the last one is waited for
        assert cell.told("hardware") == ["v100-16g"]
        assert cell.told("attempt") == [2]
        assert cell.causes == ["done"]
        whole = undisturbed.cell(cell.model, cell.seed)
        assert cell.read("predictions.h5") == whole.read("predictions.h5")
    assert "load rehearsed/1.0" in study.modules
    # The next run asks for the first choice again.
    plan = study.snakemake("--dry-run", "--forcerun", "train", profile="slurm-a100")
    assert "hardware=a100-80g" in plan.text


def test_what_does_not_fit_or_is_refused_goes_on_at_once(prepared, copied):
    """By its forecast; by sbatch, which knows no such partition."""
    study = copied(prepared)
    offer(study, "small", "a100", device_memory_mb=600)  # less than CUDA itself takes
    offer(study, "closed", "nowhere", device_memory_mb=80_000)
    prefer(study, "small", "closed", "v100-16g", "a100-80g")
    cell = study.cell("dlinear", 1)
    outcome = study.snakemake(*results(study, cell), profile="slurm-a100")
    assert outcome.code == 0, outcome.text
    assert outcome.text.count("Invalid partition name") == 1
    (job,) = study.asked("train", cell)
    assert (job["JobState"], job["Partition"]) == ("COMPLETED", SITE["v100-16g"]["partition"])
    assert job["Deadline"] != "N/A"
    assert cell.told("hardware") == ["v100-16g"]
    assert cell.told("attempt") == [2]
    planned = study.snakemake("plan", profile="slurm-a100").text
    assert "closed" in planned, "where the next run begins"
    assert "fits nowhere: none" in planned
