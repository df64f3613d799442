"""Keys of the two sources of recordings, seen in the recordings that come out."""

from __future__ import annotations

import itertools
from typing import Any

import h5py
import numpy as np
import pytest

from workflow_src.configuration.folder import FolderOptions
from workflow_src.configuration.simulated import SimulatedOptions
from workflow_src.data.sources.folder import FolderSource
from workflow_src.data.sources.simulated import simulate
from workflow_src.errors import UserError

SMALL = {"kind": "bearing", "units_per_class": 3, "samples": 512, "speeds_rpm": [1500]}
FIELDS = {"unit_id": "{unit}", "condition": "c", "run_id": "{unit}"}
TABLE = "t,a,b\n0,1,10\n0.5,2,20\n1,3,30\n"


def simulated(count: int | None = None, **keys: Any) -> list[Any]:
    options = SimulatedOptions.model_validate({**SMALL, **keys})
    return list(itertools.islice(simulate(options), count))


def kind(world: Any) -> None:
    faults = [{r.fault for r in simulated(kind=k)} for k in ("bearing", "gearbox")]
    assert faults[0] != faults[1]
    assert simulated(1, kind="run_to_failure")[0].life_s is not None


def seed(world: Any) -> None:
    one, two = (simulated(1, seed=s)[0].signal for s in (1, 2))
    assert not np.array_equal(one, two)


def units_per_class(world: Any) -> None:
    three, four = (len({r.unit_id for r in simulated(units_per_class=n)}) for n in (3, 4))
    assert three * 4 == four * 3


def speeds_rpm(world: Any) -> None:
    made = simulated(speeds_rpm=[1200, 1700])
    assert {float(r.attributes["speed_rpm"]) for r in made} == {1200.0, 1700.0}


def rate_hz(world: Any) -> None:
    assert simulated(1, rate_hz=20000)[0].rate_hz == 20000


def samples(world: Any) -> None:
    assert len(simulated(1, samples=700)[0].signal) == 700


def snr_db(world: Any) -> None:
    loud, quiet = (simulated(1, snr_db=s)[0].signal for s in (-20.0, 20.0))
    assert loud.std() > 2 * quiet.std()


# ------------------------------------------------------------------------------- files


def recordings(world: Any, contents: dict[str, Any], **keys: Any) -> list[Any]:
    """The recordings of a folder of these files: text, or an array of a .npy."""
    folder = world.new_folder()
    for name, content in contents.items():
        path = folder / "rig" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str | bytes):
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        else:
            np.save(path, content)
    given = {"path": "rig", "files": "{unit}.csv", "rate_hz": 2, "fields": FIELDS, **keys}
    return list(FolderSource(FolderOptions.model_validate(given), folder, folder).recordings())


def path(world: Any) -> None:
    made = recordings(world, {"below/a.csv": "1\n2\n", "b.csv": "1\n2\n"}, path="rig/below")
    assert [r.unit_id for r in made] == ["a"]


def files(world: Any) -> None:
    both = {"a.csv": "1\n2\n", "b.txt": "1\n2\n"}
    assert [r.unit_id for r in recordings(world, both)] == ["a"]
    assert [r.unit_id for r in recordings(world, both, files="{unit}.txt")] == ["b"]


def table(world: Any) -> None:
    listed = "file,recording_id,unit_id,condition,run_id\na.csv,first,u,c,r\n"
    keys = {"files": None, "fields": {}, "table": "rig/listed.csv"}
    made = recordings(world, {"a.csv": "1\n2\n", "b.csv": "1\n2\n", "listed.csv": listed}, **keys)
    assert [r.recording_id for r in made] == ["first"]


def fields(world: Any) -> None:
    keys = {"fields": {**FIELDS, "fault": "{unit}", "load": "5 kg"}}
    (made,) = recordings(world, {"inner.csv": "1\n2\n"}, **keys)
    assert made.fault == "inner"
    assert made.attributes["load"] == "5 kg"


def folder_rate_hz(world: Any) -> None:
    assert recordings(world, {"a.csv": "1\n2\n"}, rate_hz=5)[0].rate_hz == 5
    assert recordings(world, {"a.csv": "1\n2\n"}, rate_hz="unknown")[0].rate_hz is None


