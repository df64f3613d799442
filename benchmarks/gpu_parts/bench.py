"""What every part is given: a device, a deadline, and a place for what it finds."""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from step import peak_bytes

from workflow_src.files import write_text
from workflow_src.limits import Device

# What a rehearsal builds of each backbone: 16 tokens of width 16, from windows of 256 samples.
SMALL_WINDOW = 256
_TOKENS = {"width": 16, "patch_length": 16, "patch_count": 16}
SMALL: dict[str, dict[str, Any]] = {
    "dlinear": {**_TOKENS, "kernel": 5},
    "fno": {**_TOKENS, "modes": 5},
    "patchtst": {**_TOKENS, "heads": 2, "feed_forward": 8},
    "timesnet": {**_TOKENS, "feed_forward": 4, "top_k": 2, "kernels": 3},
}
# What a rehearsal on a CPU cannot measure.
NEEDS_A_CARD = "needs a card"
GB = 1024**3


@dataclass
class Bench:
    """One part's device, time and results.

    Attributes:
        device: cpu in a rehearsal, else cuda.
        deadline: when the part is cut, in seconds of `time.monotonic`.
        folder: scratch, removed afterwards.
        file: where each result is written as soon as it is there.
        found: the results so far.
    """

    device: torch.device
    deadline: float
    folder: Path
    file: Path
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def cuda(self) -> bool:
        """Whether a card is measured."""
        return self.device.type == "cuda"

    @property
    def left_s(self) -> float:
        """Seconds until the part is cut."""
        return self.deadline - time.monotonic()

    def put(self, *path: str, value: object) -> None:
        """Keep a result under nested keys, on the disk too."""
        place = self.found
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = value
        write_text(self.file, json.dumps(self.found))

    def tried(self, *path: str, work: Callable[[], object]) -> None:
        """Keep what `work` returns; where it raises, the first line of the error."""
        try:
            value = work()
        except Exception as error:
            value = {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[:1]}"}
        self.put(*path, value=value)
        self.free()

    def free(self) -> None:
        """Give back what no tensor uses."""
        gc.collect()
        if self.cuda:
            torch.cuda.empty_cache()

    def wait(self) -> None:
        """Return when the device has done all that it was given."""
        if self.cuda:
            torch.cuda.synchronize(self.device)

    def seconds(self, work: Callable[[], object], rounds: int = 3, warm_ups: int = 1) -> float:
        """Median seconds of a call after `warm_ups` calls; fewer rounds where time runs out."""
        for _ in range(warm_ups):
            work()
        taken: list[float] = []
        while len(taken) < rounds and (not taken or self.left_s > 2 * taken[-1]):
            self.wait()
            start = time.perf_counter()
            work()
            self.wait()
            taken.append(time.perf_counter() - start)
        return statistics.median(taken)

    def peak(self, prepare: Callable[[], Callable[[], object]]) -> dict[str, int]:
        """Most bytes while the prepared call runs: `tensors`, and `reserved` by the allocator.

        The prepared call runs twice on a card: libraries take their workspaces in the first.
        """
        if not self.cuda:
            tensors = peak_bytes(prepare)
            return {"tensors": tensors, "reserved": tensors}
        self.free()
        work = prepare()
        work()
        torch.cuda.reset_peak_memory_stats(self.device)
        work()
        self.wait()
        return {
            "tensors": torch.cuda.max_memory_allocated(self.device),
            "reserved": torch.cuda.max_memory_reserved(self.device),
        }

    def outside_mb(self) -> float:
        """Memory in use outside this process's allocator (context, other processes), MB."""
        if not self.cuda:
            return 0.0
        return (Device().used() - torch.cuda.memory_reserved(self.device)) / 1024**2


def line(points: Mapping[int, float]) -> tuple[float, float]:
    """Intercept and slope of the least-squares line through size -> value."""
    slope, intercept = statistics.linear_regression(list(points), list(points.values()))
    return intercept, slope
