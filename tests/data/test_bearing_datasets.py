"""A private definition of bearing-datasets, built through the real package, becomes recordings."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from workflow_src.configuration.bearing_datasets import BearingDatasetsOptions
from workflow_src.configuration.resolved_cell import identity
from workflow_src.data.recordings import Recording, check
from workflow_src.data.sources.bearing_datasets import BearingDatasetsSource
from workflow_src.data.sources.bearing_datasets.building import Building
from workflow_src.data.sources.bearing_datasets.fields import fields_of
from workflow_src.data.store import Heading, write_store
from workflow_src.errors import BadData, UserError

LENGTH, RATE = 400, 1000
BUILDER = """
import time
import numpy as np
from bearing_datasets.bearings import fault_orders

CHANNELS = {
    "x": {"sensor_location": "test_bearing", "quantity": "acceleration", "unit": "g", "fs": 1000},
    "y": {"sensor_location": "base", "quantity": "acceleration", "unit": "g", "fs": 1000},
    "i": {"sensor_location": "motor_supply", "quantity": "current", "unit": "A", "fs": 1000},
    "v": {"sensor_location": "motor_supply", "quantity": "voltage", "unit": "V", "fs": 1000},
    "t": {"sensor_location": "base", "quantity": "temperature", "unit": "degC", "fs": 1},
}
FAULTS = {"n": "normal", "b": "rolling_element", "c": "inner+outer", "q": "unknown"}


def recordings(raw_dir):
    for number, path in enumerate(sorted(raw_dir.glob("*.npy"))):
        fault = FAULTS[path.name[0]]
        samples = np.load(path)  # (L, 2)
        yield {
            "recording_id": "set/" + path.stem,
            "native_label": path.name[0],
            "fault_type": fault,
            "fault_location": "none" if fault == "normal" else "+".join(
                ["test_bearing"] * len(fault.split("+"))),
            "bearing_id": path.stem.split("_")[0],
            "speed_rpm": 600.0,
            "load": 2.5,
            "load_unit": "kN",
            "run_id": "run" + path.name[1],
            "time_s": 10.0 * number,
            "rul_s": 90.0 - 10.0 * number,
            **fault_orders(9, 8.0, 39.0),
            "bsf": {ch: 2.5 if ch == "x" else 3.5 for ch in CHANNELS},
            "signals": {
                "x": samples[:, 0], "y": samples[:, 1], "i": -samples[:, 0], "v": samples[:, 1],
                "t": samples[:3, 0],
            },
        }
