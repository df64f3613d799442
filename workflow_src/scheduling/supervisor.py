"""Starts the training processes of a cell, sees how they end, and writes it down (no torch).

The process that trains classifies its own end and reports it. One that the kernel kills cannot,
and the next attempt cannot either: the control group that counted the kill is gone by then. So
this small process stays beside it.
"""

from __future__ import annotations

import ctypes
import math
import os
import platform
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType

from pydantic import ValidationError

from workflow_src.errors import LockLost, Stopped
from workflow_src.files import disk_full, is_disk_full, only_while
from workflow_src.limits import MB, Host
from workflow_src.scheduling.attempt_history import cause_without_end, last_sample
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.cause import Cause
from workflow_src.scheduling.events import Ended, Started
from workflow_src.scheduling.journal import Journal
from workflow_src.scheduling.lock import Content, Lock
from workflow_src.scheduling.stop import SAME_S, Stop, end_of_time

_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_BEAT_S = 5.0
_POLL_S = 0.05
_GRACE_S = 10.0  # before SIGKILL: of ranks that another's end has orphaned, of who is told twice
# For what a process does after its report, and for ranks that save when one of them has left.
_LEAVING_S = 60.0
_SUPERVISOR = "VIBRATION_SUPERVISOR"
_PR_SET_PDEATHSIG = 1


