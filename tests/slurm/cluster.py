"""A real Slurm on this host: one controller, six node daemons on the loopback, fake GPUs.

Nodes are names: all run here, each with CPUs and memory declared as if it were a machine. Memory
limits are real, as control groups; GPUs are counted, bound to devices of /dev/null's kind. Proven
with Slurm 22.05 and control groups of version 1; the lines for version 2 are unproven.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scontrol", "scancel", "srun")
NODES = ("cn1", "cn2", "v100n1", "v100n2", "a100n1", "a100n2")
_CGROUPS = Path("/sys/fs/cgroup")

_SLURM_CONF = """\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
TaskPlugin=task/cgroup
ProctrackType=proctrack/cgroup
JobAcctGatherType=jobacct_gather/cgroup
JobAcctGatherFrequency=task=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
JobRequeue=0
MinJobAge=3600
KillWait=5
UnkillableStepTimeout=30
InactiveLimit=0
PropagateResourceLimits=NONE
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_interval=5,batch_sched_delay=0
PriorityType=priority/basic
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AccountingStorageType=accounting_storage/none
GresTypes=gpu
NodeName=DEFAULT Boards=1 SocketsPerBoard=1 ThreadsPerCore=1 State=UNKNOWN
NodeName=cn[1-2] {where} Port=[{cn}] CPUs=16 CoresPerSocket=16 RealMemory=8000
NodeName=v100n[1-2] {where} Port=[{v100n}] CPUs=8 CoresPerSocket=8 RealMemory=6000 Gres=gpu:v100:2
NodeName=a100n[1-2] {where} Port=[{a100n}] CPUs=8 CoresPerSocket=8 RealMemory=8000 Gres=gpu:a100:2 \
Feature=gpu80g
PartitionName=DEFAULT MaxTime=60 State=UP DefMemPerCPU=100
PartitionName=cpu Nodes=cn[1-2] Default=YES
PartitionName=v100 Nodes=v100n[1-2]
PartitionName=a100 Nodes=a100n[1-2]
"""
_CGROUP_CONF = """\
ConstrainRAMSpace=yes
ConstrainSwapSpace=no
ConstrainCores=no
ConstrainDevices=no
AllowedRAMSpace=100
"""
_V1 = f"CgroupPlugin=cgroup/v1\nCgroupMountpoint={_CGROUPS}\n"
_V2 = "CgroupPlugin=cgroup/v2\nIgnoreSystemd=yes\n"
# A GPU that is counted without a device is dropped silently.
_GRES_CONF = """\
AutoDetect=off
NodeName=v100n[1-2] Name=gpu Type=v100 File={folder}/dev/fakegpu[0-1]
NodeName=a100n[1-2] Name=gpu Type=a100 File={folder}/dev/fakegpu[2-3]
"""
# Snakemake's job step drops the variables of Slurm, where to find its configuration included.
_SRUN = '#!/bin/sh\nexport SLURM_CONF={configuration}\nexec {srun} "$@"\n'


@dataclass(frozen=True)
class Cluster:
    """A Slurm that runs.

    Attributes:
        folder: all that it writes.
    """

    folder: Path

    @property
    def configuration(self) -> Path:
        return self.folder / "etc" / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        """What commands need beside the usual variables."""
        path = os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]])
        return {"SLURM_CONF": str(self.configuration), "PATH": path}

    def ask(self, *command: str) -> str:
        """What one of Slurm's commands prints."""
        variables = {**os.environ, **self.environment}
        done = subprocess.run(
            command, env=variables, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def jobs(self, project: Path) -> list[dict[str, str]]:
        """All jobs of a project as `scontrol show job` tells them, the oldest first."""
        told = self.ask("scontrol", "--oneliner", "show", "job")
        fields = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in told.splitlines()]
        own = [job for job in fields if job.get("WorkDir") == str(project)]
        return sorted(own, key=lambda job: int(job["JobId"]))

    def of_rule(self, project: Path, rule: str, cell: str = "") -> list[dict[str, str]]:
        """Those of one rule, and of one cell where it is named ("dlinear/all/seed1")."""
        model, _, seed = cell.replace("/seed", "/").replace("/all", "").partition("/")
        wanted = f"{model}_all_{seed}" if cell else ""
        jobs = self.jobs(project)
        return [
            job for job in jobs if f"rule_{rule}" in job["Comment"] and wanted in job["Comment"]
        ]

    def wait_until_idle(self, seconds: float = 60) -> None:
        """Return when no job is running or waiting."""
        end = time.monotonic() + seconds
        while states := self.ask("squeue", "-h", "-t", "PD,R,CG,S", "-o", "%i %T"):
            assert time.monotonic() < end, states
            time.sleep(0.5)


