"""The key of the run that says what follows from other code, seen in what a cell is known by."""

from __future__ import annotations

from typing import Any

from workflow_src.code_digest import code_digest


def code(world: Any) -> None:
    noted, said = world.load(), world.load({"code": "noted"})
    strict = world.load({"code": "strict"})
    for model, kind in (("net", "network"), ("tr", "classic")):
        key = ("d", model, "all", 1)
        assert noted.resolve(*key) == said.resolve(*key)
        assert noted.resolve(*key).code is None
        assert strict.resolve(*key).code == code_digest(kind)
        assert strict.resolve(*key).identity != noted.resolve(*key).identity


PROBES = {"Run.code": code}
