"""Tables that a study asks for by `tables:`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tables.pages import plan_of
from workflow_src.cells import Cell, grid
from workflow_src.configuration import load
from workflow_src.errors import UserError
from workflow_src.tables.asked import AskedTable
from workflow_src.tables.latex import to_latex
from workflow_src.tables.paper import main_tables, write_tables
from workflow_src.tables.plan import TablePlan, TaskSetEntry, table_files
from workflow_src.tables.results import read_results
from workflow_src.tables.table import Entry, Paper, Table

from .test_formats import check_latex

CONFIG = Path(__file__).parents[2] / "config"
OWN = {"name": "own", "task": "classification"}
MIXED = {"datasets": ["bearing_sim", "cwru_blocks", "hit_speed"]}


def asked(study: Any, **keys: Any) -> TablePlan:
    """The plan of a study with one table of its own."""
    plan = study.plan
    names = {"datasets": tuple(plan.datasets), "models": tuple(plan.models)}
    table = {"name": "own", "task": "classification", **names, **keys}
    return replace(plan, asked=(AskedTable(**table),))


def paper(plan: TablePlan, partial: bool = False) -> Paper:
    (made,) = main_tables(plan, read_results(plan.cells, plan.study, partial=partial))
    return made


def entries(table: Table) -> dict[str, list[Entry]]:
    return {row.label: list(row.entries) for block in table.blocks for row in block}


def detected(study: Any, dataset: str, **metrics: Any) -> None:
    """Scores of fault detection: of the networks those given, of a threshold all the same."""
    for cell in study.plan.cells:
        if cell.dataset == dataset:
            row = "RMS stump" if cell.model == "trivial" else "model"
            study.score(cell, {"anomaly_detection": {row: metrics}})


@pytest.fixture
def detection(study: Any) -> Any:
    study.task_sets = {"all": TaskSetEntry(("anomaly_detection",), False)}
    study.dataset("bearing")
    scores = {"auroc": 0.9, "recall": 0.13, "false_alarm_rate": 0.57, "brier": 0.2}
    detected(study, "bearing", **scores)
    return study


# ------------------------------------------------------------------------------- what it shows


def test_rows_and_columns_stand_as_they_are_named_above_the_trivial_rows(study: Any) -> None:
    for name in ("a", "b", "c"):
        study.dataset(name)
        study.classify(name, "patchtst", (0.8, 0.85, 0.9))
        study.classify(name, "fno", (0.7, 0.7, 0.7))
        study.classify(name, "trivial", (0.4, 0.4, 0.4), row="majority class")
    (table,) = paper(asked(study, datasets=("c", "a"), models=("fno", "patchtst"))).tables
    assert [column.label for column in table.columns] == ["c", "a"]
    assert list(entries(table)) == ["FNO", "PatchTST", "majority class"]
    (table,) = paper(asked(study, datasets=("b",), models=("fno",))).tables
    assert list(entries(table)) == ["FNO", "majority class"]


def test_each_metric_is_marked_by_its_own_direction(bearing: Any) -> None:
    for model, row, f1, loss in (
        ("patchtst", "model", 0.8, 1.2),
        ("fno", "model", 0.7, 0.3),
        ("trivial", "majority class", 0.4, 0.9),
    ):
        for i, seed in enumerate(bearing.seeds):
            scores = {"macro_f1": f1 + 0.01 * i, "log_loss": loss}
            bearing.score(Cell("bearing", model, "all", seed), {"classification": {row: scores}})
    made = paper(asked(bearing, metrics=("log_loss", "macro_f1")))
    (table,) = made.tables
    assert table.title == "Classification, log loss, macro F1"
    assert table.columns[0].subs == ("log loss", "macro F1")
    assert entries(table) == {
        "PatchTST": [Entry("1.200 ± 0.000"), Entry("0.810 ± 0.010", "best")],
        "FNO": [Entry("0.300 ± 0.000", "best"), Entry("0.710 ± 0.010", "second")],
        "majority class": [Entry("0.900", "second"), Entry("0.410 ± 0.010")],
    }
    assert table.notes[0].startswith(
        "Log loss [nat], lower is better; macro F1, higher is better; mean ±"
    )
    assert table.notes[0].endswith("scores from 0.98 on count as equal where higher is better.")
    claim = "Does not beat the best trivial row by more than two standard errors in log loss: "
    assert f"{claim}PatchTST (everywhere)." in table.notes
    data = made.data.set_index(["row", "metric"])
    assert data.loc[("FNO", "log_loss"), "mark"] == "best"
    assert data.loc[("FNO", "macro_f1"), "mark"] == "second"


@pytest.mark.parametrize(
    ("metrics", "shown"),
    [
        (("recall",), ("recall", "false alarms")),
        (("false_alarm_rate",), ("false alarms", "recall")),
        (("false_alarm_rate", "brier", "recall"), ("false alarms", "Brier", "recall")),
        (("brier", "recall", "auroc"), ("Brier", "recall", "false alarms", "AUROC")),
        ((), ("AUROC", "recall", "false alarms")),
    ],
)
def test_recall_and_false_alarms_are_never_apart(
    detection: Any, metrics: tuple[str, ...], shown: tuple[str, ...]
) -> None:
    (table,) = paper(asked(detection, task="anomaly_detection", metrics=metrics)).tables
    assert table.columns[0].subs == shown
    of_fno = dict(zip(shown, entries(table)["FNO"], strict=True))
    assert of_fno["recall"] == Entry("0.130")  # by itself it says nothing, so it is not ranked
    assert of_fno["false alarms"] == Entry("0.570")
    says_who_wins = any("trivial row" in note for note in table.notes)
    assert says_who_wins == (not set(shown) <= {"recall", "false alarms"})


def test_a_metric_that_no_row_has_in_a_column_is_not_shown_there(detection: Any) -> None:
    detection.dataset("gearbox")
    none = {"detection_delay": "no onset is known", "auroc": 0.8}
    detected(detection, "gearbox", recall="all of test is healthy", false_alarm_rate=0.1, **none)
    detected(detection, "bearing", recall=0.2, false_alarm_rate=0.1, auroc=0.9, detection_delay=3.0)
    plan = asked(
        detection, task="anomaly_detection", metrics=("auroc", "detection_delay", "recall")
    )
    made = paper(plan)
    (table,) = made.tables
    assert table.columns[0].subs == ("AUROC", "detection delay", "recall", "false alarms")
    assert table.columns[1].subs == ("AUROC", "recall", "false alarms")
    assert entries(table)["FNO"][5] == Entry("–", letter="a")
    assert "Not shown: gearbox, detection delay (undefined: no onset is known)." in table.notes
    check_latex(to_latex(made))


def test_false_alarms_stand_beside_a_recall_that_is_undefined(detection: Any) -> None:
    detected(detection, "bearing", recall="all of test is healthy", false_alarm_rate=0.1)
    (table,) = paper(asked(detection, task="anomaly_detection", metrics=("recall",))).tables
    assert table.columns[0].subs == ("recall", "false alarms")
    assert entries(table)["FNO"] == [Entry("–", letter="a"), Entry("0.100")]
    detected(detection, "bearing", recall="all healthy", false_alarm_rate="all healthy")
    (table,) = paper(asked(detection, task="anomaly_detection", metrics=("recall",))).tables
    assert table.columns == ()
    assert "Not shown: bearing (undefined: all healthy)." in table.notes


def test_a_column_goes_with_all_that_ranks_in_it(one_class: Any) -> None:
    (table,) = paper(asked(one_class, metrics=("macro_f1", "accuracy"))).tables
    assert [column.subs for column in table.columns] == [("macro F1", "accuracy"), ("accuracy",)]
    assert "acc " not in str(entries(table))  # it has a place of its own
    (table,) = paper(asked(one_class, metrics=("matthews",)), partial=True).tables
    assert len(table.columns) == 2


def test_at_the_ceiling_of_the_first_metric_nothing_is_marked(bearing: Any) -> None:
    for model, row, f1, loss in (
        ("patchtst", "model", 0.99, 0.2),
        ("fno", "model", 1.0, 0.3),
        ("trivial", "majority class", 0.4, 0.9),
    ):
        for seed in bearing.seeds:
            scores = {"macro_f1": f1, "log_loss": loss}
            bearing.score(Cell("bearing", model, "all", seed), {"classification": {row: scores}})
    (table,) = paper(asked(bearing, metrics=("macro_f1", "log_loss"))).tables
    assert "sanity columns" in table.title
    assert {entry.mark for row in entries(table).values() for entry in row} == {""}
    (table,) = paper(asked(bearing, metrics=("log_loss", "macro_f1"))).tables
    assert "sanity" not in table.title
    assert [row[0].mark for row in entries(table).values()] == ["best", "second", ""]


def test_some_rotations_alone_say_which(study: Any) -> None:
    for fold in range(3):
        study.dataset(f"uestc.fold{fold}")
        study.classify(f"uestc.fold{fold}", "patchtst", (0.5 + fold / 10,) * 3)
        study.classify(f"uestc.fold{fold}", "fno", (0.3,) * 3)
        study.classify(f"uestc.fold{fold}", "trivial", (0.1,) * 3, row="majority class")
    for names, label, text in (
        (("uestc.fold0", "uestc.fold2"), "uestc, fold 0, 2", "0.600 ± 0.000"),
        (("uestc",), "uestc", "0.600 ± 0.000"),
        (("uestc.fold1",), "uestc, fold 1", "0.600 ± 0.000"),
    ):
        (table,) = paper(asked(study, datasets=names)).tables
        assert [column.label for column in table.columns] == [label]
        assert entries(table)["PatchTST"][0].text == text


def test_caption_and_label_stand_in_every_format(bearing: Any) -> None:
    plan = asked(bearing, caption="What 50 % of us saw", label="tab:saw")
    written = write_tables(plan.to_json())
    assert written == table_files(plan)
    folder = Path("demo/tables")
    assert {path.stem for path in folder.iterdir()} == {"own", "statistics", "cost", "cost_rules"}
    for ending, text in (
        ("tex", "\\caption{What 50 \\% of us saw}\n\\label{tab:saw}"),
        ("md", "**What 50 % of us saw**"),
        ("html", "<figcaption>What 50 % of us saw</figcaption>"),
    ):
        assert text in (folder / f"own.{ending}").read_text(encoding="utf-8")


def test_a_partial_table_counts_the_cells_of_the_study(bearing: Any) -> None:
    bearing.dataset("gearbox")
    (table,) = paper(asked(bearing, datasets=("bearing",)), partial=True).tables
    assert "Partial: 9 of the study's 18 cells have scores." in table.notes


# ------------------------------------------------------------------------------- the plan


def test_a_plan_without_the_key_is_what_it_was() -> None:
    plan = plan_of("default")
    assert "asked" not in plan.to_json()
    assert plan.to_json() == plan_of("default", tables=["default"]).to_json()
    assert {path.stem for path in table_files(plan)} == {
        *(f"{task}_simulated" for task in plan.tasks()),
        *("statistics_simulated", "cost", "cost_rules"),
    }


def test_a_plan_with_tables_goes_through_json() -> None:
    tables = ["default", {**OWN, "metrics": ["log_loss"], "models": ["fno"], "caption": "What"}]
    plan = plan_of("default", tables=tables)
    assert TablePlan.from_json(plan.to_json()) == plan
    names = [table.name for table in plan.tables()]
    assert names == [*(t.name for t in plan_of("default").tables()), "own"]


def test_no_table_changes_what_is_trained() -> None:
    found = []
    for changes in ({}, {"tables": [{**OWN, "metrics": ["log_loss"]}]}):
        run = yaml.safe_load((CONFIG / "config.yaml").read_text(encoding="utf-8"))
        configuration = load({**run, "hardware": "local", **changes}, CONFIG)
        cells = grid(configuration)
        found.append({c.name: configuration.resolve(*c.key).to_json() for c in cells})
    assert found[0] == found[1]


# ------------------------------------------------------------------------------- what is refused

WRONG: list[tuple[dict[str, Any], list[Any], str, str]] = [
    # run, tables, in the message, in the remedy
    ({}, [{**OWN, "task": "clasification"}], "`tables[0].task`", "task: classification"),
    ({}, [{**OWN, "task": "xyz"}], "no task `xyz`", "task: classification"),
    (
        {},
        ["default", {**OWN, "datasets": ["gearbox", "life_sim"]}],
        "no dataset `gearbox` for a table of this run; the nearest is `gearbox_sim`",
        "datasets: [gearbox_sim, life_sim]",
    ),
    ({}, [{**OWN, "datasets": ["xyz", "life_sim"]}], "no dataset `xyz`", "datasets: [life_sim]"),
    ({}, [{**OWN, "models": ["patch", "patchtst"]}], "nearest is `patchtst`", "[patchtst]"),
    ({}, [{**OWN, "models": ["xyz"]}], "expected: one of dlinear, patchtst,", "[dlinear]"),
    ({}, [{**OWN, "metrics": ["f1", "acuracy"]}], "no metric `f1`", "metrics: [macro_f1, acuracy]"),
    ({}, [{**OWN, "metrics": ["auroc"]}], "`tables[0].metrics`", "macro_auroc"),
    (MIXED, [OWN], "real: cwru_blocks, hit_speed; simulated: bearing_sim", "name: own_simulated"),
    (
        MIXED,
        [{**OWN, "datasets": ["hit_speed", "bearing_sim"], "label": "tab:own"}],
        "`tables[0].datasets`",
        "tables:\n- name: own\n  task: classification\n  datasets: [hit_speed]\n  label: tab:own\n"
        "- name: own_simulated\n  task: classification\n  datasets: [bearing_sim]\n"
        "  label: tab:own-simulated",
    ),
    ({}, [OWN, OWN], "Two tables have the name `own`", "name: own-2"),
    ({}, ["default", {**OWN, "name": "classification_simulated"}], "Two tables", "_simulated-2"),
    ({}, [{**OWN, "name": "cost"}], "Two tables have the name `cost`", "name: cost-2"),
    ({}, [OWN, {**OWN, "name": "b", "label": "tab:own"}], "the label `tab:own`", "tab:own-2"),
    ({}, ["default", "default"], "names `default` twice", "tables: [default]"),
    (
        {"exclude": ["life_sim/*"]},
        [{**OWN, "datasets": ["life_sim"]}],
        "no dataset `l",
        "datasets: [gearbox_sim]",
    ),
    ({}, [{**OWN, "models": ["fno", "fno"]}], "`models` names fno twice", "models: [fno]"),
    ({}, "default", "`tables`", "[default]"),
    ({}, [], "`tables`", "default"),
    ({}, [{**OWN, "label": "tab own"}], "of letters, digits", "label: tab_own"),
    ({}, [{**OWN, "metric": ["accuracy"]}], "nearest is `metrics`", "metrics: [accuracy]"),
]


@pytest.mark.parametrize(("run", "tables", "says", "remedy"), WRONG)
def test_a_table_that_cannot_be_is_refused_with_yaml_that_works(
    run: dict[str, Any], tables: Any, says: str, remedy: str
) -> None:
    with pytest.raises(UserError) as caught:
        plan_of("default", **run, tables=tables)
    text = str(caught.value)
    assert says in text
    told = text.partition("remedy:")[2].strip().replace("\n" + " " * 12, "\n")
    assert remedy in told
    told = told.removeprefix("--config 'tables=").removesuffix("'")
    for _ in range(3):  # a message names the first of several mistakes
        mended = yaml.safe_load(told)
        mended = mended["tables"] if isinstance(mended, dict) else mended
        try:
            assert plan_of("default", **run, tables=mended).tables()
            return
        except UserError as error:
            told = str(error).partition("remedy:")[2].strip().replace("\n" + " " * 12, "\n")
    pytest.fail(f"the remedy does not work: {told}")


def test_every_table_of_a_mixed_study_has_one_origin() -> None:
    tables = ["default", {**OWN, "datasets": ["bearing_sim"]}]
    plan = plan_of("default", **MIXED, tables=tables)
    for table in plan.tables():
        origins = {entry.origin for entry in plan.of(table).datasets.values()}
        assert origins == ({"simulated"} if plan.is_simulated(table) else {"real"})
