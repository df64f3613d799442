"""Which key wins, and which keys a cell's identity depends on."""

from __future__ import annotations

from typing import Any

import pytest

from workflow_src.configuration import identity

CELLS = ("d/net/all/1", "d/pt/all/1", "d/tr/all/1")
RUN: dict[str, Any] = {"models": ["net", "pt", "tr"]}


def identities(world: Any, run: dict[str, Any] | None = None, **files: Any) -> dict[str, str]:
    loaded = world.load({**RUN, **(run or {})}, **files)
    cells = {name: name.split("/") for name in CELLS}
    return {name: loaded.resolve(*of, int(seed)).identity for name, (*of, seed) in cells.items()}


def changed(world: Any, run: dict[str, Any] | None = None, **files: Any) -> set[str]:
    before, after = identities(world), identities(world, run, **files)
    return {name for name in CELLS if before[name] != after[name]}


def test_default_below_model_below_dataset_below_overrides(world: Any) -> None:
    def epochs(*layers: str) -> int:
        overrides = [
            {"cells": pattern, "training": {"epochs": value}}
            for layer, pattern, value in (("first", "*", 5), ("last", "*/net/*", 6))
            if layer in layers
        ]
        run = {"training": {"epochs": 2}, "overrides": overrides}
        files = {
            "models__net": {"training": {"epochs": 3} if "model" in layers else {}},
            "datasets__d": {"training": {"epochs": 4} if "dataset" in layers else {}},
        }
        value: int = world.cell(run, **files)["training"]["epochs"]
        return value

    layers = ["model", "dataset", "first", "last"]
    assert [epochs(*layers[:n]) for n in range(5)] == [2, 3, 4, 5, 6]
    assert [epochs(layer) for layer in layers] == [3, 4, 5, 6]


def test_a_layer_sets_what_it_names_and_no_more(world: Any) -> None:
    cell = world.cell(
        {"training": {"epochs": 7, "weight_decay": 0.5}},
        models__net={"training": {"learning_rate": 0.1}},
        datasets__d={"training": {"weight_decay": 0.25}},
    )
    training = cell["training"]
    found = (training["epochs"], training["learning_rate"], training["weight_decay"])
    assert found == (7, 0.1, 0.25)


def test_overrides_of_sizes_later_wins(world: Any) -> None:
    overrides = [{"cells": "*/net/*", "model": {"depth": n, "kernel": n}} for n in (3, 5)]
    assert world.cell({"overrides": overrides})["model"]["depth"] == 5


@pytest.mark.parametrize(
    ("run", "files", "expected"),
    [
        ({"training": {"epochs": 9}}, {}, {"d/net/all/1", "d/pt/all/1"}),
        ({}, {"models__net": {"training": {"learning_rate": 0.1}}}, {"d/net/all/1"}),
        ({}, {"models__pt": {"heads": 4}}, {"d/pt/all/1"}),
        ({}, {"datasets__d": {"training": {"epochs": 9}}}, {"d/net/all/1", "d/pt/all/1"}),
        ({}, {"datasets__d": {"span": {"stride": 9}}}, set(CELLS)),
        ({}, {"rigs__bench": {"simulated": {"seed": 9}}}, set(CELLS)),
        ({}, {"task_sets": {"all": {"classification": {"weight": 9}}}}, set(CELLS)),
        ({"overrides": [{"cells": "*", "training": {"epochs": 9}}]}, {}, set(CELLS[:2])),
        ({"request": {"memory_mb": 9000, "micro_batch_size": 2}}, {}, set()),
        ({"requests": [{"cells": "*", "checkpoint_minutes": 1}]}, {}, set()),
        ({"hardware": "big"}, {}, set()),
        ({"study": "other"}, {}, set()),
        (
            {},
            {"datasets__d": {"label": "D", "note": "other"}, "models__net": {"label": "Name"}},
            set(),
        ),
        ({}, {"rigs__bench": {"description": "other words"}}, set()),
        ({"training": {"epochs": 1}}, {}, set()),  # what it was
    ],
)
def test_what_an_identity_depends_on(
    world: Any, run: dict[str, Any], files: dict[str, Any], expected: set[str]
) -> None:
    assert changed(world, run, **files) == expected


def test_a_variant_is_the_model_that_it_spells_out(world: Any) -> None:
    child = {"extends": "net", "label": "another name"}
    cell = world.cell({"models": ["child"]}, "d/child/all/1", models__child=child)
    assert cell["model"] == world.cell()["model"]


def test_folds_are_datasets(world: Any) -> None:
    folds = [
        {"test": {"unit_id": ["b0"]}},
        {"test": {"unit_id": ["b1"]}, "train": {"unit_id": ["b2"]}},
    ]
    split = {"split": {"folds": folds, "train": {"unit_id": ["b1"]}}}
    both = world.load(datasets__d=split)
    assert list(both.datasets) == ["d.fold0", "d.fold1"]
    tests = [d.split.test for d in both.datasets.values()]
    trains = [d.split.train for d in both.datasets.values()]
    assert tests == [{"unit_id": ["b0"]}, {"unit_id": ["b1"]}]
    assert trains == [{"unit_id": ["b1"]}, {"unit_id": ["b2"]}]
    one = world.load({"datasets": ["d.fold1"]}, datasets__d=split)
    assert list(one.datasets) == ["d.fold1"]
    assert both.resolve("d.fold1", "net", "all", 1) == one.resolve("d.fold1", "net", "all", 1)


def test_a_seed_alone_tells_two_cells_apart(world: Any) -> None:
    configuration = world.load({"seeds": [1, 2]})
    one, two = (configuration.resolve("d", "net", "all", seed) for seed in (1, 2))
    assert one.identity != two.identity
    names = {"identity", "cell"}
    assert {k: v for k, v in one.content().items() if k not in names} == {
        k: v for k, v in two.content().items() if k not in names
    }


def test_an_identity_is_that_of_the_content(world: Any) -> None:
    cell = world.cell()
    assert cell.pop("identity") == identity(cell)
    assert identity({"a": 1, "b": [2]}) == identity({"b": [2], "a": 1})
    assert identity({"a": 1}) != identity({"a": 2})
