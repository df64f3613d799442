"""What a process may use, and what it uses now: host memory, device memory, cores.

Memory limits are those of control groups (cgroups), in either version of the kernel's interface:
admin-guide/cgroup-v1/memory.rst and admin-guide/cgroup-v2.rst of its documentation. Where no group
limits, the machine does. All sizes are bytes unless a name says MB.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import re
import resource
from pathlib import Path
from typing import Any

import psutil

from workflow_src.errors import UserError

CUDA_CONTEXT_MB = 600  # that a process takes of a GPU beside its tensors; not yet measured
MB = 1024 * 1024
_PAGE = resource.getpagesize()
_SLURM_JOB = re.compile(r"job_\d+")


def peak_rss_mb() -> float:
    """Largest resident memory of this process, MB, since its start or the peak's last reset."""
    return round(peak_resident() / MB, 1)


def peak_resident() -> int:
    """The kernel's high-water mark of this process's resident memory, VmHWM of proc(5), bytes.

    Not `ru_maxrss`, which begins at what the process that started this one held.
    """
    status = _read("/proc/self/status")
    return int(status[status.index(b"VmHWM:") + 6 :].split(None, 1)[0]) * 1024


def resident(pid: int | str = "self") -> int:
    """Resident memory of one process now; 0 where it has ended."""
    try:
        return int(_read(f"/proc/{pid}/statm").split()[1]) * _PAGE
    except (FileNotFoundError, ProcessLookupError):
        return 0


def descendants(pid: int) -> list[int]:
    """All living children of a process, their children, and so on."""
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return found
    for thread in threads:
        # A thread may end between the listing and the reading.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            children = _read(f"/proc/{pid}/task/{thread}/children").split()
            for child in map(int, children):
                found += [child, *descendants(child)]
    return found


def private_memory_now() -> int:
    """Private writable memory of this process now, touched or not: what RLIMIT_DATA counts.

    VmData of proc(5), bytes. Files, shared memory and addresses that are only reserved are not in.
    """
    status = _read("/proc/self/status")
    return int(status[status.index(b"VmData:") + 7 :].split(None, 1)[0]) * 1024


def limit_private_memory(size: int) -> None:
    """Let allocations of this process fail beyond `size` bytes of private memory.

    A limit below that of its control group turns a kill by the kernel into an exception. It holds
    for this process and, each for itself, for those it starts; never above the hard limit.
    """
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    soft = size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def cores(root: Path = Path("/")) -> int:
    """Whole cores that this process may use: its affinity, less where a group's quota is less."""
    most = float(len(os.sched_getaffinity(0)))
    for level in _groups(root, None, "cpu")[1]:
        for quota, period in (
            (_words(level / "cpu.cfs_quota_us"), _words(level / "cpu.cfs_period_us")),
            (_words(level / "cpu.max")[:1], _words(level / "cpu.max")[1:]),
        ):
            # v1 writes -1 for no quota, v2 "max".
            if quota and period and quota[0].isdigit():
                most = min(most, int(quota[0]) / int(period[0]))
    return max(1, math.floor(most))


class Host:
    """The host memory that one process may use, and the working set that counts against it.

    The limit is the smallest on the path from the process's own control group up, or the machine's
    memory where none is smaller. It is found once; use is read at the level whose limit binds:
    a Slurm step's own group is unlimited, its job's is not.

    Args:
        pid: the process; this one where none is given.
        root: where /proc and /sys/fs/cgroup stand.

    Raises:
        UserError: there is no such process.

    Attributes:
        limit: bytes.
        source: the file that states the limit, or "the machine's memory".
    """

    def __init__(self, pid: int | None = None, root: Path = Path("/")) -> None:
        self._version, levels = _groups(root, pid, "memory")
        self.limit, self.source, level = _binding(self._version, levels)
        jobs = [each for each in levels if _SLURM_JOB.fullmatch(each.name)]
        self._counted = jobs[0] if jobs else level or (levels[0] if levels else None)
        self._usage = self._stat = ""
        if level is not None:
            name = "memory.usage_in_bytes" if self._version == 1 else "memory.current"
            self._usage, self._stat = str(level / name), str(level / "memory.stat")
        self._cache = b"\ntotal_inactive_file " if self._version == 1 else b"\ninactive_file "

    def used(self) -> int:
        """The working set now: use less the page cache that the kernel drops when asked.

        Raises OSError when the control group is gone, as it is after its last process. A call
        takes 23 microseconds where a group limits, 40 where the machine does.
        """
        if not self._usage:
            memory = psutil.virtual_memory()
            return int(memory.total - memory.available)
        usage, stat = int(_read(self._usage)), _read(self._stat)
        start = stat.find(self._cache)
        if start < 0:
            return usage
        return max(0, usage - int(stat[start + len(self._cache) :].split(b"\n", 1)[0]))

    def oom_kills(self) -> int:
        """Processes that the kernel has killed for memory in the Slurm job, or else this group.

        v1 counts in the victim's own group alone, so all groups below the job's are summed; v2
        counts in all groups above it too (before Linux 5.2 in its own), so the largest is taken.
        """
        if self._counted is None:
            return 0
        name = "memory.oom_control" if self._version == 1 else "memory.events"
        counts = [
            _value(Path(folder, name), "oom_kill") or 0 for folder, *_ in os.walk(self._counted)
        ]
        return sum(counts) if self._version == 1 else max(counts, default=0)


