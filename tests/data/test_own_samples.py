"""No HDF5 file gives samples of another file: not by links, virtual data sets or raw files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from workflow_src.configuration.phm_vibench import COLUMNS
from workflow_src.data.inspection import inspect
from workflow_src.data.sources.folder import FolderOptions, FolderSource
from workflow_src.data.sources.phm_vibench import PhmVibenchOptions, PhmVibenchSource
from workflow_src.errors import BadData

from .. import phm_vibench_files as files

SAMPLES = np.random.default_rng(0).standard_normal((1, 400))  # as MATLAB stores a column
CLASS = np.bytes_("double")


def external_link(file: h5py.File, name: str, target: str) -> None:
    file[name] = h5py.ExternalLink(target, "/x")


def soft_link_to_a_link(file: h5py.File, name: str, target: str) -> None:
    file["hidden"] = file.create_group("below")
    file["below/away"] = h5py.ExternalLink(target, "/x")
    file[name] = h5py.SoftLink("/below/away")


def virtual(file: h5py.File, name: str, target: str) -> None:
    layout = h5py.VirtualLayout(SAMPLES.shape, "f8")
    layout[:] = h5py.VirtualSource(target, "x", SAMPLES.shape)
    file.create_virtual_dataset(name, layout, fillvalue=0)


def virtual_of_the_same_file(file: h5py.File, name: str, target: str) -> None:
    """Half of it is mapped, the other half reads as zeros."""
    file["below/half"] = SAMPLES[:, :200]
    file["below/half"].attrs["MATLAB_class"] = CLASS
    layout = h5py.VirtualLayout(SAMPLES.shape, "f8")
    layout[:, :200] = h5py.VirtualSource(".", "below/half", (1, 200))
    file.create_virtual_dataset(name, layout, fillvalue=0)


def raw_file(file: h5py.File, name: str, target: str) -> None:
    size = h5py.h5f.UNLIMITED
    file.create_dataset(name, SAMPLES.shape, "f8", external=[(target, 0, size)])


WAYS = [external_link, soft_link_to_a_link, virtual, virtual_of_the_same_file, raw_file]
TARGETS = ["missing.h5", "beside.h5", "../away.h5", "{absolute}", "symlink.h5"]


def written(root: Path, ending: str, way: Callable[..., None], target: str, name: str) -> Path:
    """data/a<ending>, whose array `name` is elsewhere; the file that is led to is outside."""
    data = root / "data"
    data.mkdir()
    for place in (data / "beside.h5", root / "away.h5"):
        with h5py.File(place, "w") as file:
            file["x"] = SAMPLES
            file["x"].attrs["MATLAB_class"] = CLASS
    (data / "symlink.h5").symlink_to(root / "away.h5")
    path = data / f"a{ending}"
    block = {"userblock_size": 512} if ending == ".mat" else {}
    with h5py.File(path, "w", **block) as file:
        way(file, name, target.format(absolute=root / "away.h5"))
        if way not in (external_link, soft_link_to_a_link):
            file[name].attrs["MATLAB_class"] = CLASS
    return path


def read(root: Path, ending: str, **options: Any) -> list[Any]:
    fields = {"unit_id": "{unit}", "condition": "c", "run_id": "{unit}"}
    keys = {"path": "data", "files": "{unit}" + ending, "fields": fields, "rate_hz": 1e3}
    return list(FolderSource(FolderOptions(**{**keys, **options}), root, root).recordings())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ending", [".hdf5", ".mat"])
def test_samples_of_another_file_are_refused(
    tmp_path: Path, ending: str, way: Callable[..., None], target: str
) -> None:
    written(tmp_path, ending, way, target, "x")
    with pytest.raises(BadData, match=r"do not lie in the file itself|no array") as caught:
        read(tmp_path, ending, samples_along="columns", array="x")
    assert f"a{ending}" in str(caught.value)


@pytest.mark.parametrize("way", [external_link, virtual, raw_file])
@pytest.mark.parametrize("array", [None, "x", "*"])
def test_the_error_names_where_the_samples_lie(
    tmp_path: Path, way: Callable[..., None], array: str | None
) -> None:
    written(tmp_path, ".hdf5", way, "beside.h5", "x")
    expected = r"do not lie in the file itself[\s\S]*a\.hdf5, /x[\s\S]*beside\.h5[\s\S]*remedy"
    with pytest.raises(BadData, match=expected):
        read(tmp_path, ".hdf5", array=array, samples_along="columns")


@pytest.mark.parametrize("ending", [".hdf5", ".mat"])
@pytest.mark.parametrize("way", [virtual, raw_file])
def test_a_rate_of_another_file_is_refused(
    tmp_path: Path, ending: str, way: Callable[..., None]
) -> None:
    path = written(tmp_path, ending, way, "beside.h5", "below/x")
    with h5py.File(path, "a") as file:
        layout = h5py.VirtualLayout((1, 1), "f8")
        layout[:] = h5py.VirtualSource("beside.h5", "x", SAMPLES.shape)[:, :1]
        file.create_virtual_dataset("fs", layout)
        file["y"] = SAMPLES
        for name in ("fs", "y"):
            file[name].attrs["MATLAB_class"] = CLASS
    with pytest.raises(BadData, match="do not lie in the file itself"):
        read(tmp_path, ending, array="y", samples_along="columns", rate_hz="unknown")


def test_links_beside_the_array_lead_nowhere(tmp_path: Path) -> None:
    path = written(tmp_path, ".hdf5", external_link, "../away.h5", "x")
    with h5py.File(path, "a") as file:
        file["y"] = SAMPLES
    for array in (None, "y"):
        (made,) = read(tmp_path, ".hdf5", array=array)
        np.testing.assert_array_equal(made.signal[:, 0], SAMPLES[0].astype(np.float32))


def test_cells_of_matlab_refer_to_no_virtual_data_set(tmp_path: Path) -> None:
    path = written(tmp_path, ".mat", virtual, "beside.h5", "#refs#/a")
    with h5py.File(path, "a") as file:
        cells = file.create_dataset("c", data=np.array([[file["#refs#/a"].ref]], h5py.ref_dtype))
        cells.attrs["MATLAB_class"] = np.bytes_("cell")
    with pytest.raises(BadData, match="do not lie in the file itself"):
        read(tmp_path, ".mat", samples_along="columns")


@pytest.mark.fast_cases("False-virtual-*", "False-*-beside.h5")
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("copy", [False, True])
def test_records_of_another_file_are_refused(
    tmp_path: Path, way: Callable[..., None], target: str, copy: bool
) -> None:
    path = written(tmp_path, ".h5", way, target, "1")
    with h5py.File(path, "a") as file:
        file["2"] = SAMPLES.T
    said = {"Dataset_id": 9, "Label": 0, "Fault_Diagnosis": 1, "Sample_lenth": 400, "Channel": 1}
    rows = [{**dict.fromkeys(COLUMNS, ""), **said, "Id": key} for key in (1, 2)]
    table = files.write_rows(tmp_path / "other", rows, {}, name="RM").metadata
    options = PhmVibenchOptions.model_validate(
        {"path": str(path), "metadata": str(table), "dataset_ids": [9], "copy": copy}
    )
    with pytest.raises(BadData, match=r"do not lie in the file itself[\s\S]*a\.h5, /1"):
        list(PhmVibenchSource(options, None).recordings())


def test_inspect_reads_no_other_file(tmp_path: Path) -> None:
    written(tmp_path, ".hdf5", virtual, "../away.h5", "x")
    for name in ("beside.h5", "symlink.h5"):
        os.unlink(tmp_path / "data" / name)
    with pytest.raises(Exception, match="do not lie in the file itself"):
        inspect(tmp_path / "data")
