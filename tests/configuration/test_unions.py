"""What a union of rigs may not be, said with the YAML that mends it; what decides it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from workflow_src.errors import UserError
from workflow_src.tables.plan import TablePlan

SIMULATED = {"source": "simulated", "simulated": {"kind": "bearing"}, "unit": "g"}
FILES: dict[str, Any] = {
    "datasets__d": {"rig": "both", "amplitude": "none"},
    "rigs__bench": {**SIMULATED, "amplitude_comparable": False},
    "rigs__other": {**SIMULATED, "amplitude_comparable": True},
    "rigs__both": {
        "source": "union",
        "unit": "unknown",
        "amplitude_comparable": False,
        "union": {"rigs": ["bench", "other"], "rate_hz": 4000},
    },
}


def load(world: Any, **files: Any) -> Any:
    given = {name: {**FILES.get(name, {}), **keys} for name, keys in files.items()}
    return world.load(**{**FILES, **given})


def refused(world: Any, *texts: str, **files: Any) -> str:
    with pytest.raises(UserError) as caught:
        load(world, **files)
    for text in texts:
        assert text in str(caught.value), caught.value
    return str(caught.value)


def union(**keys: Any) -> dict[str, Any]:
    return {"rigs__both": {"union": {**FILES["rigs__both"]["union"], **keys}}}


def mended(message: str) -> Any:
    """The YAML that the remedy of a message gives."""
    return yaml.safe_load(message.partition("remedy:")[2].strip().replace("\n" + " " * 12, "\n"))


def test_the_rigs_of_a_union_are_loaded_with_it(world):
    configuration = load(world)
    assert set(configuration.rigs) == {"both", "bench", "other"}


def test_the_absolute_amplitude_is_refused_even_where_nobody_asked_for_it(world):
    """It is the default."""
    dataset = "rig: both\nspan: {window: 40, horizon: 8}\nsplit: {strategy: rig}\n"
    with pytest.raises(UserError) as caught:
        world.load(**{**FILES, "datasets__d": dataset})
    assert "datasets/d.yaml, key `amplitude`" in str(caught.value)
    lines = yaml.safe_dump(mended(str(caught.value)))
    assert world.load(**{**FILES, "datasets__d": dataset + lines}).datasets["d"].amplitude == "none"


def test_the_relative_amplitude_is_allowed(world):
    assert load(world, datasets__d={"amplitude": "relative"}).datasets["d"].amplitude == "relative"


def test_a_part_that_is_not_comparable_makes_the_union_so(world):
    message = refused(
        world, "amplitude_comparable: false in bench", rigs__both={"amplitude_comparable": True}
    )
    load(world, rigs__both=mended(message))
    load(
        world, rigs__both={"amplitude_comparable": True}, rigs__bench={"amplitude_comparable": True}
    )


def test_a_union_of_a_union_is_refused_with_its_rigs(world):
    inner = FILES["rigs__both"]
    outer = {"rigs__more": {**inner, "union": {"rigs": ["both", "other"], "rate_hz": 4000}}}
    message = refused(world, "the union `both`", datasets__d={"rig": "more"}, **outer)
    assert sorted(mended(message)["union"]["rigs"]) == ["bench", "other"]


def test_simulated_and_real_rigs_are_not_mixed(world):
    fields = {"unit_id": "{u}", "condition": "c", "run_id": "{u}"}
    options = {"path": "/nowhere", "files": "{u}.npy", "rate_hz": 1, "fields": fields}
    real = {"source": "folder", "folder": options, "unit": "g", "amplitude_comparable": False}
    with pytest.raises(UserError, match="simulated: bench; real: other"):
        world.load(**{**FILES, "rigs__other": yaml.safe_dump(real)})


def test_a_part_without_a_file_is_named(world):
    refused(world, "missing.yaml", **union(rigs=["bench", "missing"]))


@pytest.mark.parametrize(
    ("keys", "text", "kept"),
    [
        ({"rigs": ["bench", "bench", "other"]}, "twice", {"rigs": ["bench", "other"]}),
        ({"select": {"third": {"unit_id": ["a"]}}}, "`third`", {"select": {}}),
        ({"classes": {"third": {"a": "b"}}}, "`third`", {"classes": {}}),
    ],
)
def test_keys_that_contradict_each_other_are_mended(world, keys, text, kept):
    message = refused(world, text, "rigs/both.yaml", **union(**keys))
    load(world, **union(**kept))
    assert "union" in message


def test_the_edit_of_a_part_decides_the_union_and_its_cells(world):
    def decided(**files: Any) -> tuple[Any, str]:
        configuration = load(world, **files)
        cell = configuration.resolve("d", "net", "all", 1)
        return configuration.rig_part("both"), cell.identity

    before = decided()
    for changed, files in (
        (False, {"rigs__other": {"description": "Said in other words."}}),
        (False, {"rigs__both": {"description": "Said in other words."}}),
        (False, {"rigs__third": {**SIMULATED, "amplitude_comparable": False}}),
        (True, union(rate_hz=2000)),
        (True, {"rigs__other": {"simulated": {"kind": "bearing", "seed": 7}}}),
    ):
        after = decided(**files)
        assert [a != b for a, b in zip(before, after, strict=True)] == [changed] * 2, files


def test_a_union_is_made_after_its_parts_and_another_rig_after_nothing(world):
    load(world)
    targets = world.targets(**FILES)

    def parts(rig: str) -> list[str]:
        return targets.parts_of(type("Wildcards", (), {"rig": rig}))

    assert parts("both") == ["data/bench/recordings.h5", "data/other/recordings.h5"]
    assert parts("bench") == []
    assert set(targets.stores()) >= {f"data/{r}/recordings.h5" for r in ("both", "bench", "other")}
    entry = targets.plan.datasets["d"]
    assert (entry.origin, entry.parts) == ("simulated", ("bench", "other"))
    assert TablePlan.from_json(targets.plan.to_json()) == targets.plan
