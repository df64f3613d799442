"""The grid of cells, its patterns, and the paths between a cell and its folders."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src import cells as paths
from workflow_src.cells import Cell, combine, grid, rotation_of
from workflow_src.configuration import Configuration
from workflow_src.errors import UserError

DATASETS, MODELS, SETS, SEEDS = ["a", "b.fold0", "b.fold1"], ["x", "y"], ["all", "rul"], [1, 42]

names = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,12}", fullmatch=True)
some_cells = st.builds(Cell, names, names, names, st.integers(0, 10**6))


def configured(**run: Any) -> Configuration:
    """The parts of a configuration that a grid is made of."""
    values: dict[str, Any] = {
        "models": MODELS,
        "task_sets": SETS,
        "seeds": SEEDS,
        "include": ["*"],
        "exclude": [],
        "overrides": [],
        "requests": [],
    } | run
    made = SimpleNamespace(datasets=dict.fromkeys(DATASETS), run=SimpleNamespace(**values))
    return cast("Configuration", made)


def test_the_grid_is_the_product_of_its_axes() -> None:
    found = grid(configured())
    assert len(found) == len(set(found)) == 3 * 2 * 2 * 2
    assert found[0] == Cell("a", "x", "all", 1)
    assert found[1] == Cell("a", "x", "all", 42)  # the seed is the fastest
    assert found[0].name == "a/x/all/1"


@pytest.mark.parametrize(
    ("include", "exclude", "count"),
    [
        (["*"], ["*/y/*"], 12),
        (["a/*"], [], 8),
        (["a/*", "*/y/*"], [], 16),  # either
        (["b.fold*"], ["*/rul/*"], 8),
        (["*/42"], ["b.fold1/*"], 8),
        (["a/x/all/1"], [], 1),
        (["[ab]*/x/*"], ["*/1"], 6),
        (["b.fold?/x/*"], [], 8),
    ],
)
def test_patterns(include: list[str], exclude: list[str], count: int) -> None:
    assert len(grid(configured(include=include, exclude=exclude))) == count


def test_what_is_excluded_is_out_whatever_includes_it() -> None:
    found = grid(configured(include=["*", "a/x/all/1"], exclude=["a/x/*"]))
    assert not [cell for cell in found if (cell.dataset, cell.model) == ("a", "x")]


@pytest.mark.parametrize("key", ["include", "exclude", "overrides", "requests"])
@pytest.mark.parametrize("pattern", ["*/z/*", "A/*", "a/x/all/seed1", ""])
def test_a_pattern_that_matches_nothing_is_an_error(key: str, pattern: str) -> None:
    """Also a part of it in another case: file systems and people disagree on case, cells do not."""
    value: Any = ["*", pattern]
    if key == "exclude":
        value = [pattern]
    elif key in ("overrides", "requests"):
        value = [SimpleNamespace(cells=pattern)]
    with pytest.raises(UserError) as caught:
        grid(configured(**{key: value}))
    text = str(caught.value)
    assert f"`{pattern}`" in text
    assert f"`{key}:`" in text
    assert "a/x/all/1" in text  # what a name looks like


def test_excluding_everything_is_an_error() -> None:
    with pytest.raises(UserError, match="No cell is left"):
        grid(configured(include=["a/*"], exclude=["*/x/*", "*/y/*"]))


@given(cells=st.lists(some_cells, min_size=1, max_size=5))
def test_a_pattern_without_wildcards_names_one_cell(cells: list[Cell]) -> None:
    for cell in cells:
        axes = [cell.dataset], [cell.model], [cell.task_set], [cell.seed]
        assert combine(*axes, include=[cell.name]) == [cell]
        assert combine(*axes, exclude=[cell.name]) == []


@given(study=names, cell=some_cells, relative=st.booleans())
def test_runs_are_found_from_the_cell_file(study: str, cell: Cell, relative: bool) -> None:
    root = Path() if relative else Path("/some/where")
    cell_file = root / paths.results(study, cell) / "cell.json"
    assert paths.runs_beside(cell_file) == root / paths.runs(study, cell)


@given(study=names, one=some_cells, other=some_cells)
def test_two_cells_never_share_a_folder(study: str, one: Cell, other: Cell) -> None:
    for folder in (paths.results, paths.runs):
        assert (folder(study, one) == folder(study, other)) == (one == other)
    assert paths.results(study, one) != paths.runs(study, one)


def test_paths() -> None:
    cell = Cell("cwru.fold0", "patchtst", "all", 42)
    assert paths.results("s", cell) == Path("s/results/cwru.fold0/patchtst/all/seed42")
    assert paths.runs("s", cell) == Path("s/runs/cwru.fold0/patchtst/all/seed42")
    assert paths.tables("s") == Path("s/tables")
    assert paths.rig_folder("cwru") == Path("data/cwru")
    assert paths.split_folder("cwru.fold0") == Path("data/cwru.fold0")


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ("cwru", ("cwru", None)),
        ("cwru.fold0", ("cwru", 0)),
        ("cwru.fold12", ("cwru", 12)),
        ("cwru.fold", ("cwru.fold", None)),
        ("cwru.folder", ("cwru.folder", None)),
        ("cwru.fold1.fold2", ("cwru.fold1", 2)),
        ("cwru.fold1_extra", ("cwru.fold1_extra", None)),
        (".fold1", ("", 1)),
    ],
)
def test_rotation_of(dataset: str, expected: tuple[str, int | None]) -> None:
    assert rotation_of(dataset) == expected


@given(name=names, fold=st.integers(0, 10**6))
def test_any_rotation_round_trips(name: str, fold: int) -> None:
    assert rotation_of(f"{name}.fold{fold}") == (name, fold)
