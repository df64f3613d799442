"""A memory limit and a disk that only one run has; both need root."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import time
from pathlib import Path

MEMORY = Path("/sys/fs/cgroup/memory")
MB = 1 << 20

# Eats memory in the group until the kernel has killed a process there.
_EATER = """
import pathlib, sys, time
control = pathlib.Path(sys.argv[1], "memory.oom_control")
before, held, until = control.read_text(), [], time.monotonic() + 20
while control.read_text() == before and time.monotonic() < until:
    held.append(b"x" * (1 << 20))
"""


def no_memory_group() -> str | None:
    """Why memory cannot be limited here, if so."""
    if os.geteuid() != 0:
        return "only root may make a memory control group"
    if not (MEMORY / "memory.limit_in_bytes").exists():
        return "there is no memory controller of cgroup v1"
    return None


def no_small_disk() -> str | None:
    """Why no small file system can be mounted here, if so."""
    return None if os.geteuid() == 0 else "only root may mount a small file system"


class MemoryGroup:
    """A control group of its own, unlimited until it is squeezed; gone with `remove`."""

    def __init__(self, name: str) -> None:
        self.path = MEMORY / name
        self.path.mkdir()

    def command(self, *words: str) -> list[str]:
        """A command that runs inside the group, as the process that it is started as."""
        return ["sh", "-c", 'echo 0 > "$0/cgroup.procs" && exec "$@"', str(self.path), *words]

    def kills(self) -> int:
        """Processes that the kernel has killed for memory in this group."""
        words = (self.path / "memory.oom_control").read_text().split()
        return int(words[words.index("oom_kill") + 1])

    def squeeze(self, victim: int) -> bool:
        """Lower the limit to what is in use, and use more; whether the kernel has killed.

        The kernel prefers the largest process; to be sure of it, `victim` bids the most, which
        needs no privilege, unlike exempting the others.
        """
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            Path(f"/proc/{victim}/oom_score_adj").write_text("1000")
        words = (self.path / "memory.stat").read_text().split()
        limit = int(words[words.index("rss") + 1]) + 4 * MB
        while not self._lower(limit):
            limit += 4 * MB
        eater = self.command(sys.executable, "-c", _EATER, str(self.path))
        subprocess.run(eater, check=False, timeout=60)
        (self.path / "memory.limit_in_bytes").write_text("-1")
        return self.kills() > 0

    def _lower(self, limit: int) -> bool:
        """Refused below what cannot be reclaimed."""
        try:
            (self.path / "memory.limit_in_bytes").write_text(str(limit))
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return False
        return True

    def remove(self) -> None:
        """Wait for the last process to leave, and remove the group."""
        for _ in range(100):
            with contextlib.suppress(OSError):
                self.path.rmdir()
                return
            time.sleep(0.1)


class SmallDisk:
    """A file system of a few MB at a folder."""

    def __init__(self, folder: Path, megabytes: int = 24) -> None:
        self.folder = folder
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
        subprocess.run(command, check=True, capture_output=True)

    def fill(self) -> None:
        """Take what is left of it, to the last page."""
        with contextlib.suppress(OSError), (self.folder / "filler").open("ab", buffering=0) as file:
            for size in (MB, 4096):
                with contextlib.suppress(OSError):
                    while file.write(b"\0" * size) == size:
                        pass

    def free(self) -> None:
        """Give it back."""
        (self.folder / "filler").unlink(missing_ok=True)

    def unmount(self) -> None:
        """Remove the file system with all that it holds."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)
