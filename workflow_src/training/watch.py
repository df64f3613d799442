"""Watches memory while a network trains: how near its limits, and which phase needs how much."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

import psutil

from workflow_src.errors import LockLost
from workflow_src.limits import MB, Device, Host, descendants, devices, peak_resident, resident
from workflow_src.scheduling.events import NearLimit

WARN, SAVE, REARM = 0.85, 0.92, 0.88


class MemoryGauge(Protocol):
    """Memory with a limit: `limits.Host` or `limits.Device`."""

    limit: int
    source: str

    def used(self) -> int:
        """Bytes in use now."""


class Peak(Protocol):
    """The high-water mark of one process's memory."""

    def now(self) -> int:
        """Bytes now."""

    def highest(self) -> int:
        """Most bytes since the last `reset`."""

    def reset(self) -> None:
        """Start again from what is in use now."""


class ResidentPeak:
    """Resident memory of this process and its kernel-kept peak, VmHWM (proc(5), clear_refs).

    Where /proc/self/clear_refs cannot be written, `highest` is what is resident at its call.
    A reset lowers what `limits.peak_rss_mb` says, too.
    """

    def __init__(self) -> None:
        self.resettable = True

    def now(self) -> int:
        """Bytes resident now."""
        return resident()

    def highest(self) -> int:
        """Most bytes resident since the last `reset`."""
        return peak_resident() if self.resettable else resident()

    def reset(self) -> None:
        """Start again from what is resident now."""
        try:
            with open("/proc/self/clear_refs", "wb") as file:
                file.write(b"5")
        except OSError:
            self.resettable = False


class AllocatorPeak:
    """Bytes of tensors on one CUDA device, as torch's allocator counts them. Unproven on a GPU."""

    def __init__(self, index: int) -> None:
        import torch

        # Before it, peaks cannot be reset.
        torch.cuda.init()
        self._cuda = torch.cuda
        self._index = index

    def now(self) -> int:
        """Bytes of tensors now."""
        return int(self._cuda.memory_allocated(self._index))

    def highest(self) -> int:
        """Most bytes of tensors since the last `reset`."""
        return int(self._cuda.max_memory_allocated(self._index))

    def reset(self) -> None:
        """Start again from what is allocated now."""
        self._cuda.reset_peak_memory_stats(self._index)

    def unused(self) -> int:
        """Bytes that the allocator keeps for later tensors: in use for NVML, but no shortage."""
        return int(self._cuda.memory_reserved(self._index)) - self.now()


class Gauge:
    """How near one memory is to its limit; crossing 85 % is said once, 92 % each time.

    Args:
        name: host or device.
        memory: what is measured.
        unused: bytes of its use that are no shortage: what torch's allocator keeps for later
            fills a healthy GPU to its limit.
    """

    def __init__(
        self, name: str, memory: MemoryGauge, unused: Callable[[], int] = lambda: 0
    ) -> None:
        self.name = name
        self.memory = memory
        self._unused = unused
        self._warned = False
        self._armed = True

    def used(self) -> int:
        """Bytes in use now that count."""
        return max(0, self.memory.used() - self._unused())

    def crossed(self, used: int) -> list[str]:
        """What was crossed since the last call: "warning", "checkpoint", both or nothing."""
        share = used / self.memory.limit if self.memory.limit else 0.0
        crossed = []
        if share >= WARN and not self._warned:
            self._warned = True
            crossed.append("warning")
        if share >= SAVE and self._armed:
            self._armed = False
            crossed.append("checkpoint")
        elif share < REARM:
            self._armed = True
        return crossed

    def warning(self, used: int) -> str:
        """One line: how much of which limit, and the line of YAML that raises it."""
        limit = self.memory.limit
        mend = "larger memory_mb" if self.name == "host" else "smaller micro_batch_size"
        return (
            f"{self.name} memory is at {100 * used / limit:.0f} % of its limit: {used / MB:.0f} of "
            f"{limit / MB:.0f} MB ({self.memory.source}); if it runs out, give this cell a {mend} "
            f"under requests:"
        )


