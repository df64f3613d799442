"""Windows that are stacked never pass for channels; said to be stacked, each comes back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import yaml
from pydantic import ValidationError

from workflow_src.data.inspection import inspect
from workflow_src.data.recordings import Recording, check
from workflow_src.data.sources.folder import FolderOptions, FolderSource
from workflow_src.errors import BadData

FIELDS = {"unit_id": "{unit}", "condition": "c", "run_id": "{unit}"}
WINDOWS = np.random.default_rng(0).standard_normal((150, 64)).astype(np.float32)
OF_CHANNELS = np.random.default_rng(1).standard_normal((5, 40, 3)).astype(np.float32)  # (n, L, C)


def write(path: Path, samples: Any) -> Path:
    """An array as each format's own library stores it."""
    if path.suffix == ".npy":
        np.save(path, samples)
    elif path.suffix == ".npz":
        np.savez(path, X=samples, y=np.zeros(len(samples), int))
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["X"] = samples
    elif path.name.endswith("73.mat"):
        with h5py.File(path, "w", userblock_size=512) as file:
            file.create_dataset("X", data=samples.T).attrs["MATLAB_class"] = np.bytes_("single")
    elif path.suffix == ".mat":
        scipy.io.savemat(path, {"X": samples})
    elif path.suffix == ".parquet":
        pd.DataFrame(samples, columns=[str(c) for c in range(samples.shape[1])]).to_parquet(path)
    elif path.suffix == ".xlsx":
        pd.DataFrame(samples).to_excel(path, index=False, header=False)
    else:
        pd.DataFrame(samples).to_csv(path, index=False, header=False)
    return path


def read(root: Path, ending: str, **options: Any) -> list[Recording]:
    array = "X" if ending == ".npz" else None
    keys = {"path": ".", "files": "{unit}" + ending, "fields": FIELDS, "rate_hz": 1e3}
    source = FolderSource(FolderOptions(**{**keys, "array": array, **options}), root, root)
    made = list(source.recordings())
    for one in made:
        check(one)
    return made


ARRAYS = [".npy", ".npz", ".h5", ".mat", "73.mat"]
TABLES = [".csv", ".parquet", ".xlsx"]


def remedies(error: BaseException) -> list[dict[str, Any]]:
    """Each key that the remedy of an error shows, as YAML."""
    text = str(error).partition("remedy:")[2]
    return [yaml.safe_load(line) for line in re.findall(r"^ +(\w+: .+?)(?: +#.*)?$", text, re.M)]


@pytest.mark.fast_cases("*[!x]")
@pytest.mark.parametrize("ending", [*ARRAYS, *TABLES])
@pytest.mark.parametrize("chosen", [None, [0]])
def test_windows_never_become_channels_in_silence(
    tmp_path: Path, ending: str, chosen: list[int] | None
) -> None:
    write(tmp_path / f"a{ending}", WINDOWS)
    with pytest.raises(BadData, match=r"64 columns[\s\S]*\ba") as caught:
        read(tmp_path, ending, channels=chosen)
    stacked, declared = remedies(caught.value)
    made = read(tmp_path, ending, **stacked)
    assert len(made) == 150
    np.testing.assert_array_equal(np.stack([one.signal[:, 0] for one in made]), WINDOWS)
    (whole,) = read(tmp_path, ending, **declared)
    np.testing.assert_array_equal(whole.signal, WINDOWS)


def test_fewer_windows_than_samples_are_no_recording_either(tmp_path: Path) -> None:
    write(tmp_path / "a.npy", WINDOWS[:9])
    with pytest.raises(BadData, match=r"not the shape of a recording") as caught:
        read(tmp_path, ".npy")
    _, stacked = remedies(caught.value)
    assert len(read(tmp_path, ".npy", **stacked)) == 9


def test_the_declared_number_of_columns_is_checked(tmp_path: Path) -> None:
    write(tmp_path / "a.npy", WINDOWS[:, :4])
    with pytest.raises(BadData, match=r"4 columns[\s\S]*column_count: 5"):
        read(tmp_path, ".npy", column_count=5)
    assert read(tmp_path, ".npy", column_count=4, channels=[1])[0].signal.shape == (150, 1)


