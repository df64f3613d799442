"""Identities of the shipped cells, kept: another one trains everybody's finished cells again.

After a change that is meant, write the file anew and say why in the commit:

    GOLDEN=write python -m pytest tests/configuration/test_identities.py
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from workflow_src.cells import grid
from workflow_src.configuration import load

FILE = Path(__file__).with_name("identities.json")
CONFIG = FILE.parents[2] / "config"
EXPERIMENTS = ["config.yaml", *(f"experiments/{p.name}" for p in CONFIG.glob("experiments/*.yaml"))]


def identities(file: str) -> dict[str, str]:
    """By cell, of one seed: the seed is a number of its own."""
    run: dict[str, object] = {}
    for name in ("config.yaml", file):
        run |= yaml.safe_load((CONFIG / name).read_text(encoding="utf-8"))
    configuration = load({**run, "hardware": "local"}, CONFIG)
    cells = [cell for cell in grid(configuration) if cell.seed == configuration.run.seeds[0]]
    return {cell.name: configuration.resolve(*cell.key).identity for cell in cells}


def test_every_shipped_run_is_kept() -> None:
    found = {file: identities(file) for file in sorted(EXPERIMENTS)}
    if os.environ.get("GOLDEN") == "write":
        FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        pytest.skip("written")
    assert found == json.loads(FILE.read_text(encoding="utf-8"))
