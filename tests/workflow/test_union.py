"""Leave one rig out, by the real Snakemake: what it makes, and what an edit makes anew."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable

import pytest

from .conftest import STUDY, Outcome, Project

pytestmark = pytest.mark.slow

COMMON_HZ, GAP = 6400, 103
CELLS = 4  # two rotations, a network and the trivial rows


def rig(rate_hz: int, seed: int) -> dict[str, object]:
    options = {"kind": "bearing", "units_per_class": 3, "samples": 4096, "speeds_rpm": [1500]}
    return {
        "source": "simulated",
        "simulated": {**options, "rate_hz": rate_hz, "seed": seed},
        "unit": "g",
        "amplitude_comparable": False,
    }


UNION = {
    "source": "union",
    "union": {"rigs": ["first", "second"], "rate_hz": COMMON_HZ},
    "unit": "g",
    "amplitude_comparable": False,
}
DATASET = {
    "rig": "both",
    "label": "both rigs",
    "amplitude": "none",
    "span": {"window": 256, "horizon": 32, "per_recording": 2},
    "split": {
        "strategy": "rig",
        "gap": GAP,
        "validation": {"strategy": "time_block"},
        "folds": [{"test": {"rig": ["first"]}}, {"test": {"rig": ["second"]}}],
    },
}


@pytest.fixture(scope="module")
def trained(unrun: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Outcome]:
    """A finished study of two simulated rigs of unlike rates, and what it said."""
    import shutil

    folder = tmp_path_factory.mktemp("union") / "project"
    project = Project(shutil.copytree(unrun.folder, folder))
    project.edit("rigs/first.yaml", **rig(12800, seed=1))
    project.edit("rigs/second.yaml", **rig(16000, seed=2))
    project.edit("rigs/both.yaml", **UNION)
    project.edit("datasets/both.yaml", **DATASET)
    project.edit(
        "config.yaml",
        datasets=["both"],
        models=["dlinear", "trivial"],
        task_sets=["classification"],
        training={"epochs": 1, "batch_size": 64},
    )
    outcome = project.snakemake()
    assert outcome.code == 0, outcome.text
    return project, outcome


def recorded(outcome: Outcome) -> Counter[str]:
    """The rigs whose stores were made."""
    found = re.findall(
        r"^(?:local)?rule recordings:\n(?: .*\n)*? +wildcards: rig=(\w+)", outcome.text, re.M
    )
    return Counter(found)


def test_a_rig_left_out_is_trained_without_and_gets_its_column(trained, table_rules):
    project, outcome = trained
    assert recorded(outcome) == {"first": 1, "second": 1, "both": 1}
    assert outcome.rules == {
        "recordings": 3,
        "split": 2,
        "cell": CELLS,
        "train": 2,
        "classic": 2,
        "evaluate": CELLS,
        **table_rules,
    }
    for fold, left_out in enumerate(("first", "second")):
        facts = json.loads((project.folder / f"data/both.fold{fold}/split.json").read_text())
        assert (facts["strength"], facts["test_rigs"]) == ("rig", [left_out])
        assert facts["rate_hz"] == COMMON_HZ
        with (project.folder / f"data/both.fold{fold}/split.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        inside = {(r["part"], r["recording_id"].partition(":")[0]) for r in rows}
        other = {"first": "second", "second": "first"}[left_out]
        assert inside == {("train", other), ("val", other), ("test", left_out)}
    table = project.tables["classification_simulated.md"].decode()
    assert "both rigs, first held out" in table
    assert "both rigs, second held out" in table
    assert "rigs that training never saw" in table
    assert project.snakemake().nothing_to_do


def test_an_edit_of_a_part_makes_the_union_anew_and_trains_again(
    trained, copied: Callable[..., Project]
):
    project = copied(trained[0])
    project.edit("rigs/second.yaml", **rig(16000, seed=3))
    outcome = project.snakemake()
    assert outcome.code == 0, outcome.text
    assert recorded(outcome) == {"second": 1, "both": 1}
    assert outcome.rules["train"] == 2
    for fold in (0, 1):
        runs = project.folder / STUDY / "runs" / f"both.fold{fold}/dlinear/classification/seed1"
        assert (runs / "aside").is_dir()  # what the old recordings had taught
    assert project.snakemake().nothing_to_do


def test_other_words_and_other_rigs_make_nothing_anew(trained, copied: Callable[..., Project]):
    project = copied(trained[0])
    project.edit("rigs/second.yaml", description="Said in other words.")
    project.edit("rigs/tiny.yaml", unit="V")
    assert project.dry().nothing_to_do
