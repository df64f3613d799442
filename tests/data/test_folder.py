"""Files of every format become recordings; the five reference rigs come out as published."""

from __future__ import annotations

import csv
import gzip
import hashlib
import os
import tracemalloc
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from workflow_src.configuration.folder import CHANNEL_KINDS
from workflow_src.configuration.patterns import compile_pattern, natural_key
from workflow_src.data.recordings import NORMAL, check
from workflow_src.data.sources.folder import FolderOptions, FolderSource, _refuse_time
from workflow_src.data.sources.folder.content import Content
from workflow_src.data.sources.folder.readers import READERS
from workflow_src.data.store import Heading, Store, write_store
from workflow_src.errors import BadData, UserError

from ..examples import examples

REPOSITORY = Path(__file__).parents[2]
RIGS = REPOSITORY / "config" / "rigs"
FIELDS = {"unit_id": "{unit}", "condition": "600rpm", "run_id": "{unit}"}
SAMPLES = np.random.default_rng(0).standard_normal((300, 3)).astype(np.float32)


def source(root, **options):
    given = {"path": ".", "rate_hz": 1000.0, "fields": FIELDS}
    return FolderSource(FolderOptions(**{**given, **options}), root, root)


def only(root, files, **options):
    (recording,) = source(root, files=files, **options).recordings()
    check(recording)
    return recording


def write(path, samples=SAMPLES, sep=",", header="", last=""):
    lines = [sep.join(repr(float(v)) for v in row) for row in np.atleast_2d(samples)]
    text = "\n".join(([header] if header else []) + lines) + last
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)


# -- formats --------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["", "a1{0}a2{0}a3"])
@pytest.mark.parametrize("sep", [",", ";", "\t", " ", "   "])
@pytest.mark.parametrize("name", ["u1.csv", "u1.csv.gz", "u1.tsv", "u1.txt"])
def test_text_with_any_separator_and_header(tmp_path, name, sep, header):
    write(tmp_path / name, sep=sep, header=header.format(sep), last="\n\n")
    recording = only(tmp_path, "u{unit}" + name[2:])
    np.testing.assert_array_equal(recording.signal, SAMPLES)
    assert recording.signal.dtype == np.float32
    assert recording.channel_kinds == ("vibration",) * 3


def test_the_separator_is_found_for_each_file(tmp_path):
    for unit, sep in enumerate((",", ";", "\t")):
        write(tmp_path / f"u{unit}.csv", sep=sep)
    for recording in source(tmp_path, files="u{unit}.csv").recordings():
        np.testing.assert_array_equal(recording.signal, SAMPLES)


def test_text_of_one_column(tmp_path):
    write(tmp_path / "u1.csv", SAMPLES[:, :1], header="acceleration in g", last="\r\n")
    assert only(tmp_path, "u{unit}.csv").signal.shape == (300, 1)


def test_channels_by_name_or_position_in_their_order(tmp_path):
    write(tmp_path / "u1.csv", header="x,y,z")
    for channels in (["z", "x"], [2, 0]):
        recording = only(tmp_path, "u{unit}.csv", channels=channels)
        np.testing.assert_array_equal(recording.signal, SAMPLES[:, [2, 0]])
    with pytest.raises(BadData, match=r"no column 'w'[\s\S]*'x', 'y', 'z'"):
        only(tmp_path, "u{unit}.csv", channels=["w"])
    with pytest.raises(BadData, match="no column 3"):
        only(tmp_path, "u{unit}.csv", channels=[3])


def test_columns_that_are_no_channels_may_hold_text(tmp_path):
    (tmp_path / "u1.csv").write_text("12:00:01,1.5\n12:00:02,2.5\n")
    recording = only(tmp_path, "u{unit}.csv", channels=[1], header="absent")
    assert recording.signal.tolist() == [[1.5], [2.5]]


def test_header_may_be_declared(tmp_path):
    write(tmp_path / "u1.csv")
    assert len(only(tmp_path, "u{unit}.csv", header="present").signal) == 299
    write(tmp_path / "u1.csv", header="x,y,z")
    with pytest.raises(BadData, match="header not present"):
        only(tmp_path, "u{unit}.csv", header="absent")


