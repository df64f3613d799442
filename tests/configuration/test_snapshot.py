"""What the jobs of a run read in place of the files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workflow_src.cells import grid
from workflow_src.configuration import load, snapshot
from workflow_src.errors import UserError

CONFIG = Path(__file__).parents[2] / "config"
RUN = {
    "study": "demo",
    "datasets": ["life_sim", "hit_severity"],
    "models": ["dlinear", "fno", "trivial"],
    "task_sets": ["all", "rul"],
    "seeds": [1, 2],
    "overrides": [{"cells": "*/fno/*", "training": {"epochs": 3}, "model": {"modes": 4}}],
    "requests": [{"cells": "life*", "memory_mb": 4000}],
    "hardware": "a100-80g",
    "data_root": "/recordings",
}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(snapshot.VARIABLE, "")  # put back afterwards


def test_a_job_resolves_what_its_run_resolved() -> None:
    configuration = load(RUN, CONFIG)
    snapshot.keep(configuration)
    kept = snapshot.kept()
    assert grid(kept) == grid(configuration)
    for cell in grid(kept):
        assert kept.resolve(*cell.key) == configuration.resolve(*cell.key)
        assert kept.request(*cell.key) == configuration.request(*cell.key)
    assert kept.hardware == configuration.hardware
    assert kept.data_root() == configuration.data_root()


def test_the_folder_of_the_recordings_is_that_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHM_DATA_ROOT", str(tmp_path))
    snapshot.keep(load({**RUN, "data_root": None}, CONFIG))
    monkeypatch.delenv("PHM_DATA_ROOT")
    assert snapshot.kept().data_root() == tmp_path


def test_without_a_run_a_job_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(snapshot.VARIABLE, raising=False)
    with pytest.raises(UserError, match="configuration of its run"):
        snapshot.kept()


def test_another_command_does_not_touch_what_is_kept(tmp_path: Path) -> None:
    snapshot.keep(load(RUN, CONFIG))
    of_first = os.environ[snapshot.VARIABLE]
    snapshot.keep(load({**RUN, "study": "other"}, CONFIG))
    os.environ[snapshot.VARIABLE] = of_first
    assert snapshot.kept().run.study == "demo"
