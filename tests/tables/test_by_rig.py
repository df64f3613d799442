"""Columns of splits that hold out whole rigs."""

from __future__ import annotations

from typing import Any

from workflow_src.tables.paper import main_tables
from workflow_src.tables.results import read_results

from ..split_summaries import split_summary

UNITS = {"normal": {"train": 1, "val": 1, "test": 1}, "inner": {"train": 2, "val": 2, "test": 1}}


def test_each_rig_held_out_has_a_column_of_its_own_and_its_name(study: Any):
    study.models.pop("fno")
    for fold, rig in enumerate(("uestc", "cwru")):
        facts = {"strength": "rig", "test_rigs": [rig], "units_per_class": UNITS}
        study.dataset(f"cross.fold{fold}", split_summary(**facts))
        study.classify(f"cross.fold{fold}", "patchtst", (0.5 + fold / 10,) * 3)
        study.classify(f"cross.fold{fold}", "trivial", (0.1,) * 3, row="majority class")
    plan = study.plan
    (paper,) = main_tables(plan, read_results(plan.cells, plan.study))
    (table,) = paper.tables
    assert [column.label for column in table.columns] == [
        "cross, uestc held out",
        "cross, cwru held out",
    ]
    assert [column.beneath for column in table.columns] == ["rig", "rig"]
    rows = {row.label: row.entries for block in table.blocks for row in block}
    assert [entry.text for entry in rows["PatchTST"]] == ["0.500 ± 0.000", "0.600 ± 0.000"]
    assert any("Rig: the test part holds rigs that training never saw" in n for n in table.notes)
    # The specimen of the test rig is another one than that of the training rigs.
    assert not any("One specimen" in note for note in table.notes)


def test_draws_of_shots_are_averaged_for_each_rig_alone(study: Any):
    """With a few of its recordings in training a rig is no longer held out, yet still another."""
    study.models.pop("fno")
    shots = {"per_class": 5, "of": "recordings", "draw": 0, "drawn": {}}
    for fold, rig in enumerate(("uestc", "uestc", "cwru", "cwru")):
        facts = {"strength": "run", "declared": "rig", "test_rigs": [rig], "shots": shots}
        study.dataset(f"few.fold{fold}", split_summary(**facts))
        study.classify(f"few.fold{fold}", "patchtst", (0.5 + fold / 10,) * 3)
        study.classify(f"few.fold{fold}", "trivial", (0.1,) * 3, row="majority class")
    plan = study.plan
    (paper,) = main_tables(plan, read_results(plan.cells, plan.study))
    (table,) = paper.tables
    assert [column.label for column in table.columns] == ["few, test on uestc", "few, test on cwru"]
    rows = {row.label: row.entries for block in table.blocks for row in block}
    assert [(entry.text, entry.span) for entry in rows["PatchTST"]] == [
        ("0.550 ± 0.000", "[0.500, 0.600]"),
        ("0.750 ± 0.000", "[0.700, 0.800]"),
    ]


def test_draws_of_training_units_are_averaged_for_each_rig_alone(study: Any):
    """Each is another draw of the same problem, and the rig stays held out."""
    study.models.pop("fno")
    for fold, rig in enumerate(("uestc", "uestc", "cwru", "cwru")):
        split = split_summary(strength="rig", declared="rig", test_rigs=[rig])
        study.dataset(f"few.fold{fold}", split, train_units="2")
        study.classify(f"few.fold{fold}", "patchtst", (0.5 + fold / 10,) * 3)
        study.classify(f"few.fold{fold}", "trivial", (0.1,) * 3, row="majority class")
    plan = study.plan
    (paper,) = main_tables(plan, read_results(plan.cells, plan.study))
    (table,) = paper.tables
    assert [column.label for column in table.columns] == [
        "few, 2 units, uestc held out",
        "few, 2 units, cwru held out",
    ]
    rows = {row.label: row.entries for block in table.blocks for row in block}
    assert [(entry.text, entry.span) for entry in rows["PatchTST"]] == [
        ("0.550 ± 0.000", "[0.500, 0.600]"),
        ("0.750 ± 0.000", "[0.700, 0.800]"),
    ]
