"""MATLAB: .mat of version 5 to 7.2 (scipy) and of version 7.3 (HDF5 with axes reversed).

Arrays within structs and cells are named as MATLAB names them: ``s.x``, ``s(2).x``, ``c{1}``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray
from scipy.io.matlab import MatlabOpaque, MatReadWarning

from workflow_src.configuration.folder import FolderOptions
from workflow_src.data.own_samples import Item, own_items, require_own
from workflow_src.data.sources.folder.content import (
    Content,
    Samples,
    chosen,
    damage_named,
    rate_keys,
)
from workflow_src.data.sources.folder.rates import one_rate
from workflow_src.data.sources.folder.stacks import from_array_or_stack
from workflow_src.errors import BadData

_OBJECT = "MATLAB_object_decode"
NUMERIC = (
    *("double", "single", "logical"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
)


def list_mat(path: Path) -> dict[str, tuple[int, ...]]:
    """Shape by name of each array of numbers, as MATLAB says it."""
    with damage_named(path):
        if h5py.is_hdf5(path):
            with h5py.File(path, "r", locking=False) as file:
                return {name: item.shape[::-1] for name, item in _leaves_of_hdf5(file).items()}
        return {name: item.shape for name, item in _leaves_of_version_5(path, None).items()}


def read_mat(path: Path, array: str | None, options: FolderOptions) -> Content:
    """One array, and the rate that another, of one number, states.

    Of version 7.3 the array is read by blocks; of the older ones it is read whole, and so are
    structs and cells, unless ``array`` names an array beside them.
    """
    with damage_named(path):
        if not h5py.is_hdf5(path):
            return _read_leaf(path, array, options, _leaves_of_version_5(path, array), False)
        with h5py.File(path, "r", locking=False) as file:
            return _read_leaf(path, array, options, _leaves_of_hdf5(file), True)


def _read_leaf(
    path: Path,
    array: str | None,
    options: FolderOptions,
    found: Mapping[str, Samples],
    reversed_axes: bool,
) -> Content:
    name = chosen(path, array, [key for key, item in found.items() if np.prod(item.shape) != 1])
    samples: Samples = found[name]
    single = [key for key, item in found.items() if np.prod(item.shape) == 1]
    beside = [key for key in single if key.rpartition(".")[0] == name.rpartition(".")[0]]
    keys = rate_keys(beside) or rate_keys(key for key in single if "." not in key)
    stated = one_rate(options, path, {f"key {key!r}": found[key][()] for key in keys})
    where = f"{path}, array {name!r}"
    return from_array_or_stack(where, samples, options, stated, reversed_axes=reversed_axes)


# -- version 5 ------------------------------------------------------------------------------------


class _Unread:
    """An array of a file that is not read before it is chosen."""

    def __init__(self, path: Path, name: str, shape: tuple[int, ...]) -> None:
        self._path, self._name, self.shape = path, name, shape

    def _read(self) -> NDArray[Any]:
        if not hasattr(self, "_held"):
            read = scipy.io.loadmat(self._path, variable_names=[self._name])[self._name]
            self._held = np.asarray(read)
        return self._held

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._read().dtype

    def __getitem__(self, index: Any, /) -> Any:
        return self._read()[index]


def _leaves_of_version_5(path: Path, array: str | None) -> dict[str, Samples]:
    """Arrays by name; what lies in structs and cells only where it is needed."""
    try:
        listed = scipy.io.whosmat(path)
    except TypeError:  # of what scipy says where an object of MATLAB stands among the arrays
        return _leaves_beside_objects(path)
    found: dict[str, Samples] = {
        name: _Unread(path, name, shape) for name, shape, kind in listed if kind in NUMERIC
    }
    nested = [name for name, _, kind in listed if kind in ("struct", "cell")]
    if nested and array not in found:
        held = scipy.io.loadmat(path, variable_names=nested)
        for name in nested:
            found |= _leaves_of_value(name, held[name])
    return found


def _leaves_beside_objects(path: Path) -> dict[str, Samples]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MatReadWarning)  # it has one name for all objects
        held = scipy.io.loadmat(path)
    found: dict[str, Samples] = {}
    objects: dict[str, str] = {}
    for name, value in held.items():
        if isinstance(value, MatlabOpaque):
            objects[value["s0"].item().decode()] = value["s2"].item().decode()
        elif not name.startswith("__"):
            found |= _leaves_of_value(name, value)
    _require_arrays(path, found, objects)
    return found


def _require_arrays(path: Path, found: Mapping[str, Samples], objects: Mapping[str, str]) -> None:
    """Raise ``BadData`` where objects of MATLAB are all that there is."""
    if objects and not found:
        name = next(iter(objects))
        raise BadData(
            "The file holds objects of MATLAB, which only MATLAB can read, and no array.",
            where=str(path),
            found=", ".join(f"{name} ({kind})" for name, kind in objects.items()),
            expected="an array of numbers",
            remedy=f"in MATLAB, of a table or timetable: x = {name}.Variables; "
            f"save('{path.name}', 'x', '-v7.3')",
        )


def _leaves_of_value(name: str, value: Any) -> Iterator[tuple[str, Samples]]:
    if not isinstance(value, np.ndarray) or isinstance(value, MatlabOpaque):
        return
    if value.dtype.names:
        for number, element in enumerate(value.ravel("F"), start=1):
            label = name if value.size == 1 else f"{name}({number})"
            for field in value.dtype.names:
                yield from _leaves_of_value(f"{label}.{field}", element[field])
    elif value.dtype == object:
        for number, element in enumerate(value.ravel("F"), start=1):
            yield from _leaves_of_value(f"{name}{{{number}}}", element)
    elif value.dtype.kind in "biufc":
        yield name, value


# -- version 7.3 ----------------------------------------------------------------------------------


def _leaves_of_hdf5(file: h5py.File) -> dict[str, h5py.Dataset]:
    found: dict[str, h5py.Dataset] = {}
    objects: dict[str, str] = {}
    for key, item in own_items(file):
        if key.startswith("#"):  # `#refs#` holds what cells, structs and objects refer to
            continue
        if _OBJECT in item.attrs:
            objects[key] = _class_of(item)
        else:
            found |= _leaves_of_item(key, item)
    _require_arrays(Path(file.filename), found, objects)
    return found


def _leaves_of_item(name: str, item: Item) -> Iterator[tuple[str, h5py.Dataset]]:
    kind = _class_of(item)
    if isinstance(item, h5py.Group):
        if kind == "struct":
            yield from _leaves_of_struct(name, item)
    elif item.dtype == h5py.ref_dtype:
        for number, reference in enumerate(item[()].ravel(), start=1):
            yield from _leaves_of_item(f"{name}{{{number}}}", require_own(item.file[reference]))
    elif kind in NUMERIC and "MATLAB_empty" not in item.attrs:
        yield name, item


def _leaves_of_struct(name: str, group: h5py.Group) -> Iterator[tuple[str, h5py.Dataset]]:
    for field, item in own_items(group):
        array_of_structs = (
            isinstance(item, h5py.Dataset)
            and item.dtype == h5py.ref_dtype
            and _class_of(item) != "cell"
        )
        if not array_of_structs:
            yield from _leaves_of_item(f"{name}.{field}", item)
            continue
        for number, reference in enumerate(item[()].ravel(), start=1):
            yield from _leaves_of_item(
                f"{name}({number}).{field}", require_own(item.file[reference])
            )


def _class_of(item: Item) -> str:
    kind = item.attrs.get("MATLAB_class", b"")
    return kind.decode() if isinstance(kind, bytes) else str(kind)
