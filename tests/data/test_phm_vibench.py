"""Files of PHM-Vibench: what is read how, and the line of the report for each defect."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from workflow_src.configuration.phm_vibench import PhmVibenchOptions
from workflow_src.configuration.schema import Rig
from workflow_src.configuration.simulated import SimulatedOptions
from workflow_src.data.prepare import prepare_rig
from workflow_src.data.recordings import NORMAL, Recording
from workflow_src.data.sources.phm_vibench import PhmVibenchSource
from workflow_src.data.sources.phm_vibench.table import flag, number, whole
from workflow_src.data.sources.simulated import simulate
from workflow_src.errors import BadData, UserError

from .. import phm_vibench_files as files

RNG = np.random.default_rng(0)
RUNS = {
    "files": ["{unit}/{unit}_{index:d}"],
    "fields": {"unit_id": "{unit}", "run_id": "{unit}", "condition": "{Domain_description}"},
    "time": {"from": "index", "first": 0, "step_s": 10},
}


def recording(name: str, fault: str | None, channels: int = 1, **labels: Any) -> Recording:
    signal = RNG.standard_normal((50, channels)).astype(np.float32)
    own = {"unit_id": name.rpartition("_")[0], "condition": "slow", "run_id": name, **labels}
    kinds = ("vibration",) * channels
    return Recording(name, signal=signal, channel_kinds=kinds, rate_hz=10_000.0, fault=fault, **own)


def run_to_failure(unit: str = "b1", count: int = 5, **labels: Any) -> list[Recording]:
    """Snapshots of one run: normal, then without a class, at last failing."""
    stages = [NORMAL] + [None] * (count - 2) + ["failing"]
    life = {"life_s": 10.0 * (count - 1), "run_id": unit, **labels}
    return [
        recording(f"{unit}_{k}", stage, time_s=10.0 * k, **life) for k, stage in enumerate(stages)
    ]


FAULTS = [recording("n_0", NORMAL), recording("i_0", "inner"), recording("i_1", "inner")]


def source(root: Path, written: Any, **options: Any) -> PhmVibenchSource:
    given = {"path": written.path.name, "metadata": written.metadata.name, "dataset_ids": [99]}
    return PhmVibenchSource(PhmVibenchOptions.model_validate({**given, **options}), root)


def read(root: Path, recordings: list[Recording], *defects: str, **options: Any) -> Any:
    """The recordings that come out, and the source with its report."""
    written = files.write_files(root, recordings, defects=defects)
    made = source(root, written, **options)
    return list(made.recordings()), made


# -- arrays and table ------------------------------------------------------------------------------


@pytest.mark.fast_cases("*float32", "*int16")
@pytest.mark.parametrize("dtype", ["float64", "float32", "int16", "uint8", "int64"])
@pytest.mark.parametrize("shape", files.SHAPES)
def test_any_shape_and_type_of_array(tmp_path: Path, shape: str, dtype: str) -> None:
    channels = 1 if shape == "(L,)" else 3
    whole_numbers = np.arange(40 * channels, dtype=np.float32).reshape(40, channels)
    one = Recording("a", "u", "c", "r", whole_numbers, ("vibration",) * channels, 1e4, NORMAL)
    written = files.write_files(tmp_path, [one], shape=shape, dtype=dtype)
    made = source(tmp_path, written)
    (found,) = made.recordings()
    np.testing.assert_array_equal(found.signal, whole_numbers)
    assert found.signal.dtype == np.float32
    assert made.report.lines == []


@pytest.mark.parametrize(
    ("table", "encoding"),
    [("m.xlsx", ""), ("m.csv", "utf-8"), ("m.csv", "utf-8-sig"), ("m.csv", "gbk")],
)
def test_the_table_is_read_whatever_its_form(tmp_path: Path, table: str, encoding: str) -> None:
    recordings = [recording("n_0", NORMAL, condition="转速 35Hz"), recording("i_0", "内圈")]
    written = files.write_files(tmp_path, recordings, table=table, encoding=encoding)
    made = source(tmp_path, written)
    found = list(made.recordings())
    assert [r.fault for r in found] == [NORMAL, "内圈"]
    assert found[0].condition == "转速 35Hz"
    assert made.report.lines == []
    assert list(made.files) == [table]


def test_a_table_of_no_known_encoding_is_an_error(tmp_path: Path) -> None:
    written = files.write_files(tmp_path, FAULTS, table="m.csv")
    written.metadata.write_bytes(written.metadata.read_bytes() + b"\xff\xff\xff")
    with pytest.raises(BadData, match="neither UTF-8 nor GBK"):
        list(source(tmp_path, written).recordings())


def test_one_of_two_datasets_in_a_file(tmp_path: Path) -> None:
    written = files.write_files(tmp_path, FAULTS, defects=["second dataset"])
    for ids, names in (
        ([99], ["100", "101", "102"]),
        ([100], ["5100", "5101", "5102"]),
        ([99, 100], ["100", "101", "102", "5100", "5101", "5102"]),
    ):
        made = source(tmp_path, written, dataset_ids=ids)
        assert [r.recording_id for r in made.recordings()] == names
        assert made.report.lines == []  # records of the other one are known, not orphans
    with pytest.raises(UserError, match=r"Dataset_id 7\.[\s\S]*Dataset_id 99, 100"):
        list(source(tmp_path, written, dataset_ids=[7]).recordings())


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    written = files.write_files(tmp_path, FAULTS)
    for key, text in (("path", "file of PHM-Vibench is missing"), ("metadata", "metadata table")):
        with pytest.raises(UserError, match=text):
            list(source(tmp_path, written, **{key: "nothing.csv"}).recordings())
    options = {"path": "a.h5", "metadata": "m.csv", "dataset_ids": [1]}
    with pytest.raises(UserError, match="PHM_DATA_ROOT"):
        PhmVibenchSource(PhmVibenchOptions.model_validate(options), None)
    written.path.write_bytes(b"no HDF5")
    with pytest.raises(BadData, match="damaged"):
        list(source(tmp_path, written).recordings())


def test_one_record_is_in_memory_at_a_time(tmp_path: Path) -> None:
    big = np.zeros((200_000, 1), np.float32)
    made = [Recording(n, "u", "c", n, big, ("vibration",), 10.0, NORMAL) for n in "abcdef"]
    taken = source(tmp_path, files.write_files(tmp_path, made)).recordings()
    assert next(taken).signal.nbytes == 800_000
    tracemalloc.start()
    count = sum(1 for _ in taken)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 5
    assert peak < 4_500_000  # one array of float64, its float32 and the recording before it


# -- defects ---------------------------------------------------------------------------------------

LEFT_OUT = "left out"
LINES = {
    "text instead of numbers": "1 x a record that holds no numbers: left out",
    "zero channels": "1 x a record with zero channels: left out",
    "zero samples": "1 x a record with zero samples: left out",
    "four dimensions": "1 x a record whose shape is not (L,), (L, C) or (L, C, 1): left out",
    "not finite": "1 x a record with samples that are not finite: left out",
    "record without row": "1 x a record without a row in the table: left out",
    "row without record": "1 x a row without a record in the file: left out",
    "odd flag": "1 x a flag that is neither yes nor no: read as empty",
    "wrong length": "1 x a wrong Sample_lenth: the array decides",
    "wrong channels": "1 x a wrong Channel: the array decides",
    "no length": "1 x a record whose Sample_lenth the table does not say: taken from the array",
    "no rate": "1 x a Sample_rate that is no rate: unknown; give `rates_hz:` or the field "
    "`rate_hz`",
    "rate of zero": "1 x a Sample_rate that is no rate: unknown; give `rates_hz:` or the field "
    "`rate_hz`",
    "rate in kilohertz": "1 x a Sample_rate that is not plausible: used; `rates_hz:` corrects it, "
    "where it is in kilohertz",
    "degrading": "1 x a record that is degrading (Label -1): no class; the record serves "
    "forecasts and the remaining life",
    "no label": "1 x a record without a Label: no class",
    "half a label": "1 x a Label that is no whole number: no class",
    "label below -1": "1 x a Label below -1: no class",
    "label without flags": "1 x a Label although neither Fault_Diagnosis nor Anomaly_Detection "
    "is set: no class",
    "hidden": "1 x a row that is not visible (Visiable 0): left out",
    "id twice": "1 x an Id in two rows: the first row counts",
    "no id": "1 x a row without an Id: left out",
    "two descriptions": "1 x several Label_Descriptions of one Label: the most frequent names it",
    "shared description": "1 x one Label_Description of several Labels: numbered",
    "constant life": "1 x RUL_label is the same in every row: no remaining life: a constant says "
    "nothing",
    "mixed flags": None,
    "second dataset": None,
}
LINES_OF_LIVES = {
    "life without flag": "1 x a RUL_label although Remaining_Life is not set: no remaining life",
    "life above 1": "1 x a RUL_label outside of 0 to 1: ignored",
    "constant life": "1 x RUL_label is the same in a whole run: no remaining life",
    "wrong life": "1 x a RUL_label that contradicts the time of the snapshot: the time decides",
    "cut run": "1 x a run whose RUL_label does not fall to 0 at its end: no remaining life: its "
    "failure was not seen",
}


@pytest.mark.fast_cases("[a-l]*")
@pytest.mark.parametrize("defect", sorted(LINES))
def test_a_defect_gives_its_line(tmp_path: Path, defect: str) -> None:
    found, made = read(tmp_path, FAULTS, defect)
    line = LINES[defect]
    orphan = "1 x a record without a row in the table: left out"
    more = [orphan] if defect == "no id" else []  # its record has lost its row
    assert made.report.lines == ([line] if line else []) + more
    left_out = line is not None and LEFT_OUT in line and defect != "record without row"
    assert len(found) == len(FAULTS) - left_out


@pytest.mark.parametrize("defect", sorted(LINES_OF_LIVES))
def test_a_defect_of_lives_gives_its_line(tmp_path: Path, defect: str) -> None:
    _, made = read(tmp_path, run_to_failure(), defect, labels="unit", **RUNS)
    degrading = "a record that is degrading"
    lines = [line for line in made.report.lines if degrading not in line]
    assert lines[:1] == [LINES_OF_LIVES[defect]]


def test_each_defect_of_the_writer_is_tested() -> None:
    tested = {*LINES, *LINES_OF_LIVES, "one domain"}
    assert set(files.DEFECTS) == tested


def test_conditions_under_one_domain_are_told_apart_by_the_description(tmp_path: Path) -> None:
    made = [recording("a_0", NORMAL, condition="35Hz12kN"), recording("b_0", "x", condition="40Hz")]
    found, told = read(tmp_path, made, "one domain")
    assert [r.condition for r in found] == ["35Hz12kN", "40Hz"]
    assert [r.attributes["domain_id"] for r in found] == ["0", "0"]
    assert "several conditions under one Domain_id" in told.report.text("r", 2)
    assert "35Hz12kN, 40Hz" in told.report.text("r", 2)


def test_all_defects_at_once_still_leave_what_is_sound(tmp_path: Path) -> None:
    many = [recording(f"u{k}_0", NORMAL if k % 2 else "inner") for k in range(6)]
    found, made = read(
        tmp_path, many, "zero channels", "record without row", "wrong length", "mixed flags"
    )
    assert [r.recording_id for r in found] == ["101", "102", "103", "104", "105"]
    text = made.report.text("rig", len(found))
    assert "- Id 100: shape (600, 0, 1)" in text
    assert "- record 9999" in text


def test_a_rate_for_an_id_that_there_is_not_is_reported(tmp_path: Path) -> None:
    _, made = read(tmp_path, run_to_failure(), rates_hz={"7000": 48000.0})
    assert "1 x a rate under `rates_hz` without its row: of no effect" in made.notes


def test_snapshots_of_one_time_have_no_life() -> None:
    from workflow_src.data.report import DataReport
    from workflow_src.data.sources.phm_vibench.lives import _life

    rows: Any = [SimpleNamespace(id="1", rul=0.0), SimpleNamespace(id="2", rul=1.0)]
    report = DataReport()
    assert _life("b1", rows, {"1": 0.0, "2": 0.0}, report) is None
    assert ["snapshots all have one time" in line for line in report.lines] == [True]


# -- labels ----------------------------------------------------------------------------------------


def test_a_degrading_record_has_no_class_but_a_remaining_life(tmp_path: Path) -> None:
    found, made = read(tmp_path, run_to_failure(), labels="unit", **RUNS)
    assert [r.fault for r in found] == [NORMAL, None, None, None, "failing"]
    assert [r.time_s for r in found] == [0, 10, 20, 30, 40]
    assert {r.life_s for r in found} == {40.0}
    assert any("proxy" in note for note in made.notes)


def test_numbers_of_bearings_are_no_faults(tmp_path: Path) -> None:
    both = run_to_failure("b1") + run_to_failure("b2", 3)
    found, _ = read(tmp_path, both, labels="unit", **RUNS)
    assert {r.fault for r in found} == {NORMAL, None, "failing"}
    assert {r.unit_id for r in found} == {"b1", "b2"}
    without, made = read(tmp_path, both, labels="none", **RUNS)
    assert {r.fault for r in without} == {None}
    assert not any("proxy" in note for note in made.notes)


def test_classes_are_named_by_the_table_by_number_or_by_the_rig(tmp_path: Path) -> None:
    found, _ = read(tmp_path, FAULTS)
    assert [r.fault for r in found] == [NORMAL, "inner", "inner"]
    nameless = [r.__class__(**{**r.__dict__, "fault": r.fault}) for r in FAULTS]
    written = files.write_files(tmp_path, nameless, table="m.csv")
    text = written.metadata.read_text().replace(",inner,", ",,")
    written.metadata.write_text(text)
    assert [r.fault for r in source(tmp_path, written).recordings()] == [
        NORMAL,
        "fault_1",
        "fault_1",
    ]
    lookup = {"fault": {"from": "Label", "values": {"0": NORMAL, "1": "inner race"}}}
    named = source(tmp_path, written, fields=lookup)
    assert [r.fault for r in named.recordings()] == [NORMAL, "inner race", "inner race"]
    short = {"fault": {"from": "Label", "values": {"0": NORMAL}}}
    with pytest.raises(UserError, match=r"add `'1': VALUE`"):
        list(source(tmp_path, written, fields=short).recordings())


def test_a_lookup_need_not_know_what_is_no_class(tmp_path: Path) -> None:
    lookup = {"fault": {"from": "Label", "values": {"0": NORMAL, "1": "inner"}}}
    for defect in ("degrading", "no label", "half a label", "label below -1"):
        found, _ = read(tmp_path / defect, FAULTS, defect, fields=lookup)
        assert [r.fault for r in found] == [None, "inner", "inner"]


def test_a_constant_label_of_life_is_none_whatever_the_flag_says(tmp_path: Path) -> None:
    found, made = read(tmp_path / "unflagged", FAULTS)
    assert {r.life_s for r in found} == {None}
    assert made.report.lines == []  # 0 in every row, and no flag: nothing disagrees
    found, made = read(tmp_path / "flagged", FAULTS, "constant life")
    assert {r.life_s for r in found} == {None}
    assert "RUL_label 0 in 3 rows" in made.report.text("r", 3)


WORDS = st.sampled_from(["1", "1.0", "TRUE", "True", '"TRUE"', "yes", "0", "0.0", "FALSE", "no"])


@given(WORDS, st.sampled_from(["", " ", "  "]))
def test_a_flag_says_the_same_in_each_spelling(word: str, space: str) -> None:
    said = flag(space + word + space)
    assert said is (word.strip('"').lower() in ("1", "1.0", "true", "yes"))
    assert flag(space + word.lower()) is said


@given(st.text(max_size=6))
def test_no_other_text_is_a_flag(text: str) -> None:
    said = flag(text)
    bare = text.strip().strip("\"'").lower()
    assert (said is None) is (bare not in ["1", "1.0", "true", "yes", "0", "0.0", "false", "no"])


@given(st.integers(-(10**9), 10**9))
def test_whole_numbers_survive_a_spreadsheet(value: int) -> None:
    for text in (str(value), f"{value}.0", f"{float(value)!r}"):
        assert whole(text) == value
    assert whole(f"{value}.5") is None


@given(st.sampled_from(["", "nan", "inf", "-inf", "text", "1e999"]))
def test_what_is_no_finite_number_is_none(text: str) -> None:
    assert number(text) is None


@given(
    st.lists(
        st.tuples(st.sampled_from([-2, -1, 0, 1, 2, None]), st.booleans(), st.booleans()),
        min_size=1,
        max_size=8,
    )
)
def test_a_class_needs_a_label_and_a_flag(rows: list[tuple[int | None, bool, bool]]) -> None:
    from workflow_src.data.report import DataReport
    from workflow_src.data.sources.phm_vibench.labels import faults
    from workflow_src.data.sources.phm_vibench.table import MetadataRow

    made = [
        MetadataRow(
            id=str(k),
            cells={"Label": "" if label is None else str(label)},
            label=label,
            rul=None,
            rate_hz=None,
            length=None,
            channels=None,
            flags={"Fault_Diagnosis": diagnosis, "Anomaly_Detection": anomaly},
        )
        for k, (label, diagnosis, anomaly) in enumerate(rows)
    ]
    options = PhmVibenchOptions(path="p", metadata="m", dataset_ids=[1])
    report = DataReport()
    found = faults(made, {}, options, report)
    for row in made:
        flagged = row.flags["Fault_Diagnosis"] or row.flags["Anomaly_Detection"]
        has_class = row.label is not None and row.label >= 0 and flagged
        assert (found[row.id] is not None) is has_class
        assert not has_class or (found[row.id] == NORMAL) is (row.label == 0)
    silent = sum(value is None for value in found.values())
    assert sum(len(of) for of in report.kinds.values()) == silent  # nothing is masked in silence


# -- lives -----------------------------------------------------------------------------------------


def test_snapshots_without_a_number_are_counted(tmp_path: Path) -> None:
    counted = {**RUNS, "time": {"step_s": 600}}
    found, made = read(tmp_path, run_to_failure(), labels="unit", **counted)
    assert [r.time_s for r in found] == [0, 600, 1200, 1800, 2400]
    assert {r.life_s for r in found} == {2400.0}
    assert "RUL_label" not in "".join(made.report.lines)


def test_the_spacing_survives_records_that_are_left_out(tmp_path: Path) -> None:
    counted = {**RUNS, "time": {"step_s": 600}}
    found, _ = read(tmp_path, run_to_failure(), "zero channels", labels="unit", **counted)
    assert [r.time_s for r in found] == [600, 1200, 1800, 2400]
    assert {r.life_s for r in found} == {2400.0}


@pytest.mark.slow
def test_the_life_is_that_of_the_simulated_run(tmp_path: Path) -> None:
    options = SimulatedOptions(kind="run_to_failure", units_per_class=3, samples=256)
    simulated = list(simulate(options))
    found, made = read(tmp_path, simulated, **{**RUNS, "time": {"step_s": 300}})
    by_run: dict[str, list[Recording]] = {}
    for one in found:
        by_run.setdefault(one.run_id, []).append(one)
    for run, members in by_run.items():
        assert members[-1].time_s == members[0].life_s == 300.0 * (len(members) - 1)
        assert len(members) == sum(r.run_id == run for r in simulated)
    assert made.report.lines == []


def test_lives_that_the_rig_does_not_time_are_reported(tmp_path: Path) -> None:
    found, made = read(tmp_path, run_to_failure(), labels="unit")
    assert {r.life_s for r in found} == {None}
    assert "1 x RUL_label is given, but the rig has no `time:`: no remaining life" in (
        made.report.lines
    )


def test_only_the_failing_bearing_has_a_life(tmp_path: Path) -> None:
    snapshots = []
    for one in run_to_failure("t1"):
        signal = RNG.standard_normal((50, 4)).astype(np.float32)
        snapshots.append(
            one.__class__(**{**one.__dict__, "signal": signal, "channel_kinds": ("vibration",) * 4})
        )
    bearings = [
        {"name": "bearing1", "run": "t1", "channels": [0], "fails": False},
        {"name": "bearing3", "run": "t1", "channels": [2], "fails": True},
    ]
    found, _ = read(tmp_path, snapshots, labels="unit", bearings=bearings, **RUNS)
    assert len(found) == 10
    healthy = [r for r in found if r.unit_id == "t1_bearing1"]
    failing = [r for r in found if r.unit_id == "t1_bearing3"]
    assert {r.life_s for r in healthy} == {None}
    assert {r.life_s for r in failing} == {40.0}
    assert [r.fault for r in healthy] == [NORMAL, None, None, None, None]
    assert [r.fault for r in failing] == [NORMAL, None, None, None, "failing"]
    np.testing.assert_array_equal(failing[0].signal, snapshots[0].signal[:, [2]])
    assert {r.run_id for r in failing} == {"t1_bearing3"}
    others = [*snapshots, recording("t2_0", NORMAL, channels=4, run_id="t2")]
    more, made = read(tmp_path, others, labels="unit", bearings=bearings, **RUNS)
    assert len(more) == 10
    assert "1 x a record of a run of which `bearings` names none: left out" in made.report.lines
    with pytest.raises(UserError, match="no channel 7"):
        read(tmp_path, snapshots, bearings=[{**bearings[0], "channels": [7]}], **RUNS)
    with pytest.raises(UserError, match=r"a run that there is not[\s\S]*t1"):
        read(tmp_path, snapshots, bearings=[{**bearings[0], "run": "t9"}], **RUNS)


# -- keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"channels": [0], "bearings": [{"name": "b", "run": "r", "channels": [0], "fails": True}]},
         "not both"),
        ({"time": {"step_s": 1}}, "needs the field `run_id`"),
        ({"time": {"step_s": 1, "first": 0}, "fields": {"run_id": "r"}}, "without `from`"),
        ({"time": {"from": "k", "step_s": 1}, "fields": {"run_id": "r"}}, "counts by `k`"),
        ({"fields": {"unit_id": "{nothing}"}}, "uses `nothing`"),
        ({"labels": "unit", "fields": {"fault": "x"}}, "contradict"),
        ({"fields": {"time_s": "{Domain_id}"}}, "No field sets `time_s`"),
        ({"files": ["{a-b}"]}, "no pattern"),
        ({"files": ["{a}/{b}", "{a}/txt/{c}"]}, "differ in their names"),
    ],
)  # fmt: skip
def test_keys_that_contradict_each_other(keys: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        PhmVibenchOptions.model_validate({"path": "p", "metadata": "m", "dataset_ids": [1], **keys})


def test_what_the_dry_run_passes_on_is_what_was_read() -> None:
    keys = {"path": "p", "metadata": "m", "dataset_ids": [1], "copy": True, **RUNS}
    rig = {"source": "phm_vibench", "unit": "g", "amplitude_comparable": False}
    first = Rig.model_validate({**rig, "phm_vibench": keys})
    dumped = json.loads(json.dumps(first.model_dump(exclude_none=True, by_alias=True)))
    assert Rig.model_validate(dumped) == first


# -- the report ------------------------------------------------------------------------------------


def test_every_source_writes_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    simulated = {"kind": "bearing", "units_per_class": 3, "samples": 512, "speeds_rpm": [1500]}
    plain = {"unit": "g", "amplitude_comparable": True, "source": "simulated"}
    part = {"rig": {**plain, "simulated": simulated}, "table": None}
    prepare_rig("a", part, description="", data_root=None, config_folder=tmp_path)
    text = (tmp_path / "data/a/data-report.md").read_text(encoding="utf-8")
    assert "No disagreement." in text
    written = files.write_files(tmp_path, FAULTS, defects=["wrong length"])
    options = {"path": written.path.name, "metadata": "metadata.xlsx", "dataset_ids": [99]}
    part["rig"] = {**plain, "source": "phm_vibench", "phm_vibench": options}
    prepare_rig("b", part, description="", data_root=tmp_path, config_folder=tmp_path)
    text = (tmp_path / "data/b/data-report.md").read_text(encoding="utf-8")
    assert "| a wrong Sample_lenth | 1 | the array decides |" in text
    assert "- Id 100: table 77, array 50" in text
    manifest = json.loads((tmp_path / "data/b/manifest.json").read_text(encoding="utf-8"))
    assert manifest["notes"] == ["1 x a wrong Sample_lenth: the array decides"]
    with h5py.File(tmp_path / "data/b/recordings.h5") as file:
        link = file["recordings"].get("100", getlink=True)
        assert Path(link.filename) == written.path
