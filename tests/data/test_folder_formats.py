"""What each format's own library writes comes back equal, with its rate, or is refused by name."""

from __future__ import annotations

import re
import struct
import sys
import tracemalloc
import wave
from pathlib import Path

import h5py
import nptdms
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.io
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import wavfile

from workflow_src.data.recordings import check
from workflow_src.data.sources.folder import FolderOptions, FolderSource
from workflow_src.data.sources.folder.readers import READERS
from workflow_src.errors import BadData, UserError

from ..examples import examples

FIELDS = {"unit_id": "{unit}", "condition": "600rpm", "run_id": "{unit}"}
RATE = 25_600.0


def only(root, ending, **options):
    """The only recording of the folder; `unknown` takes the rate that its file states."""
    given = {"path": ".", "files": "u{unit}" + ending, "fields": FIELDS, "rate_hz": "unknown"}
    (read,) = FolderSource(FolderOptions(**{**given, **options}), root, root).recordings()
    check(read)
    return read


def test_two_columns_of_one_name_are_named(tmp_path):
    samples = np.random.default_rng(0).standard_normal(400).astype(np.float32)
    columns = [pa.array(samples)] * 3
    pq.write_table(pa.table(columns, names=["a", "a", "b"]), tmp_path / "u1.parquet")
    with pytest.raises(BadData, match="Two columns of a file have one name") as caught:
        only(tmp_path, ".parquet")
    assert "'a' more than once" in str(caught.value)
    keys = yaml.safe_load(re.findall(r"`(channels: .*?)`", str(caught.value))[0])
    np.testing.assert_array_equal(only(tmp_path, ".parquet", **keys).signal[:, 0], samples)


def test_a_sound_whose_header_says_nothing_is_held(tmp_path):
    wavfile.write(tmp_path / "u1.wav", 20_000, np.arange(300, dtype=np.int16))
    raw = bytearray((tmp_path / "u1.wav").read_bytes())
    raw[40:44] = bytes(4)
    (tmp_path / "u1.wav").write_bytes(raw)
    with pytest.raises(BadData, match="says that it holds no samples") as caught:
        only(tmp_path, ".wav")
    assert "samples_along" not in str(caught.value)


# -- one writer a format: samples (L, C), and the rate where the format has a place for it ---------


def write_csv(path, samples, rate):
    names = [f"a{column}" for column in range(samples.shape[1])]
    frame = pd.DataFrame(samples, columns=names)
    frame.insert(0, "t", np.arange(len(samples)) / rate)
    frame.to_csv(path, index=False)


def write_mat(path, samples, rate):
    scipy.io.savemat(path, {"x": samples, "fs": rate, "note": "text"})


