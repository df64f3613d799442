"""Bad input is named, with what mends it, and leaves nothing half written."""

from __future__ import annotations

import gzip
import os
from dataclasses import replace

import h5py
import numpy as np
import pytest
import scipy.io

from workflow_src.data.recordings import Recording, check
from workflow_src.data.sources.folder import FolderOptions, FolderSource
from workflow_src.data.store import Heading, Store, write_store
from workflow_src.errors import BadData, UserError

FACTS = Heading("bench", "folder")
FIELDS = {"unit_id": "{unit}", "condition": "600rpm", "run_id": "{unit}"}


def store_folder(tmp_path, ending, **options):
    """Store the files u*.<ending> of tmp_path/data, one recording a file."""
    given = {"path": "data", "files": "u{unit}" + ending, "fields": FIELDS, "rate_hz": 1000.0}
    source = FolderSource(FolderOptions(**{**given, **options}), tmp_path, tmp_path)
    return write_store(source.recordings(), tmp_path / "store", FACTS, source.provenance)


def nothing_stored(tmp_path):
    folder = tmp_path / "store"
    return not folder.exists() or list(folder.iterdir()) == []


def refused(tmp_path, ending, *texts, error=BadData, **options):
    """The message of the refusal, which holds every one of the texts."""
    with pytest.raises(error) as caught:
        store_folder(tmp_path, ending, **options)
    message = str(caught.value)
    for text in texts:
        assert text in message
    assert nothing_stored(tmp_path)
    return message


@pytest.fixture
def data(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def samples():
    return np.random.default_rng(0).standard_normal((4000, 2))


def recording(signal, name="a"):
    return Recording(name, "u", "c", name, signal, ("vibration",) * signal.shape[1])


# -- the store ------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.99])
def test_a_store_cut_short_names_the_file_and_the_command(tmp_path, samples, share):
    write_store([recording(samples.astype(np.float32))], tmp_path, FACTS)
    path = tmp_path / "recordings.h5"
    os.truncate(path, int(share * path.stat().st_size))
    with pytest.raises(BadData) as caught:
        Store(tmp_path).read("a", 0, 4000)
    assert str(path) in str(caught.value)
    assert f"snakemake --profile profiles/local --force {path}" in str(caught.value)


def test_damage_within_a_signal_is_found(tmp_path, samples):
    signal = samples.astype(np.float32)
    write_store([recording(signal)], tmp_path, FACTS)
    path = tmp_path / "recordings.h5"
    raw = bytearray(path.read_bytes())
    raw[raw.index(signal[1000:1004].tobytes())] ^= 1
    path.write_bytes(raw)
    with Store(tmp_path) as store, pytest.raises(BadData, match="damaged"):
        store.read("a", 1000, 1004)


def test_a_table_cut_short_is_found(tmp_path, samples):
    signal = samples.astype(np.float32)
    write_store([recording(signal, name) for name in "abc"], tmp_path, FACTS)
    path = tmp_path / "recordings.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(BadData, match="2 rows for 3 recordings"):
        _ = Store(tmp_path).table


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({(7, 1): np.nan}, "first: nan at sample 7 of channel 1 (vibration); 1 NaN, 0 infinite"),
        ({(9, 0): np.inf, (9, 1): -np.inf}, "first: inf at sample 9 of channel 0"),
        ({(3, 0): np.inf, (5, 1): np.nan}, "1 NaN, 1 infinite"),
    ],
)
def test_samples_that_are_not_finite_are_named(tmp_path, samples, values, words):
    signal = samples.astype(np.float32)
    good = recording(signal.copy(), "good")
    for index, value in values.items():
        signal[index] = value
    with pytest.raises(BadData) as caught:
        write_store([good, recording(signal, "bad")], tmp_path / "store", FACTS)
    assert "'bad'" in str(caught.value)
    assert words in str(caught.value)
    assert nothing_stored(tmp_path)


def test_large_finite_samples_are_accepted():
    check(recording(np.full((1000, 1), np.finfo(np.float32).max)))


@pytest.mark.parametrize(("shape", "words"), [((100, 0), "no channels"), ((0, 2), "no samples")])
def test_no_channels_and_no_samples(tmp_path, shape, words):
    with pytest.raises(BadData, match=words):
        write_store([recording(np.zeros(shape, np.float32))], tmp_path / "store", FACTS)
    assert nothing_stored(tmp_path)