def test_time_column_is_no_channel_and_gives_an_unknown_rate(tmp_path):
    times = np.arange(300) / 51_200
    write(tmp_path / "u1.csv", np.column_stack([times, SAMPLES]), header="t,x,y,z")
    told = source(tmp_path, files="u{unit}.csv", time_column="t", rate_hz="unknown")
    (recording,) = told.recordings()
    np.testing.assert_array_equal(recording.signal, SAMPLES)
    assert recording.rate_hz == pytest.approx(51_200)
    assert told.notes == ["rate_hz is `unknown`, but files state it and it was used: 51200 Hz"]


@pytest.mark.parametrize("shape", [(300,), (300, 1), (1, 300), (300, 3), (300, 3, 1)])
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int16])
@pytest.mark.parametrize("ending", [".npy", ".mat", ".h5"])
def test_arrays_of_any_shape_and_type(tmp_path, ending, shape, kind):
    samples = np.random.default_rng(1).integers(-99, 99, shape).astype(kind)
    save(tmp_path / f"u1{ending}", samples)
    signal = only(tmp_path, "u{unit}" + ending).signal
    channels = 3 if 3 in shape else 1
    np.testing.assert_array_equal(signal, samples.reshape(300, channels))


def save(path, samples, name="x"):
    if path.suffix == ".npy":
        np.save(path, samples)
    elif path.suffix == ".mat":
        scipy.io.savemat(path, {name: samples, "note": "text", "Fs": 1000})
    else:
        with h5py.File(path, "w") as file:
            file[f"group/{name}"] = samples
            file.attrs["rate_hz"] = 1000.0


@pytest.mark.parametrize("ending", [".npy", ".mat", ".h5"])
def test_arrays_with_time_along_the_columns(tmp_path, ending):
    save(tmp_path / f"u1{ending}", SAMPLES.T)
    signal = only(tmp_path, "u{unit}" + ending, samples_along="columns", channels=[1, 0]).signal
    np.testing.assert_array_equal(signal, SAMPLES[:, [1, 0]])


@pytest.mark.parametrize("ending", [".mat", ".h5"])
def test_one_array_of_several(tmp_path, ending):
    if ending == ".mat":
        scipy.io.savemat(tmp_path / "u1.mat", {"X97_DE": SAMPLES[:, 0], "X97_FE": SAMPLES[:, 1]})
    else:
        with h5py.File(tmp_path / "u1.h5", "w") as file:
            file["X97_DE"], file["X97_FE"] = SAMPLES[:, 0], SAMPLES[:, 1]
    for array, column in (("X97_FE", 1), ("X*_DE", 0)):
        signal = only(tmp_path, "u{unit}" + ending, array=array).signal
        np.testing.assert_array_equal(signal, SAMPLES[:, [column]])


def test_channel_kinds(tmp_path):
    np.save(tmp_path / "u1.npy", SAMPLES)
    kinds = ("vibration", "current", "load")
    assert set(kinds) < set(CHANNEL_KINDS)
    assert only(tmp_path, "u{unit}.npy", channel_kinds=kinds).channel_kinds == kinds


def test_a_format_without_a_reader(tmp_path):
    (tmp_path / "u1.uff").write_bytes(b"    -1")
    with pytest.raises(BadData, match=r"u1\.uff[\s\S]*" + ".*".join(READERS)):
        only(tmp_path, "u{unit}.uff")


# -- patterns, fields, tables ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "path", "groups"),
    [
        (
            "{unit}_{speed}rpm_{fault}.csv",
            "b1_600rpm_inner_2.csv",
            {"unit": "b1", "speed": "600", "fault": "inner_2"},
        ),
        (
            "Data/{c}_{s}/{c}_{s}_{p}.mat",
            "Data/N_800/N_800_5.mat",
            {"c": "N", "s": "800", "p": "5"},
        ),
        ("Data/{c}_{s}/{c}_{s}_{p}.mat", "Data/N_800/N_900_5.mat", None),
        ("{kind}{size:d}.npy", "IR21.npy", {"kind": "IR", "size": "21"}),
        ("{kind}{size:d}.npy", "IR.npy", None),
        ("{unit}.npy", "sub/b1.npy", None),
        ("*/{unit}*.npy", "sub/b1-old.npy", {"unit": "b"}),
        ("a.b+{unit}", "axb+1", None),
    ],
)
def test_patterns(pattern, path, groups):
    match = compile_pattern(pattern).fullmatch(path)
    assert (match.groupdict() if match else None) == groups


