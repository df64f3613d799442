"""Tables go into a paper as they are: nothing runs off the page, no column is empty."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.tables.pages import CLASS_OPTIONS, CONFIG, compiled, fill, plan_of
from workflow_src.tables.latex import to_latex
from workflow_src.tables.paper import main_tables, write_tables
from workflow_src.tables.plan import TablePlan
from workflow_src.tables.results import read_results
from workflow_src.tables.table import DASH, Column, Entry, Paper, Row, Table

STUDIES = ["default", *sorted(p.stem for p in (CONFIG / "experiments").glob("*.yaml"))]
SEEDS = {"seeds": [1, 2, 3]}


@pytest.fixture
def filled(study: Any, request: pytest.FixtureRequest) -> TablePlan:
    plan = plan_of(*request.param[:1], **dict(request.param[1:]))
    fill(study, plan)
    return plan


def tables(plan: TablePlan) -> list[Table]:
    papers = main_tables(plan, read_results(plan.cells, plan.study))
    return list(itertools.chain.from_iterable(paper.tables for paper in papers))


@pytest.mark.fast_cases("default")
@pytest.mark.parametrize(
    "filled", [(name, *SEEDS.items()) for name in STUDIES], ids=STUDIES, indirect=True
)
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_no_table_runs_off_the_page(filled: TablePlan, tmp_path: Path) -> None:
    inputs = [path for path in write_tables(filled.to_json()) if path.suffix == ".tex"]
    for options in CLASS_OPTIONS:
        log = compiled(inputs, tmp_path, options)
        assert "Overfull \\hbox" not in log
        assert "Float too large" not in log


@pytest.mark.fast_cases("default", "cross_rig")
@pytest.mark.parametrize("filled", [(name,) for name in STUDIES], ids=STUDIES, indirect=True)
def test_no_column_is_all_dashes_and_no_note_is_said_twice(filled: TablePlan) -> None:
    for table in tables(filled):
        rows = list(itertools.chain.from_iterable(table.blocks))
        assert rows
        for places in zip(*(row.entries for row in rows), strict=True):
            assert {entry.text for entry in places} != {DASH}
        sentences = [part for note in table.notes for part in note.split(". ")]
        assert len(sentences) == len(set(sentences))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_a_minus_is_as_wide_as_it_is_set(tmp_path: Path) -> None:
    """Labels of every length: some panel is as wide as the page allows."""
    entry = Entry("-0.254", span="[-0.426, -0.077]")
    inputs = []
    for length in range(1, 40):
        rows = (Row("a" * length, (entry,) * 8),)
        table = Table("Differences", (Column("rig"),) * 8, (rows,), ())
        inputs.append(tmp_path / f"table{length}.tex")
        inputs[-1].write_text(
            to_latex(Paper("differences", "tab:differences", (table,))), encoding="utf-8"
        )
    assert "Overfull \\hbox" not in compiled(inputs, tmp_path, "")