def supervise(
    folder: Path, identity: str, request: AttemptRequest, command: Sequence[str]
) -> Cause:
    """One attempt under the lock of `folder`, from its `started` line to its `ended` line.

    Args:
        folder: the cell's folder below runs/.
        identity: of the cell, for the journal.
        request: what the attempt is told.
        command: starts a training process when `--report FD` and `--until TIME` are added.

    Raises:
        UserError: the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ranks = _Ranks(request.devices)
    for number in _FORWARDED:
        signal.signal(number, ranks.forward)
    until = end_of_time(os.environ)
    lock, stop = Lock(folder), Stop(until)
    try:
        lock.take(left=lambda: ranks.told_to_end or stop.reason(0) is not None, say=_say)
    except Stopped as error:
        _say(str(error))
        return Cause.TERMINATED
    try:
        journal, host = Journal(folder / "attempts.jsonl"), Host()
        started = Started(
            host=platform.node(),
            pid=os.getpid(),
            job=os.environ.get("SLURM_JOB_ID"),
            request=request,
            identity=identity,
            limit_mb=host.limit // MB,
            until=until,
            versions=_versions(),
        )
        full_command = [*command, *([] if until is None else ["--until", repr(until)])]
        with only_while(lock.require):
            _open(journal, lock.before, started)
            cause = _framed(journal, lambda: ranks.run(full_command, lock, host))
    except LockLost as lost:  # the next holder has written the end of this attempt
        _say(str(lost))
        return Cause.TERMINATED
    finally:
        lock.release()
    return cause


def die_with_parent(parent: int | None = None) -> None:
    """Let the kernel kill this process when its parent dies: no orphan goes on.

    `parent` is that process; None: the supervisor, where there is one. To the kernel it is the
    thread of it that started this process.
    """
    if parent is None:
        parent = int(os.environ.get(_SUPERVISOR, os.getppid()))
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL):
        raise OSError(ctypes.get_errno(), "the kernel refused PR_SET_PDEATHSIG")
    # It may have died before the call, even before this process ran its first line.
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _say(text: str) -> None:
    print(text, flush=True)


def _open(journal: Journal, before: Content | None, started: Started) -> None:
    """Write the end of the attempt before, if it could not, and the start of this one."""
    try:
        _close(journal, before)
        journal.append(started)
    except OSError as error:
        if not is_disk_full(error):
            raise
        found = f"{journal.path.name} could not be written: {error}"
        raise disk_full(journal.path.parent, found) from error


def _framed(journal: Journal, run: Callable[[], Ended]) -> Cause:
    """Run the processes and write their end down, whatever it is."""
    begun = time.monotonic()
    try:
        end, failure = run(), None
    except LockLost:
        raise
    except BaseException as error:
        message = f"the supervisor failed: {type(error).__name__}: {error}"
        end, failure = _ended(Cause.ERROR, message), error
    # On a full disk not even this line may fit; the next attempt writes it then.
    with suppress(OSError):
        journal.append(end.model_copy(update={"seconds": round(time.monotonic() - begun, 1)}))
    if failure is not None:
        raise failure
    return end.how or Cause.ERROR


def _ended(cause: Cause, message: str) -> Ended:
    return Ended(cause=cause.text, message=message)


class _Rank:
    """One training process, and the pipe on which it reports its end.

    Attributes:
        code: its exit code, minus a signal's number; None while it runs.
        report: its end, when it has said it.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._pipe, write = os.pipe()
        os.set_blocking(self._pipe, False)
        self.code: int | None = None
        self.report: Ended | None = None
        self._said = b""
        self._reported = math.inf
        try:
            self.process = subprocess.Popen(
                [*command, "--report", str(write)],
                env=environment,
                pass_fds=[write],
                start_new_session=True,
            )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(write)

    def look(self) -> None:
        """See whether it has ended, and read what it says; a full pipe would hold it up."""
        self.code = self.process.poll()  # first: what it said before it ended is all there
        with suppress(BlockingIOError):
            while part := os.read(self._pipe, 1 << 16):
                self._said += part
        if self._said and self.report is None:
            with suppress(ValidationError):  # half of it
                self.report = Ended.model_validate_json(self._said)
                self._reported = time.monotonic()

    @property
    def failed(self) -> bool:
        """Whether it left before its work was done; what follows a report changes nothing."""
        if self.report is not None:
            return self.report.how is not Cause.DONE
        return self.code is not None

    @property
    def over(self) -> bool:
        """Whether it is no more waited for: libraries may hang when they are taken down."""
        return self.code is not None or time.monotonic() - self._reported > _LEAVING_S

    def end(self, deadline: float) -> None:
        """Wait until `deadline`, then kill it."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, deadline - time.monotonic()))
        # Its session with it: helpers of a killed process would hold memory against the next.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._pipe)


class _Ranks:
    """The training processes of one attempt."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._ranks: list[_Rank] = []
        self._told = self._told_again = math.inf

    @property
    def told_to_end(self) -> bool:
        """Whether a signal has come."""
        return self._told < math.inf

    def forward(self, number: int, frame: FrameType | None) -> None:
        """Pass a signal on; the processes are of sessions of their own, so a terminal does not."""
        now = time.monotonic()
        self._told = min(self._told, now)
        if now - self._told >= SAME_S:
            self._told_again = min(self._told_again, now)
        self._signal(number)

    def _signal(self, number: int) -> None:
        for rank in self._ranks:
            with suppress(ProcessLookupError):
                rank.process.send_signal(number)

    def run(self, command: Sequence[str], lock: Lock, host: Host) -> Ended:
        """Start them, show that they live, and return when all have ended."""
        kills, grace = host.oom_kills(), 0.0
        try:
            self._start(command, lock)
            first, highest = self._watch(lock, host)
            grace = _GRACE_S
            kills = host.oom_kills() - kills
            end = _classified(first, kills, highest, host, told_to_end=self.told_to_end)
            if first.report is None:  # a killed process leaves the log empty
                _say(f"{end.cause}: {end.message}")
            return end
        finally:
            # At once where another process holds the folder: two would write the same files.
            if grace and self._told_again == math.inf:
                self._signal(signal.SIGTERM)
            else:
                self._signal(signal.SIGKILL)
            for rank in self._ranks:
                rank.end(time.monotonic() + grace)

    def _start(self, command: Sequence[str], lock: Lock) -> None:
        environment = {**os.environ, **lock.held, _SUPERVISOR: str(os.getpid())}
        if self._count > 1:
            environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
            environment |= {"WORLD_SIZE": str(self._count), "NODE_RANK": "0"}
        for rank in range(self._count):
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank)} if self._count > 1 else {}
            self._ranks.append(_Rank(command, environment | own))
        if self.told_to_end:  # by a signal that came before all of them could be sent it
            self._signal(signal.SIGTERM)

    def _watch(self, lock: Lock, host: Host) -> tuple[_Rank, int]:
        """The process whose end is the attempt's, and the most host memory seen in use, bytes."""
        beaten, highest = -math.inf, 0
        first, since = None, 0.0
        while True:
            for rank in self._ranks:
                rank.look()
            if first is None and (first := self._first_failed()) is not None:
                since = time.monotonic()
            if self._all_over(first, since):
                return first or self._ranks[0], highest
            used = host.used()
            highest = max(highest, used)
            if time.monotonic() - beaten >= _BEAT_S:
                beaten = time.monotonic()
                sample = {"used_mb": used // MB, "limit_mb": host.limit // MB}
                if not lock.beat(time=time.time(), **sample):
                    raise LockLost(str(lock.folder))
            time.sleep(_POLL_S)

    def _first_failed(self) -> _Rank | None:
        """Of several at once, the one that was killed: the others lost their partner by it."""
        failed = [rank for rank in self._ranks if rank.failed]
        return min(failed, key=lambda rank: (rank.code or 0) >= 0, default=None)

    def _all_over(self, first: _Rank | None, since: float) -> bool:
        """Whether nothing is waited for any longer."""
        if all(rank.over for rank in self._ranks):
            return True
        now = time.monotonic()
        if now - self._told_again > _GRACE_S:
            return True
        if first is None or not first.over:
            return False
        # Who left because it was told to has partners that were told, too, and may be saving.
        how = None if first.report is None else first.report.how
        leaves = how in (Cause.TERMINATED, Cause.DEADLINE)
        return not leaves or now - since > _LEAVING_S


def _classified(rank: _Rank, kills: int, highest: int, host: Host, *, told_to_end: bool) -> Ended:
    """How a process ended: as it says itself, else as its exit and the kernel's counter say."""
    numbers = {"peak_host_mb": highest // MB, "limit_mb": host.limit // MB}
    out_of_memory = f"killed by the kernel: out of host memory, limit {host.limit // MB} MB"
    if (report := rank.report) is not None:
        if report.how is Cause.ERROR and kills > 0:  # of a process that this one had started
            killed = _ended(Cause.HOST_OOM, f"{report.message} ({out_of_memory})")
            return report.model_copy(update={**killed.to_json(), **numbers})
        return report
    if rank.code is None:
        return _ended(Cause.TERMINATED, "told twice to end, it had to be killed")
    if rank.code >= 0:
        text = f"the training process ended with {rank.code} and said nothing"
        return _ended(Cause.TERMINATED if told_to_end else Cause.ERROR, text)
    name = _signal_name(-rank.code)
    if kills > 0 and name == "SIGKILL":
        return Ended(cause=Cause.HOST_OOM.text, message=out_of_memory, signal=name, **numbers)
    ended = name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
    cause = Cause.TERMINATED if ended else Cause.ERROR
    message = f"the training process was killed by {name}"
    return Ended(cause=cause.text, message=message, signal=name)


def _signal_name(number: int) -> str:
    with suppress(ValueError):  # those for real time have none
        return signal.Signals(number).name
    return f"signal {number}"


def _close(journal: Journal, before: Content | None) -> None:
    """Write the end of an attempt that could not write its own."""
    sample = last_sample(before)
    cause = cause_without_end(journal.events(), sample)
    if cause is None:
        return
    message = "no end was written: classified by what was seen last"
    journal.append(Ended(cause=cause.text, message=message, found_later=True, sample=sample))


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("torch", "pytorch-lightning"):
        with suppress(PackageNotFoundError):
            found[package.replace("-", "_")] = version(package)
    return found
