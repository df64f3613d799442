"""Intervals, differences and ranks of a study: what is compared, and what stands in its place."""

from __future__ import annotations

import shutil
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workflow_src import cells as paths
from workflow_src.cells import Cell
from workflow_src.evaluation import evaluate
from workflow_src.predictions import Predictions, read_predictions, write_predictions
from workflow_src.tables import unit_intervals
from workflow_src.tables.bootstrap import interval, replicates
from workflow_src.tables.paper import RENDER, write_tables
from workflow_src.tables.plan import FORMATS, ModelEntry, TaskSetEntry
from workflow_src.tables.results import read_results
from workflow_src.tables.signed_rank import signed_rank
from workflow_src.tables.table import Paper, Table
from workflow_src.tables.uncertainty import statistics_paper

from ..split_summaries import split_summary
from .pages import CLASS_OPTIONS, compiled
from .unit_predictions import TASKS, predictions

FIVE, SIX = 5, 6


def made(study: Any, *, partial: bool = False) -> Paper:
    plan = study.plan
    results = read_results(plan.cells, plan.study, partial=partial)
    return statistics_paper(plan, results, "real")


def rigs(study: Any, scores: dict[str, tuple[float, ...]], **split: Any) -> None:
    """A dataset for each rig, and for each model its score there, the same for every seed."""
    count = len(next(iter(scores.values())))
    for rig in range(count):
        study.dataset(f"rig{rig}", split_summary(**split))
        for model, values in scores.items():
            study.classify(f"rig{rig}", model, (values[rig],) * 3)
        study.classify(f"rig{rig}", "trivial", (0.1,) * 3, row="majority class")


def one(paper: Paper, what: str) -> Table:
    (table,) = [table for table in paper.tables if what in table.title]
    return table


def rows(table: Table) -> dict[str, list[str]]:
    found = [row for block in table.blocks for row in block]
    return {row.label: [entry.text for entry in row.entries] for row in found}


def predicted(study: Any, cell: Cell, found: Predictions, tasks: tuple[str, ...]) -> None:
    """Write predictions and their scores."""
    scores = evaluate(found)
    given = {
        task: {row: {**s.values, **s.undefined} for row, s in scores[task].items()}
        for task in tasks
    }
    study.score(cell, given)
    write_predictions(paths.results(study.name, cell) / "predictions.h5", found)


def of_kind(paper: Paper, kind: str) -> pd.DataFrame:
    return paper.data[paper.data["kind"] == kind]


def test_an_interval_is_that_of_the_predictions_over_all_seeds(study: Any) -> None:
    study.dataset("bench")
    study.task_sets = {"all": TaskSetEntry(TASKS, False)}
    study.models = {"patchtst": study.models["patchtst"], "fno": study.models["fno"]}
    expected = {}
    for k, model in enumerate(study.models):
        values = []
        for seed in study.seeds:
            found = predictions(1, skill=k + seed / 100)  # the test part is one for all
            cell = Cell("bench", model, "all", seed)
            predicted(study, cell, found, TASKS)
            values.append([replicates(found, task, "model") for task in TASKS])
        expected[model] = np.mean(values, 0)  # (tasks, resamples)
    paper = made(study)
    data = of_kind(paper, "score")
    for k, task in enumerate(TASKS):
        own = data[data["task"] == task].set_index("row")
        for model, label in (("patchtst", "PatchTST"), ("fno", "FNO")):
            low, high = interval(expected[model][k])
            assert own.loc[label, "low"] == pytest.approx(low, abs=1e-6)
            assert own.loc[label, "high"] == pytest.approx(high, abs=1e-6)
            assert low < own.loc[label, "value"] < high
    differences = of_kind(paper, "difference")
    assert list(differences["task"]) == list(TASKS)
    for k, task in enumerate(TASKS):
        gain = expected["patchtst"][k] - expected["fno"][k]
        gain = -gain if task == "rul_prediction" else gain
        row = differences[differences["task"] == task].iloc[0]
        assert (row["low"], row["high"]) == pytest.approx(interval(gain), abs=1e-6)
    entry = one(paper, "Classification, macro F1: intervals").blocks[0][0].entries[0]
    assert entry.span.startswith("[0.")