class Peaks:
    """The largest number of each name, MB; several threads may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._epoch: dict[str, float] = {}
        self._attempt: dict[str, float] = {}

    def add(self, size: int, *names: str) -> None:
        """Take `size` bytes into account for all `names`."""
        megabytes = round(size / MB, 1)
        with self._lock:
            for kept in (self._epoch, self._attempt):
                for name in names:
                    kept[name] = max(megabytes, kept.get(name, 0.0))

    def since_last(self) -> dict[str, float]:
        """Those since the last call."""
        with self._lock:
            epoch, self._epoch = self._epoch, {}
        return epoch

    def all(self) -> dict[str, float]:
        """Those of the attempt."""
        with self._lock:
            return dict(self._attempt)


class Watch:
    """Samples memory beside the training loop; a context manager.

    A thread reads use and limits every `every_s` seconds. In probed steps each mark reads the
    exact peak since the one before it and starts the next, so that a peak belongs to one phase and
    component; in other steps a sample belongs to the mark it falls in. Peaks of phases and
    components are what the whole process holds while they run, not what they add: resident memory
    on the CPU, tensors on a GPU.

    Args:
        tell: called when 85 % or 92 % of a limit is crossed, from the thread. `Journal.append`
            fits.
        accelerator: cpu or cuda.
        index: the CUDA device.
        every_s: seconds between samples.
        host: the host's memory; found where none is given.
    """

    def __init__(
        self,
        tell: Callable[[NearLimit], object],
        *,
        accelerator: str = "cpu",
        index: int = 0,
        every_s: float = 0.5,
        host: MemoryGauge | None = None,
    ) -> None:
        self._tell = tell
        self._every_s = every_s
        self._gauges = [Gauge("host", host or Host())]
        self._resident = ResidentPeak()
        self._tensors: AllocatorPeak | None = None
        if accelerator == "cuda":
            self._tensors = AllocatorPeak(index)
            self._gauges.append(Gauge("device", Device(index), self._tensors.unused))
        self._peaks = Peaks()
        self._mark: tuple[str, str | None] | None = None
        self._probing = self._due = False
        self._complaint = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory watch", daemon=True)

    def __enter__(self) -> Self:
        """Start to sample."""
        self._read_peaks()
        self._sample()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join()

    def mark(self, phase: str, component: str | None = None) -> None:
        """Say what runs from here on.

        Args:
            phase: data, forward, backward, optimizer or evaluation.
            component: trunk, optimizer, or head:<task>; None where no single one runs.
        """
        if self._probing:
            self._read_peaks()
        self._mark = (phase, component)

    def probe(self, on: bool) -> None:
        """Read exact peaks at each mark from here on, which costs more, or no longer."""
        if on or self._probing:
            self._read_peaks()
        self._probing = on

    def checkpoint_due(self) -> bool:
        """Whether 92 % of a limit was crossed since this last said so; again after below 88 %."""
        if not self._due:
            return False
        self._due = False
        return True

    def now(self) -> dict[str, float]:
        """What counts against each limit now, MB.

        Keys: host_used_mb and host_limit_mb; on cuda device_used_mb and device_limit_mb.
        """
        found = {}
        for gauge in self._gauges:
            found[f"{gauge.name}_used_mb"] = round(gauge.used() / MB, 1)
            found[f"{gauge.name}_limit_mb"] = round(gauge.memory.limit / MB, 1)
        return found

    def epoch_peaks(self) -> dict[str, float]:
        """Peaks since the last call, MB.

        Keys: host_mb, resident in this process and its children (pages they share count in each);
        on cuda device_mb, the tensors', and device_occupied_mb, with the context, the allocator's
        cache and other processes; phase_<name>_mb; component_<name>_mb, `head:<task>` being
        component_head_<task>_mb.
        """
        self._read_peaks()
        return self._peaks.since_last()

    def peaks(self) -> dict[str, float]:
        """Peaks of the attempt, MB; the keys are those of `epoch_peaks`."""
        self._read_peaks()
        # Where the kernel's peak cannot be reset it is the attempt's, else that since just now.
        self._peaks.add(peak_resident(), "host_mb")
        return self._peaks.all()

    def _read_peaks(self) -> None:
        """Attribute the exact peaks since the last call, and start anew; in the loop's thread."""
        names = _names(self._mark) if self._probing else ()
        self._peaks.add(self._resident.highest(), "host_mb", *(() if self._tensors else names))
        self._resident.reset()
        if self._tensors:
            self._peaks.add(self._tensors.highest(), "device_mb", *names)
            self._tensors.reset()

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            try:
                self._sample()
            except LockLost:  # the training finds it out, too
                return
            except (OSError, MemoryError) as error:
                # Training does not end because nobody can watch it, nor does the watch.
                if str(error) != self._complaint:
                    self._complaint = str(error)
                    print(f"memory could not be watched: {error!r}", file=sys.stderr, flush=True)

    def _sample(self) -> None:
        own, names = self._resident.now(), _names(self._mark)
        workers = sum(resident(child) for child in descendants(os.getpid()))
        self._peaks.add(own + workers, "host_mb")
        self._peaks.add(self._tensors.now() if self._tensors else own, *names)
        for gauge in self._gauges:
            if gauge.name == "device":
                self._peaks.add(gauge.memory.used(), "device_occupied_mb")
            used = gauge.used()
            crossed = gauge.crossed(used)
            # Before anything is told: the journal's disk may be full.
            if "checkpoint" in crossed:
                self._due = True
            if "warning" in crossed:
                print(gauge.warning(used), file=sys.stderr, flush=True)
            for threshold in crossed:
                self._report(gauge, threshold, used)

    def _report(self, gauge: Gauge, crossed: str, used: int) -> None:
        self._tell(
            NearLimit(
                of=gauge.name,
                crossed=crossed,
                used_mb=round(used / MB, 1),
                limit_mb=round(gauge.memory.limit / MB, 1),
                source=gauge.memory.source,
            )
        )


