"""The attempts of a cell: one line an event."""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

from workflow_src.errors import first_line
from workflow_src.files import look_first
from workflow_src.limits import peak_rss_mb
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.cause import Cause, cause_of
from workflow_src.scheduling.events import Ended, Event, Started, read_event


class Journal:
    """Append-only `attempts.jsonl`; each event is one line, written and synced at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def attempt(self, identity: str, request: AttemptRequest | None = None) -> Iterator[None]:
        """Frame one attempt by its start and its end."""
        told = {} if request is None else {"request": request}
        self.append(Started(host=platform.node(), pid=os.getpid(), identity=identity, **told))
        try:
            yield
        except BaseException as error:
            # On a full disk not even this line may fit; the error itself says so.
            with contextlib.suppress(OSError):
                self.append(Ended(cause=cause_of(error).text, message=first_line(error)))
            raise
        self.append(Ended(cause=Cause.DONE.text, peak_rss_mb=peak_rss_mb()))

    def append(self, event: Event) -> None:
        """Add one event with the time of now."""
        now = event.model_copy(update={"time": round(time.time(), 3)})
        line = json.dumps(now.to_json()) + "\n"
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

    def events(self) -> list[Event]:
        """All complete events, the oldest first; a torn line is passed over."""
        try:
            written = self.path.stat()
            return list(_read(self.path, written.st_size, written.st_mtime_ns))
        except FileNotFoundError:
            return []

    def attempts(self, identity: str) -> int:
        """Number of attempts that were started at the cell of this identity."""
        starts = [event for event in self.events() if isinstance(event, Started)]
        return sum(start.identity == identity for start in starts)


# A plan looks at each journal for the state of its cell and again for its request.
@functools.lru_cache(maxsize=16384)
def _read(path: Path, size: int, written_ns: int) -> tuple[Event, ...]:
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            found.append(read_event(json.loads(line)))
    return tuple(event for event in found if event is not None)
