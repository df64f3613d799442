"""The attempts of a cell: one line an event, and how an attempt ended."""

from __future__ import annotations

import contextlib
import enum
import errno
import json
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workflow_src.errors import BadData, Diverged, OutOfMemory, Stopped, first_line
from workflow_src.files import look_first
from workflow_src.limits import peak_rss_mb


class Cause(enum.Enum):
    """How an attempt ended: name, exit code (0 done, 75 again, 1 do not), and words for it."""

    # One that is done and has no scores was not evaluated yet.
    DONE = ("done", 0, "trained, not scored yet")
    GPU_OOM = ("gpu_oom", 75, "out of GPU memory")
    HOST_OOM = ("host_oom", 75, "out of host memory")
    DEADLINE = ("deadline", 75, "time limit reached")
    TERMINATED = ("terminated", 75, "terminated from outside")
    NODE_LOST = ("node_lost", 75, "node lost")
    DIVERGED = ("diverged", 1, "loss diverged")
    BAD_DATA = ("bad_data", 1, "refused its data")
    ERROR = ("error", 1, "ended by an error")

    @property
    def text(self) -> str:
        """The name in the journal."""
        return self.value[0]

    @property
    def exit_code(self) -> int:
        """What the process ends with."""
        return self.value[1]

    @property
    def words(self) -> str:
        """What digest, status and tables say of a cell that ended so and has no scores."""
        return self.value[2]

    @staticmethod
    def named(text: object) -> Cause | None:
        """The cause of this name; None of anything else."""
        return next((cause for cause in Cause if cause.text == text), None)


def cause_of(error: BaseException) -> Cause:
    """The cause that an exception stands for."""
    if isinstance(error, Diverged):
        return Cause.DIVERGED
    if isinstance(error, BadData):
        return Cause.BAD_DATA
    if isinstance(error, OutOfMemory):
        return Cause.GPU_OOM if error.of == "gpu" else Cause.HOST_OOM
    if isinstance(error, MemoryError):
        return Cause.HOST_OOM
    if isinstance(error, Stopped):
        return Cause.DEADLINE if error.reason == "deadline" else Cause.TERMINATED
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return Cause.TERMINATED
    return Cause.ERROR


class Journal:
    """Append-only `attempts.jsonl`; each event is one line, written and synced at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def attempt(self, **facts: Any) -> Iterator[None]:
        """Frame one attempt by its lines `started` (with `facts`) and `ended` (with the cause)."""
        self.append("started", host=platform.node(), pid=os.getpid(), **facts)
        try:
            yield
        except BaseException as error:
            # On a full disk not even this line may fit; the error itself says so.
            with contextlib.suppress(OSError):
                self.append("ended", cause=cause_of(error).text, message=first_line(error))
            raise
        self.append("ended", cause=Cause.DONE.text, peak_rss_mb=peak_rss_mb())

    def append(self, event: str, **facts: Any) -> None:
        """Add one event with the time (s since the epoch) and `facts`."""
        line = json.dumps({"event": event, "time": round(time.time(), 3), **facts}) + "\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A line torn by a kill must not swallow the next one.
        if not self._ends_with_newline():
            line = "\n" + line
        look_first()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            data = line.encode()
            if os.write(descriptor, data) < len(data):  # the rest found no room
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _ends_with_newline(self) -> bool:
        try:
            with self.path.open("rb") as file:
                if file.seek(0, os.SEEK_END) == 0:
                    return True
                file.seek(-1, os.SEEK_END)
                return file.read(1) == b"\n"
        except FileNotFoundError:
            return True

    def events(self) -> list[dict[str, Any]]:
        """All complete events, the oldest first; a torn line is passed over."""
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        found = []
        for line in text.splitlines():
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(event, dict) and "event" in event:
                found.append(event)
        return found

    def attempts(self, identity: str) -> int:
        """Number of attempts that were started at the cell of this identity."""
        started = [event for event in self.events() if event["event"] == "started"]
        return sum(event.get("identity") == identity for event in started)
