"""Logical batches in an order that (seed, epoch) alone decides, from any position in it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from workflow_src.data.windows import SpanArrays, SpanReader
from workflow_src.tasks.batch import Batch


def order(rows: NDArray[np.int64], seed: int, epoch: int) -> NDArray[np.int64]:
    """`rows` shuffled for one epoch; the same on every machine and at every worker count."""
    generator = np.random.default_rng(np.random.SeedSequence([seed, epoch]))
    return generator.permutation(rows)


def tensors(spans: SpanArrays) -> Batch:
    """Spans as tensors that share their memory."""
    return Batch(
        window=torch.from_numpy(spans.window),  # (B, L, C)
        horizon=torch.from_numpy(spans.horizon),  # (B, H, C)
        fault=torch.from_numpy(spans.fault),
        anomaly=torch.from_numpy(spans.anomaly),
        rul=torch.from_numpy(spans.rul),
        log_amplitude=torch.from_numpy(spans.log_amplitude),  # (B, C)
        age=torch.from_numpy(spans.age),
        index=torch.from_numpy(spans.index),
    )


class TrainingBatches:
    """Iterates over what is left of the current epoch; the last short batch is used.

    ``epoch`` and ``position`` (batches of this epoch that are done) are the whole state: set them,
    and iteration goes on with the exact next batch. It has no length on purpose: with one,
    Lightning would expect a whole epoch from a loader that was resumed in the middle of one.
    """

    def __init__(
        self, reader: SpanReader, rows: NDArray[np.int64], batch_size: int, seed: int
    ) -> None:
        self.reader = reader
        self.rows = rows
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0
        self.position = 0

    @property
    def per_epoch(self) -> int:
        """Optimizer steps in one epoch."""
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        shuffled = order(self.rows, self.seed, self.epoch)
        for i in range(self.position, self.per_epoch):
            rows = shuffled[i * self.batch_size : (i + 1) * self.batch_size]
            yield tensors(self.reader.read(rows))


class PartBatches:
    """Iterates over `rows` in their own order: evaluation is deterministic and drops nothing."""

    def __init__(self, reader: SpanReader, rows: NDArray[np.int64], batch_size: int) -> None:
        self.reader = reader
        self.rows = rows
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def spans(self) -> Iterator[SpanArrays]:
        """The same batches as arrays."""
        for start in range(0, len(self.rows), self.batch_size):
            yield self.reader.read(self.rows[start : start + self.batch_size])

    def __iter__(self) -> Iterator[Batch]:
        return map(tensors, self.spans())
