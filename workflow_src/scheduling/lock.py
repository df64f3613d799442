"""The lock of a run folder: two processes never train one cell at the same time.

The state is the file `lock.<N>` with the highest N. Who sees it released, or its holder dead,
creates `lock.<N + 1>`; a link to a complete file is made, which is exclusive on local and shared
file systems alike. The highest file is never removed, only overwritten, so that numbers never
start again and a slow waiter cannot take what another has taken meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import random
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workflow_src.errors import Stopped
from workflow_src.files import write_text

# Only where neither the holder's job nor its process can be asked for: heartbeats come every few
# seconds, and a shared file system may show them late.
SILENCE_S = 120.0
_POLL_S = 1.0
_ALIVE = ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED")

Content = dict[str, Any]


class Lock:
    """This process's hold of one folder.

    Attributes:
        before: what the holder before left, if it died; its last sample tells of what.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.before: Content | None = None
        self._number = 0
        self._content: Content = {}

    def take(
        self,
        *,
        left: Callable[[], bool] = lambda: False,
        say: Callable[[str], object] = lambda text: None,
    ) -> None:
        """Return when this process holds the folder.

        Args:
            left: whether this process's own time is over.
            say: told once, who holds it.

        Raises:
            Stopped: `left` came true before.
        """
        watch = _Silence()
        said = False
        while True:
            number, content = newest(self.folder)
            if content is None or content.get("released") or is_dead(content, watch):
                if self._create(number, content):
                    return
                time.sleep(random.uniform(0.01, 0.1))  # others are at it, too
                continue
            if not said:
                say(f"waiting: {_holder(content)} is at {self.folder}")
                said = True
            if left():
                raise Stopped("terminated", f"{_holder(content)} was still at it")
            time.sleep(_POLL_S)

    def _create(self, number: int, judged: Content | None) -> bool:
        """Try to become the holder after `number`; whether that worked."""
        own = {
            "host": platform.node(),
            "pid": os.getpid(),
            "began": _began(os.getpid()),
            "job": os.environ.get("SLURM_JOB_ID"),
            "token": uuid.uuid4().hex,
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),
            "beat": 0,
        }
        complete = self.folder / f".{os.getpid()}.lock.{own['token']}"
        complete.write_text(json.dumps(own), encoding="utf-8")
        mine = _path(self.folder, number + 1)
        try:
            os.link(complete, mine)
        except FileExistsError:
            return False
        finally:
            complete.unlink()
        unchanged = number == 0 or _read(_path(self.folder, number)) in (judged, None)
        if newest(self.folder)[0] != number + 1 or not unchanged:
            mine.unlink(missing_ok=True)
            return False
        self._number, self._content = number + 1, own
        self.before = None if judged is None or judged.get("released") else judged
        for path, other in _files(self.folder):
            if other <= number:
                path.unlink(missing_ok=True)
        return True

    def beat(self, **sample: Any) -> bool:
        """Show that this process lives, and what it saw last; False: another one took over."""
        if newest(self.folder)[0] != self._number:
            return False
        self._content |= {"beat": self._content["beat"] + 1, "sample": sample}
        self._write()
        return True

    def release(self) -> None:
        """Let the next one in; nothing to do where another has taken over."""
        if newest(self.folder)[0] == self._number:
            self._content["released"] = True
            with contextlib.suppress(OSError):  # on a full disk the dead holder is found out
                self._write()

    def _write(self) -> None:
        write_text(_path(self.folder, self._number), json.dumps(self._content))


def newest(folder: Path) -> tuple[int, Content | None]:
    """Number and content of the highest lock file; 0 and None where there is none."""
    number = max((number for _, number in _files(folder)), default=0)
    return number, _read(_path(folder, number)) if number else None


def is_dead(content: Content, silence: _Silence | None = None) -> bool:
    """Whether the holder that a lock file names is no more.

    A process of this host is looked for; of one elsewhere its Slurm job is asked; where neither
    can be asked, `silence` tells.
    """
    if content.get("host") == platform.node():
        return _began(int(content["pid"])) != content.get("began")
    job = content.get("job")
    state = _job_state(str(job)) if job else None
    if state is not None:
        return state not in _ALIVE
    return silence is not None and silence.lasts(content)


class _Silence:
    """How long a heartbeat has not changed, by this process's own clock."""

    def __init__(self) -> None:
        self._seen: tuple[Any, Any] | None = None
        self._since = time.monotonic()

    def lasts(self, content: Content) -> bool:
        seen = (content.get("token"), content.get("beat"))
        if seen != self._seen:
            self._seen, self._since = seen, time.monotonic()
        return time.monotonic() - self._since > SILENCE_S


def _files(folder: Path) -> list[tuple[Path, int]]:
    found = []
    for path in folder.glob("lock.*"):
        number = path.name.partition(".")[2]
        if number.isdigit():
            found.append((path, int(number)))
    return found


def _path(folder: Path, number: int) -> Path:
    return folder / f"lock.{number}"


def _read(path: Path) -> Content | None:
    """What a lock file says; a torn one, which no process here writes, names nobody: {}."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {"released": True}
    return content if isinstance(content, dict) and "token" in content else {"released": True}


def _began(pid: int) -> str | None:
    """When a process of this host began (clock ticks since boot); None where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def _job_state(job: str) -> str | None:
    """State of a Slurm job: "" where Slurm knows it no more, None where Slurm cannot be asked."""
    if shutil.which("squeue") is None:
        return None
    command = ["squeue", "-h", "-j", job, "-o", "%T"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except subprocess.TimeoutExpired:
        return None
    if asked.returncode:
        return "" if "Invalid job id" in asked.stderr else None
    return asked.stdout.strip()


def _holder(content: Content) -> str:
    job = f", Slurm job {content['job']}" if content.get("job") else ""
    return f"process {content['pid']} on {content['host']}{job} (since {content['since']})"
