from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from workflow_src.cells import Cell
from workflow_src.scheduling.events import Ended, Started
from workflow_src.scheduling.journal import Journal
from workflow_src.tables.paper import main_tables, write_tables
from workflow_src.tables.plan import ModelEntry, TablePlan, TaskSetEntry, table_files
from workflow_src.tables.results import read_results
from workflow_src.tables.table import Entry, Paper, Table, number

from ..split_summaries import split_summary

TASKS = ("classification", "anomaly_detection", "signal_prediction", "rul_prediction")


def only(study: Any, partial: bool = False) -> Table:
    (table,) = tables(study, partial)
    return table


def papers(study: Any, partial: bool = False) -> list[Paper]:
    plan = study.plan
    return main_tables(plan, read_results(plan.cells, plan.study, partial=partial))


def tables(study: Any, partial: bool = False) -> list[Table]:
    return [table for paper in papers(study, partial) for table in paper.tables]


def entries(table: Table) -> dict[str, list[Entry]]:
    return {row.label: list(row.entries) for block in table.blocks for row in block}


def noted(table: Table) -> str:
    return "\n".join([*table.notes, *(text for _, text in table.lettered)])


# ------------------------------------------------------------------------------- numbers


def test_mean_spread_and_marks(bearing: Any) -> None:
    table = only(bearing)
    assert entries(table) == {
        "PatchTST": [Entry("0.850 ± 0.050", "best")],
        "FNO": [Entry("0.700 ± 0.000", "second")],
        "majority class": [Entry("0.400")],
    }
    assert [len(block) for block in table.blocks] == [2, 1, 0]
    assert table.columns[0].beneath == "unit"
    assert "Units in train/test: 3/2 per class." in table.notes
    assert "over 3 seeds" in table.notes[0]
    assert table.title == "Classification, macro F1"
    assert "Every model beats the best trivial row" in noted(table)


def test_no_spread_and_no_claim_below_three_seeds(study: Any) -> None:
    study.seeds = (1, 2)
    study.dataset("bearing")
    study.classify("bearing", "patchtst", (0.8, 0.9))
    study.classify("bearing", "fno", (0.7, 0.7))
    study.classify("bearing", "trivial", (0.4, 0.4), row="majority class")
    table = only(study)
    assert entries(table)["PatchTST"] == [Entry("0.850", "best")]
    assert "No claim against the trivial rows" in noted(table)
    assert "beats the best" not in noted(table)


def test_a_trivial_row_that_wins_is_marked_and_said(study: Any) -> None:
    study.task_sets = {"all": TaskSetEntry(("rul_prediction",), age=True)}
    study.dataset("femto")
    for model, row, value in (
        ("patchtst", "model", 0.25),
        ("fno", "model", 0.3),
        ("trivial", "clock", 0.2),
    ):
        for seed in study.seeds:
            scores = {"rul_prediction": {row: {"rmse": value}}}
            study.score(Cell("femto", model, "all", seed), scores)
    table = only(study)
    found = entries(table)
    assert found["clock"] == [Entry("0.200", "best")]
    assert found["PatchTST +age"] == [Entry("0.250 ± 0.000", "second")]
    assert "Runs to failure in train/test: 2 in training." in table.notes
    assert "Does not beat the best trivial row by more than two standard errors: " in noted(table)
    assert "PatchTST +age (everywhere), FNO +age (everywhere)" in noted(table)


def test_models_at_the_ceiling_are_not_ranked(bearing: Any) -> None:
    bearing.classify("bearing", "patchtst", (0.99, 0.99, 1.0))
    bearing.classify("bearing", "fno", (0.98, 0.99, 0.98))
    table = only(bearing)
    assert [row[0].mark for row in entries(table).values()] == ["", "", ""]
    assert table.title == (
        "Classification, macro F1: sanity columns, where every network reaches 0.98"
    )


