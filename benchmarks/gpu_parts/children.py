"""A piece of work in a process of its own, which may be cut."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

# A fork has torch imported already. It may use CUDA as long as this process has not.
_FORK = multiprocessing.get_context("fork")


class Cut(Exception):
    """The work took longer than its budget, and was killed."""


class Failed(Exception):
    """The work raised, or its process died; the text says which."""


def in_child(work: Callable[[], Any], limit_s: float, **environment: str) -> Any:
    """What `work` returns when it runs in a child with these variables.

    Raises:
        Cut: it ran longer than `limit_s` seconds; all that it had started is killed.
        Failed: it raised, or a signal ended it.
    """
    ours, theirs = _FORK.Pipe(duplex=False)
    child = _FORK.Process(target=_run, args=(work, theirs, environment))
    child.start()
    theirs.close()
    try:
        if not ours.poll(limit_s):
            raise Cut(f"cut after {limit_s:.0f} s")
        value, error = ours.recv()
    except EOFError:
        child.join()
        raise Failed(f"its process ended with {child.exitcode}") from None
    finally:
        # Of the child's session: what it has started may still hold the card's memory.
        with suppress(ProcessLookupError):
            os.killpg(child.pid or 0, signal.SIGKILL)
        child.join()
    if error:
        raise Failed(error)
    return value


def _run(work: Callable[[], Any], pipe: Connection, environment: dict[str, str]) -> None:
    os.setsid()
    os.environ |= environment
    value, error = None, ""
    try:
        value = work()
    except BaseException:
        error = traceback.format_exc()
    pipe.send((value, error))
    pipe.close()
    os._exit(0)  # libraries may hang when they are taken down