"""
SPEC = {
    "name": "tiny",
    "title": "A tiny rig",
    "license": "CC0",
    "citation": "Nobody (2020).",
    "sources": [{"type": "local", "path": "{root}/../raw"}],
}
CHANNELS = {"y": "vibration", "x": "vibration"}
FILES = ("n1_a.npy", "b1_a.npy", "c2_a.npy", "q2_a.npy")


def samples(name: str) -> Any:
    return np.random.default_rng(sum(name.encode())).standard_normal((LENGTH, 2))


class Rig:
    """A folder of data and one of config with a private definition."""

    def __init__(self, folder: Path) -> None:
        self.data, self.config = folder / "data", folder / "rigs"
        self.definition = self.config / "tiny"
        self.raw = self.data / "raw"
        for path in (self.raw, self.definition):
            path.mkdir(parents=True)
        for name in FILES:
            np.save(self.raw / name, samples(name))
        self.write()

    def write(self, builder: str = BUILDER, **keys: Any) -> None:
        (self.definition / "builder.py").write_text(builder, encoding="utf-8")
        (self.definition / "dataset.yaml").write_text(yaml.safe_dump({**SPEC, **keys}))

    @property
    def root(self) -> Path:
        return self.data / "bearing_datasets"

    def building(self, **keys: Any) -> Building:
        given = {"definition": "tiny", "channels": CHANNELS, **keys}
        options = BearingDatasetsOptions.model_validate(given)
        return Building(options, self.data, self.config)

    def source(self, unit: str = "g", **keys: Any) -> BearingDatasetsSource:
        given = {"definition": "tiny", "channels": CHANNELS, **keys}
        options = BearingDatasetsOptions.model_validate(given)
        return BearingDatasetsSource(options, unit, self.data, self.config)

    def recordings(self, unit: str = "g", **keys: Any) -> dict[str, Recording]:
        self.building(**keys).build()
        found = {}
        for recording in self.source(unit, **keys).recordings():
            check(recording)
            found[recording.recording_id] = recording
        return found


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


# -- metadata -------------------------------------------------------------------------------------


def test_the_metadata_become_ours(rig: Rig) -> None:
    found = rig.recordings()
    assert {r.fault for r in found.values()} == {"normal", "ball", "inner+outer", None}
    ball = found["set.b1_a"]
    assert (ball.unit_id, ball.run_id, ball.condition) == ("b1", "run1", "600rpm_2.5kN")
    assert (ball.rate_hz, ball.channel_kinds) == (RATE, ("vibration", "vibration"))
    assert ball.life_s == 90.0
    assert sorted(r.time_s for r in found.values() if r.time_s is not None) == [0, 10, 20, 30]
    attributes = ball.attributes
    assert attributes["speed_rpm"] == "600"
    assert attributes["load"] == "2.5 kN"
    assert float(attributes["bpfo"]) == pytest.approx(9 / 2 * (1 - 8 / 39), abs=1e-5)
    assert attributes["bsf"] == "3.5|2.5"  # of y and x, as the rig orders them
    assert attributes["channel_names"] == "y|x"
    expected = samples("b1_a.npy")[:, ::-1].astype(np.float32)  # (L, 2): y, x
    np.testing.assert_array_equal(ball.signal, expected)


def test_the_store_keeps_where_the_recordings_come_from(rig: Rig, tmp_path: Path) -> None:
    rig.building().build()
    source = rig.source()
    assert (
        source.files["n1_a.npy"] == hashlib.sha256((rig.raw / "n1_a.npy").read_bytes()).hexdigest()
    )
    assert "Nobody (2020)." in source.description
    assert set(source.versions) == {"bearing-datasets"}
    manifest = write_store(source.recordings(), tmp_path / "store", Heading("t", "b"))
    assert manifest.recordings == len(FILES)


def test_the_order_of_channels_reaches_the_job_and_the_identity() -> None:
    """As a rule's param, in which keys are sorted; and cells of either order are two."""

    def part(*names: str) -> dict[str, Any]:
        options = {"name": "cwru", "channels": dict.fromkeys(names, "vibration")}
        return BearingDatasetsOptions.model_validate(options).model_dump(exclude_none=True)

    sent = json.loads(json.dumps(part("FE", "DE"), sort_keys=True))
    assert list(BearingDatasetsOptions.model_validate(sent).channels or ()) == ["FE", "DE"]
    assert identity(part("FE", "DE")) != identity(part("DE", "FE"))


def test_fields_win_over_the_metadata(rig: Rig) -> None:
    fields = {
        "unit_id": "{native_label}-{bearing_id}",
        "condition": {"from": "speed_rpm", "values": {"600": "slow"}},
        "fault": {"from": "native_label", "values": {"n": "fine", "b": "", "c": "x", "q": "y"}},
        "time_s": "1.5",
        "colour": "red",
    }
    found = rig.recordings(fields=fields)["set.n1_a"]
    assert (found.unit_id, found.condition, found.fault) == ("n-n1", "slow", "fine")
    assert found.time_s == 1.5
    assert found.attributes["colour"] == "red"
    assert rig.recordings(fields=fields)["set.b1_a"].fault is None


@pytest.mark.parametrize("value", ["{absent}", {"from": "native_label", "values": {"n": "x"}}])
def test_a_field_that_cannot_be_made_names_the_recording(rig: Rig, value: Any) -> None:
    with pytest.raises(UserError, match=r"unit_id[\s\S]*recording 'set/"):
        rig.recordings(fields={"unit_id": value})


@pytest.mark.parametrize("lacking", ["unit_id", "condition"])
def test_what_the_package_does_not_say_is_asked_for(rig: Rig, lacking: str) -> None:
    drop = {"unit_id": ("bearing_id", "run_id"), "condition": ("speed_rpm", "load", "load_unit")}
    lines = BUILDER.splitlines()
    kept = [ln for ln in lines if not any(f'"{name}":' in ln for name in drop[lacking])]
    rig.write("\n".join(kept))
    with pytest.raises(BadData, match=f"{lacking}[\\s\\S]*fields:") as error:
        rig.recordings()
    assert "native_label: n" in str(error.value) or "native_label: b" in str(error.value)


