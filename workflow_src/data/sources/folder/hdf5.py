"""HDF5: .h5 and .hdf5, read by blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import h5py

from workflow_src.configuration.folder import FolderOptions
from workflow_src.data.own_samples import external_links, own_member, require_own
from workflow_src.data.sources.folder.content import (
    Content,
    chosen,
    damage_named,
    rate_keys,
)
from workflow_src.data.sources.folder.rates import Held, one_rate
from workflow_src.data.sources.folder.stacks import from_array_or_stack


def list_hdf5(path: Path) -> dict[str, tuple[int, ...]]:
    """Shape by name of each data set, in all groups."""
    with damage_named(path), h5py.File(path, "r", locking=False) as file:
        return {name: item.shape or () for name, item in _data_sets(file).items()}


def read_hdf5(path: Path, array: str | None, options: FolderOptions) -> Content:
    """One data set, and the rate that an attribute or a data set of one number states nearest by.

    Raises ``BadData`` for one whose samples lie in another file.
    """
    with damage_named(path), h5py.File(path, "r", locking=False) as file:
        found = _data_sets(file)
        held = [key for key, item in found.items() if item.size != 1]
        if array is not None or not held:  # a link is no array, unless it is asked for
            held += external_links(file)
        name = chosen(path, array, held)
        own_member(file, name)
        stated, theirs = one_rate(options, path, _rates(file, name, found)), _single(found, found)
        unused = [] if stated[0] or options.ignore_stated_rate else theirs
        left = [f"{one} is beside other arrays: not used" for one in unused]
        content = from_array_or_stack(f"{path}, array {name!r}", found[name], options, stated)
        return replace(content, notes=(*content.notes, *left))


def _data_sets(file: h5py.File) -> dict[str, h5py.Dataset]:
    found: dict[str, h5py.Dataset] = {}
    file.visititems(
        lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None
    )
    return found


def _rates(file: h5py.File, name: str, found: Mapping[str, h5py.Dataset]) -> dict[str, Held]:
    """The rates that stand nearest to the array `name`, each by its place.

    These are its own, else those of its group, of the groups around it, of groups without arrays:
    what stands beside other arrays is of them.
    """
    inner = [name[:end] for end, sign in enumerate(name) if sign == "/"]
    levels = [
        _attributes(f"group {group!r}", file[group].attrs) | _single(found, _inside(found, group))
        for group in inner[::-1]
    ]
    top = _attributes("the file", file.attrs) | _single(found, _inside(found, ""))
    levels = [_attributes("the array", found[name].attrs), *levels, top]
    return next(filter(None, levels), None) or _single(found, _apart(found, name))


def _attributes(owner: str, held: h5py.AttributeManager) -> dict[str, Held]:
    return {f"attribute {key!r} of {owner}": held[key] for key in rate_keys(held)}


def _single(found: Mapping[str, h5py.Dataset], among: Iterable[str]) -> dict[str, Held]:
    """The rates among data sets of one number."""
    dotted = {name.replace("/", "."): name for name in among if found[name].size == 1}
    rates = [dotted[key] for key in rate_keys(dotted)]
    return {f"data set {name!r}": require_own(found[name])[()] for name in rates}


def _inside(found: Iterable[str], group: str) -> list[str]:
    return [name for name in found if name.rpartition("/")[0] == group]


def _apart(found: Mapping[str, h5py.Dataset], array: str) -> list[str]:
    """The data sets of groups that lie beside those around `array` and hold no array."""
    arrays = [name for name, item in found.items() if item.size != 1 and item.dtype.kind in "iuf"]

    def branch(name: str) -> str:
        """The largest group that holds `name`, but not `array`."""
        ends = [end for end, sign in enumerate(name) if sign == "/"]
        return next((name[: e + 1] for e in ends if not array.startswith(name[: e + 1])), name)

    return [name for name in found if not any(one.startswith(branch(name)) for one in arrays)]