def test_rotations_make_one_column_with_mean_and_range(study: Any) -> None:
    study.models.pop("fno")
    for fold, values in enumerate([(0.2, 0.4, 0.6), (0.8, 1.0, 0.6)]):
        study.dataset(f"uestc.fold{fold}")
        study.classify(f"uestc.fold{fold}", "patchtst", values)
        study.classify(f"uestc.fold{fold}", "trivial", (0.1, 0.1, 0.1), row="majority class")
    table = only(study)
    assert [column.label for column in table.columns] == ["uestc"]
    assert "in brackets the range over rotations (2)" in table.notes[0]
    # Seeds: 0.5, 0.7, 0.6. Rotations: 0.4, 0.8.
    assert entries(table)["PatchTST"] == [Entry("0.600 ± 0.100", "best", span="[0.400, 0.800]")]
    row = papers(study)[0].data.set_index("row").loc["PatchTST"]
    assert row[["mean", "sd", "min", "max"]].tolist() == pytest.approx([0.6, 0.1, 0.4, 0.8])
    assert (row["n"], row["datasets"]) == (3, "uestc.fold0 uestc.fold1")


def test_rotations_of_unlike_strength_are_never_averaged(study: Any) -> None:
    study.models = {"patchtst": ModelEntry("PatchTST", "network")}
    study.dataset("uestc.fold0")
    study.dataset("uestc.fold1", split_summary(strength="time_block"))
    study.classify("uestc.fold0", "patchtst", (0.5, 0.5, 0.5))
    study.classify("uestc.fold1", "patchtst", (0.9, 0.9, 0.9))
    table = only(study)
    assert [column.label for column in table.columns] == ["uestc, fold 0", "uestc, fold 1"]
    assert [column.beneath for column in table.columns] == ["unit", "time_block"]
    assert [e.text for e in entries(table)["PatchTST"]] == ["0.500 ± 0.000", "0.900 ± 0.000"]


def test_a_seed_without_all_rotations_is_left_out_and_named(study: Any) -> None:
    study.models.pop("fno")
    for fold, value in enumerate([0.2, 0.8]):
        study.dataset(f"uestc.fold{fold}")
        study.classify(f"uestc.fold{fold}", "patchtst", (value, value, value))
        study.classify(f"uestc.fold{fold}", "trivial", (0.1, 0.1, 0.1), row="majority class")
    study.score(
        Cell("uestc.fold1", "patchtst", "all", 43),
        {"classification": {"model": {"macro_f1": "absent from test: inner"}}},
    )
    table = only(study)
    assert entries(table)["PatchTST"] == [Entry("0.500", "best", "a", "[0.200, 0.800]")]
    expected = "2 of 3 seeds; undefined: absent from test: inner (seed 43; fold 1)"
    assert table.lettered == (("a", expected),)


# ------------------------------------------------------------------------------- what is missing


def test_every_dash_has_a_note(study: Any) -> None:
    supported = {**dict.fromkeys(TASKS), "classification": "fewer than two classes"}
    study.dataset("bearing")
    study.dataset("femto", split_summary(supported=supported))
    study.classify("bearing", "patchtst", ("one class",) * 3)
    study.classify("bearing", "fno", (0.7, 0.7, 0.7))
    study.classify("bearing", "trivial", (0.4, 0.4, 0.4), row="majority class")
    for model, seed in itertools.product(study.models, study.seeds):
        study.score(Cell("femto", model, "all", seed), {})
    table = only(study)
    assert [column.label for column in table.columns] == ["bearing"]
    assert entries(table)["PatchTST"] == [Entry("–", "", "a")]
    assert entries(table)["majority class"] == [Entry("0.400", "second")]
    assert dict(table.lettered) == {"a": "undefined: one class"}
    assert "Not shown: femto (task dropped: fewer than two classes)." in table.notes


