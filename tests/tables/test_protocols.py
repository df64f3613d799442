"""Headings and notes of few-shot splits and of truncated runs."""

from __future__ import annotations

from typing import Any

from workflow_src.cells import Cell
from workflow_src.tables.latex import to_latex
from workflow_src.tables.markdown import to_markdown
from workflow_src.tables.paper import main_tables
from workflow_src.tables.plan import TaskSetEntry
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
