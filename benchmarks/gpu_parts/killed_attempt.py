"""An attempt that ends out of memory, and the next one, which goes on from its checkpoint.

The verb `train` is called as Slurm would call it, with what `decide` asks for after each end. On a
card a second process takes the memory that one attempt needs; in a rehearsal the attempt is asked
for with too little of it.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from gpu_parts.bench import Bench
from gpu_parts.study import Study
from workflow_src.cells import runs_beside
from workflow_src.configuration import Hardware
from workflow_src.configuration.schema import SiteClass
from workflow_src.limits import MB
from workflow_src.scheduling.events import Ended, Event, Resumed
from workflow_src.scheduling.journal import Journal
from workflow_src.scheduling.next_request import Forecast, JobRequest, Policy, decide

# Weights of 67 MB, of which training holds four times as much; few tokens, so that steps are short.
MODEL = "patchtst"
SIZES = {"width": 256, "heads": 2, "feed_forward": 16384, "depth": 2, "patch_count": 4}
BATCH = 64
TRAINING = {"epochs": 1, "batch_size": BATCH}
ROOM_MB = 20  # beyond what an attempt takes before it holds a network
ATTEMPTS = 6  # at most, the one that was terminated included


def measure(bench: Bench) -> None:
    """Terminated with a checkpoint, then out of memory, then to the end."""
    kind = bench.device.type
    study = Study(bench.folder, kind)
    study.prepare()
    cell = study.cell("killed", MODEL, SIZES, **TRAINING)
    asks = {"hardware": "this"}
    first = study.until_checkpoint(cell, signal.SIGTERM, checkpoint_minutes=1e-9, **asks)
    bench.put("terminated_with", value=first)
    memory = {} if bench.cuda else {"memory_mb": least_memory_mb(study, cell) + ROOM_MB}
    with neighbour() if bench.cuda else nullcontext():
        bench.put("out_of_memory_with", value=study.attempt(cell, **asks, **memory).returncode)
    code, tried = 75, 2
    while code == 75 and tried < ATTEMPTS:
        asked = next_request(cell, kind)
        memory = {} if bench.cuda else {"memory_mb": asked.memory_mb}
        micro = asked.micro_batch_size or 0
        code = study.attempt(cell, micro_batch=micro, **asks, **memory).returncode
        tried += 1
    bench.put("ended_with", value=code)
    bench.put("causes", value=[e.cause for e in events(cell) if isinstance(e, Ended)])
    bench.put("asked_micro_batch", value=micro)
    bench.put("resumed", value=sum(isinstance(e, Resumed) for e in events(cell)))
    report = json.loads((cell.parent / "training.json").read_text(encoding="utf-8"))
    for key in ("micro_batch_size", "attempts", "steps"):
        bench.put(key, value=report[key])


def least_memory_mb(study: Study, cell: Path) -> int:
    """The least that an attempt accepts as its limit, MB: what its refusal of 1 MB says."""
    said = study.attempt(cell, memory_mb=1).stdout
    return int(re.search(r"at least (\d+) MB", said)[1])  # type: ignore[index]


def events(cell: Path) -> list[Event]:
    """The cell's journal."""
    return Journal(runs_beside(cell) / "attempts.jsonl").events()


def next_request(cell: Path, accelerator: str) -> JobRequest:
    """What the next attempt asks for, after all that the journal holds."""
    identity = json.loads(cell.read_text(encoding="utf-8"))["identity"]
    hardware = Hardware.model_validate({"accelerator": accelerator})
    policy = Policy(threads=1, site=SiteClass(), hardware="this", identity=identity)
    forecast = Forecast(memory_mb=1000, runtime_minutes=10, batch_size=BATCH)
    return decide(forecast, events(cell), hardware, policy)


@contextmanager
def neighbour() -> Iterator[None]:
    """A process that leaves no more of the card than its own context and `ROOM_MB` take."""
    code = (
        "import torch, sys\n"
        "before = torch.cuda.mem_get_info()[0]\n"
        f"room = {ROOM_MB * MB}\n"
        "total = torch.cuda.mem_get_info()[1]\n"
        "torch.zeros(1, device='cuda')\n"
        "torch.randn(64, 64, device='cuda') @ torch.randn(64, 64, device='cuda')\n"
        "context = total - torch.cuda.mem_get_info()[0]\n"
        "held = torch.empty(torch.cuda.mem_get_info()[0] - context - room, dtype=torch.uint8, "
        "device='cuda')\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            process.stdout.readline()
            yield
        finally:
            process.kill()
