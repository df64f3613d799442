"""Four runs that once ended without memory, at their batch sizes, in 4 GiB of host memory.

    .venv/bin/python benchmarks/failed_runs.py [--memory-mb 4096] [--only timesnet]

Windows and horizons of 4096 samples x 2 channels, 64 patches of 128, width 256, four tasks. Each
network takes two optimizer steps over its whole batch, in a process of its own on one thread, in a
control group of that size where one can be made (version 1 or 2, as root), else under RLIMIT_DATA
alone. As in an attempt, RLIMIT_DATA is set as well, and the step begins with the whole batch as one
micro-batch: what does not fit is computed again at half of it. Sizes of TimesNet: --feed-forward
512 is 150 million parameters in its backbone.

`asked` is what the whole batch at once would take, extrapolated from torch's own bytes at two
micro-batches (`step.py` says how they are counted); `peak` is resident memory.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from step import QUIET, Levers, Loop, build, draw, peak_bytes

from workflow_src.limits import MB, peak_resident
from workflow_src.training.out_of_memory import limit_host_memory

HORIZON, STEPS = 4096, 2
BATCHES = {"dlinear": 384, "fno": 320, "patchtst": 512, "timesnet": 512}
GROUPS = Path("/sys/fs/cgroup")


def sizes_of(backbone: str, options: argparse.Namespace) -> dict[str, Any]:
    return {"feed_forward": options.feed_forward} if backbone == "timesnet" else {}


def train(backbone: str, options: argparse.Namespace) -> dict[str, Any]:
    """Two steps within the limit; what they took."""
    torch.set_num_threads(1)
    limit_host_memory(options.memory_mb * MB, 1)
    batch = draw(options.batch or BATCHES[backbone], HORIZON)
    network = build(backbone, HORIZON, **sizes_of(backbone, options))
    loop = Loop(network, Levers(options.micro or len(batch)))
    seconds, losses = [], []
    for _ in range(STEPS):
        start = time.perf_counter()
        losses.append(loop(batch))
        seconds.append(time.perf_counter() - start)
    return {
        "parameters": sum(p.numel() for p in network.parameters()),
        "batch": len(batch),
        "micro": loop.recovery.size,
        "recomputes": loop.recovery.checkpointing,
        "failed": len(loop.recovery.rungs),
        "peak_mb": peak_resident() / MB,
        "first_s": seconds[0],
        "second_s": seconds[1],
        "finite": all(math.isfinite(loss) for each in losses for loss in each.values()),
    }


def asked_mb(backbone: str, options: argparse.Namespace) -> float:
    """Bytes of torch for the whole batch at once: linear in the micro-batch."""
    torch.set_num_threads(1)
    small = 8 if backbone == "timesnet" else 64
    peaks = []
    for size in (small, 2 * small):

        def prepare(size: int = size) -> Loop | Any:
            loop = Loop(build(backbone, HORIZON, **sizes_of(backbone, options)), Levers(size))
            batch = draw(size, HORIZON)
            return lambda: loop(batch)

        peaks.append(peak_bytes(prepare) / MB)
    batch = options.batch or BATCHES[backbone]
    return peaks[0] + (peaks[1] - peaks[0]) * (batch - small) / small


class Group:
    """A memory control group of version 1 or 2, limited; `limited` is False where none can be."""

    def __init__(self, name: str, limit: int) -> None:
        first = (GROUPS / "memory").is_dir()
        self.folder = GROUPS / "memory" / name if first else GROUPS / name
        self._limit = "memory.limit_in_bytes" if first else "memory.max"
        self._peak = "memory.max_usage_in_bytes" if first else "memory.peak"
        self.limited = False
        with suppress(OSError):
            self.folder.mkdir()
            (self.folder / self._limit).write_text(str(limit), encoding="ascii")
            self.limited = True

    def enter(self) -> None:
        """Called in the child, before its program starts."""
        if self.limited:
            (self.folder / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")

    def close(self) -> float:
        """Most that the group held, MB, page cache included; the group is gone then."""
        peak = math.nan
        if self.limited:
            with suppress(OSError):
                peak = int((self.folder / self._peak).read_text(encoding="ascii")) / MB
        with suppress(OSError):
            self.folder.rmdir()
        return peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory-mb", type=int, default=4096)
    parser.add_argument("--only", choices=tuple(BATCHES))
    parser.add_argument("--feed-forward", type=int, default=512, help="of TimesNet")
    parser.add_argument("--micro", type=int, default=0, help="begin here, not at the batch")
    parser.add_argument("--batch", type=int, default=0, help="another batch than the original")
    parser.add_argument("--inside", choices=("train", "asked"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        found = (train if options.inside == "train" else asked_mb)(options.only, options)
        print(json.dumps(found))
        return
    print(f"{'':<10}{'parameters':>13}{'batch':>7}{'asked MB':>10}{'micro':>7}{'fails':>7}", end="")
    print(f"{'peak MB':>9}{'group MB':>10}{'s/step':>9}  losses")
    for backbone in [options.only] if options.only else list(BATCHES):
        show(backbone, options)


def show(backbone: str, options: argparse.Namespace) -> None:
    """One line of the table."""
    asked = json.loads(_run(backbone, "asked", None)[1])
    group = Group(f"failed_runs_{os.getpid()}", options.memory_mb * MB)
    code, text = _run(backbone, "train", group)
    held = group.close()
    if code:
        print(f"{backbone:<10}{'':>20}{asked:>10.0f}  ended with {code}: {text}", flush=True)
        return
    found = json.loads(text)
    micro = f"{found['micro']}{'*' * found['recomputes']}"
    print(
        f"{backbone:<10}{found['parameters']:>13,}{found['batch']:>7}{asked:>10.0f}{micro:>7}"
        f"{found['failed']:>7}{found['peak_mb']:>9.0f}{held:>10.0f}{found['second_s']:>9.1f}"
        f"  {'finite' if found['finite'] else 'NOT FINITE'}",
        flush=True,
    )


def _run(backbone: str, inside: str, group: Group | None) -> tuple[int, str]:
    """Exit code and last line of one process."""
    command = [sys.executable, __file__, *sys.argv[1:], "--only", backbone, "--inside", inside]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env={**QUIET, "OMP_NUM_THREADS": "1"},
        preexec_fn=group.enter if group else None,
    )
    return done.returncode, (done.stdout.strip().splitlines() or [""])[-1]


if __name__ == "__main__":
    main()