def test_cells_that_were_not_run_say_why_in_a_partial_table(bearing: Any) -> None:
    journals = {
        seed: Journal(Path("demo/runs/bearing/fno/all", f"seed{seed}", "attempts.jsonl"))
        for seed in bearing.seeds
    }
    for seed in bearing.seeds:
        Path(f"demo/results/bearing/fno/all/seed{seed}/metrics.json").unlink()
    for _ in range(2):
        journals[42].append(Started())
        journals[42].append(Ended(cause="gpu_oom"))
    journals[43].append(Started())
    table = only(bearing, partial=True)
    assert entries(table)["FNO"] == [Entry("OOM", "", "a")]
    assert table.lettered[0][1] == (
        "no result: out of GPU memory (2 attempts) (seed 42); "
        "no result: running, or stopped without an end (seed 43); no result: not run (seed 44)"
    )
    assert "Partial: 6 of the study's 9 cells have scores." in table.notes


def test_a_cell_that_failed_brings_no_dropped_task_back(bearing: Any) -> None:
    dropped = {**dict.fromkeys(TASKS), "classification": "fewer than two classes"}
    bearing.dataset("femto", split_summary(supported=dropped))
    for model, seed in itertools.product(bearing.models, bearing.seeds):
        if model != "fno":
            bearing.score(Cell("femto", model, "all", seed), {})
    table = only(bearing, partial=True)
    assert [column.label for column in table.columns] == ["bearing"]
    assert "Not shown: femto (task dropped: fewer than two classes)." in table.notes


def test_the_accuracy_stands_where_macro_f1_is_undefined(one_class: Any) -> None:
    table = only(one_class)
    assert [row[1] for row in entries(table).values()] == [
        Entry("acc 0.030 ± 0.010", "", "a"),
        Entry("acc 0.040 ± 0.010", "", "a"),
        Entry("acc 0.910 ± 0.010", "", "a"),
    ]
    assert [row[0].mark for row in entries(table).values()] == ["", "second", "best"]
    assert table.lettered == (
        (
            "a",
            "undefined: absent from test: ball; in its place the accuracy (acc), "
            "here the recall of inner; not ranked",
        ),
    )


def test_no_claim_reaches_where_the_main_metric_is_undefined(one_class: Any) -> None:
    one_class.classify("bearing", "trivial", (0.001,) * 3, row="majority class")
    expected = "two standard errors wherever the table gives its macro F1."
    assert any(note.endswith(expected) for note in only(one_class).notes)


# ------------------------------------------------------------------------------- which tables


def test_simulated_and_real_rigs_never_share_a_table(bearing: Any) -> None:
    bearing.dataset("gearbox", origin="simulated")
    for model, row in (("patchtst", "model"), ("fno", "model"), ("trivial", "majority class")):
        bearing.classify("gearbox", model, (0.5, 0.6, 0.7), row=row)
    files = [paper.name for paper in papers(bearing)]
    assert files == ["classification", "classification_simulated"]
    made = tables(bearing)
    assert [[c.label for c in table.columns] for table in made] == [["bearing"], ["gearbox"]]
    assert made[1].title.endswith("(simulated rigs)")


def test_the_files_are_those_that_the_plan_names(bearing: Any) -> None:
    bearing.dataset("gearbox", origin="simulated")
    bearing.task_sets = {"all": TaskSetEntry(("classification", "signal_prediction"), False)}
    for partial in (True, False):
        if not partial:
            for cell in bearing.plan.cells:
                bearing.score(cell, {})
        written = write_tables(bearing.plan.to_json(), partial=partial)
        assert written == table_files(bearing.plan, partial)
        assert all(path.exists() for path in written)
    assert len(written) == (2 * 3 + 2) * 4
    assert {p for p in Path("demo/tables").iterdir() if p.is_file()} == set(written)


def test_same_inputs_same_bytes(bearing: Any) -> None:
    first = [path.read_bytes() for path in write_tables(bearing.plan.to_json())]
    assert first == [path.read_bytes() for path in write_tables(bearing.plan.to_json())]


