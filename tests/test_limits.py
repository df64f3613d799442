"""What a process may use: on every layout of control groups, and against the real kernel."""

from __future__ import annotations

import os
import subprocess
import sys
import types
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src import limits
from workflow_src.errors import UserError
from workflow_src.limits import MB, Device, Host, cores, descendants, resident

from .examples import examples

ROOT = Path(__file__).resolve().parents[1]
UNLIMITED = 9223372036854771712
MACHINE = psutil.virtual_memory().total


class Tree:
    """A folder that looks like / to a process, with the files of the kernel that matter."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.groups = root / "sys" / "fs" / "cgroup"

    def process(self, *lines: str, pid: int | str = "self") -> None:
        self.write(self.root / "proc" / str(pid) / "cgroup", "".join(f"{line}\n" for line in lines))

    def v1(self, path: str, limit: int, use: int = 0, cache: int = 0, kills: int = 0) -> None:
        level = self.groups / "memory" / path
        self.write(level / "memory.limit_in_bytes", f"{limit}\n")
        self.write(level / "memory.usage_in_bytes", f"{use}\n")
        kept = f"inactive_file 7\nhierarchical_memory_limit {limit}\ntotal_inactive_file {cache}\n"
        self.write(level / "memory.stat", "cache 5\n" + kept + "total_active_file 3\n")
        self.write(level / "memory.oom_control", f"under_oom 0\noom_kill {kills}\n")

    def v2(self, path: str, limit: int | str, use: int = 0, cache: int = 0, kills: int = 0) -> None:
        level = self.groups / path
        self.write(level / "memory.max", f"{limit}\n")
        self.write(level / "memory.current", f"{use}\n")
        self.write(level / "memory.stat", f"anon 5\ninactive_file {cache}\nactive_file 3\n")
        self.write(level / "memory.events", f"low 0\nmax 9\noom 4\noom_kill {kills}\n")

    @staticmethod
    def write(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_v1_own_limit(tree: Tree) -> None:
    tree.process("4:cpu,cpuacct:/x", "3:memory:/user/me", "0::/")
    tree.v1("", UNLIMITED)
    tree.v1("user", 900 * MB, use=500 * MB)
    tree.v1("user/me", 600 * MB, use=400 * MB, cache=150 * MB, kills=2)
    tree.v1("user/me/below", UNLIMITED, kills=1)
    host = Host(root=tree.root)
    assert (host.limit, host.used()) == (600 * MB, 250 * MB)
    assert host.source.endswith("memory/user/me/memory.limit_in_bytes")
    assert host.oom_kills() == 3


def slurm_v1(tree: Tree) -> None:
    tree.process("3:memory:/slurm/uid_7/job_12/step_0/task_0")
    tree.v1("", UNLIMITED)
    tree.v1("slurm", UNLIMITED, kills=100)
    tree.v1("slurm/uid_7", UNLIMITED, kills=10)
    tree.v1("slurm/uid_7/job_12", 600 * MB, use=599 * MB, cache=410 * MB)
    tree.v1("slurm/uid_7/job_12/step_0", 600 * MB, use=300 * MB)
    tree.v1("slurm/uid_7/job_12/step_0/task_0", UNLIMITED, use=200 * MB)
    tree.v1("slurm/uid_7/job_12/step_batch/task_0", UNLIMITED)
    # The kernel tells a level without a limit of its own the one above it.
    stat = tree.groups / "memory/slurm/uid_7/job_12/step_0/task_0/memory.stat"
    stat.write_text(f"hierarchical_memory_limit {600 * MB}\ntotal_inactive_file 1\n")


def test_slurm_v1_binds_at_the_job(tree: Tree) -> None:
    slurm_v1(tree)
    host = Host(root=tree.root)
    assert (host.limit, host.used()) == (600 * MB, 189 * MB)
    assert host.source.endswith("job_12/memory.limit_in_bytes")


def test_slurm_v1_counts_kills_of_the_whole_job_and_of_no_other(tree: Tree) -> None:
    slurm_v1(tree)
    tree.v1("slurm/uid_7", 300 * MB, kills=10)  # binds, and holds other jobs
    host = Host(root=tree.root)
    assert host.oom_kills() == 0
    tree.v1("slurm/uid_7/job_12/step_0/task_0", UNLIMITED, kills=1)
    tree.v1("slurm/uid_7/job_12/step_batch/task_0", UNLIMITED, kills=1)
    tree.v1("slurm/uid_7/job_13/step_0", UNLIMITED, kills=5)
    assert host.oom_kills() == 2


def test_v2_takes_the_smallest_limit_up_the_path(tree: Tree) -> None:
    tree.process("0::/system.slice/slurmstepd.scope/job_5/step_0/user/task_0")
    job = "system.slice/slurmstepd.scope/job_5"
    tree.v2("system.slice", "max", use=900 * MB, kills=9)
    tree.v2(job, 500 * MB, use=480 * MB, cache=80 * MB, kills=2)
    tree.v2(f"{job}/step_0/user", "max", use=300 * MB, kills=1)
    tree.v2(f"{job}/step_0/user/task_0", "max", use=200 * MB, kills=1)
    host = Host(root=tree.root)
    assert (host.limit, host.used()) == (500 * MB, 400 * MB)
    assert host.source.endswith("job_5/memory.max")
    assert host.oom_kills() == 2


def test_hybrid_reads_memory_where_its_controller_is(tree: Tree) -> None:
    (tree.groups / "unified" / "me").mkdir(parents=True)
    tree.process("3:memory:/me", "0::/me")
    tree.v1("me", 300 * MB)
    assert Host(root=tree.root).limit == 300 * MB


@pytest.mark.parametrize("line", ["3:memory:/docker/4f2a", "3:memory:/../../job_3", "0::/pod/1"])
def test_container_falls_back_to_the_root_of_its_mount(tree: Tree, line: str) -> None:
    tree.process(line)
    layout = tree.v2 if line.startswith("0") else tree.v1
    layout("", 400 * MB, use=300 * MB, cache=100 * MB, kills=1)
    host = Host(root=tree.root)
    assert (host.limit, host.used(), host.oom_kills()) == (400 * MB, 200 * MB, 1)


def test_v1_limit_above_what_a_container_sees(tree: Tree) -> None:
    tree.process("3:memory:/sub")
    tree.v1("", UNLIMITED, use=300 * MB)
    tree.v1("sub", UNLIMITED, use=100 * MB)
    (tree.groups / "memory/sub/memory.stat").write_text(f"hierarchical_memory_limit {500 * MB}")
    host = Host(root=tree.root)
    assert (host.limit, host.used()) == (500 * MB, 300 * MB)
    assert host.source.endswith("memory.stat")


@pytest.mark.parametrize(
    "lines", [(), ("3:memory:/me",), ("0::/me",)], ids=["no groups", "v1", "v2"]
)
def test_without_a_limit_the_machine_is_it(tree: Tree, lines: tuple[str, ...]) -> None:
    tree.process(*lines)
    tree.v1("me", UNLIMITED, use=1)
    tree.v2("me", MACHINE + 1, use=1)
    tree.v2("", "max", use=1)
    host = Host(root=tree.root)
    assert (host.limit, host.source) == (MACHINE, "the machine's memory")
    assert resident() < host.used() < MACHINE


@given(limits=st.lists(st.none() | st.integers(1, MACHINE - 1), min_size=1, max_size=6))
@examples(40)
def test_the_smallest_limit_of_any_path_binds_at_its_outermost_level(
    tmp_path_factory: pytest.TempPathFactory, limits: list[int | None]
) -> None:
    for version in (1, 2):
        tree = Tree(tmp_path_factory.mktemp("tree"))
        names = [str(depth) for depth in range(len(limits))]
        tree.process(("3:memory:/" if version == 1 else "0::/") + "/".join(names))
        for depth, limit in enumerate(limits):
            path = "/".join(names[: depth + 1])
            if version == 1:
                tree.v1(path, limit or UNLIMITED, use=depth)
            else:
                tree.v2(path, limit or "max", use=depth)
        host = Host(root=tree.root)
        least = min((limit for limit in limits if limit), default=None)
        assert host.limit == (least or MACHINE)
        assert least is None or host.used() == limits.index(least)


def test_other_process(tree: Tree) -> None:
    tree.process("3:memory:/other", pid=77)
    tree.v1("other", 300 * MB)
    assert Host(77, tree.root).limit == 300 * MB
    with pytest.raises(UserError, match="no process 78"):
        Host(78, tree.root)


def test_cores_are_those_of_affinity_or_of_the_smallest_quota(tree: Tree) -> None:
    free = len(os.sched_getaffinity(0))
    tree.process("2:cpu,cpuacct:/a/b")
    for path, quota in (("", -1), ("a", 100_000), ("a/b", -1)):
        tree.write(tree.groups / "cpu" / path / "cpu.cfs_quota_us", f"{quota}\n")
        tree.write(tree.groups / "cpu" / path / "cpu.cfs_period_us", "100000\n")
    assert cores(tree.root) == 1
    tree.write(tree.groups / "cpu" / "a" / "cpu.cfs_quota_us", "-1\n")
    assert cores(tree.root) == free
    tree.process("0::/a")
    for quota, found in (("max", free), ("50000", 1)):
        tree.write(tree.groups / "a" / "cpu.max", f"{quota} 100000\n")
        assert cores(tree.root) == found


def run(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_beyond_the_limit_an_allocation_raises() -> None:
    code = """if True:
        from workflow_src.limits import private_memory_now, limit_private_memory
        limit_private_memory(private_memory_now() + (100 << 20))
        try:
            bytearray(300 << 20)
        except MemoryError:
            print("raised")
        print(len(bytearray(20 << 20)) >> 20)
        """
    assert run(code) == ["raised", "20"]


def test_the_limit_is_never_above_the_hard_limit() -> None:
    code = """if True:
        import resource
        from workflow_src.limits import limit_private_memory
        resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 31))
        limit_private_memory(1 << 40)
        print(*resource.getrlimit(resource.RLIMIT_DATA))
        """
    assert run(code) == [str(1 << 31), str(1 << 31)]


def test_sizes_of_this_process_are_the_kernels() -> None:
    assert resident() == pytest.approx(psutil.Process().memory_info().rss, rel=0.05)
    assert resident(2**22 + 1) == 0


def test_the_peak_is_this_process_alone_and_stays() -> None:
    code = """if True:
        import os, subprocess, sys
        from workflow_src.limits import peak_rss_mb
        before = peak_rss_mb()
        kept = bytearray(b"x") * (100 << 20)
        own = "from workflow_src.limits import peak_rss_mb; print(peak_rss_mb())"
        # A forked child begins as a copy of this process.
        pid = os.fork()
        if pid == 0:
            os.execv(sys.executable, [sys.executable, "-c", own])
        os.waitpid(pid, 0)
        del kept
        print(before, peak_rss_mb() - before)
        """
    child, before, grown = map(float, run(code))
    assert child == pytest.approx(before, abs=10)
    assert grown == pytest.approx(100, abs=5)


def test_descendants_are_children_and_theirs() -> None:
    script = "sleep 60 & echo $!; wait"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        assert set(descendants(os.getpid())) >= {child.pid, grandchild}
        assert descendants(child.pid) == [grandchild]
        os.kill(grandchild, 9)
    assert descendants(child.pid) == []


# What NVML holds for two GPUs, the second cut in slices: a stand-in, for want of a GPU.
class NvmlError(Exception):
    pass


def fake_nvml() -> Any:
    def by_uuid(uuid: str) -> str:
        if uuid != "MIG-77":
            raise NvmlError
        return "slice"

    totals = {"first": 16, "second": 80, "slice": 10}
    sizes = {h: types.SimpleNamespace(total=total * MB, used=MB) for h, total in totals.items()}
    return types.SimpleNamespace(
        NVMLError=NvmlError,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda index: ["first", "second"][index],
        nvmlDeviceGetHandleByUUID=by_uuid,
        nvmlDeviceGetUUID=lambda handle: {"first": "GPU-aa11", "second": b"GPU-ab22"}[handle],
        nvmlDeviceGetName=lambda handle: f"model of {handle}",
        nvmlDeviceGetMemoryInfo=lambda handle: sizes[handle],
    )


@pytest.mark.parametrize(
    ("visible", "found"),
    [
        (None, ["first", "second"]),
        ("1,0", ["second", "first"]),
        ("1", ["second"]),
        ("", []),
        ("-1", []),
        ("0,7,1", ["first"]),
        ("GPU-ab22,0", ["second", "first"]),
        ("GPU-aa", ["first"]),
        ("GPU-a", []),
        ("MIG-77", ["slice"]),
        ("MIG-78,0", []),
    ],
)
def test_visible_devices(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, found: list[str]
) -> None:
    monkeypatch.setattr(limits, "_nvml", fake_nvml)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert limits.devices() == len(found)
    assert [Device(index).name for index in range(len(found))] == [f"model of {f}" for f in found]
    assert Device(len(found)).limit == 0
    assert all(Device(i).used() == MB < Device(i).limit for i in range(len(found)))


def test_where_no_gpu_is_nothing_raises() -> None:
    if limits.devices():
        pytest.skip("there is a GPU here")
    device = Device()
    assert (device.limit, device.used(), device.name, device.source) == (0, 0, "", "GPU 0")


@pytest.fixture
def limited_group() -> Iterator[Callable[[int], Path]]:
    """Makes a real control group (v1) with a limit in bytes."""
    mount = Path("/sys/fs/cgroup/memory")
    if not (os.access(mount, os.W_OK) and (mount / "memory.limit_in_bytes").exists()):
        pytest.skip("control groups of memory (v1) cannot be made here: root and cgroup v1 only")
    made: list[Path] = []

    def make(limit: int) -> Path:
        made.append(mount / f"limits-{uuid.uuid4().hex[:8]}")
        made[-1].mkdir()
        Tree.write(made[-1] / "memory.limit_in_bytes", str(limit))
        return made[-1]

    yield make
    for group in made:
        for folder in (*group.glob("*/"), group):
            folder.rmdir()


def inside(group: Path, code: str) -> subprocess.CompletedProcess[str]:
    enter = f"import os; open({str(group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
    return subprocess.run(
        [sys.executable, "-c", enter + code], capture_output=True, text=True, cwd=ROOT, check=False
    )


@pytest.mark.faults
def test_page_cache_does_not_count_in_a_real_group(
    limited_group: Callable[[int], Path], tmp_path: Path
) -> None:
    group = limited_group(200 * MB)
    task = group / "task_0"
    task.mkdir()
    code = f"""if True:
        from workflow_src.limits import MB, Host
        host = Host()
        before = host.used()
        with open({str(tmp_path / "large")!r}, "wb") as file:
            file.writelines(bytes(MB) for _ in range(400))
        usage = int(open({str(group / "memory.usage_in_bytes")!r}).read())
        cached = host.used()
        kept = bytearray(b"x") * (60 * MB)
        print(host.limit // MB, usage // MB, (cached - before) // MB, (host.used() - cached) // MB)
        """
    done = inside(task, code)
    limit, usage, cache, held = map(int, done.stdout.split())
    assert limit == 200
    assert cache < 30 < 150 < usage
    assert held == pytest.approx(60, abs=15)


@pytest.mark.faults
def test_a_real_kill_is_counted(limited_group: Callable[[int], Path]) -> None:
    task = limited_group(100 * MB) / "task_0"
    task.mkdir()
    code = """if True:
        import subprocess, sys
        from workflow_src.limits import Host
        host = Host()
        before = host.oom_kills()
        eat = "kept = bytearray(b'x') * (300 << 20)"
        # The kernel kills the largest: the child.
        done = subprocess.run([sys.executable, "-c", eat])
        print(before, host.oom_kills(), done.returncode)
        """
    done = inside(task, code)
    assert done.stdout.split() == ["0", "1", "-9"], done.stderr