def test_the_packages_word_for_a_machine_takes_no_rigs_name() -> None:
    """A recording's attribute `rig` would name its rig in predictions, and bar it from unions."""
    facts = {"recording_id": "a", "channel": "x", "fault_type": "normal", "rig": "bench"}
    facts |= {"bearing_id": "b1", "operating_condition": "slow"}
    found = fields_of([facts], {"unit_id": "{rig}_{bearing_id}"}, "recording 'a'")
    assert found.unit_id == "bench_b1"
    assert found.attributes["machine"] == "bench"
    assert "rig" not in found.attributes


def test_no_bearing_but_a_run_is_the_run(rig: Rig) -> None:
    rig.write("\n".join(ln for ln in BUILDER.splitlines() if '"bearing_id":' not in ln))
    assert rig.recordings()["set.c2_a"].unit_id == "run2"


# -- channels and units ---------------------------------------------------------------------------


def test_a_unit_is_converted_and_counted(rig: Rig) -> None:
    found = rig.recordings("m/s^2")["set.n1_a"].signal
    np.testing.assert_allclose(found, 9.80665 * samples("n1_a.npy")[:, ::-1], rtol=1e-6)
    source = rig.source("m/s^2")
    list(source.recordings())
    assert source.notes == ["8 signals were converted from g to m/s^2"]


def test_a_unit_that_cannot_be_is_an_error(rig: Rig) -> None:
    with pytest.raises(UserError, match=r"cannot convert 'g'[\s\S]*unit: unknown"):
        rig.recordings("mm")


def test_other_kinds_keep_their_unit(rig: Rig) -> None:
    found = rig.recordings("m/s^2", channels={"i": "current"})["set.n1_a"]
    assert found.channel_kinds == ("current",)
    np.testing.assert_array_equal(found.signal[:, 0], -samples("n1_a.npy")[:, 0].astype("f4"))


def test_channels_without_a_kind_or_of_another_rate_are_named(rig: Rig) -> None:
    with pytest.raises(BadData) as error:
        rig.recordings(channels=None)
    said = str(error.value)
    assert "v: voltage, 1000 Hz, 400 samples" in said
    assert "t: temperature, 1 Hz, 3 samples" in said
    assert "channels: {x: vibration, y: vibration, i: current, v: vibration}" in said


def test_recordings_without_the_channels_are_counted(rig: Rig) -> None:
    rig.write(
        BUILDER.replace(
            '"signals": {', '"signals": {"x": samples[:, 0]} if fault == "normal" else {'
        )
    )
    rig.building().build()
    source = rig.source(channels={"y": "vibration"})
    assert len(list(source.recordings())) == 3
    assert source.notes == ["1 recordings have none of `channels` and were left out"]
    source = rig.source(channels=CHANNELS)
    assert len(list(source.recordings())) == 4
    assert source.notes == ["recordings differ in their channels (y, x: 3; x: 1)"]


def test_a_channel_that_no_recording_has_is_an_error(rig: Rig) -> None:
    with pytest.raises(UserError, match=r"channel `yy`[\s\S]*one of x, y[\s\S]*x: vibration"):
        rig.recordings(channels={"x": "vibration", "yy": "vibration"})


@pytest.mark.slow
def test_memory_does_not_grow_with_the_recordings(rig: Rig) -> None:
    def peak(count: int, name: str) -> int:
        for i in range(count):
            np.save(rig.raw / f"n{i}_{name}.npy", np.zeros((200_000, 2), np.float32))
        keys = {"files": [f"*_{name}.npy"], "as_name": name}
        rig.building(**keys).build()
        tracemalloc.start()
        for recording in rig.source(**keys).recordings():
            del recording
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    few = peak(3, "few")
    for path in rig.root.glob("_definitions/*/files.lock.json"):
        path.unlink()
    assert peak(9, "many") < 1.5 * few


# -- raw files ------------------------------------------------------------------------------------

PUBLIC = {
    "name": "public",
    "sources": [{"type": "http", "base_url": "http://127.0.0.1:9/folder/"}],
}


