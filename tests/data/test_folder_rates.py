"""A rate is that of a file that can be believed, or that of a rig which may overrule it."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.io
import yaml
from nptdms import ChannelObject, RootObject, TdmsWriter
from scipy.io import wavfile

from workflow_src.configuration.data import Rig
from workflow_src.data.inspection import inspect
from workflow_src.data.sources.folder import FolderOptions, FolderSource
from workflow_src.errors import BadData

FIELDS = {"unit_id": "{unit}", "condition": "c", "run_id": "{unit}"}
SIGNAL = np.random.default_rng(0).standard_normal(1000).astype(np.float32)


def rate(root: Path, ending: str, **options: object) -> tuple[float | None, list[str]]:
    given = {"path": ".", "files": "u{unit}" + ending, "rate_hz": "unknown", "fields": FIELDS}
    source = FolderSource(FolderOptions.model_validate({**given, **options}), root, root)
    (read,) = source.recordings()
    np.testing.assert_array_equal(read.signal[:, 0], SIGNAL)
    return read.rate_hz, source.notes


def refused(root: Path, ending: str, *texts: str, **options: object) -> str:
    with pytest.raises(BadData) as caught:
        rate(root, ending, **options)
    for text in (f"u1{ending}", *texts):
        assert text in str(caught.value), caught.value
    return str(caught.value)


def write(root: Path, ending: str, stated: object) -> None:
    path = root / f"u1{ending}"
    if ending == ".h5":
        with h5py.File(path, "w") as file:
            file["x"] = SIGNAL
            file["x"].attrs["fs"] = stated
    elif ending == ".mat":
        scipy.io.savemat(path, {"x": SIGNAL, "rate": stated})
    elif ending == ".npz":
        np.savez(path, x=SIGNAL, fs=stated)
    elif ending == ".wav":
        wavfile.write(path, int(stated), SIGNAL)
    elif ending == ".tdms":
        step = {"wf_increment": 1 / float(stated)}
        with TdmsWriter(path) as file:
            file.write_segment([ChannelObject("g", "a", SIGNAL, properties=step)])
    else:
        table = pa.Table.from_pandas(pd.DataFrame({"x": SIGNAL}), preserve_index=False)
        pq.write_table(table.replace_schema_metadata({"sampling_rate": str(stated)}), path)


ENDINGS = [".h5", ".mat", ".npz", ".wav", ".tdms", ".parquet"]
TEXT_ENDINGS = [".h5", ".npz", ".parquet"]

# -- what a file states ---------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_plausible_rate_is_used(tmp_path, ending):
    write(tmp_path, ending, 25_600)
    assert rate(tmp_path, ending)[0] == 25_600
    assert rate(tmp_path, ending, rate_hz=25_600)[0] == 25_600


@pytest.mark.parametrize("stated", [1, 25])
@pytest.mark.parametrize("ending", ENDINGS)
def test_an_implausible_rate_is_questioned_and_can_be_overruled(tmp_path, ending, stated):
    """1: what TDMS holds where nobody set it; 25: of the shaft, or kilohertz."""
    write(tmp_path, ending, stated)
    said = refused(tmp_path, ending, f"{stated} Hz", "not plausible", "1000 to 2e+06 Hz")
    confirmed, corrected = re.findall(r"`(rate_hz: \w+)`", said)
    assert rate(tmp_path, ending, **yaml.safe_load(confirmed))[0] == stated
    corrected = yaml.safe_load(corrected.replace("NUMBER", "25600"))
    assert rate(tmp_path, ending, **corrected, ignore_stated_rate=True)[0] == 25_600
    assert rate(tmp_path, ending, ignore_stated_rate=True)[0] is None


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_rate_that_contradicts_the_rig_is_refused_with_both_ways_out(tmp_path, ending):
    write(tmp_path, ending, 44_100)
    said = refused(tmp_path, ending, "contradicts", "44100 Hz", "25600 Hz", rate_hz=25_600)
    file, rig = re.findall(r"`(rate_hz: \w+)`", said)
    assert rate(tmp_path, ending, **yaml.safe_load(file))[0] == 44_100
    (key,) = re.findall(r"`(ignore_stated_rate: \w+)`", said)
    assert rate(tmp_path, ending, **yaml.safe_load(rig), **yaml.safe_load(key))[0] == 25_600


@pytest.mark.parametrize("ending", TEXT_ENDINGS)
@pytest.mark.parametrize(
    "text",
    ["25600", "25600.0", "2.56e4", "25600 Hz", "25600Hz", "25.6 kHz", "0.0256 MHz", "25.6kS/s"],
)
def test_a_text_with_a_unit_is_a_rate(tmp_path, ending, text):
    write(tmp_path, ending, text)
    assert rate(tmp_path, ending)[0] == pytest.approx(25_600, rel=1e-12)


@pytest.mark.parametrize("ending", TEXT_ENDINGS)
@pytest.mark.parametrize(
    "text", ["fast", "25,600 Hz", "25.600.000", "0", "-25600", "nan", "inf", ""]
)
def test_a_text_that_is_no_rate_is_named_and_can_be_ignored(tmp_path, ending, text):
    write(tmp_path, ending, text)
    said = refused(tmp_path, ending, "states a sampling rate that is none", repr(text)[1:-1])
    assert "damaged" not in said
    keys = {"rate_hz": 25_600, "ignore_stated_rate": True}
    assert rate(tmp_path, ending, **keys)[0] == 25_600


def test_thousands_of_a_german_text_are_questioned(tmp_path):
    write(tmp_path, ".h5", "25.600 Hz")
    refused(tmp_path, ".h5", "25.6 Hz", "a dot for thousands?")
    refused(tmp_path, ".h5", "25.6 Hz", "contradicts", rate_hz=25_600)


@pytest.mark.parametrize("ending", [".h5", ".mat", ".npz"])
@pytest.mark.parametrize("stated", [0.0, -1.0, np.nan, np.inf])
def test_a_number_that_is_no_rate_is_named(tmp_path, ending, stated):
    write(tmp_path, ending, stated)
    for given in ("unknown", 25_600):
        refused(tmp_path, ending, "states a sampling rate that is none", rate_hz=given)


def test_a_rate_for_each_channel_must_be_one(tmp_path):
    write(tmp_path, ".h5", [25_600.0, 25_600.0])
    assert rate(tmp_path, ".h5")[0] == 25_600
    write(tmp_path, ".h5", [25_600.0, 12_800.0])
    refused(tmp_path, ".h5", "states a sampling rate that is none", "12800")


def in_groups(root: Path, stated: dict[str, object]) -> None:
    """Rates by their paths, attributes behind an `@`, and the array `a/x`."""
    with h5py.File(root / "u1.h5", "w") as file:
        file["a/x"] = SIGNAL
        for name, value in stated.items():
            owner, is_attribute, key = name.rpartition("@")
            if is_attribute:
                file.require_group(owner or "/").attrs[key] = value
            else:
                file[name] = value


OTHER = {"b/x": SIGNAL[::2], "b/fs": 2e4}


@pytest.mark.parametrize(
    ("stated", "right"),
    [
        ({"a/fs": 1e4, **OTHER}, 1e4),
        ({"a/fs": 1e4, "fs": 2e4}, 1e4),
        ({"a@fs": 1e4, "@fs": 2e4}, 1e4),
        ({"fs": 1e4, **OTHER}, 1e4),
        ({"@fs": 1e4, **OTHER}, 1e4),
        ({"@fs": 1e4, "fs": "10 kHz"}, 1e4),
        ({"meta/fs": 1e4}, 1e4),
        ({"a/meta/fs": 1e4}, 1e4),
        ({"meta/fs": 1e4, "meta/names": "x"}, 1e4),
        ({"meta/fs": 1e4, "shaft/rate": 25.0}, 1e4),
        ({"meta/fs": 1e4, **OTHER}, 1e4),
        (OTHER, None),
        ({"b/x": SIGNAL, "b/meta/fs": 2e4}, None),
    ],
)
def test_the_nearest_rate_of_an_hdf5_file_is_that_of_an_array(tmp_path, stated, right):
    in_groups(tmp_path, stated)
    made, notes = rate(tmp_path, ".h5", array="a/x")
    assert made == right
    assert any("beside other arrays: not used" in note for note in notes) == (right is None)


@pytest.mark.parametrize(
    "stated",
    [
        {"meta/rate": 25_600.0, "shaft/rate": 2500.0},
        {"meta/fs": 25_600.0, "set/sampling_rate": 2500.0},
        {"@Fs": 25_600.0, "@fs": 2500.0},
        {"@Fs": 25_600.0, "fs": 2500.0},
        {"a/Fs": 25_600.0, "a/sr": 2500.0},
    ],
)
def test_two_rates_as_near_as_each_other_are_asked_about(tmp_path, stated):
    in_groups(tmp_path, stated)
    said = refused(tmp_path, ".h5", "two sampling rates", array="a/x")
    numbers = {float(n) for n in re.findall(r"`rate_hz: (\w+)`", said)}
    assert numbers == {25_600, 2500}
    assert "`ignore_stated_rate: true`" in said
    for number in numbers:
        keys = {"rate_hz": number, "ignore_stated_rate": True, "array": "a/x"}
        assert rate(tmp_path, ".h5", **keys)[0] == number


def stating(root: Path, ending: str, **stated: object) -> None:
    path = root / f"u1{ending}"
    if ending == ".npz":
        np.savez(path, x=SIGNAL, **stated)
    elif ending == ".mat":
        scipy.io.savemat(path, {"x": SIGNAL, **stated})
    elif ending == ".tdms":
        with TdmsWriter(path) as file:
            file.write_segment([RootObject(stated), ChannelObject("g", "a", SIGNAL)])
    else:
        table = pa.Table.from_pandas(pd.DataFrame({"x": SIGNAL}), preserve_index=False)
        said = {name: str(value) for name, value in stated.items()}
        pq.write_table(table.replace_schema_metadata(said), path)


@pytest.mark.parametrize("names", [("Fs", "fs"), ("fs", "Fs"), ("fs", "sampling_rate")])
@pytest.mark.parametrize("ending", [".npz", ".mat", ".tdms", ".parquet"])
def test_two_rates_of_one_file_are_asked_about(tmp_path, ending, names):
    stating(tmp_path, ending, **dict(zip(names, (1e4, 2e4), strict=True)))
    said = refused(tmp_path, ending, "two sampling rates", "10000 Hz", "20000 Hz")
    assert {float(n) for n in re.findall(r"`rate_hz: (\w+)`", said)} == {1e4, 2e4}
    assert rate(tmp_path, ending, rate_hz=2e4, ignore_stated_rate=True)[0] == 2e4


@pytest.mark.parametrize("ending", [".npz", ".mat", ".tdms", ".parquet"])
@pytest.mark.parametrize(
    "stated", [{"fs": 1e4, "SR": 1e4}, {"Fs": 1e4, "rate": 25.0}, {"Fs": 1e4, "sr": 0.0}]
)
def test_one_rate_of_several_names_is_used(tmp_path, ending, stated):
    """`rate` beside another is that of the shaft; a zero is of nothing."""
    stating(tmp_path, ending, **stated)
    assert rate(tmp_path, ending)[0] == 1e4


# -- clocks ---------------------------------------------------------------------------------------


def clock(root: Path, times: np.ndarray) -> dict[str, object]:
    np.savetxt(root / "u1.csv", np.c_[times, SIGNAL], "%.9g", ",", header="t,x", comments="")
    return {"time_column": "t"}


def test_milliseconds_are_questioned_and_can_be_overruled(tmp_path):
    keys = clock(tmp_path, np.arange(1000) / 10)
    refused(tmp_path, ".csv", "10 Hz (time column)", "milliseconds", **keys)
    refused(tmp_path, ".csv", "10 Hz (time column)", **keys, rate_hz=10_000)
    keys |= {"rate_hz": 10_000, "ignore_stated_rate": True}
    assert rate(tmp_path, ".csv", **keys)[0] == 10_000


def test_a_gap_is_refused_even_where_the_rate_is_ignored(tmp_path):
    times = np.arange(1000) / 10
    times[300:] += 5
    keys = {**clock(tmp_path, times), "rate_hz": 10_000, "ignore_stated_rate": True}
    said = refused(tmp_path, ".csv", "rows 299 and 300", "1 of 999", **keys)
    assert "no `time_column`" in said
    assert rate(tmp_path, ".csv", rate_hz=10_000, channels=["x"])[0] == 10_000


@pytest.mark.parametrize("ending", [".h5", ".parquet", ".tdms"])
def test_a_clock_and_an_attribute_of_one_file_must_agree(tmp_path, ending):
    times = np.arange(1000) / 10_000
    for stated in (10_000, 25_600):
        if ending == ".h5":
            with h5py.File(tmp_path / "u1.h5", "w") as file:
                file["x"] = np.c_[times, SIGNAL]
                file["x"].attrs["fs"] = stated
        elif ending == ".parquet":
            frame = pd.DataFrame({"t": times, "x": SIGNAL})
            table = pa.Table.from_pandas(frame, preserve_index=False)
            told = table.replace_schema_metadata({"fs": str(stated)})
            pq.write_table(told, tmp_path / "u1.parquet")
        else:
            step = {"wf_increment": 1 / stated}
            channels = [ChannelObject("g", n, s, step) for n, s in (("t", times), ("x", SIGNAL))]
            with TdmsWriter(tmp_path / "u1.tdms") as file:
                file.write_segment(channels)
        if stated == 10_000:
            assert rate(tmp_path, ending, time_column=0)[0] == 10_000
    refused(tmp_path, ending, "two sampling rates", "25600 Hz", "10000 Hz", time_column=0)


# -- tables and names -----------------------------------------------------------------------------


def listed(root: Path, text: str) -> dict[str, object]:
    np.save(root / "u1.npy", SIGNAL)
    lines = ["file;unit_id;condition;run_id;rate_hz", f"u1.npy;1;c;1;{text}"]
    (root / "t.csv").write_text("\n".join(lines) + "\n")
    return {"files": None, "table": "t.csv", "fields": {}, "rate_hz": None}


@pytest.mark.parametrize("text", ["25.600", "25.6", "25"])
def test_a_table_in_kilohertz_is_questioned_and_can_be_confirmed(tmp_path, text):
    keys = listed(tmp_path, text)
    said = refused(tmp_path, ".npy", "t.csv, line 2", f"{float(text):g} Hz", **keys)
    vouched = yaml.safe_load(said[said.index("fields:") :])
    assert rate(tmp_path, ".npy", **{**keys, **vouched})[0] == float(text)
    assert rate(tmp_path, ".npy", **listed(tmp_path, "25600"))[0] == 25_600


@pytest.mark.parametrize("text", ["25_600", "1_0", "25600 Hz", "nan", "NA", "0x10"])
def test_a_cell_of_a_table_that_is_no_number_is_refused(tmp_path, text):
    with pytest.raises(BadData, match="rate_hz is not a number") as caught:
        rate(tmp_path, ".npy", **listed(tmp_path, text))
    said = str(caught.value)
    assert f"{text!r}" in said
    if text == "25_600":
        (written,) = re.findall(r"write `(.*)`", said)
        assert rate(tmp_path, ".npy", **listed(tmp_path, written))[0] == 25_600


def test_a_name_in_kilohertz_is_questioned_and_can_be_looked_up(tmp_path):
    np.save(tmp_path / "u1_12k.npy", SIGNAL)
    keys = {"files": "u{unit}_{r:d}k.npy", "rate_hz": None}
    with pytest.raises(BadData, match="12 Hz") as caught:
        rate(tmp_path, ".npy", **keys, fields={**FIELDS, "rate_hz": "{r}"})
    said = str(caught.value)
    vouched = yaml.safe_load(said[said.index("fields:") :])["fields"]
    assert rate(tmp_path, ".npy", **keys, fields={**FIELDS, **vouched})[0] == 12
    assert rate(tmp_path, ".npy", **keys, fields={**FIELDS, "rate_hz": "{r}000"})[0] == 12_000


def test_a_low_rate_that_the_yaml_says_is_noted(tmp_path):
    np.save(tmp_path / "u1.npy", SIGNAL)
    made, notes = rate(tmp_path, ".npy", rate_hz=25.6)
    assert made == 25.6
    assert notes == ["rate_hz is 25.6 Hz, by the rig: not in kHz?"]
    assert rate(tmp_path, ".npy", rate_hz=25_600) == (25_600, [])


# -- drafts ---------------------------------------------------------------------------------------


def test_a_draft_doubts_what_a_rig_would_refuse(tmp_path):
    write(tmp_path, ".tdms", 1)
    draft = inspect(tmp_path).rig
    assert re.search(
        r"rate_hz: 1 .*wf_increment.*no rate of vibration; `ignore_stated_rate`", draft
    )
    (tmp_path / "u1.tdms").unlink()
    write(tmp_path, ".h5", "fast")
    draft = inspect(tmp_path).rig
    assert "rate_hz: unknown" in draft
    assert "NOT YET READ by this draft: A file states a sampling rate that is none." in draft


# -- identity -------------------------------------------------------------------------------------


def test_a_rig_that_ignores_nothing_is_the_one_that_it_was():
    folder = {"path": ".", "files": "{unit}.csv", "rate_hz": 1000, "fields": FIELDS}
    keys = {"source": "folder", "unit": "g", "amplitude_comparable": False}

    def dumped(**more: object) -> dict[str, object]:
        rig = Rig.model_validate({**keys, "folder": {**folder, **more}})
        return rig.model_dump(exclude_none=True, by_alias=True)["folder"]

    assert "ignore_stated_rate" not in dumped(ignore_stated_rate=False)
    assert dumped() == dumped(ignore_stated_rate=False)
    assert dumped(ignore_stated_rate=True)["ignore_stated_rate"] is True