def test_task_sets_stand_in_brackets_but_trivial_rows_once(bearing: Any) -> None:
    bearing.task_sets["single"] = TaskSetEntry(("classification",), False)
    bearing.task_sets["signal"] = TaskSetEntry(("signal_prediction",), False)
    for model, row in (("patchtst", "model"), ("fno", "model"), ("trivial", "majority class")):
        bearing.classify("bearing", model, (0.5, 0.5, 0.5), row=row)
    bearing.classify("bearing", "trivial", (0.4, 0.4, 0.4), row="majority class")
    labels = list(entries(tables(bearing)[0]))
    expected = ["PatchTST (all)", "PatchTST (single)", "FNO (all)", "FNO (single)"]
    assert labels == [*expected, "majority class"]


def test_a_classic_model_stands_under_its_label_where_it_gives_a_row(bearing: Any) -> None:
    bearing.models["forest"] = ModelEntry("Random forest", "classic", "forest")
    bearing.task_sets = {"all": TaskSetEntry(("classification", "signal_prediction"), False)}
    there = list(entries(tables(bearing, partial=True)[0]))
    assert there == ["PatchTST", "FNO", "majority class", "Random forest"]  # of no result yet
    for seed in bearing.seeds:
        rows = {"model": {"macro_f1": 0.6}, "model +age": {"macro_f1": 0.7}}
        bearing.score(Cell("bearing", "forest", "all", seed), {"classification": rows})
    classification, signal = tables(bearing)
    found = entries(classification)
    assert [*found][-2:] == ["Random forest", "Random forest +age"]
    assert "0.700" in str(found["Random forest +age"])
    assert not any("forest" in label for label in entries(signal))


def test_recall_and_false_alarms_stand_beside_auroc(study: Any) -> None:
    study.task_sets = {"all": TaskSetEntry(("anomaly_detection",), False)}
    study.dataset("bearing")
    scores = {"auroc": 0.9, "recall": 0.13, "false_alarm_rate": 0.57}
    for cell in study.plan.cells:
        row = "RMS stump" if cell.model == "trivial" else "model"
        study.score(cell, {"anomaly_detection": {row: scores}})
    table = only(study)
    assert table.columns[0].subs == ("AUROC", "recall", "false alarms")
    expected = [Entry("0.900 ± 0.000", "best"), Entry("0.130"), Entry("0.570")]
    assert entries(table)["FNO"] == expected
    data = papers(study)[0].data
    assert data["mean"][data["metric"] == "false_alarm_rate"].tolist() == [0.57] * 3


def test_the_autoregression_stands_beneath_a_rule(study: Any) -> None:
    study.task_sets = {"all": TaskSetEntry(("signal_prediction",), False)}
    study.dataset("bearing")
    for cell in study.plan.cells:
        rows = ("input mean", "AR(32)") if cell.model == "trivial" else ("model",)
        study.score(cell, {"signal_prediction": {row: {"skill": -0.0001} for row in rows}})
    table = only(study)
    assert [[row.label for row in block] for block in table.blocks] == [
        ["PatchTST", "FNO"],
        ["input mean"],
        ["AR(32)"],
    ]
    assert entries(table)["AR(32)"][0].text == "0.000"


# ------------------------------------------------------------------------------- notes


def test_one_specimen_a_class_is_said(study: Any) -> None:
    units = {"normal": {"train": 2, "val": 1, "test": 1}, "ball": {"train": 1, "val": 1, "test": 1}}
    study.dataset(
        "cwru",
        split_summary(
            strength="time_block",
            units_per_class=units,
            reasons=["not by unit: only one unit bears ball"],
            warnings=["sampling rates are mixed"],
        ),
        note="last fifth of each recording",
    )
    for model, row in (("patchtst", "model"), ("fno", "model"), ("trivial", "majority class")):
        study.classify("cwru", model, (0.5, 0.6, 0.7), row=row)
    table = only(study)
    assert table.columns[0].beneath == "time_block"
    text = noted(table)
    assert "Units in train/test: normal 2/1, ball 1/1." in table.notes
    assert "a score says “recognises this specimen”, not “diagnoses the fault”: cwru: ball." in text
    assert "cwru: last fifth of each recording; not by unit: only one unit bears ball" in text
    assert "warning: sampling rates are mixed" in text