def test_each_file_is_read_once_and_gone_before_the_next(
    study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.task_sets = {"all": TaskSetEntry(TASKS, False)}
    study.models.pop("trivial")
    study.seeds = (42, 43)
    study.dataset("bench")
    for cell in study.plan.cells:
        predicted(study, cell, predictions(1, skill=1 + cell.seed / 100), TASKS)
    read: list[Path] = []
    held: list[weakref.ref[Predictions]] = []

    def watched(path: Path) -> Predictions:
        assert not any(one() for one in held), "the file before is still in memory"
        found = read_predictions(path)
        read.append(path)
        held.append(weakref.ref(found))
        return found

    monkeypatch.setattr(unit_intervals, "read_predictions", watched)
    paper = made(study)
    assert len(read) == len(set(read)) == len(study.plan.cells)
    scores = of_kind(paper, "score")
    assert len(scores) == len(TASKS) * len(study.models) * len(study.datasets)
    assert scores[["low", "high"]].notna().all(axis=None)


def test_differences_are_of_pairs_and_counted_over_rigs(study: Any) -> None:
    gains = (0.05, 0.005, -0.03, 0.02)
    rigs(study, {"patchtst": tuple(0.6 + gain for gain in gains), "fno": (0.6,) * 4})
    paper = made(study)
    table = one(paper, "differences, unit")
    assert [column.label for column in table.columns] == [
        "rig0", "rig1", "rig2", "rig3", "win/tie/loss", "probability",
    ]  # fmt: skip
    posterior = [f"{p:.2f}" for p in signed_rank(np.array(gains))]
    assert rows(table) == {
        "PatchTST – FNO": ["0.050", "0.005", "-0.030", "0.020", "2/1/1", *posterior]
    }
    entries = table.blocks[0][0].entries
    assert {entry.mark for entry in entries} == {""}
    assert entries[0].span == "n/a (no predictions)"
    counts = {kind: of_kind(paper, kind)["value"].item() for kind in ("wins", "ties", "losses")}
    assert counts == {"wins": 2, "ties": 1, "losses": 1}


def test_of_errors_the_lower_is_the_better(study: Any) -> None:
    study.task_sets = {"all": TaskSetEntry(("rul_prediction",), False)}
    study.models.pop("trivial")
    for rig in range(2):
        study.dataset(f"rig{rig}")
        for seed in study.seeds:
            for model, value in (("patchtst", 0.1), ("fno", 0.2)):
                cell = Cell(f"rig{rig}", model, "all", seed)
                study.score(cell, {"rul_prediction": {"model": {"rmse": value}}})
    (entries,) = rows(one(made(study), "differences")).values()
    assert entries[:3] == ["0.100", "0.100", "2/0/0"]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_from_three_rigs_on_there_are_probabilities(study: Any, count: int) -> None:
    rigs(study, {"patchtst": (0.7, 0.8, 0.9)[:count], "fno": (0.6,) * count})
    paper = made(study)
    table = one(paper, "differences")
    over = [(c.label, c.subs) for c in table.columns[count:]]
    found = of_kind(paper, "p_better")
    counted = {kind: list(of_kind(paper, kind)["value"]) for kind in ("wins", "ties", "losses")}
    (entries,) = rows(table).values()
    said = any("Bayesian" in note for note in table.notes)
    if count == 1:
        assert (over, len(found), said) == ([], 0, False)
        return
    assert said
    assert counted == {"wins": [count], "ties": [0], "losses": [0]}
    if count == 2:
        assert over == [("win/tie/loss", ("",)), ("probability", ("",))]
        assert entries == ["0.100", "0.200", "2/0/0", "n/a (2 rigs)"]
        assert list(found["note"]) == ["n/a (2 rigs)"]
        assert found["value"].isna().all()
    else:
        assert over[1] == ("probability", ("better", "equal", "worse"))
        posterior = signed_rank(np.array([0.1, 0.2, 0.3]))
        assert entries[3:] == ["3/0/0", *(f"{p:.2f}" for p in posterior)]
        assert found["value"].item() == pytest.approx(posterior.better)
        assert list(found["note"]) == [""]


def test_from_six_rigs_on_there_are_ranks(study: Any) -> None:
    study.models["dlinear"] = ModelEntry("DLinear", "network")
    rng = np.random.default_rng(0)
    scores = {
        "patchtst": tuple(0.8 + 0.02 * rng.random(SIX)),
        "fno": tuple(0.7 + 0.02 * rng.random(SIX)),
        "dlinear": tuple(0.6 + 0.02 * rng.random(SIX)),
    }
    rigs(study, scores)
    paper = made(study)
    table = one(paper, "ranks, unit")
    assert list(rows(table)) == ["PatchTST", "FNO", "DLinear"]
    assert [entries[0] for entries in rows(table).values()] == ["1.00", "2.00", "3.00"]
    assert "3 rows on 6 rigs: Friedman's chi-squared 12.00, p = 0.00248" in table.notes[0]
    assert "critical difference 1.35" in table.notes[0]
    assert not any("differences" in one.title for one in paper.tables)
    assert of_kind(paper, "critical_difference")["value"].item() == pytest.approx(1.353, abs=1e-3)
    assert len(of_kind(paper, "nemenyi_p")) == 3


def test_below_six_rigs_or_three_rows_there_is_no_rank_test(study: Any) -> None:
    rigs(study, {"patchtst": (0.8,) * SIX, "fno": (0.7,) * SIX})
    assert not any("ranks" in table.title for table in made(study).tables)
    study.datasets.popitem()
    study.models["dlinear"] = ModelEntry("DLinear", "network")
    for rig in range(FIVE):
        study.classify(f"rig{rig}", "dlinear", (0.5,) * 3)
    tables = made(study).tables
    assert not any("ranks" in table.title for table in tables)
    (table,) = [table for table in tables if "differences" in table.title]
    assert list(rows(table)) == ["PatchTST – FNO", "PatchTST – DLinear", "FNO – DLinear"]


def test_rows_that_all_tie_have_no_test(study: Any) -> None:
    study.models["dlinear"] = ModelEntry("DLinear", "network")
    rigs(study, dict.fromkeys(("patchtst", "fno", "dlinear"), (0.7,) * SIX))
    table = one(made(study), "ranks")
    assert table.notes[0] == (
        "3 rows on 6 rigs: all rows tie on every rig, so that there is nothing to test."
    )
    assert {entries[0] for entries in rows(table).values()} == {"2.00"}


def test_one_model_is_compared_with_nothing(study: Any) -> None:
    study.models.pop("fno")
    rigs(study, {"patchtst": (0.6, 0.7)})
    assert [table.title for table in made(study).tables] == ["Classification, macro F1: intervals"]


def test_only_complete_columns_of_one_strength_are_compared(study: Any) -> None:
    rigs(study, {"patchtst": (0.6, 0.7, 0.8, 0.99), "fno": (0.5, 0.6, 0.7, 0.99)})
    study.dataset("rig1", split_summary(strength="condition"))
    study.dataset("noisy", noise_db=0.0)
    for model in ("patchtst", "fno"):
        study.classify("noisy", model, (0.3,) * 3)
    study.classify("noisy", "trivial", (0.1,) * 3, row="majority class")
    study.classify("rig2", "fno", ("absent from test: ball",) * 3)
    paper = made(study)
    unit, condition = one(paper, "differences, unit"), one(paper, "differences, condition")
    assert [column.label for column in unit.columns] == ["rig0"]  # rig3 is at the ceiling
    assert [column.label for column in condition.columns] == ["rig1"]
    assert "Left out, as a row has no score there: rig2." in unit.notes
    assert rows(unit) == {"PatchTST – FNO": ["0.100"]}


def test_columns_at_the_ceiling_are_named_as_left_out(study: Any) -> None:
    rigs(study, {"patchtst": (0.6, 0.7, 0.99), "fno": (0.5, 0.6, 1.0)})
    assert "Left out, as every network reaches 0.98: rig2." in one(made(study), "differences").notes


def test_without_a_complete_column_the_intervals_say_that_nothing_is_compared(study: Any) -> None:
    for rig, model in (("rig0", "patchtst"), ("rig1", "fno")):
        study.dataset(rig, split_summary())
        study.classify(rig, model, (0.6,) * 3)
    paper = made(study, partial=True)
    said = "No differences (unit): no column has a score of every row."
    assert said in one(paper, "intervals").notes
    assert not [table for table in paper.tables if "differences" in table.title]


def test_several_columns_of_one_rig_are_one_rig(study: Any) -> None:
    rigs(study, {"patchtst": (0.6, 0.8, 0.9), "fno": (0.5, 0.6, 0.6)})
    for name in ("rig0", "rig1"):
        study.dataset(name, rig="bench")
    table = one(made(study), "differences")
    assert [column.label for column in table.columns][:2] == ["bench", "rig2"]
    assert rows(table)["PatchTST – FNO"][:3] == ["0.150", "0.300", "2/0/0"]


def test_rigs_that_a_union_holds_out_are_rigs(study: Any) -> None:
    for fold, rig in enumerate(("uestc", "cwru")):
        split = split_summary(strength="rig", declared="rig", test_rigs=[rig])
        study.dataset(f"cross.fold{fold}", split)
        for model, value in (("patchtst", 0.6), ("fno", 0.5)):
            study.classify(f"cross.fold{fold}", model, (value,) * 3)
        study.classify(f"cross.fold{fold}", "trivial", (0.1,) * 3, row="majority class")
    table = one(made(study), "differences, rig")
    assert [column.label for column in table.columns][:2] == ["uestc", "cwru"]


def test_classic_models_are_compared_with_networks_not_with_each_other(study: Any) -> None:
    for name in ("forest", "lines"):
        study.models[name] = ModelEntry(name, "classic", "forest")
    study.models.pop("fno")
    rigs(study, {"patchtst": (0.6, 0.7), "forest": (0.5, 0.5), "lines": (0.4, 0.4)})
    assert list(rows(one(made(study), "differences"))) == ["PatchTST – forest", "PatchTST – lines"]


def test_without_a_network_nothing_is_compared(study: Any) -> None:
    study.models = {name: ModelEntry(name, "classic", "forest") for name in ("forest", "lines")}
    study.models["trivial"] = ModelEntry("trivial", "classic", "trivial")
    rigs(study, {"forest": (0.5,) * SIX, "lines": (0.4,) * SIX})
    assert [table.title for table in made(study).tables] == ["Classification, macro F1: intervals"]


def test_a_cell_that_was_not_run_has_its_lack(study: Any) -> None:
    rigs(study, {"patchtst": (0.6, 0.7), "fno": (0.5, 0.6)})
    for seed in study.seeds:
        folder = paths.results(study.name, Cell("rig1", "fno", "all", seed))
        (folder / "metrics.json").unlink()
    paper = made(study, partial=True)
    assert rows(one(paper, "intervals"))["FNO"] == ["0.500", "–"]
    assert [column.label for column in one(paper, "differences").columns] == ["rig0"]


def test_cells_of_other_code_are_named(study: Any) -> None:
    rigs(study, {"patchtst": (0.6, 0.7, 0.8), "fno": (0.5, 0.6, 0.7)})
    assert not any("other code" in note for table in made(study).tables for note in table.notes)
    study.train(Cell("rig1", "fno", "all", 42), code="of another time")
    (note,) = [n for n in one(made(study), "intervals").notes if "other code" in n]
    assert "rig1/fno/all/42" in note


def test_draws_of_units_have_their_range_and_no_interval(study: Any) -> None:
    for fold in range(2):
        study.dataset(f"curve.fold{fold}", train_units="1")
        for model in ("patchtst", "fno"):
            study.classify(f"curve.fold{fold}", model, (0.5,) * 3)
        study.classify(f"curve.fold{fold}", "trivial", (0.1,) * 3, row="majority class")
    (table,) = made(study).tables
    assert table.title == "Statistics"


def test_a_study_without_a_score_says_so_in_every_format(study: Any) -> None:
    study.dataset("bench")
    paper = made(study, partial=True)
    for ending in FORMATS:
        assert RENDER[ending](paper)
    assert "No row has a score yet." in RENDER["md"](paper)


def test_a_note_is_said_once_and_files_are_the_same_again(study: Any) -> None:
    study.task_sets = {"all": TaskSetEntry(("classification", "anomaly_detection"), False)}
    for rig in range(2):
        study.dataset(f"rig{rig}")
        for seed in study.seeds:
            for k, model in enumerate(("patchtst", "fno")):
                found = predictions(rig, skill=1 + k)
                cell = Cell(f"rig{rig}", model, "all", seed)
                predicted(study, cell, found, ("classification", "anomaly_detection"))
    study.models.pop("trivial")
    notes = [note for table in made(study).tables for note in table.notes]
    assert len(notes) == len(set(notes))
    first = {path: path.read_bytes() for path in write_tables(study.plan.to_json())}
    assert {path.name for path in first} >= {f"statistics.{ending}" for ending in FORMATS}
    again = {path: path.read_bytes() for path in write_tables(study.plan.to_json())}
    assert first == again


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("count", [FIVE, SIX + 3])
def test_many_models_on_many_rigs_fit_the_page(study: Any, tmp_path: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    for k in range(9):
        study.models[f"net{k}"] = ModelEntry(f"Network with a long name {k}", "network")
    scores = {name: tuple(rng.random(count)) for name in study.models if name != "trivial"}
    rigs(study, scores)
    inputs = [path for path in write_tables(study.plan.to_json()) if path.name == "statistics.tex"]
    text = inputs[0].read_text(encoding="utf-8")
    assert ("mean rank" in text, "win/tie/loss" in text) == (count > FIVE, count == FIVE)
    for options in CLASS_OPTIONS:
        log = compiled(inputs, tmp_path, options)
        assert "Overfull \\hbox" not in log
        assert "Float too large" not in log
