"""The lock of a run folder: two processes never train one cell at the same time.

The state is the file `lock.<N>` with the highest N. Who sees its holder gone, by its own word or
dead, creates `lock.<N + 1>`, as a link to a complete file: that is exclusive on local and shared
file systems alike. No lock file is ever removed, so each number is given away once, ever. That
decides every race, however slow a process is between its look and its link:

- Of all who saw `lock.<N>` free, one gets `lock.<N + 1>`.
- Who looked before another had come and gone, or saw an old listing, wants a number that is taken.
- There is nothing to undo, so no file that another one has seen ever turns out not to count.

One thing no lock of files can exclude: a holder that cannot be asked for, is silent for `SILENCE_S`
and comes back. So it looks for the higher number before every write that lasts, at each heartbeat
and between steps, and has to end at once (`require`); the processes that it starts do so, too. What
is left is a process that stands still between such a look and the rename that follows.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import random
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from workflow_src.errors import LockLost, Stopped, UserError
from workflow_src.files import disk_full, is_disk_full, write_text
from workflow_src.scheduling.slurm import squeue

# Only where neither the holder's job nor its process can be asked for: heartbeats come every few
# seconds, and a shared file system may show them late.
SILENCE_S = 120.0
VARIABLE = "VIBRATION_LOCK"
_POLL_S = 1.0
_ASK_S = 30.0  # the controller of a cluster is not to be asked by every waiter every second
_ALIVE = ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING")

Content = dict[str, Any]  # of the JSON in a lock's file, which another release may have written


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
            UserError: the disk is full.
        """
        silence = _Silence()
        said = False
        while True:
            number, content = newest(self.folder)
            if content is None or content.get("released") or is_dead(content, silence):
                if self._create(number, content):
                    return
                time.sleep(random.uniform(0.01, 0.1))  # others are at it, too
                continue
            if not said:
                say(f"waiting: {_holder(content)} is at {self.folder}")
                said = True
            if left():
                raise Stopped("terminated", f"{_holder(content)} was still at {self.folder}")
            time.sleep(_POLL_S)

    def _create(self, number: int, judged: Content | None) -> bool:
        """Try to become the holder after `number`; whether that worked."""
        own = {
            "host": platform.node(),
            "system": _system(),
            "pid": os.getpid(),
            "began": _began(os.getpid()),
            "job": os.environ.get("SLURM_JOB_ID"),
            "token": uuid.uuid4().hex,
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),
            "beat": 0,
            # Of a dead holder, until the first beat: its end may still have to be written.
            "sample": (judged or {}).get("sample", {}),
        }
        complete = self.folder / f".{os.getpid()}.lock.{own['token']}"
        try:
            write_text(complete, json.dumps(own))
            # Writing may have taken long: a holder that has shown life meanwhile stays it.
            if newest(self.folder) != (number, judged):
                return False
            if not _linked(complete, _path(self.folder, number + 1)):
                return False
        except FileNotFoundError:  # swept away by who was faster
            return False
        finally:
            complete.unlink(missing_ok=True)
        self._number, self._content = number + 1, own
        self.before = None if judged is None or judged.get("released") else judged
        for left_by_a_kill in self.folder.glob(".*.lock.*"):
            left_by_a_kill.unlink(missing_ok=True)
        return True

    def beat(self, **sample: JsonValue) -> bool:
        """Show that this process lives, and what it saw last; False: another one took over."""
        if not self._holds():
            return False
        self._content |= {"beat": self._content["beat"] + 1, "sample": sample}
        # On a full disk the work itself fails, and says so; nothing is to end for a heartbeat.
        with contextlib.suppress(UserError, OSError):
            return self._write()
        return True

    def release(self) -> None:
        """Let the next one in; nothing to do where another has taken over."""
        if self._holds():
            self._content["released"] = True
            # On a full disk the dead holder is found out.
            with contextlib.suppress(UserError, OSError):
                self._write()

    @property
    def held(self) -> dict[str, str]:
        """Variables that tell a process which is started what it writes under (`require_held`)."""
        return {VARIABLE: str(self._number)}

    def require(self) -> None:
        """Raise LockLost where another process has taken over."""
        _require(self.folder, self._number)

    def _holds(self) -> bool:
        return _is_highest(self.folder, self._number)

    def _write(self) -> bool:
        """Overwrite the own lock file; False: who took over has swept the new content away."""
        try:
            write_text(_path(self.folder, self._number), json.dumps(self._content))
        except (FileNotFoundError, LockLost):
            return False
        return True


