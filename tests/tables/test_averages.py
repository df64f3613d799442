"""Averages and mean ranks: over columns of one strength, without a gap."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from workflow_src.cells import Cell
from workflow_src.tables.asked import AskedTable
from workflow_src.tables.averages import largest_complete
from workflow_src.tables.paper import main_tables
from workflow_src.tables.rank_test import ranks_of
from workflow_src.tables.results import read_results
from workflow_src.tables.table import Entry, Paper, Table
from workflow_src.tasks.scores import Metric

from ..split_summaries import split_summary

HIGHER = Metric("f1", "F1", higher_is_better=True, low=0, high=1)
LOWER = Metric("loss", "loss", higher_is_better=False, low=0, high=9)
SCORES = {"a": (0.9, 0.5, 0.1), "b": (0.6, 0.7, 0.1), "c": (0.6, 0.5, 0.4)}
HEAD = ("average", "mean rank")


def filled(study: Any, scores: dict[str, tuple[Any, Any, Any]], **strengths: str) -> Paper:
    """The paper of `scores`, by dataset those of PatchTST, FNO and the majority class."""
    rows = (("patchtst", "model"), ("fno", "model"), ("trivial", "majority class"))
    for name, values in scores.items():
        study.dataset(name, split_summary(strength=strengths.get(name, "unit")))
        for (model, row), value in zip(rows, values, strict=True):
            study.classify(name, model, (value,) * 3, row=row)
    return paper(study)


def paper(study: Any) -> Paper:
    plan = study.plan
    (made,) = main_tables(plan, read_results(plan.cells, plan.study, partial=True))
    return made


def averaged(table: Table) -> dict[str, list[Entry]]:
    """The entries of the last two places."""
    return {row.label: list(row.entries[-2:]) for block in table.blocks for row in block}


def test_the_average_and_the_mean_rank_of_three_columns(study: Any) -> None:
    made = filled(study, SCORES)
    (table,) = made.tables
    assert [column.label for column in table.columns] == ["a", "b", "c", "3 columns"]
    assert (table.columns[-1].beneath, table.columns[-1].subs) == ("unit", HEAD)
    assert averaged(table) == {
        "PatchTST": [Entry("0.700", "best"), Entry("1.33")],  # ranks 1, 2, 1
        "FNO": [Entry("0.567", "second"), Entry("1.67")],  # 2, 1, 2
        "majority class": [Entry("0.200"), Entry("3.00")],
    }
    said = "Average and mean rank over the 3 columns of strength unit that 2 networks have in full."
    assert table.notes[1:3] == (said, "Rank 1 is the best; equal scores share theirs.")
    data = made.data.set_index(["label", "metric", "row"])
    assert data.loc[("3 columns", "macro_f1", "FNO"), "mean"] == pytest.approx(1.7 / 3)
    assert data.loc[("3 columns", "mean_rank", "FNO"), "mean"] == pytest.approx(5 / 3)
    assert data.loc[("3 columns", "mean_rank", "FNO"), "datasets"] == "a b c"


def test_rigs_that_count_more_than_once_are_said(study: Any) -> None:
    filled(study, SCORES)
    study.dataset("c", rig="a")
    said = "over the 3 columns of strength unit, of 2 rigs, that 2 networks have in full."
    assert paper(study).tables[0].notes[1].endswith(said)


def test_of_several_metrics_the_first_is_averaged_and_named(study: Any) -> None:
    filled(study, SCORES)
    for cell in study.plan.cells:
        row = "majority class" if cell.model == "trivial" else "model"
        value = 0.5 + len(cell.model) / 100
        scores = {"log_loss": value, "macro_f1": value}
        study.score(cell, {"classification": {row: scores}})
    plan = study.plan
    names = (tuple(plan.datasets), tuple(plan.models), ("log_loss", "macro_f1"))
    plan = replace(plan, asked=(AskedTable("own", "classification", *names),))
    (made,) = main_tables(plan, read_results(plan.cells, plan.study))
    (table,) = made.tables
    assert table.columns[-1].subs == ("average log loss", "mean rank")
    assert averaged(table)["FNO"] == [Entry("0.530", "best"), Entry("1.00")]
    assert "Rank 1 is the best, by log loss; equal scores share theirs." in table.notes


def test_two_columns_of_a_strength_are_not_averaged(study: Any) -> None:
    (table,) = filled(study, SCORES, c="condition").tables
    assert [column.label for column in table.columns] == ["a", "b", "c"]
    assert not any("verage" in note for note in table.notes)


def test_a_column_of_another_strength_changes_no_average(study: Any) -> None:
    alone = averaged(filled(study, SCORES).tables[0])
    (table,) = filled(study, {**SCORES, "d": (0.1, 0.9, 0.5)}, d="time_block").tables
    assert averaged(table) == alone
    assert table.columns[-1].beneath == "unit"


def test_each_strength_has_an_average_of_its_own(study: Any) -> None:
    others = {f"{name}2": values[::-1] for name, values in SCORES.items()}
    strengths = dict.fromkeys(others, "condition")
    (table,) = filled(study, {**SCORES, **others}, **strengths).tables
    groups = [c for c in table.columns if c.subs == HEAD]
    assert [group.beneath for group in groups] == ["unit", "condition"]
    assert averaged(table)["majority class"] == [Entry("0.700", "best"), Entry("1.33")]
    assert len(table.notes) == len(set(table.notes))


def test_protocols_and_sanity_columns_are_not_averaged(study: Any) -> None:
    for name, values in SCORES.items():
        study.dataset(name, noise_db=0.0)
        study.classify(name, "patchtst", (values[0],) * 3)
        study.classify(name, "fno", (values[1],) * 3)
        study.classify(name, "trivial", (0.1,) * 3, row="majority class")
    sane = filled(study, dict.fromkeys(("x", "y", "z"), (0.99, 1.0, 0.2)))
    assert len(sane.tables) == 2
    assert all(c.subs != HEAD for table in sane.tables for c in table.columns)


def test_a_row_with_a_gap_has_none_and_says_why(study: Any) -> None:
    study.models = {**study.models, "third": study.models["fno"].__class__("Third", "network")}
    filled(study, {**SCORES, "d": (0.3, 0.2, 0.1)})
    for name in ("a", "b", "c"):
        study.classify(name, "third", (0.99,) * 3)
    # Without d three networks have 9 scores, with it two have 8.
    (table,) = paper(study).tables
    assert [c.label for c in table.columns][-1] == "3 columns"
    assert "unit (a; b; c) that 3 networks have in full." in table.notes[1]
    assert averaged(table)["Third"] == [Entry("0.990", "best"), Entry("1.00")]
    for name in ("b", "c"):
        for seed in study.seeds:
            cell = Cell(name, "third", "all", seed)
            study.score(cell, {"classification": {"model": {"macro_f1": "one class"}}})
    (table,) = paper(study).tables
    assert [c.label for c in table.columns][-1] == "4 columns"
    ((average, mean_rank),) = [v for k, v in averaged(table).items() if k == "Third"]
    assert (average.text, mean_rank.text) == ("–", "–")
    assert average.letter == mean_rank.letter
    why = dict(table.lettered)[average.letter]
    assert why == "not averaged: in the 4 columns a score is missing or has a note"


def test_a_seed_that_lacks_is_a_gap(study: Any) -> None:
    filled(study, SCORES)
    study.score(
        Cell("a", "fno", "all", 43), {"classification": {"model": {"macro_f1": "one class"}}}
    )
    (table,) = paper(study).tables
    assert [column.label for column in table.columns] == ["a", "b", "c"]


# ------------------------------------------------------------------------------- properties

columns = st.integers(2, 5).flatmap(
    lambda rows: st.lists(st.lists(st.floats(0, 0.97), min_size=rows, max_size=rows), min_size=3)
)


def mean_ranks(scores: list[list[float]], metric: Metric) -> list[float]:
    """Of each row, over columns."""
    found: list[float] = ranks_of(np.array(scores).T, metric).mean(1).tolist()
    return found


@examples(100)
@given(columns)
def test_ranks_share_out_what_there_is(scores: list[list[float]]) -> None:
    for metric in (HIGHER, LOWER):
        found = mean_ranks(scores, metric)
        rows = len(found)
        assert sum(found) == pytest.approx(rows * (rows + 1) / 2)
        assert all(1 <= rank <= rows for rank in found)


@examples(100)
@given(columns, st.randoms())
def test_ranks_follow_their_rows_and_not_the_order_of_columns(
    scores: list[list[float]], random: Any
) -> None:
    found = mean_ranks(scores, HIGHER)
    order = random.sample(range(len(found)), len(found))
    moved = [[column[i] for i in order] for column in random.sample(scores, len(scores))]
    assert mean_ranks(moved, HIGHER) == pytest.approx([found[i] for i in order])


@examples(100)
@given(columns)
def test_the_other_direction_turns_ranks_round(scores: list[list[float]]) -> None:
    higher, lower = mean_ranks(scores, HIGHER), mean_ranks(scores, LOWER)
    assert [a + b for a, b in zip(higher, lower, strict=True)] == pytest.approx(
        [len(higher) + 1] * len(higher)
    )


def test_what_is_shown_as_equal_shares_its_rank() -> None:
    assert mean_ranks([[0.5001, 0.5004, 0.1]], HIGHER) == [1.5, 1.5, 3.0]
    assert mean_ranks([[0.98, 1.0, 0.97]], HIGHER) == [1.5, 1.5, 3.0]
    assert mean_ranks([[0.98, 1.0, 0.97]], LOWER) == [2.0, 3.0, 1.0]


@examples(200)
@given(st.lists(st.frozensets(st.integers(0, 4)), max_size=7))
def test_the_largest_complete_part_is_that_of_every_choice(having: list[frozenset[int]]) -> None:
    best = 0
    for size in range(2, 6):
        for rows in itertools.combinations(range(5), size):
            count = sum(set(rows) <= own for own in having)
            best = max(best, size * count if count >= 3 else 0)
    found = largest_complete(dict(enumerate(having)))
    assert (found is None) == (best == 0)
    if found is not None:
        rows, own = found
        assert len(rows) * len(own) == best
        assert all(rows <= having[j] for j in own)
        assert len(own) == sum(rows <= other for other in having)