def _groups(root: Path, pid: int | None, controller: str) -> tuple[int, list[Path]]:
    """The interface's version and the control groups of a process, its own first.

    Empty where there are none. A path that cannot be seen, as in a container, is its mount's root.
    """
    who = "self" if pid is None else str(pid)
    if pid is not None and not (root / "proc" / who).is_dir():
        raise UserError(
            f"There is no process {pid} on this machine.",
            remedy="name one that `ps -u $USER` lists here; a job's runs on its own node",
        )
    groups = root / "sys" / "fs" / "cgroup"
    lines = [line.split(":", 2) for line in _text(root / "proc" / who / "cgroup").splitlines()]
    for _, controllers, path in lines:
        if controller in controllers.split(","):
            return 1, _levels(groups / controller, path)
    unified = groups / "unified" if (groups / "unified").is_dir() else groups
    for number, _, path in lines:
        if number == "0":
            return 2, _levels(unified, path)
    return 2, []


def _levels(mount: Path, path: str) -> list[Path]:
    if not mount.is_dir():
        return []
    parts = [part for part in path.split("/") if part]
    if ".." in parts or not mount.joinpath(*parts).is_dir():
        parts = []
    return [mount.joinpath(*parts[:length]) for length in range(len(parts), -1, -1)]


def _binding(version: int, levels: list[Path]) -> tuple[int, str, Path | None]:
    """The smallest limit, what states it, and the group whose use counts; None: the machine."""
    limit: int = psutil.virtual_memory().total
    source, binding = "the machine's memory", None
    name = "memory.limit_in_bytes" if version == 1 else "memory.max"
    for level in levels:
        stated = "".join(_words(level / name))
        if not stated.isdigit():  # "max", or the root of v2, which has no such file
            continue
        # From the process up: of equal limits, the outermost is the one whose use comes nearest.
        if int(stated) < limit or (binding is not None and int(stated) == limit):
            limit, source, binding = int(stated), str(level / name), level
    # v1 tells a limit above what a container sees; its use cannot be seen, only the part below.
    above = _value(levels[0] / "memory.stat", "hierarchical_memory_limit") if levels else None
    if above is not None and above < limit:
        return above, str(levels[0] / "memory.stat"), levels[-1]
    return limit, source, binding


def _read(path: str) -> bytes:
    """A small file of the kernel's, whole; without the layers of `open`, 3 microseconds less."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 1 << 16)
    finally:
        os.close(descriptor)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _words(path: Path) -> list[str]:
    return _text(path).split()


def _value(path: Path, name: str) -> int | None:
    """The number after `name` in a file of pairs; None where either is missing."""
    words = _words(path)
    return int(words[words.index(name) + 1]) if name in words else None


class Device:
    """Memory of one GPU, of all processes on it, as NVML (NVIDIA's management library) sees it.

    Nothing raises where there is no GPU: limit and use are then 0 and the name is empty. With GPUs
    of different kinds, CUDA's first may be another than NVML's unless CUDA_DEVICE_ORDER=PCI_BUS_ID.
    Unproven on a GPU: only the reading of CUDA_VISIBLE_DEVICES and the absence of NVML are tested.

    Args:
        index: as torch counts: within CUDA_VISIBLE_DEVICES where that is set.

    Attributes:
        limit: bytes.
        name: the model, such as "NVIDIA A100-SXM4-80GB".
        source: which device, for messages.
    """

    def __init__(self, index: int = 0) -> None:
        handles = _handles()
        self._handle = handles[index] if index < len(handles) else None
        self.limit, self.name = 0, ""
        self.source = f"GPU {index}"
        if self._handle is not None:
            self.limit = self._memory("total")
            with contextlib.suppress(_nvml().NVMLError):
                self.name = _str(_nvml().nvmlDeviceGetName(self._handle))
            self.source += f", {self.name}"

    def used(self) -> int:
        """Bytes in use now, with what other processes and the caches of allocators hold."""
        return self._memory("used")

    def _memory(self, field: str) -> int:
        if self._handle is not None:
            with contextlib.suppress(_nvml().NVMLError):
                return int(getattr(_nvml().nvmlDeviceGetMemoryInfo(self._handle), field))
        return 0


def devices() -> int:
    """GPUs that this process may use; 0 where there is no GPU or no NVML."""
    return len(_handles())


def device_names() -> list[str]:
    """UUIDs of the GPUs that this process may use: in CUDA_VISIBLE_DEVICES they mean one GPU.

    A number there does not: CUDA may count in another order than NVML, and counts anew in a list.
    """
    return [_str(_nvml().nvmlDeviceGetUUID(handle)) for handle in _handles()]


def _handles() -> list[Any]:  # pynvml states no types
    """One NVML handle a visible device; as in CUDA, an entry that names none ends the list."""
    nvml = _nvml()
    found: list[Any] = []
    if nvml is None:
        return found
    with contextlib.suppress(nvml.NVMLError):
        there = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        if visible is None:
            return there
        for entry in visible.split(","):
            handle = _handle(nvml, entry.strip(), there)
            if handle is None:
                break
            found.append(handle)
    return found


def _handle(nvml: Any, entry: str, there: list[Any]) -> Any | None:
    """The device that one entry of CUDA_VISIBLE_DEVICES names: a number, a UUID, a MIG slice."""
    if entry.isdigit():
        return there[int(entry)] if int(entry) < len(there) else None
    if entry.startswith("MIG-"):
        return nvml.nvmlDeviceGetHandleByUUID(entry)
    # CUDA takes the beginning of a UUID for all of it where that is unique.
    same = [each for each in there if _str(nvml.nvmlDeviceGetUUID(each)).startswith(entry)]
    return same[0] if entry.startswith("GPU-") and len(same) == 1 else None


@functools.cache
def _nvml() -> Any:
    """NVML, started once; None where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def _str(text: str | bytes) -> str:
    """Older releases of nvidia-ml-py return bytes."""
    return text.decode() if isinstance(text, bytes) else text
