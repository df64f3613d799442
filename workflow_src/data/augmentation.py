"""Random changes of training spans that a row and a number alone decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workflow_src.data.chunk_reader import Whole
from workflow_src.data.noise import Floats, add_noise

# What each draw is for. From 1 on: a seed followed by zeros is the seed without them.
_SHIFT, _POLARITY, _SCALE, _NOISE = 1, 2, 3, 4


@dataclass(frozen=True)
class Augmenter:
    """How spans are changed when they are drawn for training.

    Each draw is keyed by (seed, time, row, kind of change), time counting how often the row was
    drawn before: an epoch where each is drawn once. So a draw depends neither on the order, the
    batch or the process that reads, nor on the other changes.

    Attributes:
        seed: of the draws.
        noise_db: signal-to-noise ratio of white noise on the window; the horizon stays as it is.
        polarity: turn half of the spans upside down, all channels at once.
        shift: start up to so many samples earlier or later, evenly, within the room there is.
        scale: multiply by a factor between 1/scale and scale, its logarithm drawn evenly.
    """

    seed: int
    noise_db: float | None = None
    polarity: bool = False
    shift: int = 0
    scale: float | None = None

    def moves(
        self,
        rows: NDArray[np.int64],
        times: Sequence[int] | Whole,
        earlier: NDArray[np.int64],
        later: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Samples (n,) by which spans start later, negative: earlier, within the room of each."""
        least, most = -np.minimum(self.shift, earlier), np.minimum(self.shift, later)
        drawn = [
            self._rng(row, int(time), _SHIFT).integers(low, high, endpoint=True)
            for row, time, low, high in zip(rows.tolist(), times, least, most, strict=True)
        ]
        return np.array(drawn, np.int64)

    def change(self, row: int, time: int, span: Floats, window: int) -> None:
        """Change a span (L + H, C) in place, the noise its first `window` samples only."""
        if self.polarity and self._rng(row, time, _POLARITY).random() < 0.5:
            np.negative(span, out=span)
        if self.scale is not None:
            span *= np.float32(self.scale ** self._rng(row, time, _SCALE).uniform(-1, 1))
        if self.noise_db is not None:
            add_noise(span[:window], self.noise_db, self._rng(row, time, _NOISE))

    def _rng(self, row: int, time: int, kind: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, time, row, kind])
