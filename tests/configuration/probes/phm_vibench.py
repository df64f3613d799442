"""Keys of the source that reads PHM-Vibench's files, seen in the recordings that come out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
import pytest

from workflow_src.configuration.phm_vibench import PhmVibenchOptions
from workflow_src.configuration.schema import Rig
from workflow_src.data.sources.phm_vibench import PhmVibenchSource
from workflow_src.errors import UserError

HEAD = (
    "Id,Dataset_id,File,Label,RUL_label,Domain_description,Sample_rate,Sample_lenth,Channel,"
    "Fault_Diagnosis,Remaining_Life"
)
RUN = ["1,9,u/s_5,0,1.0,slow,100,8,2,1,1", "2,9,u/s_6,1,0.5,slow,100,8,2,1,1"]
RUN += ["3,9,u/s_7,1,0.0,slow,100,8,2,1,1", "4,15,v/s_8,0,0.0,fast,100,8,2,1,0"]
LIFE = {
    "files": ["{unit}/s_{k:d}"],
    "fields": {"unit_id": "{unit}", "run_id": "{unit}"},
    "time": {"from": "k", "first": 5, "step_s": 10},
}


def made(world: Any, rows: Sequence[str] = RUN, **keys: Any) -> list[Any]:
    """The recordings of a file of two Dataset_ids, two channels a record."""
    folder = world.new_folder()
    with h5py.File(folder / "f.h5", "w") as file:
        for row in rows:
            key = row.partition(",")[0]
            file[key] = np.arange(16.0).reshape(8, 2, 1) + float(key)
    (folder / "m.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    given = {"path": "f.h5", "metadata": "m.csv", "dataset_ids": [9], **keys}
    return list(PhmVibenchSource(PhmVibenchOptions.model_validate(given), folder).recordings())


def section(world: Any) -> None:
    rig = {"source": "phm_vibench", "unit": "g", "amplitude_comparable": True}
    with pytest.raises(ValueError, match="needs the key `phm_vibench`"):
        Rig.model_validate(rig)
    keys = {"path": "f.h5", "metadata": "m.csv", "dataset_ids": [9]}
    assert Rig.model_validate({**rig, "phm_vibench": keys}).phm_vibench is not None


def path(world: Any) -> None:
    assert made(world)[0].place.file.name == "f.h5"
    with pytest.raises(UserError, match=r"other\.h5"):
        made(world, path="other.h5")


def metadata(world: Any) -> None:
    with pytest.raises(UserError, match=r"other\.xlsx"):
        made(world, metadata="other.xlsx")


def dataset_ids(world: Any) -> None:
    assert [r.recording_id for r in made(world)] == ["1", "2", "3"]
    assert [r.recording_id for r in made(world, dataset_ids=[15])] == ["4"]


def copy_samples(world: Any) -> None:
    assert made(world)[0].place is not None
    assert made(world, copy=True)[0].place is None


def labels(world: Any) -> None:
    assert [r.fault for r in made(world)] == ["normal", "fault_1", "fault_1"]
    assert [r.fault for r in made(world, labels="unit")] == ["normal", "failing", "failing"]
    assert [r.fault for r in made(world, labels="none")] == [None] * 3


def files(world: Any) -> None:
    keys = {"fields": {"unit_id": "{unit}"}}
    assert {r.unit_id for r in made(world, files=["{unit}/{rest}"], **keys)} == {"u"}
    with pytest.raises(UserError, match="does not match the pattern"):
        made(world, files=["{unit}.mat"], **keys)


def fields(world: Any) -> None:
    lookup = {"from": "Label", "values": {"0": "normal", "1": "inner"}}
    keys = {"condition": "all", "fault": lookup, "speed_rpm": 600}
    found = made(world, fields=keys)
    assert [r.fault for r in found] == ["normal", "inner", "inner"]
    assert {(r.condition, r.attributes["speed_rpm"]) for r in found} == {("all", "600")}
    assert {r.condition for r in made(world)} == {"slow"}


def rates_hz(world: Any) -> None:
    assert [r.rate_hz for r in made(world)] == [100.0] * 3
    assert [r.rate_hz for r in made(world, rates_hz={2: 48000})] == [100.0, 48000.0, 100.0]


def channels(world: Any) -> None:
    both, second = made(world)[0], made(world, channels=[1])[0]
    assert (both.signal[:, [1]] == second.signal).all()
    assert second.place.channels == (1,)


def channel_kinds(world: Any) -> None:
    assert made(world)[0].channel_kinds == ("vibration", "vibration")
    kinds = ("vibration", "current")
    assert made(world, channel_kinds=kinds)[0].channel_kinds == kinds


def time(world: Any) -> None:
    assert [(r.time_s, r.life_s) for r in made(world)] == [(None, None)] * 3
    assert [(r.time_s, r.life_s) for r in made(world, **LIFE)] == [(0, 20), (10, 20), (20, 20)]


def times(world: Any, rows: Sequence[str] = RUN, **keys: Any) -> list[float]:
    return [r.time_s for r in made(world, rows, **{**LIFE, "time": keys})]


def group(world: Any) -> None:
    spread = [RUN[0], RUN[1], RUN[2].replace("s_7", "s_9")]
    assert times(world, spread, **{"from": "k"}, first=5, step_s=10) == [0, 10, 40]
    assert times(world, spread, step_s=10) == [0, 10, 20]


def first(world: Any) -> None:
    assert times(world, **{"from": "k"}, first=3, step_s=10) == [20, 30, 40]
    assert times(world, **{"from": "k"}, step_s=10) == [40, 50, 60]


def step_s(world: Any) -> None:
    assert times(world, step_s=600) == [0, 600, 1200]


BEARING = {"name": "b3", "run": "u", "channels": [1], "fails": True}


def of_bearings(world: Any, *bearings: dict[str, Any]) -> list[Any]:
    return made(world, bearings=[{**BEARING, **keys} for keys in bearings], **LIFE)


def bearings(world: Any) -> None:
    names = [r.recording_id for r in of_bearings(world, {}, {"name": "b4", "channels": [0]})]
    assert names == ["1_b3", "1_b4", "2_b3", "2_b4", "3_b3", "3_b4"]


def bearing_name(world: Any) -> None:
    assert {r.unit_id for r in of_bearings(world, {"name": "other"})} == {"u_other"}


def bearing_run(world: Any) -> None:
    with pytest.raises(UserError, match="a run that there is not"):
        of_bearings(world, {"run": "nowhere"})


def bearing_channels(world: Any) -> None:
    two, one = (of_bearings(world, {"channels": c})[0].signal for c in ([0, 1], [0]))
    assert (two[:, [0]] == one).all()


def bearing_fails(world: Any) -> None:
    assert {r.life_s for r in of_bearings(world, {})} == {20}
    assert {r.life_s for r in of_bearings(world, {"fails": False})} == {None}


PROBES = {
    "Rig.phm_vibench": section,
    "PhmVibenchOptions.path": path,
    "PhmVibenchOptions.metadata": metadata,
    "PhmVibenchOptions.dataset_ids": dataset_ids,
    "PhmVibenchOptions.copy": copy_samples,
    "PhmVibenchOptions.labels": labels,
    "PhmVibenchOptions.files": files,
    "PhmVibenchOptions.fields": fields,
    "PhmVibenchOptions.rates_hz": rates_hz,
    "PhmVibenchOptions.channels": channels,
    "PhmVibenchOptions.channel_kinds": channel_kinds,
    "PhmVibenchOptions.time": time,
    "PhmVibenchOptions.bearings": bearings,
    "SnapshotTime.from": group,
    "SnapshotTime.first": first,
    "SnapshotTime.step_s": step_s,
    "Bearing.name": bearing_name,
    "Bearing.run": bearing_run,
    "Bearing.channels": bearing_channels,
    "Bearing.fails": bearing_fails,
}
