"""The table of truncations is a part of what decides a split."""

from __future__ import annotations

import os
from typing import Any

import pytest

from workflow_src.data.prepare import prepare_split
from workflow_src.errors import UserError


def test_an_edit_of_the_table_decides_the_split_and_its_cells(world: Any) -> None:
    keys = {"split": {"test": {"unit_id": ["b0"]}, "truncation": "cut.csv"}}
    keys["split"]["validation"] = {"strategy": "none", "select": None}  # type: ignore[assignment]
    world.write({"datasets/d": keys})
    path = world.config / "datasets/cut.csv"
    found = []
    for at in (60, 130):
        path.write_text(f"run_id,truncation_s,official_rul_s\nb0,{at},9\n")
        configuration = world.load(datasets__d=keys)
        found.append((configuration.split_part("d"), configuration.resolve("d", "tr", "all", 1)))
    (one, cell), (two, other) = found
    assert one["truncation"] != two["truncation"]
    assert cell.identity != other.identity
    os.chdir(world.folder)
    with pytest.raises(UserError, match="edited after this job was submitted"):
        prepare_split("d", one, config_folder=path.parent)
