"""Keys of the union of rigs, seen in the recordings that come out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from workflow_src.configuration.union import UnionOptions
from workflow_src.data.prepare import prepare_rig
from workflow_src.data.recordings import Recording
from workflow_src.data.sources.union import UnionSource
from workflow_src.data.store import Heading, Store, write_store

CLASSES = {
    "one": ("normal", "inner", "outer"),
    "two": ("normal", "inner", "outer"),
    "three": ("normal", "IR"),
}


def parts(world: Any) -> dict[str, Path]:
    """The stores of three small rigs, by their names, in one folder."""
    folder = world.new_folder()
    for name, faults in CLASSES.items():
        recordings = [
            Recording(
                recording_id=fault,
                unit_id=fault,
                condition="slow",
                run_id=fault,
                signal=np.ones((200, 3), np.float32),
                channel_kinds=("vibration", "vibration", "current"),
                rate_hz=1000.0,
                fault=fault,
            )
            for fault in faults
        ]
        write_store(recordings, folder / name, Heading(name, "test"))
    return {name: folder / name for name in CLASSES}


def made(world: Any, **keys: Any) -> list[Recording]:
    options = {"rigs": ["one", "two"], "rate_hz": 500, **keys}
    return list(UnionSource(UnionOptions.model_validate(options), parts(world)).recordings())


def union(world: Any) -> None:
    """The store of a union, made as the workflow makes it from those of its parts."""
    folder = world.new_folder()
    parts(world)["one"].parent.rename(folder / "data")
    os.chdir(folder)
    keys = {"rigs": ["one", "two"], "rate_hz": 500}
    rig = {"source": "union", "union": keys, "unit": "unknown", "amplitude_comparable": False}
    part = {"rig": rig, "table": None}
    prepare_rig("both", part, description="", data_root=None, config_folder=folder)
    with Store(folder / "data" / "both") as store:
        assert set(store.table["rig"]) == {"one", "two"}
        assert sorted(store.manifest.files) == ["data/one", "data/two"]


def rigs(world: Any) -> None:
    assert {r.attributes["rig"] for r in made(world)} == {"one", "two"}
    same = {"classes": {"three": {"IR": "inner"}}}
    assert {r.attributes["rig"] for r in made(world, rigs=["three", "one"], **same)} == {
        "one",
        "three",
    }


def rate_hz(world: Any) -> None:
    assert {(r.rate_hz, len(r.signal)) for r in made(world)} == {(500, 100)}
    assert {(r.rate_hz, len(r.signal)) for r in made(world, rate_hz=250)} == {(250, 50)}


def channels(world: Any) -> None:
    assert made(world)[0].channel_kinds == ("vibration",)
    more = made(world, channels={"current": 1, "vibration": 2})
    assert more[0].channel_kinds == ("vibration", "vibration", "current")


def select(world: Any) -> None:
    assert len(made(world)) == 6
    chosen = {"two": {"unit_id": ["normal", "inner"]}}
    assert len(made(world, select=chosen)) == 4


def classes(world: Any) -> None:
    keys = {"rigs": ["one", "three"], "classes": {"three": {"IR": "inner"}}}
    assert {r.fault for r in made(world, **keys)} == {"normal", "inner"}


PROBES = {
    "Rig.union": union,
    "UnionOptions.rigs": rigs,
    "UnionOptions.rate_hz": rate_hz,
    "UnionOptions.channels": channels,
    "UnionOptions.select": select,
    "UnionOptions.classes": classes,
}
