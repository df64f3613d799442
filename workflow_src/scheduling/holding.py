"""Holds a folder of data while its files are written: one process at a time, also on other hosts.

A job outlives the Snakemake that was killed above it. The next one, perhaps of other settings,
waits until the files of the first have landed, and writes its own over them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from workflow_src.errors import UserError
from workflow_src.scheduling.lock import Lock

FOLDER = ".lock"
_BEAT_S = 5.0


@contextmanager
def held(folder: Path) -> Iterator[Callable[[], None]]:
    """Hold `folder`; what is given raises ``UserError`` if another process has taken over.

    Who has to wait says for whom. Raises ``UserError`` where the folder cannot be locked.
    """
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    lock, one_at_a_time, over = Lock(place), threading.Lock(), threading.Event()

    def beat() -> bool:
        with one_at_a_time:  # both would write the same file
            return lock.beat()

    def require() -> None:
        if not beat():
            raise UserError(
                "Another process took this one for dead, and writes the same files.",
                where=str(folder.resolve()),
                remedy="run the same command again, once the other one has ended",
            )

    def keep_beating() -> None:
        while not over.wait(_BEAT_S) and beat():
            pass

    lock.take(say=lambda text: print(text, flush=True))
    beating = threading.Thread(target=keep_beating, daemon=True)
    beating.start()
    try:
        yield require
    finally:
        over.set()
        beating.join()
        lock.release()