def missing() -> str:
    """Why no cluster can run here; "" where it can."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return (
            f"{', '.join(absent)} not installed "
            "(apt-get install --no-install-recommends slurmctld slurmd slurm-client munge)"
        )
    return "" if os.geteuid() == 0 else "only root may run node daemons that limit memory"


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """A cluster below `folder` (a short path: sockets lie in it), as long as this holds."""
    cluster = Cluster(folder)
    before = set(_cgroups())
    try:
        _write(folder)
        _start(cluster)
        yield cluster
    finally:
        _stop(folder)
        for group in sorted(set(_cgroups()) - before, reverse=True):
            with contextlib.suppress(OSError):  # a process that is being reaped holds it
                group.rmdir()


def _write(folder: Path) -> None:
    for name in ("etc", "run", "log", "state", "spool", "dev", "bin"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)  # munged refuses a socket that others cannot reach
    ports = _free_ports(1 + len(NODES))
    pairs = {
        name: f"{ports[i]}-{ports[i + 1]}" for name, i in (("cn", 1), ("v100n", 3), ("a100n", 5))
    }
    etc = folder / "etc"
    host = platform.node().partition(".")[0]
    where = f"NodeHostname={host} NodeAddr=127.0.0.1"
    etc.joinpath("slurm.conf").write_text(
        _SLURM_CONF.format(folder=folder, host=host, where=where, port=ports[0], **pairs)
    )
    version_1 = (_CGROUPS / "memory").is_dir()
    etc.joinpath("cgroup.conf").write_text((_V1 if version_1 else _V2) + _CGROUP_CONF)
    etc.joinpath("gres.conf").write_text(_GRES_CONF.format(folder=folder))
    for number in range(4):
        os.mknod(folder / "dev" / f"fakegpu{number}", 0o20666, os.makedev(1, 3))
    key = etc / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    srun = folder / "bin" / "srun"
    srun.write_text(_SRUN.format(configuration=etc / "slurm.conf", srun=shutil.which("srun")))
    srun.chmod(0o755)


def _free_ports(count: int) -> list[int]:
    """So many in a row that nobody listens on."""
    for first in range(16817, 18000, count):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return list(range(first, first + count))
    raise RuntimeError("no free ports")


def _start(cluster: Cluster) -> None:
    folder = cluster.folder
    run, log, etc = folder / "run", folder / "log", folder / "etc"
    munged = ["munged", f"--key-file={etc}/munge.key", f"--socket={run}/munge.socket"]
    munged += [f"--pid-file={run}/munged.pid", f"--log-file={log}/munged.log"]
    munged += [f"--seed-file={run}/munge.seed", "--num-threads=2"]
    _call(cluster, munged)
    _call(cluster, ["slurmctld", "-f", str(cluster.configuration)])
    for node in NODES:
        (folder / "spool" / node).mkdir()
        _call(cluster, ["slurmd", "-N", node, "-f", str(cluster.configuration)])
    end = time.monotonic() + 30
    while (states := cluster.ask("sinfo", "-h", "-N", "-o", "%T").split()) != ["idle"] * len(NODES):
        assert time.monotonic() < end, (states, (log / "slurmctld.log").read_text()[-2000:])
        time.sleep(0.2)


def _call(cluster: Cluster, command: Sequence[str]) -> None:
    variables = {**os.environ, **cluster.environment}
    # Daemons keep what they inherit: a pipe of pytest's would never be closed.
    with (cluster.folder / "log" / "start.log").open("ab") as log:
        subprocess.run(command, env=variables, stdout=log, stderr=log, timeout=30, check=True)


def _stop(folder: Path) -> None:
    """End the daemons by their pid files; the nodes first, that they can say so."""
    names = [f"slurmd.{node}" for node in NODES] + ["slurmctld", "munged"]
    for name in names:
        file = folder / "run" / f"{name}.pid"
        with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
            pid = int(file.read_text())
            os.kill(pid, signal.SIGTERM)
            _wait_for(pid)


def _wait_for(pid: int) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":  # process 1 may reap slowly
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)


def _cgroups() -> list[Path]:
    """Slurm's control groups of every controller."""
    found = [top for base in (_CGROUPS, *_CGROUPS.glob("*")) for top in base.glob("slurm*")]
    return [Path(folder) for top in found for folder, *_ in os.walk(top)]
