"""Tables and other objects of MATLAB beside arrays, as versions 5 and 7.3 store them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from workflow_src.data.sources.folder import FolderOptions, FolderSource
from workflow_src.errors import BadData

SAMPLES = np.random.default_rng(0).standard_normal((400, 2))
_INT8, _INT32, _UINT32, _MATRIX = 1, 5, 6, 14  # kinds of elements of version 5
_CELLS = np.array([[0xDD000000, 2, 1, 1, 1, 1]], np.uint32)  # what an object is in place of numbers


def element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def opaque(name: bytes, kind: bytes) -> bytes:
    """An object (class 17) of a file of version 5: its name, its class, its place elsewhere."""
    head = element(_UINT32, struct.pack("<II", 17, 0)) + element(_INT8, name)
    inner = element(_UINT32, struct.pack("<II", 13, 0)) + element(_INT32, struct.pack("<ii", 6, 1))
    inner += element(_INT8, b"") + element(_UINT32, _CELLS.tobytes())
    words = element(_INT8, b"MCOS") + element(_INT8, kind)
    return element(_MATRIX, head + words + element(_MATRIX, inner))


def write_5(path: Path, arrays: dict[str, Any], objects: dict[str, str]) -> None:
    scipy.io.savemat(path, {"unused": 0.0, **arrays})
    raw = path.read_bytes()
    if not arrays:
        raw = raw[:128]
    said = b"".join(opaque(name.encode(), kind.encode()) for name, kind in objects.items())
    path.write_bytes(raw[:128] + said + raw[128:])


def write_7_3(path: Path, arrays: dict[str, Any], objects: dict[str, str]) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in arrays.items():
            file[name] = np.asarray(value).T
            file[name].attrs["MATLAB_class"] = np.bytes_("double")
        for name, kind in objects.items():
            file[name] = _CELLS
            file[name].attrs["MATLAB_class"] = np.bytes_(kind)
            file[name].attrs["MATLAB_object_decode"] = 3
        file["#subsystem#/MCOS"] = np.zeros((1, 3), np.uint64)


def only(root: Path, **options: Any) -> Any:
    fields = {"unit_id": "{unit}", "condition": "c", "run_id": "{unit}"}
    keys = {"path": ".", "files": "{unit}.mat", "fields": fields, "rate_hz": 1e3, **options}
    (made,) = FolderSource(FolderOptions(**keys), root, root).recordings()
    return made.signal


@pytest.mark.parametrize("write", [write_5, write_7_3])
@pytest.mark.parametrize("array", [None, "x"])
def test_an_array_beside_objects_is_read(tmp_path: Path, write: Any, array: str | None) -> None:
    write(tmp_path / "a.mat", {"x": SAMPLES}, {"TT": "timetable", "note": "string"})
    np.testing.assert_array_equal(only(tmp_path, array=array), SAMPLES.astype(np.float32))


@pytest.mark.parametrize("write", [write_5, write_7_3])
@pytest.mark.parametrize("kind", ["table", "timetable"])
def test_objects_alone_are_named_with_what_to_do(tmp_path: Path, write: Any, kind: str) -> None:
    write(tmp_path / "a.mat", {}, {"TT": kind})
    expected = rf"a\.mat[\s\S]*TT \({kind}\)[\s\S]*x = TT\.Variables; save\('a\.mat'"
    with pytest.raises(BadData, match=expected):
        only(tmp_path)


def test_arrays_within_structs_beside_objects_keep_their_names(tmp_path: Path) -> None:
    write_5(tmp_path / "a.mat", {"bearing": {"gs": SAMPLES, "sr": 25600.0}}, {"TT": "table"})
    signal = only(tmp_path, array="bearing.gs", rate_hz="unknown")
    np.testing.assert_array_equal(signal, SAMPLES.astype(np.float32))
