"""When a fault strikes: after a random time, or as soon as a certain file is touched."""

from __future__ import annotations

import ctypes
import fnmatch
import os
import random
import select
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_MODIFY, _MOVED_TO, _CREATE = 0x2, 0x80, 0x100  # inotify(7)
_EVENT = struct.Struct("iIII")
_LIBC = ctypes.CDLL(None, use_errno=True)

# Files and how often an attempt touches each, at most.
TARGETS = {
    ".*.last.ckpt": 30,
    "last.ckpt": 6,
    "previous.ckpt": 5,
    "history.csv": 15,
    ".*.best.*.safetensors": 6,
    ".*.history.csv": 1,
    "identity": 1,
    "attempts.jsonl": 2,
    "lock.*": 2,
    ".*.training.json": 1,
    ".*.model.safetensors": 1,
    ".*.predictions.h5": 3,
    "predictions.h5": 1,
}


class Touched:
    """Names of files in some folders as they are made, written to or renamed to: inotify(7)."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._descriptor = _LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        for folder in folders:
            mask = _MODIFY | _MOVED_TO | _CREATE
            if _LIBC.inotify_add_watch(self._descriptor, bytes(folder), mask) < 0:
                raise OSError(ctypes.get_errno(), "inotify_add_watch", str(folder))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)

    def names(self, wait_s: float) -> list[str]:
        """Those since the last call; empty when there was none for `wait_s`."""
        if not select.select([self._descriptor], [], [], wait_s)[0]:
            return []
        content, found = os.read(self._descriptor, 1 << 16), []
        while content:
            length = _EVENT.unpack_from(content)[3]
            found.append(content[_EVENT.size : _EVENT.size + length].rstrip(b"\0").decode())
            content = content[_EVENT.size + length :]
        return found


@dataclass(frozen=True)
class Moment:
    """`delay_s` after the start, or after the `count`-th touch of a file that matches."""

    delay_s: float
    pattern: str | None = None
    count: int = 1

    def wait(self, touched: Touched, alive: Callable[[], bool]) -> bool:
        """Wait for it; False where the process ended before."""
        left = self.count if self.pattern else 0
        while left > 0:
            names = touched.names(0.05)
            left -= sum(fnmatch.fnmatchcase(name, str(self.pattern)) for name in names)
            if not names and not alive():
                return False
        until = time.monotonic() + self.delay_s
        while (rest := until - time.monotonic()) > 0:
            time.sleep(min(rest, 0.02))
            if not alive():
                return False
        return alive()


def draw_moment(draw: random.Random, attempt_s: float) -> Moment:
    """Anywhere in an attempt of `attempt_s`, anywhere in its training, or at a file."""
    how = draw.random()
    if how < 0.15:
        return Moment(draw.uniform(0, attempt_s))
    if how < 0.4:  # training begins with this file; the first half of an attempt imports torch
        return Moment(draw.uniform(0, attempt_s / 2), ".*.history.csv")
    pattern = draw.choice(list(TARGETS))
    delay = draw.choice([0.0, draw.uniform(0, 0.002), draw.uniform(0, 0.03)])
    count = min(draw.randint(1, TARGETS[pattern]) for _ in range(2))  # late ones may never come
    return Moment(delay, pattern, count)