def test_a_shortcut_stands_under_the_tables_of_its_task_alone(study: Any) -> None:
    told = {"classification": ["RMS alone tells the class"], "rul_prediction": ["of another task"]}
    study.dataset("bearing", shortcuts=told)
    for model, row in (("patchtst", "model"), ("fno", "model"), ("trivial", "majority class")):
        study.classify("bearing", model, (0.5, 0.6, 0.7), row=row)
    text = noted(only(study))
    assert "bearing: warning: RMS alone tells the class" in text
    assert "of another task" not in text
    assert "not searched" not in text


def test_what_several_columns_share_is_said_once(study: Any) -> None:
    told = {"classification": ["RMS alone tells the class"]}
    for name, note in (("a", "at one speed"), ("b", "at another"), ("c", "")):
        study.dataset(name, shortcuts=told if name != "c" else {}, note=note)
        for model, row in (("patchtst", "model"), ("fno", "model"), ("trivial", "majority class")):
            study.classify(name, model, (0.5, 0.6, 0.7), row=row)
    notes = only(study).notes
    assert [note for note in notes if "speed" in note or "another" in note or "RMS" in note] == [
        "a: at one speed.",
        "a; b: warning: RMS alone tells the class.",
        "b: at another.",
    ]


def test_a_split_whose_content_was_not_searched_says_so(study: Any) -> None:
    study.dataset("short", searched_from=None)
    for model, row in (("patchtst", "model"), ("fno", "model"), ("trivial", "majority class")):
        study.classify("short", model, (0.5, 0.6, 0.7), row=row)
    text = noted(only(study))
    assert "short: warning: content that its parts share was not searched for" in text


def test_two_specimens_apart_are_not_one(bearing: Any) -> None:
    assert "recognises" not in noted(only(bearing))


def test_runs_to_failure_are_counted_on_both_sides(study: Any) -> None:
    study.task_sets = {"all": TaskSetEntry(("rul_prediction",), age=False)}
    for fold, (train, test) in enumerate([(5, 1), (4, 1)]):
        runs = {"train": train, "val": 1, "test": test}
        study.dataset(f"femto.fold{fold}", split_summary(runs_to_failure=runs))
    for cell in study.plan.cells:
        row = "clock" if cell.model == "trivial" else "model"
        study.score(cell, {"rul_prediction": {row: {"rmse": 0.2}}})
    table = only(study)
    assert "Runs to failure in train/test: 4–5/1." in table.notes


@pytest.mark.parametrize("task", ["signal_prediction", "classification"])
def test_forecasts_of_noisy_windows_are_not_compared(study: Any, task: str) -> None:
    study.task_sets = {"all": TaskSetEntry((task,), age=False)}
    study.dataset("clean")
    study.dataset("noisy", label="HIT, noise", noise_db=0.0)
    for cell in study.plan.cells:
        study.score(cell, {})
    plan = study.plan
    made = main_tables(TablePlan.from_json(plan.to_json()), read_results(plan.cells, "demo"))
    assert [table.title.partition(": ")[2] for table in made[0].tables] == ["", "noise in test"]
    text = noted(made[0].tables[1])
    assert ("on the windows of the test part: HIT, noise (0 dB)." in text) == (
        task == "signal_prediction"
    )
    assert ("units of the noisy window's deviation" in text) == (task == "signal_prediction")


def test_no_negative_zero() -> None:
    assert number(-0.0004, 3) == "0.000"
    assert number(-0.0006, 3) == "-0.001"