def lock_of(rig: Rig) -> list[dict[str, Any]]:
    paths = [rig.raw / name for name in FILES]
    return [
        {
            "name": path.name,
            "size": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in paths
    ]


def make_public(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The rig as one of the package's own: locked, and fetched from where nothing answers."""
    monkeypatch.setattr("bearing_datasets.sources.time.sleep", lambda _: None)
    lock = lock_of(rig)
    rig.write(**PUBLIC)
    (rig.definition / "files.lock.json").write_text(json.dumps(lock), encoding="utf-8")
    return lock


def test_missing_raw_files_are_listed_with_their_place(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = make_public(rig, monkeypatch)
    cache = rig.root / "_raw" / "sha256"
    cache.mkdir(parents=True)
    (cache / lock[0]["sha256"]).write_bytes((rig.raw / FILES[0]).read_bytes())
    with pytest.raises(UserError) as error:
        rig.building().build()
    said = str(error.value)
    assert "3 of 4 raw files of `public` are missing and cannot be fetched." in said
    for entry in lock[1:]:
        assert f"{entry['name']}: {entry['size']} bytes, sha256 {entry['sha256']}" in said
        assert f"from http://127.0.0.1:9/folder/{entry['name']}" in said
        assert f"to   {cache / entry['sha256']}" in said
    assert lock[0]["sha256"] not in said
    table = rig.root / "public.missing.csv"
    with table.open(encoding="utf-8", newline="") as file:
        assert [row["sha256"] for row in csv.DictReader(file)] == [e["sha256"] for e in lock[1:]]
    assert not list(rig.root.glob(".public*"))

    # As it says: put there, the same call goes on.
    for name, entry in zip(FILES, lock, strict=True):
        (cache / entry["sha256"]).write_bytes((rig.raw / name).read_bytes())
    assert len(rig.recordings()) == len(FILES)
    assert not table.exists()


def test_a_raw_file_under_a_wrong_name_is_refused(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package would take it: it trusts names in its cache."""
    lock = make_public(rig, monkeypatch)
    cache = rig.root / "_raw" / "sha256"
    cache.mkdir(parents=True)
    for name, entry in zip(FILES, lock, strict=True):
        (cache / entry["sha256"]).write_bytes((rig.raw / name).read_bytes())
    content = bytearray((rig.raw / FILES[1]).read_bytes())
    content[-1] ^= 1
    (cache / lock[1]["sha256"]).write_bytes(content)
    with pytest.raises(BadData, match=r"not the one that its name says[\s\S]*b1_a\.npy: "):
        rig.building().build()


def test_a_local_raw_file_that_changed_is_refused(rig: Rig) -> None:
    rig.building(files=["n*"], as_name="part").build()
    np.save(rig.raw / "b1_a.npy", np.zeros((LENGTH, 2)))
    with pytest.raises(BadData, match=r"not the one that was listed[\s\S]*rm ") as error:
        rig.building().build()
    lock = Path(str(error.value).rpartition("rm ")[2].strip())
    lock.unlink()  # as the remedy says
    assert np.all(rig.recordings()["set.b1_a"].signal == 0)


def test_no_raw_file_at_all_names_the_folder(rig: Rig) -> None:
    for path in rig.raw.iterdir():
        path.unlink()
    with pytest.raises(UserError, match=f"No raw file of `tiny`[\\s\\S]*{rig.raw}"):
        rig.building().build()
    np.save(rig.raw / "n1_a.npy", samples("n1_a.npy"))
    assert len(rig.recordings()) == 1


def test_the_definition_stays_as_it_is(rig: Rig) -> None:
    rig.building().build()
    assert sorted(p.name for p in rig.definition.iterdir()) == ["builder.py", "dataset.yaml"]


# -- building -------------------------------------------------------------------------------------


def test_a_part_has_a_name_of_its_own(rig: Rig) -> None:
    found = rig.recordings(files=["n*", "b*"], as_name="part")
    assert sorted(found) == ["set.b1_a", "set.n1_a"]
    assert len(rig.recordings()) == len(FILES)
    with pytest.raises(UserError, match="not what the rig asks for"):
        list(rig.source(files=["c*"], as_name="part").recordings())
    with pytest.raises(UserError, match="No raw file matches"):
        rig.building(files=["zzz*"], as_name="none").build()
    with pytest.raises(ValidationError, match="name of its own"):
        BearingDatasetsOptions(definition="tiny", files=["n*"])


def test_what_is_not_built_is_an_error_that_names_the_command(rig: Rig) -> None:
    with pytest.raises(UserError, match=r"not built[\s\S]*snakemake"):
        list(rig.source().recordings())


def test_an_edited_definition_is_not_read_from_the_old_build(rig: Rig) -> None:
    rig.building().build()
    rig.write(BUILDER.replace("600.0", "700.0"))
    with pytest.raises(UserError, match=r"not what the rig asks for[\s\S]*rm -r") as error:
        rig.building().build()
    assert str(rig.root / "tiny") in str(error.value)


@pytest.mark.parametrize(
    ("builder", "said"),
    [
        (BUILDER.replace('"fault_type": fault', '"fault_type": "gone"'), "unknown fault_type"),
        (BUILDER.replace("np.load(path)", "np.load(path)['a']"), "Error"),
        (BUILDER.replace("sorted(raw_dir", "list(raw_dir").replace("*.npy", "*.mat"), "Error"),
        ("import nothing_of_the_kind", "nothing_of_the_kind"),
    ],
)
def test_what_a_builder_raises_is_bad_data(rig: Rig, builder: str, said: str) -> None:
    rig.write(builder)
    with pytest.raises(BadData, match=f"The builder of `tiny` failed[\\s\\S]*{said}"):
        rig.building().build()
    assert not list(rig.root.glob(".tiny*"))


def test_a_damaged_build_is_bad_data(rig: Rig) -> None:
    rig.building().build()
    for path in (rig.root / "tiny" / "signals").iterdir():
        path.unlink()
    with pytest.raises(BadData, match=r"damaged[\s\S]*rm -r"):
        list(rig.source().recordings())


@pytest.mark.slow
def test_a_killed_build_is_gone_on_with(rig: Rig) -> None:
    slow = BUILDER.replace(
        "samples = np", "time.sleep(0.0 if raw_dir is None else 60)\n        samples = np"
    )
    rig.write(slow)
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from workflow_src.configuration.bearing_datasets import BearingDatasetsOptions
from workflow_src.data.sources.bearing_datasets.building import Building
options = BearingDatasetsOptions(definition="tiny")
Building(options, Path({str(rig.data)!r}), Path({str(rig.config)!r})).build()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    half = rig.root / f".tiny.tmp-{socket.gethostname()}-{process.pid}"
    deadline = time.monotonic() + 60
    while not (half / "signals").is_dir():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert half.is_dir()
    kept = {p.name: p.stat().st_mtime_ns for p in (rig.root / "_raw" / "sha256").glob("?" * 64)}
    assert len(kept) == len(FILES)

    rig.write(slow.replace("60)", "0)"))
    assert len(rig.recordings()) == len(FILES)
    assert not half.exists()
    again = {p.name: p.stat().st_mtime_ns for p in (rig.root / "_raw" / "sha256").glob("?" * 64)}
    assert again.keys() == kept.keys()


@pytest.mark.slow
def test_two_builds_at_once_are_one(rig: Rig) -> None:
    counted = BUILDER.replace(
        "def recordings(raw_dir):",
        "def recordings(raw_dir):\n    (raw_dir.parents[1] / 'calls').open('a').write('c')",
    )
    rig.write(counted)
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from workflow_src.configuration.bearing_datasets import BearingDatasetsOptions
from workflow_src.data.sources.bearing_datasets.building import Building
options = BearingDatasetsOptions(definition="tiny")
Building(options, Path({str(rig.data)!r}), Path({str(rig.config)!r})).build()
"""
    both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert (rig.root / "calls").read_text() == "c"


def test_a_relative_root_needs_the_folder_of_the_data(rig: Rig) -> None:
    options = BearingDatasetsOptions(definition="tiny")
    with pytest.raises(UserError, match="export PHM_DATA_ROOT"):
        Building(options, None, rig.config)
    absolute = BearingDatasetsOptions(definition="tiny", root=str(rig.data / "elsewhere"))
    assert Building(absolute, None, rig.config).folder == rig.data / "elsewhere" / "tiny"


def test_an_unknown_name_and_an_empty_definition(rig: Rig) -> None:
    options = BearingDatasetsOptions(name="hit_smm")
    with pytest.raises(UserError, match="the nearest is `hit_sm`"):
        Building(options, rig.data, rig.config)
    (rig.definition / "builder.py").unlink()
    with pytest.raises(UserError, match=r"no builder\.py"):
        rig.building()
    rate = {"name": "ims", "fields": {"rate_hz": "5"}}
    for keys in ({}, {"name": "ims", "definition": "tiny"}, rate):
        with pytest.raises(ValidationError):
            BearingDatasetsOptions.model_validate(keys)