SNAPSHOTS = {f"a_{i}.csv": "1\n2\n" for i in (1, 2, 3)}
NUMBERED = {"files": "{unit}_{i:d}.csv"}


def times(world: Any, **time: Any) -> list[float]:
    keys = {"time": {"from": "i", "step_s": 10.0, **time}}
    return [r.time_s for r in recordings(world, SNAPSHOTS, **NUMBERED, **keys)]


def time(world: Any) -> None:
    assert times(world) == [10, 20, 30]
    assert recordings(world, {"a.csv": "1\n2\n"})[0].time_s is None


def time_from(world: Any) -> None:
    content = {"a_1_7.csv": "1\n2\n"}
    for name, value in (("i", 10), ("j", 70)):
        keys = {"files": "{unit}_{i:d}_{j:d}.csv", "time": {"from": name, "step_s": 10}}
        assert recordings(world, content, **keys)[0].time_s == value


def time_first(world: Any) -> None:
    assert times(world, first=1) == [0, 10, 20]


def time_step_s(world: Any) -> None:
    assert times(world, step_s=2.0) == [2, 4, 6]


def ends_in_failure(world: Any) -> None:
    clock = {"time": {"from": "i", "step_s": 10.0}}
    for ends, life in ((False, None), (True, 30), (["a"], 30)):
        made = recordings(world, SNAPSHOTS, **NUMBERED, **clock, ends_in_failure=ends)
        assert made[0].life_s == life


def array(world: Any) -> None:
    folder = world.new_folder()
    with h5py.File(folder / "a.h5", "w") as opened:
        opened["X1"], opened["Y1"] = np.arange(5.0), np.arange(7.0)
    content = {"a.h5": (folder / "a.h5").read_bytes()}
    for pattern, length in (("X*", 5), ("Y*", 7)):
        keys = {"files": "{unit}.h5", "array": pattern}
        assert len(recordings(world, content, **keys)[0].signal) == length


def samples_along(world: Any) -> None:
    for along, shape in (("rows", (50, 3)), ("columns", (3, 50))):
        keys = {"files": "{unit}.npy", "samples_along": along}
        (made,) = recordings(world, {"a.npy": np.zeros(shape)}, **keys)
        assert made.signal.shape == (50, 3)


def column_count(world: Any) -> None:
    wide = {"a.npy": np.random.default_rng(0).standard_normal((50, 40))}
    (made,) = recordings(world, wide, files="{unit}.npy", column_count=40)
    assert made.signal.shape == (50, 40)
    for declared in ({}, {"column_count": 39}):
        with pytest.raises(UserError):
            recordings(world, wide, files="{unit}.npy", **declared)


def stacked(world: Any, **keys: Any) -> list[Any]:
    samples = {"a.npy": np.random.default_rng(0).standard_normal((3, 5))}
    return [
        one.signal.shape for one in recordings(world, samples, files="{unit}.npy", stacked=keys)
    ]


def stacked_along(world: Any) -> None:
    assert stacked(world, along="rows") == [(5, 1)] * 3
    assert stacked(world, along="columns") == [(3, 1)] * 5


def stacked_gaps(world: Any) -> None:
    assert stacked(world, gaps="unknown") == [(5, 1)] * 3
    assert stacked(world, gaps="none") == [(15, 1)]


def header(world: Any) -> None:
    content = {"a.csv": "5\n6\n7\n"}
    for words, length in (("absent", 3), ("detect", 3), ("present", 2)):
        assert len(recordings(world, content, header=words)[0].signal) == length


def channels(world: Any) -> None:
    (made,) = recordings(world, {"a.csv": TABLE}, channels=["b"])
    assert made.signal[:, 0].tolist() == [10, 20, 30]


def channel_kinds(world: Any) -> None:
    kinds = ("current", "load", "acoustic")
    assert recordings(world, {"a.csv": TABLE}, channel_kinds=kinds)[0].channel_kinds == kinds
    assert recordings(world, {"a.csv": TABLE})[0].channel_kinds == ("vibration",) * 3


def time_column(world: Any) -> None:
    assert recordings(world, {"a.csv": TABLE})[0].signal.shape[1] == 3
    assert recordings(world, {"a.csv": TABLE}, time_column="t")[0].signal.shape[1] == 2


