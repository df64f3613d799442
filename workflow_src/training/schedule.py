"""The learning rate over the steps of a training."""

from __future__ import annotations

import math


class RateFactor:
    """Learning rate over its peak at each of `total` steps: linear warm-up, then cosine or flat.

    A class, not a function in a function: the scheduler that holds it is pickled.
    """

    def __init__(self, total: int, warmup_share: float, schedule: str) -> None:
        self.total = total
        self.warmup = math.ceil(total * warmup_share)
        self.schedule = schedule

    def __call__(self, done: int) -> float:
        """Factor of the step after `done` steps."""
        if done < self.warmup:
            return (done + 1) / self.warmup
        if self.schedule == "constant":
            return 1.0
        progress = (done - self.warmup) / max(1, self.total - self.warmup)
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
