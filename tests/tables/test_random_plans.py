"""Whatever a study has, lacks and asks for: each place has a score or its reason, said once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from random import Random
from typing import Any

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from workflow_src.cells import Cell, rotation_of
from workflow_src.configuration.tasks import TASK_OPTIONS
from workflow_src.tables.asked import AskedTable
from workflow_src.tables.latex import to_latex
from workflow_src.tables.layout import metrics_of
from workflow_src.tables.paper import main_tables
from workflow_src.tables.plan import DatasetEntry, ModelEntry, TablePlan, TaskSetEntry
from workflow_src.tables.results import COLUMNS, Missing, Results
from workflow_src.tables.table import DASH, Entry, Paper, Table
from workflow_src.tasks.registry import task_of

from ..split_summaries import split_summary
from .test_formats import check_latex

TASKS = tuple(TASK_OPTIONS)
STRENGTHS = ("unit", "condition", "time_block")
LACKS = (
    Missing("not run"),
    Missing("out of GPU memory (2 attempts)", "OOM"),
    Missing("ended by an error", "error"),
)
COMPANIONS = {"recall", "false alarms"}
REASONS = ("one class in test", "no alarm")
NAMES = ("a", "b", "c", "d", "e.fold0", "e.fold1")


@st.composite
def studies(draw: Any) -> tuple[TablePlan, Results]:
    """A plan, and results with made-up gaps of every kind."""
    tasks = draw(st.lists(st.sampled_from(TASKS), min_size=1, max_size=2, unique=True))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    datasets, splits = {}, {}
    for name in sorted(names):
        base = rotation_of(name)[0]
        of_base = [datasets[n] for n in datasets if rotation_of(n)[0] == base]
        datasets[name] = (
            of_base[0]
            if of_base
            else DatasetEntry(
                label=draw(st.sampled_from(("Rig", "Bench", base))),
                note=draw(st.sampled_from(("", "last fifth"))),
                rig=draw(st.sampled_from(("one", base))),
                origin=draw(st.sampled_from(("real", "simulated"))),
                noise_db=draw(st.sampled_from((None, None, 0.0))),
            )
        )
        dropped = draw(st.sets(st.sampled_from(TASKS), max_size=2))
        splits[name] = split_summary(
            strength=draw(st.sampled_from(STRENGTHS)),
            supported={t: "no label" if t in dropped else None for t in TASKS},
            warnings=draw(st.sampled_from(([], ["rates are mixed"]))),
        )
    networks = draw(st.integers(1, 3))
    models = {f"n{i}": ModelEntry(f"Net {i}", "network") for i in range(networks)}
    models["trivial"] = ModelEntry("trivial", "classic", "trivial")
    cells = tuple(
        Cell(d, m, "all", s)
        for d, m, s in itertools.product(datasets, models, range(draw(st.integers(1, 3))))
    )
    sets = {"all": TaskSetEntry(tuple(t for t in TASKS if t in tasks), False)}
    plan = TablePlan("demo", cells, models, datasets, sets)
    lost = draw(st.dictionaries(st.sampled_from(cells), st.sampled_from(LACKS), max_size=4))
    random = Random(draw(st.integers(0, 9999)))  # a score each would be too much to shrink
    frame = pd.DataFrame(list(_scores(random, plan, splits, lost)), columns=list(COLUMNS))
    types = {"fold": "Int64", "value": "float64"}
    return plan, Results(frame.astype(types), lost, {}, splits, {})


def _scores(
    random: Random, plan: TablePlan, splits: dict[str, Any], lost: dict[Cell, Missing]
) -> Iterator[dict[str, Any]]:
    """What evaluation gives; of most datasets a metric of a task is undefined throughout."""
    undefined = {
        (rotation_of(dataset)[0], task, metric.name): random.choice(REASONS)
        for dataset in plan.datasets
        for task in plan.tasks()
        for metric in random.sample(metrics_of(task), random.choice((0, 1)))
        or random.sample(task_of(task).metrics, random.choice((0, 4)))
    }
    for cell in plan.cells:
        base, fold = rotation_of(cell.dataset)
        for task in plan.tasks():
            if cell in lost or splits[cell.dataset].supported[task] is not None:
                continue
            spec, is_network = task_of(task), plan.models[cell.model].kind == "network"
            for row in ["model"] if is_network else [*spec.trivial, *spec.reference]:
                usual = random.choice((0.1, 0.5, 0.9, 0.99, 1.0, None))
                for metric in spec.metrics:
                    why = undefined.get((base, task, metric.name), "")
                    why = why or (REASONS[0] if usual is None else "")
                    value = float("nan") if why else usual
                    place = (base, fold, cell.model, "all", cell.seed, task, row, metric.name)
                    yield dict(zip(COLUMNS, (*place, value, why), strict=True))


@st.composite
def asking(draw: Any) -> tuple[TablePlan, Results]:
    """A study that asks for one table of its own."""
    plan, results = draw(studies())
    task = draw(st.sampled_from(plan.tasks()))
    origin = draw(st.sampled_from(plan.origins()))
    own = sorted({rotation_of(n)[0] for n, d in plan.datasets.items() if d.origin == origin})
    own_metrics = [metric.name for metric in metrics_of(task)]
    metrics = st.sampled_from([*own_metrics, *(metric.name for metric in task_of(task).metrics)])
    table = AskedTable(
        name="own",
        task=task,
        datasets=tuple(draw(st.lists(st.sampled_from(own), min_size=1, unique=True))),
        models=tuple(draw(st.lists(st.sampled_from(list(plan.models)), min_size=1, unique=True))),
        metrics=tuple(draw(st.lists(metrics, max_size=4, unique=True))),
    )
    return TablePlan(**{**vars(plan), "asked": (table,)}), results


@examples(150)
@given(st.one_of(studies(), asking()))
def test_each_place_has_a_score_or_its_reason_and_each_note_is_said_once(
    made: tuple[TablePlan, Results],
) -> None:
    plan, results = made
    papers = main_tables(plan, results)
    assert [paper.name for paper in papers] == [table.name for table in plan.tables()]
    for paper, asked in zip(papers, plan.tables(), strict=True):
        for table in paper.tables:
            _require_reasons(table)
            _require_said_once(table)
            _require_detectors_whole(table)
        _require_no_empty_place(plan.of(asked), results, paper, asked.task)
        _require_all_told(plan.of(asked), results, paper, asked.task)
        if any(table.columns for table in paper.tables):
            check_latex(to_latex(paper))


def _require_all_told(plan: TablePlan, results: Results, paper: Paper, task: str) -> None:
    """A dataset has a column or a note, a cell without a result its cause."""
    told = "\n".join(text for table in paper.tables for _, text in table.lettered)
    for cell in plan.cells:
        if cell in results.missing and results.splits[cell.dataset].supported[task] is None:
            assert f"no result: {results.missing[cell].words}" in told
    there = [note for table in paper.tables for note in table.notes]
    there += [column.label for table in paper.tables for column in table.columns]
    for entry in plan.datasets.values():
        assert any(entry.label in text for text in there)


def _places(table: Table) -> Iterator[tuple[Entry, ...]]:
    rows = itertools.chain.from_iterable(table.blocks)
    return zip(*(row.entries for row in rows), strict=True)


def _require_reasons(table: Table) -> None:
    """A place without a number leads to why; a letter leads somewhere, each from somewhere."""
    why = dict(table.lettered)
    shown = list(itertools.chain.from_iterable(_places(table)))
    for entry in shown:
        assert entry.text
        if not any(char.isdigit() for char in entry.text):
            assert why[entry.letter], entry
    assert {entry.letter for entry in shown} - {""} == set(why)


def _require_said_once(table: Table) -> None:
    said = [*table.notes, *(text for _, text in table.lettered)]
    sentences = [part for note in table.notes for part in note.rstrip(".").split(". ")]
    for texts in (said, sentences):
        assert len(texts) == len(set(texts)), texts


def _require_detectors_whole(table: Table) -> None:
    for column in table.columns:
        assert len(COMPANIONS & set(column.subs)) in (0, 2)


def _require_no_empty_place(plan: TablePlan, results: Results, paper: Paper, task: str) -> None:
    """A column of dashes is one that a cell which has no result yet may still fill.

    Or one of companions, which stand by the other that has numbers.
    """
    lacking = {
        rotation_of(cell.dataset)[0]
        for cell in results.missing
        if results.splits[cell.dataset].supported[task] is None
    }
    labels = {plan.datasets[n].label for n in plan.datasets if rotation_of(n)[0] in lacking}
    for table in paper.tables:
        assert all(column.subs for column in table.columns)
        heads = [(column.label, sub) for column in table.columns for sub in column.subs]
        for (label, sub), places in zip(heads, _places(table), strict=True):
            if {entry.text for entry in places} == {DASH} and sub not in COMPANIONS:
                assert label.startswith(tuple(labels)), label