def test_columns_that_are_chosen_by_name_need_no_number(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", WINDOWS)
    (made,) = read(tmp_path, ".parquet", channels=["3", "1"])
    np.testing.assert_array_equal(made.signal, WINDOWS[:, [3, 1]])


@pytest.mark.parametrize("ending", ARRAYS)
@pytest.mark.parametrize("along", ["rows", "columns"])
@pytest.mark.parametrize("inner", ["rows", "columns"])
def test_windows_of_channels_along_any_axis(
    tmp_path: Path, ending: str, along: str, inner: str
) -> None:
    samples = OF_CHANNELS if inner == "rows" else OF_CHANNELS.transpose(0, 2, 1)
    samples = samples if along == "rows" else np.moveaxis(samples, 0, -1)
    write(tmp_path / f"a{ending}", np.ascontiguousarray(samples))
    keys = {"stacked": {"along": along}, "samples_along": inner}
    made = read(tmp_path, ending, **keys)
    np.testing.assert_array_equal(np.stack([one.signal for one in made]), OF_CHANNELS)
    made = read(tmp_path, ending, **keys, channels=[2, 0])
    np.testing.assert_array_equal(np.stack([one.signal for one in made]), OF_CHANNELS[:, :, [2, 0]])


@pytest.mark.parametrize("ending", [*ARRAYS, *TABLES])
def test_windows_in_columns(tmp_path: Path, ending: str) -> None:
    write(tmp_path / f"a{ending}", np.ascontiguousarray(WINDOWS.T))
    made = read(tmp_path, ending, stacked={"along": "columns"})
    np.testing.assert_array_equal(np.stack([one.signal[:, 0] for one in made]), WINDOWS)


def test_windows_share_the_run_of_their_file_and_bear_names_of_their_own(tmp_path: Path) -> None:
    for unit in "ab":
        write(tmp_path / f"{unit}.npy", WINDOWS)
    made = read(tmp_path, ".npy", stacked={})
    assert [one.recording_id for one in made[:2]] == ["a.w000", "a.w001"]
    assert len({one.recording_id for one in made}) == 300
    assert {(one.recording_id[0], one.run_id, one.unit_id) for one in made} == {
        ("a", "a", "a"),
        ("b", "b", "b"),
    }
    assert [one.attributes["window"] for one in made[150:152]] == ["0", "1"]


def test_windows_without_gaps_are_one_recording(tmp_path: Path) -> None:
    write(tmp_path / "a.npy", OF_CHANNELS)
    (made,) = read(tmp_path, ".npy", stacked={"gaps": "none"})
    assert made.recording_id == "a"
    np.testing.assert_array_equal(made.signal, OF_CHANNELS.reshape(-1, 3))


def test_a_label_beside_the_samples_of_a_table_is_left_out_by_channels(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", np.column_stack([WINDOWS, np.ones(150)]))
    made = read(tmp_path, ".csv", stacked={}, channels=list(range(64)))
    np.testing.assert_array_equal(np.stack([one.signal[:, 0] for one in made]), WINDOWS)


@pytest.mark.parametrize("shape", [(9,), (5, 3, 40), (2, 3, 4, 5), (3, 200, 40)])
def test_what_holds_no_windows_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    write(tmp_path / "a.npy", np.zeros(shape, np.float32))
    with pytest.raises(BadData, match=r"a\.npy"):
        read(tmp_path, ".npy", stacked={})


def test_formats_of_channels_hold_no_windows(tmp_path: Path) -> None:
    scipy.io.wavfile.write(tmp_path / "a.wav", 1000, WINDOWS[:, :2])
    with pytest.raises(BadData, match=r"no stacked windows[\s\S]*remove `stacked:`"):
        read(tmp_path, ".wav", stacked={})


def test_windows_have_no_time_column() -> None:
    with pytest.raises(ValidationError, match="no time column"):
        FolderOptions(path=".", files="{unit}.npy", fields=FIELDS, stacked={}, time_column=0)


def test_a_configuration_without_the_new_keys_says_what_it_said() -> None:
    """What decides a rig's recordings is compared with what made the store."""
    keys = {"path": ".", "files": "{unit}.npy", "fields": FIELDS}
    dumped = FolderOptions(**keys).model_dump(exclude_none=True)
    assert not {"stacked", "column_count"} & set(dumped)


@pytest.mark.parametrize("ending", ARRAYS)
def test_inspect_drafts_windows_as_windows(tmp_path: Path, ending: str) -> None:
    for unit in "ab":
        write(tmp_path / f"{unit}{ending}", WINDOWS)
    text = inspect(tmp_path).rig
    assert "stacked: {along: rows}  # ?" in text
    assert "tried: the first 3 recordings are read by this draft" in text


@pytest.mark.fast_cases("*[!x]")
@pytest.mark.parametrize("ending", TABLES)
@pytest.mark.parametrize("stem", ["", "x", "sample_"])
def test_a_label_among_numbered_samples_is_asked_about(tmp_path, ending, stem):
    frame = pd.DataFrame(WINDOWS, columns=[f"{stem}{i}" for i in range(64)])
    write_frame = {".csv": frame.to_csv, ".xlsx": frame.to_excel, ".parquet": frame.to_parquet}
    write_frame[ending](tmp_path / f"u{ending}", index=False)
    stacked = {"stacked": {"along": "rows"}, "header": "present"}
    kept = read(tmp_path, ending, **stacked)
    np.testing.assert_allclose([one.signal[:, 0] for one in kept], WINDOWS, rtol=1e-6)
    frame["label"] = np.arange(150) % 4
    write_frame[ending](tmp_path / f"u{ending}", index=False)
    with pytest.raises(BadData, match="a label") as caught:
        read(tmp_path, ending, **stacked)
    assert "'label'" in str(caught.value)
    samples, every = remedies(caught.value)
    kept = read(tmp_path, ending, **stacked, **samples)
    np.testing.assert_allclose([one.signal[:, 0] for one in kept], WINDOWS, rtol=1e-6)
    assert read(tmp_path, ending, **stacked, **every)[1].signal[:, 0].tolist()[-1] == 1
