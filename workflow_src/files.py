"""Files that are whole or absent: a temporary name, fsync, rename.

A process that may only write while it holds something says so once, by `only_while`; whatever it
lays down, moves or removes by a function of this file looks first.
"""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from workflow_src.errors import UserError

_look: Callable[[], object] = lambda: None  # noqa: E731 - the process's own, by `only_while`


@contextlib.contextmanager
def only_while(look: Callable[[], object]) -> Iterator[None]:
    """Inside, `look` is called before each write that lasts, and raises where it is not to be."""
    global _look  # a right that the whole process has or has not
    before, _look = _look, look
    try:
        yield
    finally:
        _look = before


def look_first() -> None:
    """Raise what the `look` of `only_while` raises, where this process is to write no more."""
    _look()


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    look_first()
    path.unlink(missing_ok=True)


def move(path: Path, target: Path) -> None:
    """Rename a file or folder; a file that is there is replaced."""
    look_first()
    path.rename(target)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """`write` a temporary file beside `path`, put its bytes on the disk, and rename it.

    A failure leaves neither; a full disk is a UserError that names the folder.
    """
    look_first()
    # A process on another host may have the same number, and a killed one may have had it.
    temporary = path.with_name(f".{os.getpid()}.{uuid.uuid4().hex}.{path.name}")
    try:
        write(temporary)
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        # Beside the file that was just made: of this folder NFS remembers nothing that is older.
        look_first()
        temporary.replace(path)
    except Exception as error:
        if is_disk_full(error):
            raise disk_full(path.parent, f"{path.name} could not be written: {error}") from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` in UTF-8, whole or not at all; the folders above are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline="\n"))


def is_disk_full(error: BaseException) -> bool:
    """Whether `error` says that a disk or a quota is used up, by number or by its words.

    safetensors wraps the system's error in one of its own, which keeps the words alone.
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    words = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))
    return any(text in str(error) for text in words)


def disk_full(folder: Path, found: str) -> UserError:
    """What is said of a full disk."""
    return UserError(
        "The disk is full, or a quota is used up.",
        where=str(folder.resolve()),
        found=found,
        remedy="free space, or make this folder a symbolic link to one on another disk",
    )
