"""The living processes of one run, found in /proc by the folder that they work in."""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Process:
    """A living process; `leads` its session where the supervisor started it."""

    pid: int
    leads: bool
    words: tuple[str, ...]

    @property
    def trains(self) -> bool:
        """Whether this is a training process (not a worker of one, which shares its words)."""
        return self.leads and "attempt" in self.words


def living(folder: Path) -> list[Process]:
    """Processes whose working directory is `folder`; dead ones that nobody waited for are none."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            # A process may end between any two lines.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                if os.readlink(f"/proc/{name}/cwd") == str(folder):
                    words = Path(f"/proc/{name}/cmdline").read_bytes().decode().split("\0")
                    state, *numbers = (
                        Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
                    )
                    if state not in "ZX" and words[0]:
                        found.append(Process(int(name), numbers[2] == name, tuple(words)))
    return found


class Probe:
    """A thread that looks for two training processes at one cell; a context manager."""

    def __init__(self, folder: Path, every_s: float = 0.05) -> None:
        self.folder = folder
        self.most = 0
        self.seen: list[Process] = []
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            training = [process for process in living(self.folder) if process.trains]
            if len(training) > self.most:
                self.most, self.seen = len(training), training
