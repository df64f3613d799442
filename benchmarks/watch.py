"""What watching memory costs a training loop, as a share of its time.

    .venv/bin/python benchmarks/watch.py [--steps 1000] [--rounds 7] [--marks 12]

A busy loop of steps runs in turns without a watch and with one. All times are processor times,
which other processes change little; `samples` is that of the watch's thread.
"""

from __future__ import annotations

import argparse
import os
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

from workflow_src.limits import Host, descendants, resident
from workflow_src.scheduling.events import NearLimit
from workflow_src.training.watch import Watch


def step(watch: Watch | None, marks: int) -> int:
    """About 1 ms of work, with marks in it."""
    total = 0
    for _ in range(marks):
        if watch is not None:
            watch.mark("forward", "trunk")
        total += sum(range(8000))
    if watch is not None:
        watch.checkpoint_due()
    return total


def tell(event: NearLimit) -> None:
    print(event)


def microseconds(call: Callable[[], object], calls: int) -> float:
    """Median of five rounds."""
    rounds = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        rounds.append((time.perf_counter() - start) / calls * 1e6)
    return statistics.median(rounds)


def steps_s(options: argparse.Namespace, watch: Watch | None) -> float:
    """Processor time of one round, all threads."""
    start = time.process_time()
    for _ in range(options.steps):
        step(watch, options.marks)
    return time.process_time() - start


def watched_s(options: argparse.Namespace) -> tuple[float, float]:
    """Processor time of one watched round, and the share of one core that its thread took."""
    with Watch(tell) as watch:
        thread = next(each for each in threading.enumerate() if each.name == "memory watch")
        schedule = Path(f"/proc/self/task/{thread.native_id}/schedstat")
        began, start = time.perf_counter(), int(schedule.read_text().split()[0])
        spent = steps_s(options, watch)
        sampling = (int(schedule.read_text().split()[0]) - start) / 1e9
        return spent, sampling / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--marks", type=int, default=12)
    options = parser.parse_args()

    host, watch = Host(), Watch(tell)
    print(f"limit: {host.source}")
    mark = microseconds(lambda: watch.mark("forward", "trunk"), 100_000)
    print(f"Host.used           {microseconds(host.used, 2000):8.1f} us")
    print(f"resident            {microseconds(resident, 2000):8.1f} us")
    print(f"descendants         {microseconds(lambda: descendants(os.getpid()), 500):8.1f} us")
    print(f"mark                {mark:8.2f} us")
    watch.probe(True)
    probed = microseconds(lambda: watch.mark("forward", "trunk"), 500)
    print(f"mark, probed        {probed:8.1f} us")

    plain, watched, shares = [], [], []
    for _ in range(options.rounds):
        plain.append(steps_s(options, None))
        spent, share = watched_s(options)
        watched.append(spent)
        shares.append(share)
    each = statistics.median(plain) / options.steps
    ratio = statistics.median(b / a for a, b in zip(plain, watched, strict=True))
    print(f"a step              {1e3 * each:8.2f} ms, {options.marks} marks in it")
    print(f"samples             {100 * statistics.median(shares):8.3f} % of one core, every 0.5 s")
    print(f"marks               {100 * options.marks * mark * 1e-6 / each:8.3f} % of a step")
    print(f"all of it           {100 * (ratio - 1):8.2f} % more processor time (median of pairs)")


if __name__ == "__main__":
    main()
