"""Keys of the source bearing_datasets, seen in what is built and read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml

from workflow_src.configuration.bearing_datasets import BearingDatasetsOptions
from workflow_src.data.sources.bearing_datasets import BearingDatasetsSource
from workflow_src.data.sources.bearing_datasets.building import Building
from workflow_src.errors import UserError

BUILDER = """
import numpy as np

CHANNELS = {
    name: {"sensor_location": "base", "quantity": "acceleration", "unit": "g", "fs": 10}
    for name in ("a", "b")
}


def recordings(raw_dir):
    for path in sorted(raw_dir.glob("*.npy")):
        samples = np.load(path)
        yield {
            "recording_id": path.stem, "native_label": "PLACE", "bearing_id": path.stem,
            "operating_condition": "c", "fault_type": "normal", "fault_location": "none",
            "signals": {"a": samples, "b": -samples},
        }
"""
SPEC = {"name": "tiny", "license": "none", "citation": "none"}


def recordings(world: Any, **keys: Any) -> list[Any]:
    """The recordings of a rig of two private definitions, `here` and `there`."""
    folder = world.new_folder()
    for place in ("here", "there"):
        (folder / place).mkdir()
        (folder / place / "builder.py").write_text(BUILDER.replace("PLACE", place))
        spec = {**SPEC, "sources": [{"type": "local", "path": str(folder / "raw")}]}
        (folder / place / "dataset.yaml").write_text(yaml.safe_dump(spec))
    (folder / "raw").mkdir()
    for name in ("u", "w"):
        np.save(folder / "raw" / f"{name}.npy", np.arange(20.0))
    options = BearingDatasetsOptions.model_validate({"definition": "here", **keys})
    building = Building(options, folder, folder)
    building.build()
    world.built = building.folder.relative_to(folder)
    return list(BearingDatasetsSource(options, "g", folder, folder).recordings())


def name(world: Any) -> None:
    made = [
        Building(BearingDatasetsOptions(name=known), world.folder, world.folder).folder.name
        for known in ("hit_sm", "uestc")
    ]
    assert made == ["hit_sm", "uestc"]
    with pytest.raises(UserError, match="hit_sm"):
        Building(BearingDatasetsOptions(name="hit_ms"), world.folder, world.folder)


def definition(world: Any) -> None:
    for place in ("here", "there"):
        found = recordings(world, definition=place)
        assert found[0].attributes["native_label"] == place
    rig = {"source": "bearing_datasets", "simulated": None, "unit": "g"}
    folder = world.config / "rigs" / "d"
    folder.mkdir(parents=True)
    options = {**rig, "bearing_datasets": {"definition": "d"}, "amplitude_comparable": False}
    digests = []
    for text in ("one", "two"):
        (folder / "builder.py").write_text(text)
        digests.append(world.load(rigs__bench=yaml.safe_dump(options)).rig_part("bench")["table"])
    assert len(set(digests)) == 2


def root(world: Any) -> None:
    recordings(world)
    assert world.built.parts == ("bearing_datasets", "tiny")
    recordings(world, root="other/place")
    assert world.built.parts == ("other", "place", "tiny")


def files(world: Any) -> None:
    assert len(recordings(world)) == 2
    assert [r.unit_id for r in recordings(world, files=["w*"], as_name="part")] == ["w"]


def as_name(world: Any) -> None:
    recordings(world, as_name="mine")
    assert world.built.name == "mine"


def build(world: Any) -> None:
    """Snakemake builds, or finds what is built; neither makes the recordings anew."""
    made = {}
    for asked in (True, False):
        rig = {
            "source": "bearing_datasets",
            "bearing_datasets": {"name": "uestc", "root": str(world.folder), "build": asked},
            "unit": "g",
            "amplitude_comparable": False,
        }
        targets = world.targets(rigs__bench=yaml.safe_dump(rig))
        made[asked] = targets.built_of(type("Wildcards", (), {"rig": "bench"}))
        part = targets.rig_json(type("Wildcards", (), {"rig": "bench"}))
        assert '"build"' not in part
    assert made == {True: ["data/bench/built.json"], False: []}


def channels(world: Any) -> None:
    kinds = {"b": "current", "a": "vibration"}
    assert recordings(world)[0].channel_kinds == ("vibration", "vibration")
    (found, _) = recordings(world, channels=kinds)
    assert found.channel_kinds == ("current", "vibration")
    assert found.signal[1].tolist() == [-1.0, 1.0]


def fields(world: Any) -> None:
    (found, _) = recordings(world, fields={"unit_id": "{native_label}", "colour": "red"})
    assert (found.unit_id, found.attributes["colour"]) == ("here", "red")


def of_rig(world: Any) -> None:
    """The section is read where `source` names it."""
    rig = {"source": "bearing_datasets", "unit": "g", "amplitude_comparable": False}
    with pytest.raises(UserError, match="bearing_datasets"):
        world.load(rigs__bench=yaml.safe_dump(rig))
    rig["bearing_datasets"] = {"name": "ims"}
    part = world.load(rigs__bench=yaml.safe_dump(rig)).rig_part("bench")
    assert part["rig"]["bearing_datasets"]["name"] == "ims"


PROBES = {
    "Rig.bearing_datasets": of_rig,
    "BearingDatasetsOptions.name": name,
    "BearingDatasetsOptions.definition": definition,
    "BearingDatasetsOptions.root": root,
    "BearingDatasetsOptions.files": files,
    "BearingDatasetsOptions.as_name": as_name,
    "BearingDatasetsOptions.build": build,
    "BearingDatasetsOptions.channels": channels,
    "BearingDatasetsOptions.fields": fields,
}