def ignore_stated_rate(world: Any) -> None:
    content = {"a.csv": TABLE.replace("0.5", "0.6").replace("\n1,", "\n1.2,")}
    with pytest.raises(UserError):
        recordings(world, content, time_column="t")
    (made,) = recordings(world, content, time_column="t", ignore_stated_rate=True)
    assert made.rate_hz == 2


def encoding(world: Any) -> None:
    content = {"a.csv": "加速度\n1\n2\n".encode("gbk")}
    assert len(recordings(world, content, encoding="gbk")[0].signal) == 2
    with pytest.raises(UserError):
        recordings(world, content)


def exclude(world: Any) -> None:
    both = {"a.csv": "1\n2\n", "b.csv": "1\n2\n"}
    assert [r.unit_id for r in recordings(world, both, exclude=["b*"])] == ["a"]


def file_format(world: Any) -> None:
    keys = {"files": "{unit}.dat", "format": "text"}
    assert recordings(world, {"a.dat": "1\n2\n"}, **keys)[0].signal.tolist() == [[1], [2]]
    with pytest.raises(UserError):
        recordings(world, {"a.dat": "1\n2\n"}, files="{unit}.dat")


def skip_lines(world: Any) -> None:
    assert len(recordings(world, {"a.csv": "5\n6\n7\n"}, skip_lines=2)[0].signal) == 1


def decimal(world: Any) -> None:
    (made,) = recordings(world, {"a.csv": "1,5;2\n2,5;3\n"}, decimal=",")
    assert made.signal.tolist() == [[1.5, 2], [2.5, 3]]


def thousands(world: Any) -> None:
    (made,) = recordings(world, {"a.csv": "1,500;2\n2,500;3\n"}, thousands=",")
    assert made.signal.tolist() == [[1500, 2], [2500, 3]]


def looked_up(world: Any, **rule: Any) -> Any:
    lookup = {"from": "code", "values": {"N": "normal", "M": "moved"}, **rule}
    keys = {"files": "{code}_{unit}.csv", "fields": {**FIELDS, "fault": lookup}}
    return recordings(world, {"N_M.csv": "1\n2\n"}, **keys)[0].fault


def lookup_from(world: Any) -> None:
    assert looked_up(world) == "normal"
    assert looked_up(world, **{"from": "unit"}) == "moved"


def lookup_values(world: Any) -> None:
    assert looked_up(world, values={"N": "healthy"}) == "healthy"


PROBES = {
    "SimulatedOptions.kind": kind,
    "SimulatedOptions.seed": seed,
    "SimulatedOptions.units_per_class": units_per_class,
    "SimulatedOptions.speeds_rpm": speeds_rpm,
    "SimulatedOptions.rate_hz": rate_hz,
    "SimulatedOptions.samples": samples,
    "SimulatedOptions.snr_db": snr_db,
    "FolderOptions.path": path,
    "FolderOptions.files": files,
    "FolderOptions.table": table,
    "FolderOptions.fields": fields,
    "FolderOptions.rate_hz": folder_rate_hz,
    "FolderOptions.time": time,
    "FolderOptions.ends_in_failure": ends_in_failure,
    "FolderOptions.array": array,
    "FolderOptions.samples_along": samples_along,
    "FolderOptions.column_count": column_count,
    "FolderOptions.stacked": stacked_gaps,
    "StackedWindows.along": stacked_along,
    "StackedWindows.gaps": stacked_gaps,
    "FolderOptions.header": header,
    "FolderOptions.channels": channels,
    "FolderOptions.channel_kinds": channel_kinds,
    "FolderOptions.time_column": time_column,
    "FolderOptions.ignore_stated_rate": ignore_stated_rate,
    "FolderOptions.encoding": encoding,
    "FolderOptions.exclude": exclude,
    "FolderOptions.format": file_format,
    "FolderOptions.skip_lines": skip_lines,
    "FolderOptions.decimal": decimal,
    "FolderOptions.thousands": thousands,
    "TimeInLife.from": time_from,
    "TimeInLife.first": time_first,
    "TimeInLife.step_s": time_step_s,
    "Lookup.from": lookup_from,
    "Lookup.values": lookup_values,
}
