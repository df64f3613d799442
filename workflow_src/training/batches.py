"""Logical batches in an order that (seed, epoch) alone decides, from any position in it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from multiprocessing.queues import Queue

import torch
from torch.utils.data import DataLoader, Dataset

from workflow_src.data.augmentation import Augmenter
from workflow_src.data.windows import SpanArrays, SpanReader, compact
from workflow_src.scheduling.events import Levers, Shrank
from workflow_src.scheduling.rank_share import rank_share
from workflow_src.scheduling.supervisor import die_with_parent
from workflow_src.tasks.batch import Batch
from workflow_src.training.out_of_memory import Memory, exhausted, free
from workflow_src.training.sampling import Drawn, Rows, drawn

_PREFETCHED = 2  # batches that each worker holds ready


def share(rows: Rows, rank: int, ranks: int) -> Rows:
    """What one of `ranks` processes takes of a batch (B,): a contiguous part, perhaps empty."""
    return rows[rank_share(len(rows), rank, ranks)]


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

    Worker processes read ahead; how many there are changes no bit. When reading runs out of
    memory or a worker is lost, it goes on from the exact next batch with half the workers, at last
    with none, then without a cache of recordings; only when that fails is the error raised.

    Args:
        reader: of the spans.
        rows: (n,) those of the training part.
        batch_size: spans of a logical batch, over all ranks.
        seed: of the order.
        workers: processes beside this one that read ahead; with 0 none is started.
        rank: this process among `ranks`; it yields its `share` of each batch.
        ranks: processes that share each batch.
        groups: (n,) of `rows`, from 0, each to be drawn equally often; None: each row once.
        augmentation: how spans are changed when they are drawn; None: not at all.
        tell: called at each loss; the levers are ``workers`` and ``cache``.
    """

    def __init__(
        self,
        reader: SpanReader,
        rows: Rows,
        batch_size: int,
        seed: int,
        *,
        workers: int = 0,
        rank: int = 0,
        ranks: int = 1,
        groups: Rows | None = None,
        augmentation: Augmenter | None = None,
        tell: Callable[[Shrank], object] = lambda event: None,
    ) -> None:
        self.reader = reader
        self.rows = compact(rows)
        self.batch_size = batch_size
        self.seed = seed
        self.workers = workers
        self.rank, self.ranks = rank, ranks
        self.groups = groups
        self.tell = tell
        self.epoch = 0
        self.position = 0
        self._spans = _Spans(reader, augmentation)
        self._ahead = _ReadAhead(self._spans)
        self._caches = True

    @property
    def per_epoch(self) -> int:
        """Optimizer steps in one epoch."""
        return -(-len(self.rows) // self.batch_size)

    def close(self) -> None:
        """End the workers; a later iteration starts them again."""
        self._ahead.close()

    def __iter__(self) -> Iterator[Batch]:
        plan, done = self._plan(), self.position
        self._ahead.stop()
        while done < len(plan):
            failed: tuple[Memory, str] | None = None
            try:
                batch = self._read(plan, done)
            except Exception as error:
                failed = self._failure(error)
                if failed is None:
                    raise
            # Outside of `except`: the traceback holds the loader and what it has read.
            if failed is not None:
                self._shrink(*failed)
                continue
            done += 1
            yield batch
            del batch  # not held while the next one is read

    def _plan(self) -> _ReadPlan:
        draws = drawn(self.rows, self.seed, self.epoch, self.groups)
        return _ReadPlan(draws, self.batch_size, self.rank, self.ranks)

    def _read(self, plan: _ReadPlan, done: int) -> Batch:
        if not self.workers:
            return _pinned(self._spans[plan[done]])
        if not self._ahead.running:
            self._ahead.start(plan.batches(done), self.workers)
        return _pinned(self._ahead.next())

    def _failure(self, error: Exception) -> tuple[Memory, str] | None:
        """The memory that ran out and a message, where to read with less of it is yet to try."""
        # A worker that was killed leaves its pipes and sockets broken.
        lost = self.workers and isinstance(error, ConnectionError | EOFError)
        if not (lost or exhausted(error)) or not (self.workers or self._caches):
            return None
        # Nothing is read on a device; pinned memory, which CUDA allocates, is the host's.
        return "host", str(error).strip().rpartition("\n")[2] or type(error).__name__

    def _shrink(self, of: Memory, message: str) -> None:
        self._ahead.close()
        before = Levers(workers=self.workers, cache=self._caches)
        if self.workers:
            self.workers //= 2
        else:
            self.reader.shrink_cache()
            self._caches = False
        free()
        after = Levers(workers=self.workers, cache=self._caches)
        rank = self.rank  # each reads by itself
        self.tell(
            Shrank(of=of, during="data", before=before, after=after, message=message, rank=rank)
        )


@dataclass(frozen=True)
class _ReadPlan:
    """What each batch of an epoch draws, cut when it is asked for: an epoch may have millions."""

    draws: Drawn
    batch_size: int
    rank: int
    ranks: int

    def __len__(self) -> int:
        return -(-len(self.draws.rows) // self.batch_size)

    def __getitem__(self, batch: int) -> Drawn:
        whole = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
        return Drawn(*(share(column[whole], self.rank, self.ranks) for column in self.draws))

    def batches(self, first: int) -> Iterator[Drawn]:
        """Those from the `first` on."""
        return (self[batch] for batch in range(first, len(self)))


class _ReadAhead:
    """Worker processes that read the batches of a plan, in its order.

    They are kept from one plan to the next. Each has a copy of the reader with a cache of its own,
    and one thread of torch.
    """

    def __init__(self, spans: _Spans) -> None:
        self._spans = spans
        self._sampler = _Sampler()
        self._loader: DataLoader[Batch] | None = None
        self._batches: Iterator[Batch] | None = None

    @property
    def running(self) -> bool:
        """Whether `next` has a plan to follow."""
        return self._batches is not None

    def start(self, plan: Iterator[Drawn], workers: int) -> None:
        """Read what is left of `plan`."""
        self._sampler.plan = plan
        if self._loader is None:
            self._loader = DataLoader(
                self._spans,
                sampler=self._sampler,
                batch_size=None,  # an entry of the plan is a whole batch
                num_workers=workers,
                prefetch_factor=_PREFETCHED,
                persistent_workers=True,
                multiprocessing_context="spawn",  # a fork would copy CUDA and threads
                worker_init_fn=partial(_start_worker, os.getpid()),
                generator=torch.Generator(),  # the global one would otherwise be drawn from
            )
        with _no_signal_of_lost_workers():
            self._batches = iter(self._loader)

    def next(self) -> Batch:
        """The next batch; what a worker raised, is raised here."""
        assert self._batches is not None
        return next(self._batches)

    def stop(self) -> None:
        """Forget the plan; the workers wait for the next one."""
        self._batches = None

    def close(self) -> None:
        """End the workers: they go with the last reference to the loader."""
        self._batches = self._loader = None


class _Sampler:
    """Gives a loader, which is kept, one plan after the other."""

    plan: Iterator[Drawn] = iter(())

    def __iter__(self) -> Iterator[Drawn]:
        return self.plan


class _Spans(Dataset[Batch]):
    """What a worker gets: a batch for what it draws."""

    def __init__(self, reader: SpanReader, augmentation: Augmenter | None) -> None:
        self.reader = reader
        self.augmentation = augmentation

    def __getitem__(self, draws: Drawn) -> Batch:
        return tensors(self.reader.read(draws.rows, self.augmentation, draws.times))


def _start_worker(reader: int, worker: int) -> None:
    # Torch's own watch begins after this: a reader that died before would never be missed.
    die_with_parent(reader)
    torch.set_num_threads(1)
    # A batch that could not be sent (no memory or no file descriptor to share it by) would be lost
    # without a word, and its reader wait for ever; a worker that ends is found.
    Queue._on_queue_feeder_error = staticmethod(_end_worker)  # type: ignore[attr-defined]


def _end_worker(error: BaseException, batch: object) -> None:
    os.write(2, f"a worker could not send a batch: {error}\n".encode())
    os._exit(1)


@contextlib.contextmanager
def _no_signal_of_lost_workers() -> Iterator[None]:
    """Leave the handler of SIGCHLD as it is.

    Torch's would raise in whatever the main thread is doing when a worker dies, which may be the
    middle of an optimizer step. Without it the loss is found within 5 s of the next reading.
    """
    before = signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        # None: a handler of some library. ValueError: not the main thread, so torch set none.
        if before is not None:
            with contextlib.suppress(ValueError):
                signal.signal(signal.SIGCHLD, before)


def _pinned(batch: Batch) -> Batch:
    """The batch in pinned memory where CUDA is in use, so that copies to it need not wait."""
    if not torch.cuda.is_initialized():
        return batch
    return Batch(*(getattr(batch, field.name).pin_memory() for field in fields(batch)))


class PartBatches:
    """Iterates over `rows` in their own order: evaluation is deterministic and drops nothing.

    Each of `ranks` processes yields its `share` of each batch, so all yield equally many.
    """

    def __init__(
        self,
        reader: SpanReader,
        rows: Rows,
        batch_size: int,
        *,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.reader = reader
        self.rows = rows
        self.batch_size = batch_size
        self.rank, self.ranks = rank, ranks
        self._starts = range(0, len(rows), batch_size)

    def __len__(self) -> int:
        return len(self._starts)

    def spans(self) -> Iterator[SpanArrays]:
        """The same batches as arrays."""
        for start in self._starts:
            batch = self.rows[start : start + self.batch_size]
            yield self.reader.read(share(batch, self.rank, self.ranks))

    def __iter__(self) -> Iterator[Batch]:
        return map(tensors, self.spans())
