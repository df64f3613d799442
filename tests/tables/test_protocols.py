"""Headings and notes of few-shot splits and of truncated runs."""

from __future__ import annotations

from typing import Any

from workflow_src import cells as paths
from workflow_src.cells import Cell
from workflow_src.tables.latex import to_latex
from workflow_src.tables.markdown import to_markdown
from workflow_src.tables.paper import main_tables
from workflow_src.tables.plan import ModelEntry, TablePlan, TaskSetEntry
from workflow_src.tables.results import read_results
from workflow_src.tables.show import show

from ..split_summaries import split_summary

RUN = {"truncation_s": 300.0, "official_rul_s": 100.0, "full_run_rul_s": None}


def rul(study: Any, dataset: str, metrics: dict[str, Any]) -> None:
    for seed in study.seeds:
        cell = Cell(dataset, "patchtst", "all", seed)
        study.score(cell, {"rul_prediction": {"model": {"rmse": 0.2, **metrics}}})


def test_the_challenge_is_scored_under_its_own_column(study: Any) -> None:
    study.task_sets = {"all": TaskSetEntry(("rul_prediction",), False)}
    study.models = {"patchtst": study.models["patchtst"]}
    study.dataset("challenge", split_summary(truncation={"b1": RUN}))
    study.dataset("whole")
    rul(study, "challenge", {"phm2012": 0.25, "phm2012_full_run": 0.5})
    rul(study, "whole", {"phm2012": "only of test runs that are truncated"})
    (paper,) = main_tables(study.plan, read_results(study.plan.cells, study.name))
    whole, table = paper.tables
    assert whole.title == "Remaining useful life, RMSE"
    assert table.title == "Remaining useful life, RMSE: truncated runs"
    told = [note for note in table.notes if "PHM 2012 score" in note]
    assert len(told) == 1
    assert told[0].startswith("challenge: ")
    assert told[0].endswith("PatchTST 0.250 (0.500).")


def test_the_number_of_shots_stands_in_the_heading(study: Any) -> None:
    shots = {"per_class": 5, "of": "recordings", "draw": 0, "drawn": {}}
    reasons = ["5-shot: 5 recordings of each class of the held-out group are in training"]
    for fold in range(2):
        facts = split_summary(strength="run", declared="unit", shots=shots, reasons=reasons)
        study.dataset(f"few.fold{fold}", facts)
        for model in ("patchtst", "fno"):
            study.classify(f"few.fold{fold}", model, (0.5, 0.6, 0.7))
        study.classify(f"few.fold{fold}", "trivial", (0.4,) * 3, row="majority class")
    (paper,) = main_tables(study.plan, read_results(study.plan.cells, study.name))
    (table,) = paper.tables
    assert table.columns[0].beneath == "run, 5-shot"
    for text in (to_markdown(paper), to_latex(paper)):
        assert "run, 5-shot" in text
        assert text.count(reasons[0]) == 1
    shown = show(study.plan.to_json())
    assert "run, 5-shot" in shown
    assert "was asked for" not in shown  # weaker than the strategy by its own choice


def test_a_score_on_an_assumed_geometry_says_so_and_enters_no_average(study: Any) -> None:
    study.models["lines"] = ModelEntry("Lines", "classic", "fault_lines", uses_geometry=True)
    for rig, assumed in (("one", ()), ("two", ()), ("guessed", ("guessed",))):
        study.dataset(rig, assumed_geometry=assumed)
        for model in ("patchtst", "fno", "lines"):
            study.classify(rig, model, (0.5, 0.6, 0.7))
        study.classify(rig, "trivial", (0.4,) * 3, row="majority class")
    (paper,) = main_tables(study.plan, read_results(study.plan.cells, study.name))
    text = to_markdown(paper)
    (line,) = [line for line in text.splitlines() if line.startswith("| Lines")]
    assert line.count("<sup>a</sup>") == 1
    assert "<sup>a</sup> geometry assumed: guessed" in text
    assert text.count("geometry assumed") == 1  # the networks do not know it
    assert line.split("|")[-3].strip().startswith("–")


def curve(study: Any, scores: dict[str, tuple[float, ...]]) -> None:
    """A dataset for each draw of each number of units, PatchTST with these scores."""
    study.models.pop("fno")
    fold = 0
    for number, values in scores.items():
        for value in values:
            study.dataset(f"rig.fold{fold}", train_units=number)
            study.classify(f"rig.fold{fold}", "patchtst", (value,) * 3)
            study.classify(f"rig.fold{fold}", "trivial", (0.4,) * 3, row="majority class")
            fold += 1


def test_a_curve_has_a_column_a_number_and_a_row_a_model(study: Any) -> None:
    curve(study, {"1": (0.5, 0.6), "2": (0.7, 0.8), "all": (0.99,)})
    study.dataset("plain")
    study.classify("plain", "patchtst", (0.9,) * 3)
    study.classify("plain", "trivial", (0.4,) * 3, row="majority class")
    (paper,) = main_tables(study.plan, read_results(study.plan.cells, study.name))
    plain, table = paper.tables
    assert table.title == "Classification, macro F1: score over training units"
    labels = [column.label for column in table.columns]
    assert labels == ["rig, 1 unit", "rig, 2 units", "rig, all units"]
    rows = {row.label: row.entries for block in table.blocks for row in block}
    assert [(entry.text, entry.span) for entry in rows["PatchTST"]] == [
        ("0.550 ± 0.000", "[0.500, 0.600]"),
        ("0.750 ± 0.000", "[0.700, 0.800]"),
        ("0.990 ± 0.000", ""),
    ]
    assert "in brackets the range over draws (2)" in table.notes[0]
    told = "Training holds so many units of each class as a heading says."
    assert [note.startswith(told) for note in table.notes].count(True) == 1
    assert not any(told in note for note in plain.notes)


def test_a_curve_that_ends_at_the_ceiling_stays_one_table(study: Any) -> None:
    study.models["dlinear"] = study.models["patchtst"]
    curve(study, {"1": (0.5,), "all": (0.99,)})
    for fold, value in enumerate((0.6, 0.985)):
        study.classify(f"rig.fold{fold}", "dlinear", (value,) * 3)
    (paper,) = main_tables(study.plan, read_results(study.plan.cells, study.name))
    (table,) = paper.tables
    assert [column.label for column in table.columns] == ["rig, 1 unit", "rig, all units"]


def test_the_plan_knows_the_numbers_of_a_curve_before_any_split(study: Any) -> None:
    curve(study, {"1": (0.5, 0.6), "all": (0.9,)})
    for name in study.datasets:
        (paths.split_folder(name) / "split.json").unlink()
    plan = TablePlan.from_json(study.plan.to_json())
    (paper,) = main_tables(plan, read_results(plan.cells, study.name, partial=True))
    labels = [column.label for table in paper.tables for column in table.columns]
    assert labels == ["rig, 1 unit", "rig, all units"]