@given(st.lists(st.integers(0, 10**6), min_size=1), st.sampled_from(["acc_{}", "r{}/x", "{}"]))
def test_order_is_by_number(numbers, name):
    names = [name.format(number) for number in numbers]
    assert sorted(names, key=natural_key) == [name.format(number) for number in sorted(numbers)]


def test_fields_from_the_parts_of_a_name(tmp_path):
    for name in ("N_800_1", "N_800_5", "I_800_1"):
        (tmp_path / "Data" / name[:-2]).mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "Data" / name[:-2] / f"{name}.npy", SAMPLES)
    (tmp_path / "read me.txt").write_text("hello")
    options = yaml.safe_load("""
        files: "Data/{code}_{speed}/{code}_{speed}_{part:d}.npy"
        rate_hz: 20000
        fields:
          unit_id: "specimen {code}"
          condition: "{speed}rpm"
          run_id: "{code}_{speed}"
          fault: {from: code, values: {N: normal, I: inner}}
          speed_rpm: "{speed}"
          load_n: 40
    """)
    told = source(tmp_path, **options)
    read = list(told.recordings())
    assert [r.recording_id for r in read] == [
        f"Data.{name[:-2]}.{name}" for name in ("I_800_1", "N_800_1", "N_800_5")
    ]
    assert [(r.unit_id, r.condition, r.run_id, r.fault) for r in read[1:]] == [
        ("specimen N", "800rpm", "N_800", NORMAL)
    ] * 2
    file = "Data/N_800/N_800_5.npy"
    assert read[2].attributes == {"speed_rpm": "800", "load_n": "40", "file": file}
    assert told.notes == [
        "1 files match no rule of the rig and were left out (read me.txt: 1)",
    ]
    content = (tmp_path / file).read_bytes()
    assert told.files[file] == hashlib.sha256(content).hexdigest()
    assert len(told.files) == 3


def test_a_text_without_a_value_is_an_error(tmp_path):
    np.save(tmp_path / "uX.npy", SAMPLES)
    fault = {"from": "unit", "values": {"N": "normal"}}
    with pytest.raises(UserError, match=r"unit = 'X'[\s\S]*add `X: VALUE`"):
        only(tmp_path, "u{unit}.npy", fields={**FIELDS, "fault": fault})


def test_the_text_of_a_number_keeps_its_quotes_in_the_remedy(tmp_path):
    np.save(tmp_path / "u007.npy", SAMPLES)
    fault = {"from": "unit", "values": {"014": "medium"}}
    with pytest.raises(UserError) as caught:
        only(tmp_path, "u{unit}.npy", fields={**FIELDS, "fault": fault})
    assert "one of '014'" in str(caught.value)
    assert "add `'007': VALUE`" in str(caught.value)


def test_life_is_by_number_and_not_by_clock(tmp_path):
    for run, indices in {"1": (2, 10, 9), "2": (1, 4)}.items():
        for index in indices:
            np.save(tmp_path / f"u{run}_{index}.npy", SAMPLES)
    os.utime(tmp_path / "u1_10.npy", (0, 0))
    options = {"files": "u{unit}_{index}.npy", "time": {"from": "index", "first": 1, "step_s": 10}}

    def lives(failing):
        read = source(tmp_path, **options, ends_in_failure=failing).recordings()
        return [(r.run_id, r.time_s, r.life_s) for r in read]

    assert lives(True) == [
        ("1", 10, 90), ("1", 80, 90), ("1", 90, 90), ("2", 0, 30), ("2", 30, 30)
    ]  # fmt: skip
    assert [life for _, _, life in lives(["2"])] == [None, None, None, 30, 30]
    assert {life for _, _, life in lives(False)} == {None}
    with pytest.raises(UserError, match=r"names runs that there are not[\s\S]*3[\s\S]*of 1, 2"):
        lives(["2", "3"])