def write_mat_73(path, samples, rate):
    """As MATLAB writes it with -v7.3: HDF5 behind 512 bytes, axes reversed, classes named."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in {"x": samples, "fs": np.array([[rate]])}.items():
            matlab_data(file, name, np.asarray(value))
        matlab_data(file, "note", np.frombuffer(b"text", np.uint8)[None], "char")
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    with path.open("r+b") as raw:
        raw.write(header)


CLASSES = {"f8": "double", "f4": "single", "i2": "int16", "i4": "int32", "u1": "uint8"}


def matlab_data(group, name, value, kind=None):
    data = group.create_dataset(name, data=value.T)
    data.attrs["MATLAB_class"] = np.bytes_(kind or CLASSES[value.dtype.str[1:]])
    return data


def write_npz(path, samples, rate):
    np.savez_compressed(path, x=samples, fs=rate)


def write_h5(path, samples, rate):
    with h5py.File(path, "w") as file:
        file["group/x"] = samples
        file["group/x"].attrs["sampling_rate"] = rate


def write_parquet(path, samples, rate):
    table = pa.table({f"a{c}": samples[:, c] for c in range(samples.shape[1])})
    pq.write_table(table.replace_schema_metadata({"rate_hz": str(rate)}), path, row_group_size=37)


def write_wav(path, samples, rate):
    wavfile.write(path, int(rate), samples)


def write_tdms(path, samples, rate):
    properties = {"wf_increment": 1 / rate, "wf_start_offset": 0.0}
    channels = [
        nptdms.ChannelObject("vibration", f"a{c}", np.ascontiguousarray(samples[:, c]), properties)
        for c in range(samples.shape[1])
    ]
    size = max(50, len(samples) // 20)
    with nptdms.TdmsWriter(path) as writer:
        for start in range(0, len(samples), size):  # in segments, as a recorder writes them
            writer.write_segment(
                [
                    nptdms.ChannelObject(
                        c.group, c.channel, c.data[start : start + size], properties
                    )
                    for c in channels
                ]
            )


def write_xlsx(path, samples, rate):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "record"
    sheet.append(["t", *(f"a{column}" for column in range(samples.shape[1]))])
    for index, row in enumerate(samples):
        sheet.append([index / rate, *(value.item() for value in row)])
    book.create_sheet("empty")
    book.save(path)


def write_npy(path, samples, _):
    np.save(path, samples)


CLOCK = {"time_column": "t"}
FORMATS = {  # ending -> writer, kinds of number, options, whether the file states the rate
    ".csv": (write_csv, ("f4", "f8", "i2"), CLOCK, True),
    ".csv.gz": (write_csv, ("f4",), CLOCK, True),
    ".mat": (write_mat, ("f4", "f8", "i2", "i4"), {}, True),
    "73.mat": (write_mat_73, ("f4", "f8", "i2", "i4"), {}, True),
    ".npy": (write_npy, ("f4", "f8", "i2", "i4"), {}, False),
    ".npz": (write_npz, ("f4", "f8", "i2", "i4"), {}, True),
    ".h5": (write_h5, ("f4", "f8", "i2", "i4"), {}, True),
    ".parquet": (write_parquet, ("f4", "f8", "i2", "i4"), {}, True),
    ".wav": (write_wav, ("f4", "f8", "i2", "i4"), {}, True),
    ".tdms": (write_tdms, ("f4", "f8", "i2", "i4"), {}, True),
    ".xlsx": (write_xlsx, ("f4", "f8", "i2"), CLOCK, True),
}


@examples(8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    length=st.integers(4, 150),
    channels=st.integers(1, 3),
    seed=st.integers(0, 99),
    rate=st.sampled_from([1000, 12_000, 25_600, 51_200]),
    kind=st.integers(0, 3),
)
@pytest.mark.parametrize("ending", FORMATS)
def test_what_is_written_comes_back_with_its_rate(
    tmp_path, ending, length, channels, seed, rate, kind
):
    writer, kinds, options, stated = FORMATS[ending]
    dtype = np.dtype(kinds[kind % len(kinds)])
    samples = (np.random.default_rng(seed).standard_normal((length, channels)) * 1000).astype(dtype)
    writer(tmp_path / f"u1{ending}", samples, float(rate))
    read = only(tmp_path, ending, **options)
    np.testing.assert_array_equal(read.signal, samples.astype(np.float32))
    assert read.signal.dtype == np.float32
    if stated:
        assert read.rate_hz == pytest.approx(rate, rel=1e-5)
        assert only(tmp_path, ending, **options, rate_hz=rate).rate_hz == rate
        with pytest.raises(BadData, match="rate contradicts the file"):
            only(tmp_path, ending, **options, rate_hz=2.0 * rate)
    else:
        assert read.rate_hz is None


def test_every_reader_is_tried():
    tried = {ending.removeprefix("73") for ending in FORMATS}
    same = {".tsv": ".csv", ".txt": ".csv", ".tsv.gz": ".csv.gz", ".txt.gz": ".csv.gz"}
    same |= {".hdf5": ".h5", ".lvm": ".csv"}
    assert {same.get(ending, ending) for ending in READERS} == tried
    assert all(READERS[one] is READERS[other] for one, other in same.items())


@pytest.mark.parametrize("ending", sorted(set(FORMATS) - {".csv"}))
@pytest.mark.parametrize("share", [0.02, 0.6, 0.97])
def test_a_file_cut_short_is_never_read_as_whole(tmp_path, ending, share):
    """Text that is not packed does not say how long it was meant to be."""
    path = tmp_path / f"u1{ending}"
    samples = np.random.default_rng(0).standard_normal((3000, 2)).astype(np.float32)
    FORMATS[ending][0](path, samples, RATE)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(BadData, match="u1"):
        only(tmp_path, ending, **FORMATS[ending][2])


@pytest.mark.parametrize("ending", sorted(set(FORMATS) - {".csv", ".csv.gz"}))
def test_a_file_of_another_kind_is_named(tmp_path, ending):
    (tmp_path / f"u1{ending}").write_bytes(b"something else entirely, and long enough" * 40)
    with pytest.raises(BadData, match=r"damaged or was cut short[\s\S]*u1"):
        only(tmp_path, ending)


@pytest.mark.fast_cases(".npy", ".h5", "73.mat", ".tdms", ".wav")
@pytest.mark.parametrize("ending", [".npy", ".h5", "73.mat", ".parquet", ".tdms", ".wav"])
def test_a_large_file_is_never_held_twice(tmp_path, ending):
    samples = np.zeros((1_000_000, 1), np.float64)  # 8 MB, of which 4 MB as float32
    FORMATS[ending][0](tmp_path / f"u1{ending}", samples, RATE)
    tracemalloc.start()
    only(tmp_path, ending)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (13e6 if ending == ".tdms" else 7e6)  # a whole channel of TDMS, blocks elsewhere


@pytest.mark.parametrize(
    ("ending", "module", "command"),
    [
        (".tdms", "nptdms", "pip install npTDMS"),
        (".parquet", "pyarrow.parquet", "pip install pyarrow"),
        (".xlsx", "openpyxl", "pip install openpyxl"),
    ],
)
def test_a_missing_package_is_named(tmp_path, monkeypatch, ending, module, command):
    FORMATS[ending][0](tmp_path / f"u1{ending}", np.ones((9, 1)), RATE)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=command):
        only(tmp_path, ending)


# -- what is peculiar to a format -----------------------------------------------------------------

SAMPLES = np.random.default_rng(1).standard_normal((300, 3)).astype(np.float32)


@pytest.mark.parametrize("ending", [".mat", "73.mat", ".npz", ".h5"])
def test_an_array_that_is_not_there(tmp_path, ending):
    FORMATS[ending][0](tmp_path / f"u1{ending}", SAMPLES, RATE)
    with pytest.raises(BadData, match=r"no array of the name 'y'[\s\S]*'(group/)?x'"):
        only(tmp_path, ending, array="y")


@pytest.mark.parametrize(("along", "turned"), [("rows", False), ("columns", True)])
def test_axes_of_matlab_7_3_are_those_that_matlab_shows(tmp_path, along, turned):
    write_mat_73(tmp_path / "u1.mat", SAMPLES.T if turned else SAMPLES, RATE)
    read = only(tmp_path, ".mat", samples_along=along, channels=[2, 0])
    np.testing.assert_array_equal(read.signal, SAMPLES[:, [2, 0]])


def nested(path, version):
    """bearing.gs, bearing.sr; Y(2).Data; cells{2}."""
    if version == 5:
        structs = np.zeros((1, 2), [("Data", object), ("Name", object)])
        for index in range(2):
            structs[0, index] = (SAMPLES[:, [index]], f"n{index}")
        cells = np.empty((1, 2), object)
        cells[0, :] = [SAMPLES[:, [0]], SAMPLES]
        bearing = {"gs": SAMPLES[:, [2]], "sr": 97_656.0, "rate": 25.0, "load": "270 lbs"}
        scipy.io.savemat(path, {"bearing": bearing, "Y": structs, "cells": cells})
        return
    with h5py.File(path, "w", userblock_size=512) as file:
        refs = file.create_group("#refs#")
        bearing = file.create_group("bearing")
        bearing.attrs["MATLAB_class"] = np.bytes_("struct")
        matlab_data(bearing, "gs", SAMPLES[:, [2]])
        matlab_data(bearing, "sr", np.array([[97_656.0]]))
        matlab_data(bearing, "rate", np.array([[25.0]]))
        held = [matlab_data(refs, f"d{i}", SAMPLES[:, [i]]).ref for i in range(2)]
        structs = file.create_group("Y")
        structs.attrs["MATLAB_class"] = np.bytes_("struct")
        structs.create_dataset("Data", data=np.array([held], h5py.ref_dtype).T)
        whole = matlab_data(refs, "all", SAMPLES).ref
        cells = file.create_dataset("cells", data=np.array([[held[0], whole]], h5py.ref_dtype).T)
        cells.attrs["MATLAB_class"] = np.bytes_("cell")


@pytest.mark.parametrize("version", [5, 7.3])
def test_arrays_within_structs_and_cells_have_matlabs_names(tmp_path, version):
    nested(tmp_path / "u1.mat", version)
    for name, expected in (
        ("bearing.gs", SAMPLES[:, [2]]),
        ("*.gs", SAMPLES[:, [2]]),
        ("Y(2).Data", SAMPLES[:, [1]]),
        ("cells{2}", SAMPLES),
    ):
        read = only(tmp_path, ".mat", array=name)
        np.testing.assert_array_equal(read.signal, expected)
        # the rate beside the array: `rate` is that of the shaft, and no other array's concern
        assert read.rate_hz == (97_656 if name.endswith("gs") else None)
    with pytest.raises(BadData, match=r"more than one array[\s\S]*bearing.gs[\s\S]*cells\{2\}"):
        only(tmp_path, ".mat")


def test_numbers_that_are_complex_are_refused(tmp_path):
    scipy.io.savemat(tmp_path / "u1.mat", {"x": SAMPLES * 1j})
    with pytest.raises(BadData, match=r"real numbers[\s\S]*complex"):
        only(tmp_path, ".mat")


@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_python_objects_are_not_executed(tmp_path, ending):
    held = np.array([{"a": 1}, None], object)
    (np.save if ending == ".npy" else np.savez)(tmp_path / f"u1{ending}", held, allow_pickle=True)
    with pytest.raises(BadData, match="Python objects"):
        only(tmp_path, ending)


@given(st.lists(st.integers(-(2**23), 2**23 - 1), min_size=2, max_size=40))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_wav_of_24_bits(tmp_path, numbers):
    with wave.open(str(tmp_path / "u1.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(3)
        file.setframerate(51_200)
        file.writeframes(b"".join(n.to_bytes(3, "little", signed=True) for n in numbers))
    read = only(tmp_path, ".wav")
    assert read.signal[:, 0].tolist() == numbers
    assert read.rate_hz == 51_200


def test_wav_of_8_bits_has_its_zero_at_128(tmp_path):
    wavfile.write(tmp_path / "u1.wav", 8000, np.array([128, 0, 255], np.uint8))
    assert only(tmp_path, ".wav").signal[:, 0].tolist() == [0, -128, 127]


def test_a_compressed_wav_says_its_codec(tmp_path):
    path = tmp_path / "u1.wav"
    wavfile.write(path, 8000, np.arange(100, dtype=np.int16))
    raw = path.read_bytes()
    path.write_bytes(raw[:20] + struct.pack("<H", 2) + raw[22:])
    with pytest.raises(BadData, match=r"compressed[\s\S]*ADPCM[\s\S]*ffmpeg"):
        only(tmp_path, ".wav")


def test_groups_of_tdms_are_named_by_array(tmp_path):
    with nptdms.TdmsWriter(tmp_path / "u1.tdms") as writer:
        for group, column in (("slow", 0), ("fast", 1)):
            properties = {"wf_increment": 1e-3 if group == "slow" else 1e-4}
            data = np.ascontiguousarray(SAMPLES[:, column])
            writer.write_segment([nptdms.ChannelObject(group, "a", data, properties)])
    with pytest.raises(BadData, match=r"more than one group[\s\S]*'slow', 'fast'"):
        only(tmp_path, ".tdms")
    read = only(tmp_path, ".tdms", array="fast", channels=["a"])
    np.testing.assert_array_equal(read.signal, SAMPLES[:, [1]])
    assert read.rate_hz == pytest.approx(10_000)


def tdms_of(path, **channels):
    """A group of channels, each (samples, seconds a sample)."""
    with nptdms.TdmsWriter(path) as writer:
        for name, (data, step) in channels.items():
            properties = {} if step is None else {"wf_increment": step}
            writer.write_segment([nptdms.ChannelObject("g", name, data, properties)])


def test_channels_of_tdms_that_do_not_fit_together(tmp_path):
    one = np.arange(20.0)
    tdms_of(tmp_path / "u1.tdms", a=(one, 1e-4), b=(one[:10], 2e-4), c=(one, 5e-4))
    with pytest.raises(BadData, match=r"different lengths[\s\S]*a: 20 samples, b: 10 samples"):
        only(tmp_path, ".tdms")
    with pytest.raises(BadData, match=r"different sampling rates[\s\S]*c: wf_increment 0.0005 s"):
        only(tmp_path, ".tdms", channels=["a", "c"])
    assert only(tmp_path, ".tdms", channels=["b"]).rate_hz == 5000
    tdms_of(tmp_path / "u1.tdms", a=(one, None), words=(["x"] * 20, None))
    with pytest.raises(BadData, match=r"real numbers[\s\S]*words"):
        only(tmp_path, ".tdms")


def test_an_index_beside_a_tdms_file_decides_nothing(tmp_path):
    write_tdms(tmp_path / "u1.tdms", SAMPLES, RATE)
    (tmp_path / "u1.tdms_index").write_bytes(b"stale")
    assert only(tmp_path, ".tdms").signal.shape == SAMPLES.shape


def test_columns_of_parquet(tmp_path):
    frame = pd.DataFrame(SAMPLES, columns=["x", "y", "z"], index=np.arange(300) * 7)
    frame["label"] = "text"
    frame.to_parquet(tmp_path / "u1.parquet")
    read = only(tmp_path, ".parquet", channels=["z", "x"])
    np.testing.assert_array_equal(read.signal, SAMPLES[:, [2, 0]])
    with pytest.raises(BadData, match=r"real numbers[\s\S]*string"):
        only(tmp_path, ".parquet")
    with pytest.raises(BadData, match=r"no column 4"):  # the index that pandas adds is none
        only(tmp_path, ".parquet", channels=[4])


def test_a_gap_in_parquet_is_no_number(tmp_path):
    pq.write_table(pa.table({"x": pa.array([1, None, 3], pa.int32())}), tmp_path / "u1.parquet")
    with pytest.raises(BadData, match="1 samples that are not finite"):
        only(tmp_path, ".parquet")


def test_sheets_are_named_by_array(tmp_path):
    book = openpyxl.Workbook()
    for name, row in (("one", [1, 2.5]), ("two", [3, 4])):
        sheet = book.create_sheet(name)
        for _ in range(3):
            sheet.append(row)
    book.save(tmp_path / "u1.xlsx")
    with pytest.raises(BadData, match=r"more than one sheet[\s\S]*'one', 'two'"):
        only(tmp_path, ".xlsx")
    assert only(tmp_path, ".xlsx", array="one").signal.tolist() == [[1, 2.5]] * 3
    book["two"]["B2"] = "n/a"
    book.save(tmp_path / "u1.xlsx")
    with pytest.raises(BadData, match=r"row 2, column 1[\s\S]*'n/a'"):
        only(tmp_path, ".xlsx", array="two")
    assert only(tmp_path, ".xlsx", array="two", channels=[0]).signal.tolist() == [[3]] * 3


# -- the table that names recordings --------------------------------------------------------------


@pytest.mark.parametrize("ending", [".csv", ".xlsx", ".parquet"])
def test_a_table_of_any_format_says_the_same(tmp_path, ending):
    for name in ("1", "2"):
        np.save(tmp_path / f"{name}.npy", SAMPLES)
    table = pd.DataFrame(
        {
            "file": ["1.npy", "2.npy"],
            "unit_id": ["u1", "u2"],
            "condition": [600, 900],
            "run_id": ["r1", "r2"],
            "fault": ["normal", None],
            "rate_hz": [48_000, "unknown"] if ending != ".parquet" else [48_000.0, 12_000.5],
            "onset_s": [None, 2.5],
        }
    )
    {
        ".csv": lambda: table.to_csv(tmp_path / "t.csv", index=False),
        ".xlsx": lambda: table.to_excel(tmp_path / "t.xlsx", index=False),
        ".parquet": lambda: table.to_parquet(tmp_path / "t.parquet"),
    }[ending]()
    options = FolderOptions(path=".", table=f"t{ending}")
    one, two = FolderSource(options, tmp_path, tmp_path).recordings()
    assert (one.unit_id, one.condition, one.run_id) == ("u1", "600", "r1")
    assert [one.fault, two.fault] == ["normal", None]
    assert [one.rate_hz, two.rate_hz] == [48_000, None if ending != ".parquet" else 12_000.5]
    assert [one.onset_s, two.onset_s] == [None, 2.5]


@pytest.mark.parametrize("ending", [".xlsx", ".parquet"])
def test_a_table_that_cannot_be_used_names_its_line(tmp_path, ending):
    np.save(tmp_path / "1.npy", SAMPLES)
    wrong = pd.DataFrame({"file": ["1.npy", "9.npy"], "unit_id": "u", "condition": 1, "run_id": 2})
    path = Path(tmp_path / f"t{ending}")
    (wrong.to_excel if ending == ".xlsx" else wrong.to_parquet)(path, index=False)
    source = FolderSource(FolderOptions(path=".", table=path.name, rate_hz=1), tmp_path, tmp_path)
    with pytest.raises(BadData, match=rf"t\{ending}, line 3[\s\S]*9\.npy"):
        list(source.recordings())
    path.write_bytes(b"no table")
    with pytest.raises(BadData, match="damaged"):
        list(source.recordings())


def test_tdms_cut_anywhere_within_a_segment_is_refused(tmp_path):
    path, noise = tmp_path / "u1.tdms", np.random.default_rng(0).standard_normal(120)
    with nptdms.TdmsWriter(path) as writer:
        for block in np.split(noise, 2):
            writer.write_segment([nptdms.ChannelObject("g", "x", block)])
    whole = path.read_bytes()
    second = whole.index(b"TDSm", 1)
    read = only(tmp_path, ".tdms").signal[:, 0]
    np.testing.assert_array_equal(read, noise.astype(np.float32))
    for end in (second - 8, second + 3, second + 27, second + 28, second + 40, len(whole) - 8):
        path.write_bytes(whole[:end])
        with pytest.raises(BadData, match="cut short"):
            only(tmp_path, ".tdms")
    path.write_bytes(whole)
