"""NumPy: .npy, mapped from the disk, and .npz, of which one array is unpacked."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from workflow_src.configuration.folder import FolderOptions
from workflow_src.data.sources.folder.content import (
    Content,
    chosen,
    damage_named,
    rate_keys,
)
from workflow_src.data.sources.folder.rates import one_rate
from workflow_src.data.sources.folder.stacks import from_array_or_stack
from workflow_src.errors import BadData


def read_npy(path: Path, _: str | None, options: FolderOptions) -> Content:
    """The array of a file; pages of it are read as they are needed."""
    with damage_named(path):
        with path.open("rb") as file:
            _refuse_objects(str(path), _header(file)[1])
        samples = np.load(path, mmap_mode="r", allow_pickle=False)
        return from_array_or_stack(str(path), samples, options)


def shape_of_npy(path: Path) -> tuple[int, ...]:
    """The shape of a file's array; only its header is read."""
    with damage_named(path), path.open("rb") as file:
        return _header(file)[0]


def list_npz(path: Path) -> dict[str, tuple[int, ...]]:
    """Shape by name of each array; only the headers are read."""
    return {name: shape for name, (shape, _) in _headers(path).items()}


def read_npz(path: Path, array: str | None, options: FolderOptions) -> Content:
    """One array of a file, and the rate that another, of one number, states."""
    headers = _headers(path)
    name = chosen(path, array, [n for n, (shape, _) in headers.items() if np.prod(shape) != 1])
    where = f"{path}, array {name!r}"
    _refuse_objects(where, headers[name][1])
    rates = rate_keys(n for n, (shape, _) in headers.items() if np.prod(shape) == 1)
    with damage_named(path), np.load(path, allow_pickle=False) as file:
        stated = one_rate(options, path, {f"array {rate!r}": file[rate] for rate in rates})
        samples = file[name]
    return from_array_or_stack(where, samples, options, stated)


def _headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]]:
    found = {}
    with damage_named(path), zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            if member.endswith(".npy"):
                with archive.open(member) as file:
                    found[member.removesuffix(".npy")] = _header(file)
    return found


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _refuse_objects(where: str, dtype: np.dtype[np.generic]) -> None:
    if dtype.hasobject:
        raise BadData(
            "An array holds Python objects, which loading would execute.",
            where=where,
            found=f"dtype {dtype}",
            remedy="save the numbers alone: numpy.save(..., array.astype('float32'))",
        )