def test_a_table_gives_each_recording_its_own_rate_and_array(tmp_path):
    scipy.io.savemat(tmp_path / "1.mat", {"DE": SAMPLES[:, 0], "FE": SAMPLES[:, 1]})
    scipy.io.savemat(tmp_path / "2.mat", {"DE": SAMPLES[:, 2]})
    (tmp_path / "rig.csv").write_text(
        "\ufefffile,array,recording_id,unit_id,condition,run_id,fault,rate_hz,onset_s,note\n"
        '1.mat,FE,a,u1,c,r1,normal,48000,,"4 kN, dry"\n'
        "1.mat,DE,b,u1,c,r1,,12000,2.5,\n"
        "2.mat,,c,u2,c,r2,inner,unknown,,\n"
    )
    options = {"table": "rig.csv", "rate_hz": None, "fields": {"machine": "{unit_id}/{run_id}"}}
    told = source(tmp_path, **options)
    read = {r.recording_id: r for r in told.recordings()}
    assert [r.rate_hz for r in read.values()] == [48_000, 12_000, None]
    assert [r.fault for r in read.values()] == ["normal", None, "inner"]
    assert [r.onset_s for r in read.values()] == [None, 2.5, None]
    np.testing.assert_array_equal(read["a"].signal, SAMPLES[:, [1]])
    np.testing.assert_array_equal(read["c"].signal, SAMPLES[:, [2]])
    own = {"note": "4 kN, dry", "machine": "u1/r1", "file": "1.mat"}
    assert read["a"].attributes == own
    assert sorted(told.files) == ["1.mat", "2.mat"]
    assert "rig.csv: 1" in told.notes[0]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("unit_id,condition,run_id\nu,c,r\n", "needs a column `file`"),
        ("file,unit_id,unit_id\n1.npy,u,c\n", "each column once"),
        ("file,unit_id\n", "a line a recording"),
        ("file,unit_id,condition\n1.npy,u\n", "line 2[\\s\\S]*2 cells for 3 columns"),
        ("file,unit_id,condition,run_id\n1.npy,u,,r\n", "no condition[\\s\\S]*line 2"),
        ("file,unit_id,condition,run_id,rate_hz\n1.npy,u,c,r,fast\n", "rate_hz = 'fast'"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, table, message):
    np.save(tmp_path / "1.npy", SAMPLES)
    (tmp_path / "rig.csv").write_text(table)
    with pytest.raises(BadData, match=message):
        list(source(tmp_path, table="rig.csv", rate_hz=None, fields={}).recordings())


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"table of a rig is missing[\s\S]*rig\.csv"):
        list(source(tmp_path, table="rig.csv").recordings())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"table": "rig.csv"}, "not both"),
        ({"files": None}, "either `files`"),
        ({"files": "{unit"}, "write {name}"),
        ({"files": "{unit:f}"}, "write {name}"),
        ({"fields": {"unit_id": "{unit}"}}, "lacks condition, run_id"),
        ({"fields": {**FIELDS, "load": "{laod}"}}, "fields: load"),
        ({"time": {"from": "index", "step_s": 1}}, "`time` uses"),
        ({"ends_in_failure": True}, "needs `time`"),
        ({"rate_hz": 0}, "greater than 0"),
        ({"rate": 5}, "Extra inputs"),
        ({"fields": {**FIELDS, "rate_hz": "{unit}"}}, "and not both"),
    ],
)
def test_options_that_contradict_each_other(changes, message):
    options = {"path": ".", "files": "{unit}.npy", "fields": FIELDS, "rate_hz": 1.0}
    with pytest.raises(ValidationError, match=message):
        FolderOptions(**{**options, **changes})


def test_every_key_is_described():
    for name, field in FolderOptions.model_fields.items():
        assert field.description, name
        assert field.examples, name