def _names(mark: tuple[str, str | None] | None) -> tuple[str, ...]:
    """The keys of a mark in `epoch_peaks`."""
    if mark is None:
        return ()
    phase, component = mark
    if component is None:
        return (f"phase_{phase}_mb",)
    return f"phase_{phase}_mb", f"component_{component.replace(':', '_')}_mb"


def show(pid: int, every_s: float) -> None:
    """Print what a process and its children use, a line an interval, until it ends or Ctrl-C.

    Host memory is the working set of the process's control group against its limit.

    Raises:
        UserError: there is no such process on this machine.
    """
    host, process = Host(pid), psutil.Process(pid)
    gpus = [Device(index) for index in range(devices())]
    print(f"process {pid}; the limit of host memory is {host.limit / MB:.0f} MB ({host.source})")
    with contextlib.suppress(KeyboardInterrupt):
        while _runs(process):
            try:
                print(_line(pid, host, gpus), flush=True)
            except OSError:
                # Its control group may have gone with it, since `_runs`.
                if _runs(process):
                    raise
            time.sleep(every_s)
        print(f"process {pid} has ended")


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _line(pid: int, host: Host, gpus: list[Device]) -> str:
    children = descendants(pid)
    parts = [
        time.strftime("%H:%M:%S"),
        f"host {_share(host)}",
        f"process {resident(pid) / MB:.0f} MB",
        f"{len(children)} children {sum(map(resident, children)) / MB:.0f} MB",
        *(f"{gpu.source} {_share(gpu)}" for gpu in gpus),
    ]
    return "  ".join(parts)


def _share(memory: MemoryGauge) -> str:
    used = memory.used()
    share = f"{100 * used / memory.limit:.0f} %" if memory.limit else "no limit known"
    return f"{used / MB:.0f} of {memory.limit / MB:.0f} MB ({share})"
