"""HDF5: .h5 and .hdf5, read by blocks."""

from __future__ import annotations

from pathlib import Path

import h5py

from workflow_src.configuration.folder import FolderOptions
from workflow_src.data.own_samples import external_links, own_member, require_own
from workflow_src.data.sources.folder.content import (
    Content,
    chosen,
    damage_named,
    rate_key,
)
from workflow_src.data.sources.folder.rates import UNSTATED, Stated, stated_rate
from workflow_src.data.sources.folder.stacks import from_array_or_stack


def list_hdf5(path: Path) -> dict[str, tuple[int, ...]]:
    """Shape by name of each data set, in all groups."""
    with damage_named(path), h5py.File(path, "r", locking=False) as file:
        return {name: item.shape or () for name, item in _data_sets(file).items()}


def read_hdf5(path: Path, array: str | None, options: FolderOptions) -> Content:
    """One data set, and the rate that an attribute or a data set of one number states.

    Raises ``BadData`` for one whose samples lie in another file.
    """
    with damage_named(path), h5py.File(path, "r", locking=False) as file:
        found = _data_sets(file)
        held = [key for key, item in found.items() if item.size != 1]
        if array is not None or not held:  # a link is no array, unless it is asked for
            held += external_links(file)
        name = chosen(path, array, held)
        own_member(file, name)
        stated = _stated_rate(path, file, found[name], found, options)
        return from_array_or_stack(f"{path}, array {name!r}", found[name], options, stated)


def _data_sets(file: h5py.File) -> dict[str, h5py.Dataset]:
    found: dict[str, h5py.Dataset] = {}
    file.visititems(
        lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None
    )
    return found


def _stated_rate(
    path: Path,
    file: h5py.File,
    dataset: h5py.Dataset,
    found: dict[str, h5py.Dataset],
    options: FolderOptions,
) -> Stated:
    for owner, attributes in (("the array", dataset.attrs), ("the file", file.attrs)):
        key = rate_key(attributes)
        if key is not None:
            return stated_rate(options, path, f"attribute {key!r} of {owner}", attributes[key])
    single = {name.replace("/", "."): name for name, item in found.items() if item.size == 1}
    key = rate_key(single)
    if key is None:
        return UNSTATED
    rate = require_own(found[single[key]])[()]
    return stated_rate(options, path, f"data set {single[key]!r}", rate)
