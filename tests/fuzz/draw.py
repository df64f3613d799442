"""Every draw of a run, from its seed alone."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATES = (1000.0, 5120.0, 8000.0, 10000.0, 12000.0, 20000.0, 25600.0, 48000.0, 51200.0)
UNITS = ("a", "b1", "k07", "007", "010", "011", "1_1", "B.2", "1e3", "no")


class Draw(random.Random):
    """Numbers, names and signals; two of one seed give the same."""

    def signal(self, length: int, channels: int, scale: float | None = None) -> NDArray[np.float64]:
        """Tones in noise (L, C), about `scale` large, no two samples alike."""
        rng = np.random.default_rng(self.getrandbits(64))
        time = np.arange(length)[:, None]  # (L, 1)
        tones = np.sin(time * rng.uniform(0.05, 2.0, channels))  # (L, C)
        noise = rng.standard_normal((length, channels))
        given = 10.0 ** rng.uniform(-2.0, 2.0) if scale is None else scale
        return np.asarray(given * (tones + noise + rng.uniform(-1.0, 1.0)))

    def length(self, least: int = 70, most: int = 400) -> int:
        """Samples of a recording."""
        return self.randint(least, most)

    def channels(self) -> int:
        """Channels of a recording; mostly few."""
        return self.choice([1, 1, 2, 2, 3, 4, 6])

    def rate(self) -> float:
        """A sampling rate that real systems have, in Hz."""
        return self.choice(RATES)

    def units(self, count: int) -> list[str]:
        """Names of specimens, some of which YAML would read as something else."""
        return self.sample(UNITS, count)

    def row(self, length: int, margin: int = 3) -> int:
        """A row within a file, off its ends and at times beyond what a reader looks at first."""
        return self.randint(margin, length - margin - 1)

    def one(self, *values: Any) -> Any:
        """One of the values."""
        return self.choice(values)
