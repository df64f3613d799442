"""A key that nothing reads does not exist: changing any key changes what it says."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel, TypeAdapter

from workflow_src.configuration.documentation import rows
from workflow_src.configuration.json_schema import FILES

Probe = Callable[[Any], None]
# Classes that hold keys of a section for others to share.
WRITTEN_AS = {"RequestKeys": "Request", "_Sources": "Rig"}


def _probes() -> dict[str, Probe]:
    """`Section.key` -> a function of the world that fails unless the key does what it says."""
    found: dict[str, Probe] = {}
    for path in sorted((Path(__file__).parent / "probes").glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"probes_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert not set(module.PROBES) & set(found)
        found |= module.PROBES
    return found


def _keys() -> dict[str, Any]:
    """`Section.key` -> declaration; a key is named by the section that declares it.

    The optional copies in overrides are left out: the probes of `Override.training` and the like
    go through every key that such a copy holds.
    """
    found = {}
    for model in FILES.values():
        section = get_args(model)[1] if get_origin(model) is dict else model
        for row in rows(section):
            declaring = _declaring(row.section, row.name)
            if not declaring.__name__.endswith("Overrides"):
                name = WRITTEN_AS.get(declaring.__name__, declaring.__name__)
                found[f"{name}.{row.name}"] = row.field
    return found


def _declaring(section: type[BaseModel], key: str) -> type[BaseModel]:
    name = next(n for n, f in section.model_fields.items() if key in (n, f.alias))
    owners = [c for c in section.__mro__ if name in getattr(c, "__annotations__", {})]
    return owners[-1] if owners else section


PROBES, KEYS = _probes(), _keys()
# Each trains a cell, builds networks, loads many configurations or divides a rig again and again;
# of every such section one key is fast.
SLOW = re.compile(
    r"(Training|Augmentation|Model|Architecture|TaskSet|\w+Keys|Dataset|Span|Split|Validation|Shots"
    r"|Rotation|Fold|Override|Run|Rig|BearingDatasetsOptions|UnionOptions|PhmVibenchOptions)\..*"
    r"|Request\.cache_mb"
)
FAST = {
    "Augmentation.shift",
    "Model.kernel",
    "Architecture.width",
    "TaskSet.classification",
    "SignalKeys.weight",
    "Dataset.channel_kinds",
    "Span.stride",
    "Split.test",
    "Validation.share",
    "Shots.of",
    "Rotation.leave_one_out",
    "Fold.test",
    "Override.cells",
    "Run.seeds",
    "Rig.unit",
    "BearingDatasetsOptions.channels",
    "UnionOptions.rigs",
    "PhmVibenchOptions.labels",
}
CASES = [
    pytest.param(key, marks=pytest.mark.slow) if SLOW.fullmatch(key) and key not in FAST else key
    for key in sorted(PROBES)
]


def test_every_key_has_a_probe_and_every_probe_a_key() -> None:
    assert set(KEYS) - set(PROBES) == set(), "keys without a probe"
    assert set(PROBES) - set(KEYS) == set(), "probes without a key"
    assert FAST - set(PROBES) == set(), "fast keys without a probe"


@pytest.mark.parametrize("key", CASES)
def test_changing_it_changes_what_it_says(key: str, world: Any) -> None:
    PROBES[key](world)


@pytest.mark.parametrize("key", sorted(KEYS))
def test_it_says_what_it_means_by_an_example_that_is_allowed(key: str) -> None:
    field = KEYS[key]
    assert field.description
    assert field.description[-1] == "."
    section = key.partition(".")[0]
    for example in field.examples or []:
        TypeAdapter(field.rebuild_annotation()).validate_python(example)
    assert field.examples, f"{section} gives no example"