def test_memory_is_that_of_one_recording(tmp_path):
    length = 1_000_000  # 4 MB
    for unit in range(8):
        np.save(tmp_path / f"u{unit}.npy", np.full(length, unit, np.float32))
    told = source(tmp_path, files="u{unit}.npy")
    tracemalloc.start()
    write_store(told.recordings(), tmp_path / "store", Heading("bench", "folder"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * 4 * length  # what the file holds, and its channels; no third recording


# -- the reference rigs ---------------------------------------------------------------------------


@pytest.fixture(scope="session")
def rig(data_root, tmp_path_factory):
    """The store of a rig of config/rigs, its YAML and its rows of the published list of files."""
    built = {}

    def get(name):
        if name not in built:
            options = yaml.safe_load((RIGS / f"{name}.yaml").read_text())
            told = FolderSource(FolderOptions(**options["folder"]), data_root, RIGS)
            folder = tmp_path_factory.mktemp(name)
            write_store(told.recordings(), folder, Heading(name, "folder"), told.provenance)
            top = options["folder"]["path"].split("/")[0]
            with (data_root / "MANIFEST.csv").open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if row["dataset"] == top]
            rows = [row for row in rows if row["label"] != "auxiliary"]
            prefix = options["folder"]["path"] + "/"
            built[name] = Store(folder), options, {r["file"].removeprefix(prefix): r for r in rows}
        return built[name]

    yield get
    for store, _, _ in built.values():
        store.close()


FAULTS = {
    "none": NORMAL,
    "ball": "ball",
    "inner_race": "inner",
    "outer_race": "outer",
    "outer_race @6": "outer",
    "gear_broken_tooth": "broken_tooth",
    "natural degradation (type not given)": "",
}
SHAPES = {
    "femto": (569, {2560}, {2}, {25_600.0}),
    "uestc": (16, {139_264, 262_144}, {1}, {20_000.0}),
    "cwru": (8, {243_938, 244_739, 243_538, 122_136, 121_556, 121_410, 120_801}, {1}, {12e3, 48e3}),
    "hit_sm": (10, {262_144}, {1}, {51_200.0}),
    "gfd": (6, {88_832, 99_840, 106_752, 88_320, 95_488, 105_728}, {4}, {None}),
}


@pytest.mark.fast_cases("uestc", "cwru", "hit_sm", "gfd")
@pytest.mark.parametrize("name", SHAPES)
def test_a_rig_is_what_its_publisher_lists(rig, name):
    store, options, listed = rig(name)
    count, lengths, channels, rates = SHAPES[name]
    table = store.table.set_index("file")
    assert len(table) == count == len(listed)
    assert set(table["length"]) == lengths
    assert set(table["channels"]) == channels
    assert {None if np.isnan(rate) else rate for rate in table["rate_hz"]} == rates
    assert store.manifest.files == {file: row["sha256"] for file, row in listed.items()}
    for file, row in listed.items():
        read = table.loc[file]
        assert read["length"] == int(row["samples"])
        assert not row["rate_hz"] or read["rate_hz"] == float(row["rate_hz"])
        assert read["fault"] == FAULTS[row["fault_type"]]
        assert read.get("speed_rpm", "") == row["rpm"]
    keys = {"source", "folder", "unit", "amplitude_comparable", "description"}
    assert set(options) - {"geometry"} == keys
    assert options["source"] == "folder"
    assert options["amplitude_comparable"] == (name == "femto")


def direct(path, row):
    """The samples of a file by another way than the project's."""
    if path.suffix == ".mat":
        held = scipy.io.loadmat(path)
        key = row["channels"].partition("key ")[2].rstrip(")")
        return held[key or next(name for name in held if name.endswith("DE_time"))]
    sep = ";" if "';'" in row["note"] else ","
    if path.suffix == ".gz":
        return np.loadtxt(gzip.open(path, "rt"), delimiter=sep, skiprows=1)
    return np.loadtxt(path, delimiter=sep, usecols=(4, 5))


@pytest.mark.fast_cases("uestc", "cwru", "hit_sm")
@pytest.mark.parametrize("name", SHAPES)
def test_the_samples_of_a_rig_are_those_of_its_files(rig, data_root, name):
    store, _, listed = rig(name)
    table = store.table
    for index in np.linspace(0, len(table) - 1, 6).astype(int):
        row = listed[table["file"][index]]
        expected = direct(data_root / row["file"], row).astype(np.float32)
        read = store.read(table["recording_id"][index], 0, table["length"][index])
        np.testing.assert_array_equal(read, expected)


@pytest.mark.slow
def test_femto_lives(rig):
    store, _, listed = rig("femto")
    table = store.table
    assert store.manifest.notes == [
        "12 files match no rule of the rig and were left out (temp_*.csv: 12)"
    ]
    for _, row in table.iterrows():
        published = listed[row["file"]]
        assert row["life_s"] - row["time_s"] == float(published["rul_s"])
        assert row["run_id"] == row["unit_id"] == published["run_id"]
        assert row["load"] == published["load"]
    assert table["unit_id"].nunique() == 9
    assert sorted(set(table["condition"])) == ["1500rpm_5000N", "1650rpm_4200N", "1800rpm_4000N"]
    for _, run in table.groupby("run_id", sort=False):
        assert run["time_s"].is_monotonic_increasing
        assert run["time_s"].iloc[-1] == run["life_s"].iloc[0]
    parts = {"train": "Learning_set", "test": "Full_Test_Set"}
    hints = [parts[listed[file]["split_hint"]] for file in table["file"]]
    assert list(table["official_part"]) == hints


def test_units_runs_and_conditions_of_the_classified_rigs(rig):
    counts = {"uestc": (4, 12, 3), "cwru": (5, 8, 3), "hit_sm": (5, 10, 2), "gfd": (2, 6, 3)}
    for name, expected in counts.items():
        table = rig(name)[0].table
        found = tuple(table[key].nunique() for key in ("unit_id", "run_id", "condition"))
        assert found == expected, name
    uestc = rig("uestc")[0].table
    assert set(uestc.groupby("run_id").size()) == {1, 2}  # parts of one recording share a run
    severities = rig("hit_sm")[0].table["severity"]
    assert dict(Counter(severities)) == {"none": 2, "2deg": 4, "8deg": 4}


def test_cwru_speeds_are_those_of_its_files(rig, data_root):
    store, options, _ = rig("cwru")
    for _, row in store.table.iterrows():
        held = scipy.io.loadmat(data_root / options["folder"]["path"] / row["file"])
        stated = [int(value.item()) for key, value in held.items() if key.endswith("RPM")]
        assert stated in ([], [int(row["speed_rpm"])])


def test_a_clock_is_no_channel_unless_one_says_so(tmp_path):
    rng = np.random.default_rng(0)
    time = np.arange(20_000) / 25_600
    (tmp_path / "rig").mkdir()
    np.savetxt(
        tmp_path / "rig" / "u1.csv",
        np.column_stack([time, rng.standard_normal((20_000, 2))]),
        delimiter=",",
        header="time,x,y",
        comments="",
    )
    fields = {"unit_id": "{unit}", "condition": "c", "run_id": "{unit}"}
    given = {"path": "rig", "files": "{unit}.csv", "rate_hz": 25600, "fields": fields}

    def channels(**keys):
        options = FolderOptions.model_validate(given | keys)
        (recording,) = FolderSource(options, tmp_path, tmp_path).recordings()
        return recording.signal.shape[1]

    with pytest.raises(BadData, match="column 0") as caught:
        channels()
    assert "time_column: 0" in str(caught.value)
    assert channels(time_column="time") == channels(time_column=0) == 2
    assert channels(channels=[0, 1, 2]) == 3
    assert channels(channels=["x"]) == 1


@given(st.integers(0, 2**32 - 1), st.sampled_from([64, 100, 5000]), st.booleans())
@examples(50)
def test_what_was_measured_is_no_clock(seed, length, drifts):
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((length, 2)) * 10.0 ** rng.integers(-6, 6)
    if drifts:  # a drift of ten deviations over the whole
        signal += np.linspace(0, 10 * signal.std(), length)[:, None]
    _refuse_time(Path("x.csv"), Content(signal.astype(np.float32)))
    constant = np.full((length, 1), rng.standard_normal(), np.float32)
    _refuse_time(Path("x.csv"), Content(constant))
