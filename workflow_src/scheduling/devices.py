"""Which GPUs an attempt takes where cells run side by side on one machine (no torch).

Snakemake counts GPUs but does not say which is free, and other studies count by themselves. A GPU
is taken by binding a name of Linux's abstract socket namespace (unix(7)): the kernel gives a name
to one process, of whatever user, and takes it back when that process ends, however it ends. So
unlike the lock of a run folder, which lies on file systems of many machines, this one needs no
file, no heartbeat and no judgement of who is dead.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import socket
import time
from collections.abc import Callable, Iterator, Sequence

from workflow_src.errors import UserError
from workflow_src.limits import device_names

_POLL_S = 1.0
_VISIBLE = "CUDA_VISIBLE_DEVICES"


def _say(text: str) -> None:
    print(text, flush=True)


@contextlib.contextmanager
def own_gpus(count: int) -> Iterator[None]:
    """Let the processes started within see `count` GPUs that no other attempt here has.

    What Slurm has given to this job alone is left as it is.

    Raises:
        UserError: this process sees GPUs, but fewer than `count`.
    """
    names, before = device_names(), os.environ.get(_VISIBLE)
    given = "SLURM_JOB_ID" in os.environ and len(names) <= count
    if not names or given:  # without NVML torch tells what there is, and what is missing
        yield
        return
    with held(count, names) as taken:
        os.environ[_VISIBLE] = ",".join(taken)
        try:
            yield
        finally:
            os.environ.pop(_VISIBLE)
            if before is not None:
                os.environ[_VISIBLE] = before


@contextlib.contextmanager
def held(
    count: int,
    names: Sequence[str],
    say: Callable[[str], object] = _say,
) -> Iterator[list[str]]:
    """Hold `count` of the GPUs `names` until the block or this process ends; waits for them.

    All at once or none: two attempts that each held a part would wait for each other.

    Raises:
        UserError: there are fewer than `count`.
    """
    if count > len(names):
        raise UserError(
            "There are fewer GPUs than the request shares its batches among.",
            found=f"{len(names)} GPU(s)",
            expected=f"{count}, the `devices` of the request",
            remedy=f"request: {{devices: {len(names)}}}",
        )
    said = False
    while True:
        with contextlib.ExitStack() as stack:
            taken: list[str] = []
            for name in names:
                if len(taken) < count and (hold := _bound(name)) is not None:
                    stack.enter_context(hold)
                    taken.append(name)
            if len(taken) == count:
                yield taken
                return
        if not said:
            say(f"waiting: other attempts hold all but {len(taken)} of {len(names)} GPUs")
            said = True
        time.sleep(_POLL_S * random.uniform(0.5, 1.5))  # not in step with who else waits


def _bound(name: str) -> socket.socket | None:
    """The hold of one GPU; None where another process has it. No child inherits it."""
    hold = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        hold.bind(f"\0vibration-workflow/{name}")
    except OSError as error:
        hold.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    return hold
