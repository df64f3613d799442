"""Starts the training processes of a cell, sees how they end, and writes it down (no torch).

The process that trains classifies its own end and reports it. One that the kernel kills cannot,
and the next attempt cannot either: the control group that counted the kill is gone by then. So
this small process stays beside it.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import Any

from workflow_src.errors import Stopped
from workflow_src.limits import MB, Host
from workflow_src.scheduling.journal import Cause, Journal
from workflow_src.scheduling.lock import Lock
from workflow_src.scheduling.stop import Stop, end_of_time
from workflow_src.scheduling.told import Told

_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_BEAT_S = 5.0
_POLL_S = 0.05
_GRACE_S = 10.0  # between SIGTERM and SIGKILL of ranks that another's end has orphaned
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class End:
    """How one training process, or the attempt, ended."""

    cause: Cause
    message: str
    facts: Mapping[str, Any]


def supervise(folder: Path, identity: str, told: Told, command: Sequence[str]) -> Cause:
    """One attempt under the lock of `folder`, from its `started` line to its `ended` line.

    Args:
        folder: the cell's folder below runs/.
        identity: of the cell, for the journal.
        told: the request.
        command: starts a training process when `--report FD` and `--until TIME` are added.
    """
    folder.mkdir(parents=True, exist_ok=True)
    until = end_of_time(os.environ)
    ranks = _Ranks(told, command, until)
    for number in _FORWARDED:
        signal.signal(number, ranks.forward)
    journal, lock, stop = Journal(folder / "attempts.jsonl"), Lock(folder), Stop(until)
    try:
        lock.take(left=lambda: ranks.told_to_end or stop.reason(0) is not None, say=_say)
    except Stopped as error:
        _say(str(error))
        return Cause.TERMINATED
    begun = time.monotonic()
    try:
        _close(journal, lock.before)
        host = Host()
        journal.append(
            "started",
            host=platform.node(),
            pid=os.getpid(),
            job=os.environ.get("SLURM_JOB_ID"),
            told=asdict(told),
            identity=identity,
            limit_mb=host.limit // MB,
            until=until,
            versions=_versions(),
        )
        end = End(Cause.ERROR, "the supervisor failed", {})
        try:
            end = ranks.run(lock, host)
        finally:
            said = {"message": end.message, "seconds": round(time.monotonic() - begun, 1)}
            # On a full disk not even this line may fit; the next attempt writes it then.
            with suppress(OSError):
                journal.append("ended", cause=end.cause.text, **said, **end.facts)
    finally:
        lock.release()
    return end.cause


def die_with_parent() -> None:
    """Let the kernel kill this process when the one that started it dies: no orphan trains on."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call
        os.kill(os.getpid(), signal.SIGKILL)


def _say(text: str) -> None:
    print(text, flush=True)


class _Ranks:
    """The training processes of one attempt."""

    def __init__(self, told: Told, command: Sequence[str], until: float | None) -> None:
        self.told_to_end = False
        self._count = told.devices
        self._command = [*command, *([] if until is None else ["--until", repr(until)])]
        self._processes: list[subprocess.Popen[bytes]] = []
        self._reports: list[int] = []

    def forward(self, number: int, frame: FrameType | None) -> None:
        """Pass a signal on; the processes are of sessions of their own, so it comes but once."""
        self.told_to_end = True
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.send_signal(number)

    def run(self, lock: Lock, host: Host) -> End:
        """Start them, show that they live, and return when all have ended."""
        kills = host.oom_kills()
        try:
            self._start()
            beaten, highest = -_BEAT_S, 0
            while (first := self._ended()) is None:
                if time.monotonic() - beaten >= _BEAT_S:
                    beaten = time.monotonic()
                    highest = max(highest, used := host.used())
                    if not lock.beat(
                        time=time.time(), used_mb=used // MB, limit_mb=host.limit // MB
                    ):
                        return End(Cause.TERMINATED, "another process took the lock over", {})
                time.sleep(_POLL_S)
            code, report = self._processes[first].returncode, _report(self._reports[first])
            return _classified(code, report, host.oom_kills() - kills, highest, host)
        finally:
            self._stop()
            for pipe in self._reports:
                os.close(pipe)

    def _start(self) -> None:
        environment = dict(os.environ)
        if self._count > 1:
            environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
            environment |= {"WORLD_SIZE": str(self._count), "NODE_RANK": "0"}
        for rank in range(self._count):
            read, write = os.pipe()
            self._reports.append(read)
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank)} if self._count > 1 else {}
            self._processes.append(
                subprocess.Popen(
                    [*self._command, "--report", str(write)],
                    env=environment | own,
                    pass_fds=[write],
                    start_new_session=True,
                )
            )
            os.close(write)
        if self.told_to_end:  # a signal that came while they were started
            self.forward(signal.SIGTERM, None)

    def _ended(self) -> int | None:
        """The first process that failed; the first of all when every one is done; else None."""
        codes = [process.poll() for process in self._processes]
        failed = [rank for rank, code in enumerate(codes) if code]
        if failed:
            return failed[0]
        return None if None in codes else 0

    def _stop(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + _GRACE_S
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            process.kill()
            process.wait()


def _classified(
    code: int, report: dict[str, Any] | None, kills: int, highest: int, host: Host
) -> End:
    """How a process ended: as it says itself, else as its exit and the kernel's counter say."""
    if report is not None:
        cause = next(cause for cause in Cause if cause.text == report["cause"])
        return End(cause, report["message"], report["facts"])
    if code >= 0:
        return End(Cause.ERROR, f"the training process ended with {code} and said nothing", {})
    name = signal.Signals(-code).name
    if kills > 0 and name == "SIGKILL":
        text = f"killed by the kernel: out of host memory, limit {host.limit // MB} MB"
        return End(Cause.HOST_OOM, text, {"signal": name, "peak_host_mb": highest // MB})
    ended = name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
    cause = Cause.TERMINATED if ended else Cause.ERROR
    return End(cause, f"the training process was killed by {name}", {"signal": name})


def _report(pipe: int) -> dict[str, Any] | None:
    """What a process that has ended said of it."""
    os.set_blocking(pipe, False)
    with suppress(BlockingIOError, json.JSONDecodeError):
        said = json.loads(os.read(pipe, 1 << 16))
        return said if isinstance(said, dict) else None
    return None


def _close(journal: Journal, before: Mapping[str, Any] | None) -> None:
    """Write the end of an attempt that could not write its own."""
    events = [event for event in journal.events() if event["event"] in ("started", "ended")]
    if not events or events[-1]["event"] != "started":
        return
    sample = (before or {}).get("sample") or {}
    cause = cause_of_silence(events[-1], sample)
    message = "no end was written: classified by what was seen last"
    journal.append("ended", cause=cause.text, message=message, found_later=True, sample=sample)


def cause_of_silence(started: Mapping[str, Any], sample: Mapping[str, Any]) -> Cause:
    """How an attempt ended of which nothing is known but its start and its last heartbeat.

    Args:
        started: its line in the journal; `until` is when its job was to end.
        sample: time (s since the epoch), used_mb and limit_mb of the last heartbeat.
    """
    until, seen = started.get("until"), sample.get("time")
    if until is not None and seen is not None and seen >= until - 60:
        return Cause.DEADLINE
    limit = sample.get("limit_mb")
    if limit and sample.get("used_mb", 0) >= 0.8 * limit:
        return Cause.HOST_OOM
    return Cause.TERMINATED


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
