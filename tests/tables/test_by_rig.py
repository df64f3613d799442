"""Columns of splits that hold out whole rigs."""

from __future__ import annotations

from typing import Any

import pytest

from workflow_src.tables.paper import main_tables
from workflow_src.tables.results import read_results
from workflow_src.tables.table import Table

from ..split_summaries import split_summary

UNITS = {"normal": {"train": 1, "val": 1, "test": 1}, "inner": {"train": 2, "val": 2, "test": 1}}
SHOTS = {"per_class": 5, "of": "recordings", "draw": 0, "drawn": {}}
WHOLE: dict[str, Any] = {"strength": "rig", "units_per_class": UNITS}
FEW_SHOTS: dict[str, Any] = {"strength": "run", "declared": "rig", "shots": SHOTS}
FEW_UNITS: dict[str, Any] = {"strength": "rig", "declared": "rig"}
MEANS = [("0.550 ± 0.000", "[0.500, 0.600]"), ("0.750 ± 0.000", "[0.700, 0.800]")]


def table_of(
    study: Any, rigs: tuple[str, ...], facts: dict[str, Any], train_units: str = ""
) -> Table:
    """A fold tests on each of `rigs`; PatchTST has 0.5 on the first, 0.6 on the second."""
    study.models.pop("fno")
    for fold, rig in enumerate(rigs):
        name = f"cross.fold{fold}"
        study.dataset(name, split_summary(**facts, test_rigs=[rig]), train_units=train_units)
        study.classify(name, "patchtst", (0.5 + fold / 10,) * 3)
        study.classify(name, "trivial", (0.1,) * 3, row="majority class")
    plan = study.plan
    (paper,) = main_tables(plan, read_results(plan.cells, plan.study))
    (table,) = paper.tables
    return table


@pytest.mark.parametrize(
    ("draws", "facts", "train_units", "words", "expected"),
    [
        (1, WHOLE, "", "cross, {} held out", [("0.500 ± 0.000", ""), ("0.600 ± 0.000", "")]),
        # With a few of its recordings in training a rig is no longer held out, yet still another.
        (2, FEW_SHOTS, "", "cross, test on {}", MEANS),
        # Each is another draw of the same problem, and the rig stays held out.
        (2, FEW_UNITS, "2", "cross, 2 units, {} held out", MEANS),
    ],
    ids=["whole", "shots", "units"],
)
def test_each_rig_has_a_column_of_its_own_and_draws_are_averaged_within_it(
    study: Any,
    draws: int,
    facts: dict[str, Any],
    train_units: str,
    words: str,
    expected: list[tuple[str, str]],
) -> None:
    rigs = ("uestc",) * draws + ("cwru",) * draws
    table = table_of(study, rigs, facts, train_units)
    assert [column.label for column in table.columns] == [
        words.format(rig) for rig in ("uestc", "cwru")
    ]
    entries = {row.label: row.entries for block in table.blocks for row in block}["PatchTST"]
    assert [(entry.text, entry.span) for entry in entries] == expected


def test_the_note_says_what_holding_out_a_rig_means(study: Any) -> None:
    table = table_of(study, ("uestc", "cwru"), WHOLE)
    assert [column.beneath for column in table.columns] == ["rig", "rig"]
    assert any("Rig: the test part holds rigs that training never saw" in n for n in table.notes)
    # The specimen of the test rig is another one than that of the training rigs.
    assert not any("One specimen" in note for note in table.notes)