def test_two_recordings_of_one_name(tmp_path, samples):
    one = recording(samples.astype(np.float32))
    with pytest.raises(BadData, match="'a' twice"):
        write_store([one, replace(one, unit_id="v")], tmp_path / "store", FACTS)
    assert nothing_stored(tmp_path)


def test_no_recording_at_all(tmp_path):
    with pytest.raises(BadData, match="no recording"):
        write_store([], tmp_path / "store", FACTS)
    assert nothing_stored(tmp_path)


@pytest.mark.faults
@pytest.mark.parametrize("length", [997, 50_000, 400_000])
def test_a_full_disk_is_named_and_left_clean(small_disk, length):
    large = [recording(np.ones((length, 1), np.float32), f"r{n}") for n in range(999)]
    with pytest.raises(UserError) as caught:
        write_store(large, small_disk, FACTS)
    for text in ("The disk is full", str(small_disk), "bytes were free", "remedy:"):
        assert text in str(caught.value)
    assert list(small_disk.iterdir()) == []
    write_store([recording(np.ones((50_000, 1), np.float32))], small_disk, FACTS)  # serves again
    with Store(small_disk) as store:
        assert store.read("a", 0, 50_000).sum() == 50_000


# -- the files of a folder ------------------------------------------------------------------------


def test_hdf5_cut_short(tmp_path, data, samples):
    with h5py.File(data / "u1.h5", "w") as file:
        file["x"] = samples
    os.truncate(data / "u1.h5", 5000)
    refused(tmp_path, ".h5", "u1.h5", "damaged or was cut short", "fetch the file again")


@pytest.mark.parametrize("compressed", [True, False])
def test_mat_cut_short_anywhere(tmp_path, data, samples, compressed):
    path = data / "u1.mat"
    scipy.io.savemat(path, {"Fs": 1000.0, "x": samples}, do_compression=compressed)
    whole = path.read_bytes()
    for size in np.linspace(1, len(whole) - 1, 23).astype(int):
        path.write_bytes(whole[:size])
        refused(tmp_path, ".mat", "u1.mat")


@pytest.mark.parametrize("share", [0.2, 0.9])
def test_gzip_and_npy_cut_short(tmp_path, data, samples, share):
    lines = "\n".join(f"{a},{b}" for a, b in samples)
    (data / "u1.csv.gz").write_bytes(gzip.compress(lines.encode()))
    np.save(data / "u1.npy", samples)
    for name in ("u1.csv.gz", "u1.npy"):
        os.truncate(data / name, int(share * (data / name).stat().st_size))
        refused(tmp_path, name[2:], name, "damaged or was cut short")


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".mat", ".npy", ".h5"])
def test_an_empty_file(tmp_path, data, ending):
    (data / f"u1{ending}").touch()
    refused(tmp_path, ending, f"u1{ending}", "A file is empty")


def test_not_finite_samples_of_a_file_name_it(tmp_path, data, samples):
    samples[11, 1] = np.nan
    np.save(data / "u1.npy", samples)
    refused(tmp_path, ".npy", "file u1.npy", "nan at sample 11 of channel 1")
    samples[11, 1] = 1e300  # no float32
    np.save(data / "u1.npy", samples)
    refused(tmp_path, ".npy", "inf at sample 11 of channel 1")


def test_zero_channels_of_a_file(tmp_path, data):
    np.save(data / "u1.npy", np.zeros((100, 0)))
    refused(tmp_path, ".npy", "u1", "no channels")


def test_text_among_the_samples(tmp_path, data):
    (data / "u1.csv").write_text("1,2\n3,off\n5,6\n")
    refused(tmp_path, ".csv", "u1.csv", "'off'", "`channels:`")


def test_a_line_that_lacks_a_cell(tmp_path, data):
    (data / "u1.csv").write_text("1.5,2\n" * 30 + "5\n" + "1.5,2\n" * 30)
    refused(tmp_path, ".csv", "u1.csv, line 31", "1 cells: 5", "2 cells separated by ','")


def test_a_missing_file_of_a_table(tmp_path, data, samples):
    np.save(data / "bearing_12.npy", samples)
    (tmp_path / "rig.csv").write_text(
        "file,unit_id,condition,run_id\nbearing_12.npy,a,c,a\nbearing_21.npy,b,c,b\n"
    )
    options = {"table": "rig.csv", "files": None, "fields": {}}
    refused(tmp_path, "", "rig.csv, line 3", "bearing_21.npy", "bearing_12.npy", **options)