def require_held(folder: Path, environment: Mapping[str, str]) -> None:
    """Raise LockLost where whoever started this process holds `folder` no more.

    Without the variable of `Lock.held` nothing was held.
    """
    if VARIABLE in environment:
        _require(folder, int(environment[VARIABLE]))


def _require(folder: Path, number: int) -> None:
    if not _is_highest(folder, number):
        raise LockLost(str(folder))


def _is_highest(folder: Path, number: int) -> bool:
    """Whether the lock file of this number is there and no higher one: numbers have no gaps.

    A file system that does not answer is asked again at the next look.
    """
    with contextlib.suppress(OSError):
        return _path(folder, number).exists() and not _path(folder, number + 1).exists()
    return True


def newest(folder: Path) -> tuple[int, Content | None]:
    """Number and content of the highest lock file; 0 and None where there is none."""
    while True:
        number = max(map(_number, folder.glob("lock.*")), default=0)
        content = _read(_path(folder, number)) if number else None
        if number == 0 or content is not None:
            return number, content
        time.sleep(0.01)  # a shared file system shows what is gone, or not yet what is there


def is_dead(content: Content, silence: _Silence | None = None) -> bool:
    """Whether the holder that a lock file names is no more.

    A process of this system is looked for; of one elsewhere its Slurm job is asked; where neither
    can be asked, `silence` tells.
    """
    if (content.get("host"), content.get("system")) == (platform.node(), _system()):
        return _began(int(content["pid"])) != content.get("began")
    silence = silence or _Silence()
    job = content.get("job")
    # A job that Slurm has put elsewhere keeps its number: its state says nothing of who held it.
    if job and job != os.environ.get("SLURM_JOB_ID"):
        states = silence.states(str(job))
        if states is not None:
            return not any(state in _ALIVE for state in states)
    return silence.lasts(content)


class _Silence:
    """What a waiter has seen of a holder elsewhere, and when, by its own clock."""

    def __init__(self) -> None:
        self._seen: tuple[JsonValue, JsonValue] | None = None
        self._since = time.monotonic()
        self._job, self._asked = "", 0.0
        self._states: list[str] | None = None

    def lasts(self, content: Content) -> bool:
        """Whether the heartbeat has not changed for `SILENCE_S`."""
        seen = (content.get("token"), content.get("beat"))
        if seen != self._seen:
            self._seen, self._since = seen, time.monotonic()
        return time.monotonic() - self._since > SILENCE_S

    def states(self, job: str) -> list[str] | None:
        """What Slurm says of a job, no older than `_ASK_S`."""
        if job != self._job or time.monotonic() - self._asked >= _ASK_S:
            self._states = _job_states(job)
            self._job, self._asked = job, time.monotonic()
        return self._states


def _linked(complete: Path, path: Path) -> bool:
    """Whether `path` is now a link to `complete`."""
    try:
        os.link(complete, path)
    except FileExistsError:
        # Of a request that NFS sent twice, the second answer says so although the first did it.
        return complete.stat().st_nlink == 2
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(path.parent, f"{path.name} could not be made: {error}") from error
        if error.errno in (errno.EPERM, errno.EOPNOTSUPP):
            raise UserError(
                "This file system has no hard links: a run could not be locked on it.",
                where=str(path.parent.resolve()),
                found=str(error),
                remedy="make the study's folder a symbolic link to one on another disk",
            ) from error
        raise
    return True


def _number(path: Path) -> int:
    number = path.name.partition(".")[2]
    return int(number) if number.isdecimal() and path.name == f"lock.{int(number)}" else 0


def _path(folder: Path, number: int) -> Path:
    return folder / f"lock.{number}"


def _read(path: Path) -> Content | None:
    """What a lock file says; None where it is being overwritten, as NFS shows it.

    A torn one, which only a crash of the whole machine leaves, names nobody.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {"released": True}
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESTALE):
            return None
        raise
    return content if isinstance(content, dict) and "token" in content else {"released": True}


def _system() -> str:
    """Where a process number means one process: this start of the machine, this container."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot} {os.readlink('/proc/self/ns/pid')}"


def _began(pid: int) -> str | None:
    """When a process of this host began (clock ticks since boot); None where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def _job_states(job: str) -> list[str] | None:
    """States of a Slurm job's parts, [] where it is over; None where Slurm cannot be asked."""
    asked = squeue(job, "%T")
    if asked is None:
        return None
    if asked.returncode:
        return [] if "Invalid job id" in asked.stderr else None
    return asked.stdout.split()


def _holder(content: Content) -> str:
    job = f", Slurm job {content['job']}" if content.get("job") else ""
    return f"process {content['pid']} on {content['host']}{job} (since {content['since']})"
