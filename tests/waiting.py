"""What tests wait for: something to come true, a process to be gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def eventually(true: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What `true` returns once it is true; it fails where that takes longer."""
    until = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < until, "it never came"
        time.sleep(0.01)
    return found


def gone(pid: int) -> bool:
    """Whether a process has ended, also one that nobody has waited for."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"