def test_a_folder_that_is_not_there(tmp_path):
    refused(tmp_path, ".npy", "path:", "data_root", "PHM_DATA_ROOT", error=UserError)


def test_no_data_root(tmp_path):
    options = FolderOptions(path="data", files="u{unit}.npy", fields=FIELDS, rate_hz=1.0)
    with pytest.raises(UserError, match=r"data_root:[\s\S]*PHM_DATA_ROOT="):
        FolderSource(options, None, tmp_path)
    absolute = options.model_copy(update={"path": str(tmp_path)})
    FolderSource(absolute, None, tmp_path)


def test_a_pattern_that_nothing_matches(tmp_path, data, samples):
    np.save(data / "unit1.npy", samples)
    texts = (str(data), "'u{unit}.mat'", "nearest name: unit1.npy")
    refused(tmp_path, ".mat", *texts, error=UserError)


def test_two_files_of_one_name(tmp_path, data, samples):
    for name in ("u1.npy", "u2.npy"):
        np.save(data / name, samples)
    same = {**FIELDS, "recording_id": "same"}
    refused(tmp_path, ".npy", "u1.npy and u2.npy", "'same' twice", fields=same)


@pytest.mark.parametrize("carrier", ["mat", "h5 attribute", "h5 scalar", "time column"])
def test_a_rate_that_contradicts_the_file(tmp_path, data, samples, carrier):
    options = {}
    if carrier == "mat":
        scipy.io.savemat(data / "u1.mat", {"Fs": 2000, "x": samples})
    elif carrier.startswith("h5"):
        with h5py.File(data / "u1.h5", "w") as file:
            file["x"] = samples
            if carrier == "h5 attribute":
                file["x"].attrs["sampling_rate"] = 2000
            else:
                file["fs"] = 2000
    else:
        times = np.arange(len(samples)) / 2000
        np.savetxt(data / "u1.csv", np.column_stack([times, samples]), "%.5f", delimiter=",")
        options = {"time_column": 0}
    ending = {"mat": ".mat", "time column": ".csv"}.get(carrier, ".h5")
    refused(tmp_path, ending, "2000 Hz", "1000 Hz", "rate_hz: 2000", "u1", **options)
    assert store_folder(tmp_path, ending, **options, rate_hz=2000.0).recordings == 1


def test_a_rate_that_nobody_knows_is_accepted(tmp_path, data, samples):
    np.save(data / "u1.npy", samples)
    store_folder(tmp_path, ".npy", rate_hz="unknown")
    assert np.isnan(Store(tmp_path / "store").table["rate_hz"][0])


def test_a_rate_that_is_not_given_is_refused(tmp_path, data, samples):
    np.save(data / "u1.npy", samples)
    refused(tmp_path, ".npy", "`rate_hz: unknown`", error=UserError, rate_hz=None)


def test_a_table_that_is_not_utf8(tmp_path, data, samples):
    np.save(data / "轴承.npy", samples)
    text = "file,unit_id,condition,run_id\n轴承.npy,外圈,c,a\n"
    (tmp_path / "rig.csv").write_bytes(text.encode("gbk"))
    options = {"table": "rig.csv", "files": None, "fields": {}}
    position = text.encode("gbk").index("轴".encode("gbk"))
    refused(tmp_path, "", "rig.csv", f"byte {position}", "encoding: gbk", **options)
    store_folder(tmp_path, "", **options, encoding="gbk")
    assert Store(tmp_path / "store").table["unit_id"][0] == "外圈"


def test_two_arrays_of_which_none_is_chosen(tmp_path, data, samples):
    scipy.io.savemat(data / "u1.mat", {"DE": samples, "FE": samples})
    refused(tmp_path, ".mat", "more than one array", "'DE', 'FE'", "array:")
    refused(tmp_path, ".mat", "no array", "'BA'", array="BA")


def test_an_array_across_time(tmp_path, data, samples):
    np.save(data / "u1.npy", samples.T)
    refused(tmp_path, ".npy", "(2, 4000)", "samples_along: columns")


def test_objects_are_no_samples(tmp_path, data):
    np.save(data / "u1.npy", np.array(["a", "b"]))
    refused(tmp_path, ".npy", "real numbers")
