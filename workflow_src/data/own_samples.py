"""HDF5 files that hold their samples themselves, and do not point to other files.

What lies in other files stands in no checksum, and may be any file of the machine; a virtual data
set reads zeros where a source of it is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import h5py

from workflow_src.errors import BadData

Item: TypeAlias = h5py.Group | h5py.Dataset
_LISTED = 3


def own_items(group: h5py.Group) -> Iterator[tuple[str, Item]]:
    """The members of a group; ``BadData`` for one that lies in another file."""
    for name in group:
        yield name, own_member(group, name)


def own_member(group: h5py.Group, name: str) -> Item:
    """A group or data set below `group`; ``BadData`` if its samples do not lie in the same file.

    ``KeyError`` where there is none.
    """
    link = group.get(name, getlink=True)
    at = f"{group.name.rstrip('/')}/{name}"
    if isinstance(link, h5py.ExternalLink):
        places = [f"{link.filename}, {link.path}"]
        raise _elsewhere(group.file, at, "a link to another file", places)
    try:
        item = group[name]
    except KeyError:
        if not isinstance(link, h5py.SoftLink):
            raise
        raise _elsewhere(group.file, at, "a link that leads nowhere", [link.path]) from None
    if item.file.filename != group.file.filename:  # by a link on the way
        raise _elsewhere(group.file, at, "a link to another file", [item.file.filename])
    return require_own(item)


def require_own(item: Item) -> Item:
    """A group or data set as it is; ``BadData`` if its samples lie in other data sets or files."""
    if not isinstance(item, h5py.Dataset):
        return item
    if item.is_virtual:
        sources = [f"{of.file_name}, {of.dset_name}" for of in item.virtual_sources()]
        what = "a virtual data set, which is made of others"
        raise _elsewhere(item.file, str(item.name), what, sources)
    if item.external:
        files = [name for name, _, _ in item.external]
        raise _elsewhere(
            item.file, str(item.name), "a data set whose samples are a raw file", files
        )
    return item


def external_links(file: h5py.File) -> list[str]:
    """The paths of all links to other files."""
    found: list[str] = []
    file.visititems_links(
        lambda name, link: found.append(name) if isinstance(link, h5py.ExternalLink) else None
    )
    return found


def _elsewhere(file: h5py.File, at: str, what: str, places: list[str]) -> BadData:
    said = [*dict.fromkeys(places)]
    listed = "; ".join([*said[:_LISTED], *(["..."] if len(said) > _LISTED else [])])
    return BadData(
        "The samples do not lie in the file itself.",
        where=f"{file.filename}, {at}",
        found=f"{what}: {listed or 'none'}",
        expected="samples within the file, which its checksum stands for",
        remedy="name the files that hold the samples in its place, or copy them into one file",
    )
