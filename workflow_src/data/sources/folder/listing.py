"""What lies below a folder: files, also behind links; what is no recording; what is not seen."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from workflow_src.configuration.patterns import compile_pattern, natural_key
from workflow_src.errors import UserError

# What systems leave beside files, often a copy or a part of one under the same ending.
_LEFT_BY_SYSTEMS = (
    *("__MACOSX", "lost+found", "System Volume Information", "$RECYCLE.BIN"),
    *("@eaDir", "#recycle", "#snapshot"),
)
_SHOWN = 5

FolderId = tuple[int, int]  # device and inode: a folder, by whatever name


@dataclass(frozen=True)
class Wanted:
    """What is looked for: whether a name may lead to it, and whether a name is written as it is."""

    on_the_way: Callable[[str], bool]
    by_name: Callable[[str], bool]


@dataclass
class Listing:
    """Names below a folder, with ``/`` between their parts.

    ``unseen`` holds why a file, or what lies in a folder, is not among the ``files``; ``litter``
    are hidden names and those that systems leave; ``loops`` links to a folder that holds them.
    """

    files: list[str] = field(default_factory=list)
    unseen: dict[str, str] = field(default_factory=dict)
    litter: list[str] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """A sentence for each kind of name that was passed over."""
        unseen = [f"{name}: {why}" for name, why in self.unseen.items()]
        return [
            f"{len(names)} {what} ({shown(names)})"
            for names, what in (
                (self.litter, "names are hidden or left by a system, and no recordings"),
                (self.loops, "links lead back to a folder above them and were not followed"),
                (unseen, "names match no rule of the rig and could not be looked at"),
            )
            if names
        ]

    def reason(self, name: str) -> str | None:
        """Why a name, or a folder that it lies in, was not seen; None if there is no reason."""
        parents = [str(parent) for parent in PurePosixPath(name).parents]
        return next((f"{n}: {self.unseen[n]}" for n in (name, *parents) if n in self.unseen), None)


def shown(names: Collection[str]) -> str:
    """The first names, and the number of the others."""
    first = ", ".join(list(names)[:_SHOWN])
    return first + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def everything() -> Wanted:
    """All that is not litter."""
    return Wanted(lambda _: True, lambda _: False)


def by_pattern(pattern: str) -> Wanted:
    """Files that a pattern matches; as in a shell, only a written dot matches a hidden name."""
    parts = pattern.split("/")
    starts = [compile_pattern("/".join(parts[: n + 1])) for n in range(len(parts))]

    def on_the_way(name: str) -> bool:
        depth = name.count("/")
        return depth < len(parts) and starts[depth].fullmatch(name) is not None

    def by_name(name: str) -> bool:
        depth, last = name.count("/"), name.rpartition("/")[2]
        return on_the_way(name) and parts[depth][:1] == last[0]

    return Wanted(on_the_way, by_name)


def by_names(names: Collection[str]) -> Wanted:
    """Files of these names."""
    known = set(names) | {str(parent) for name in names for parent in PurePosixPath(name).parents}
    return Wanted(known.__contains__, known.__contains__)


def list_below(folder: Path, wanted: Wanted) -> Listing:
    """All files below a folder, in natural order; a link to a folder is followed if it is wanted.

    A folder that holds itself, by a link or a mount, is entered once. Raises ``UserError`` if the
    folder itself cannot be read.
    """
    try:
        return _walked(folder, wanted)
    except OSError as error:
        raise UserError(
            "A folder of recordings cannot be read.",
            where=str(folder),
            found=str(error.strerror),
            remedy=f"give yourself the right to read it: chmod u+rx {folder}",
        ) from error


def _walked(folder: Path, wanted: Wanted) -> Listing:
    found = Listing()
    status = folder.stat()
    open_ends: list[tuple[str, tuple[FolderId, ...]]] = [("", ((status.st_dev, status.st_ino),))]
    while open_ends:
        below, chain = open_ends.pop()
        try:
            with os.scandir(folder / below) as held:
                entries = sorted(held, key=lambda entry: entry.name)
        except OSError as error:
            if not below:
                raise
            found.unseen[below] = str(error.strerror)
            continue
        for entry in entries:
            name = f"{below}/{entry.name}" if below else entry.name
            if _is_litter(entry.name) and not wanted.by_name(name):
                found.litter.append(name)
            elif (place := _sorted_in(entry, name, wanted, found)) is None:
                continue
            elif place in chain:
                found.loops.append(name)
            else:
                open_ends.append((name, (*chain, place)))
    found.files.sort(key=natural_key)
    return found


def _is_litter(name: str) -> bool:
    return name.startswith((".", "~$")) or name in _LEFT_BY_SYSTEMS


def _sorted_in(
    entry: os.DirEntry[str], name: str, wanted: Wanted, found: Listing
) -> FolderId | None:
    """Put a file, or what is none, into the listing; the place of a folder to enter."""
    try:
        status = entry.stat()
    except OSError as error:
        found.unseen[name] = _link(entry) + str(error.strerror)
        return None
    if stat.S_ISREG(status.st_mode):
        found.files.append(name)
    elif not stat.S_ISDIR(status.st_mode):
        found.unseen[name] = "neither a file nor a folder"
    elif entry.is_symlink() and not wanted.on_the_way(name):
        found.unseen[name] = _link(entry) + "a folder"
    else:
        return status.st_dev, status.st_ino
    return None


def _link(entry: os.DirEntry[str]) -> str:
    """Where a link leads to; nothing of what is none, or where the folder does not let it say."""
    try:
        return f"a link to {os.readlink(entry.path)}: " if entry.is_symlink() else ""
    except OSError:
        return ""
