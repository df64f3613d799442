"""Keys of a study's own tables, seen in their files and in what they show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workflow_src.tables.latex import to_latex
from workflow_src.tables.paper import main_tables
from workflow_src.tables.results import read_results
from workflow_src.tables.table import Paper

MODELS = {"models": ["net", "pt", "tr"]}
TWO = {"datasets": ["d", "e"]}
FILES = {"datasets__e": {"extends": "d"}}


def made(world: Any, **keys: Any) -> Paper:
    """The only table of a study that has nothing to show yet."""
    table = {"name": "own", "task": "classification", **keys}
    plan = world.targets({**MODELS, **TWO, "tables": [table]}, **FILES).plan
    (paper,) = main_tables(plan, read_results(plan.cells, plan.study, partial=True))
    return paper


def rows(paper: Paper) -> list[str]:
    return [row.label for block in paper.tables[0].blocks for row in block]


def tables(world: Any) -> None:
    own = {"name": "own", "task": "classification"}
    for entries, added in (([own], {"own"}), (["default", own], {"own", "classification"})):
        files = world.targets({"tables": entries}).table_files()
        assert added <= {Path(file).stem.removesuffix("_simulated") for file in files}
    assert world.targets({"tables": ["default"]}).table_files() == world.targets().table_files()


def name(world: Any) -> None:
    paper = made(world, name="detectors")
    assert (paper.name, paper.label) == ("detectors", "tab:detectors")


def task(world: Any) -> None:
    assert made(world).tables[0].title.startswith("Classification")
    paper = made(world, task="signal_prediction")
    assert paper.tables[0].title.startswith("Signal prediction")


def metrics(world: Any) -> None:
    paper = made(world, metrics=["log_loss", "accuracy"])
    assert set(paper.data["metric"]) == {"log_loss", "accuracy"}
    assert paper.tables[0].columns[0].subs == ("log loss", "accuracy")


def datasets(world: Any) -> None:
    for names in (["e"], ["e", "d"], ["d", "e"]):
        paper = made(world, datasets=names)
        assert [column.label for column in paper.tables[0].columns] == names
    assert len(made(world).tables[0].columns) == 2


def models(world: Any) -> None:
    for names in (["pt"], ["pt", "net"], ["net", "pt"]):
        assert rows(made(world, models=names))[:-1] == names
    assert rows(made(world, models=["pt"]))[-1] == "majority class"  # named or not


def caption(world: Any) -> None:
    paper = made(world, caption="What is\nclassified")
    assert paper.tables[0].title == "What is classified (simulated rigs)"


def label(world: Any) -> None:
    assert r"\label{tab:mine}" in to_latex(made(world, label="tab:mine"))


PROBES = {
    "Run.tables": tables,
    "StudyTable.name": name,
    "StudyTable.task": task,
    "StudyTable.metrics": metrics,
    "StudyTable.datasets": datasets,
    "StudyTable.models": models,
    "StudyTable.caption": caption,
    "StudyTable.label": label,
}
