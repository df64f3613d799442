"""Files that are whole or absent: a temporary name, fsync, rename."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from workflow_src.errors import UserError


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """`write` a temporary file beside `path`, put its bytes on the disk, and rename it.

    A failure leaves neither; a full disk is a UserError that names the folder.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    temporary.unlink(missing_ok=True)  # of a killed process that had the same number
    try:
        write(temporary)
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
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
