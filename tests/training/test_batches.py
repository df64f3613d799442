"""Logical batches: their order, and going on from any position in it."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.configuration import Dataset
from workflow_src.data.split_files import read_split
from workflow_src.data.windows import SpanReader
from workflow_src.tasks.batch import Batch
from workflow_src.training.batches import PartBatches, TrainingBatches, share
from workflow_src.training.sampling import order

from .conftest import DATASET

SEED, SIZE = 5, 7


@pytest.fixture(scope="module")
def reader(small_rig: Path) -> SpanReader:
    split = read_split(small_rig / "data" / "split")
    return SpanReader(small_rig / "data" / "small", split, Dataset.model_validate(DATASET))


def batches(reader: SpanReader, seed: int = SEED, size: int = SIZE) -> TrainingBatches:
    return TrainingBatches(reader, reader.rows("train"), size, seed)


def rows(loader: TrainingBatches | PartBatches) -> list[list[int]]:
    return [batch.index.tolist() for batch in loader]


@given(count=st.integers(1, 200), seed=st.integers(0, 2**32), epoch=st.integers(0, 10**6))
def test_order_is_a_permutation_that_seed_and_epoch_decide(
    count: int, seed: int, epoch: int
) -> None:
    given_rows = np.arange(100, 100 + count)
    np.random.seed(epoch % 7)  # the global generator must not matter
    shuffled = order(given_rows, seed, epoch)
    assert sorted(shuffled) == list(given_rows)
    assert list(order(given_rows, seed, epoch)) == list(shuffled)
    if count > 20:  # equal by chance once in 20! draws
        assert list(order(given_rows, seed, epoch + 1)) != list(shuffled)
        assert list(order(given_rows, seed + 1, epoch)) != list(shuffled)


def test_every_row_once_an_epoch_and_the_short_batch_is_used(reader: SpanReader) -> None:
    loader = batches(reader)
    found = rows(loader)
    count = len(reader.rows("train"))
    assert count % SIZE, "the case needs a short last batch"
    assert len(found) == loader.per_epoch == -(-count // SIZE)
    assert [len(batch) for batch in found] == [SIZE] * (count // SIZE) + [count % SIZE]
    assert sorted(itertools.chain(*found)) == reader.rows("train").tolist()


def test_two_readers_give_the_same_batches_and_epochs_differ(reader: SpanReader) -> None:
    first, second = batches(reader), batches(reader)
    one = rows(first)
    assert rows(second) == one
    first.epoch = second.epoch = 1
    assert rows(first) == rows(second) != one


@pytest.mark.parametrize("epoch", [0, 3])
def test_any_position_gives_the_exact_next_batch(reader: SpanReader, epoch: int) -> None:
    whole = batches(reader)
    whole.epoch = epoch
    undisturbed = list(whole)
    for position in range(whole.per_epoch + 1):
        resumed = batches(reader)
        resumed.epoch, resumed.position = epoch, position
        rest = list(resumed)
        assert len(rest) == whole.per_epoch - position
        for one, other in zip(rest, undisturbed[position:], strict=True):
            assert one.index.tolist() == other.index.tolist()
            assert one.window.equal(other.window)
            assert one.horizon.equal(other.horizon)


def test_a_position_set_while_iterating_does_not_skip(reader: SpanReader) -> None:
    """The training step counts `position` while the loader is read ahead of it."""
    loader, expected = batches(reader), rows(batches(reader))
    found = []
    for batch in loader:
        loader.position += 1
        found.append(batch.index.tolist())
    assert found == expected


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_a_part_is_read_in_its_own_order_whole(reader: SpanReader, size: int) -> None:
    part = PartBatches(reader, reader.rows("val"), size)
    found = rows(part)
    assert list(itertools.chain(*found)) == reader.rows("val").tolist()
    assert len(found) == len(part)
    assert rows(part) == found  # again, from its beginning


def test_an_empty_part_has_no_batch(reader: SpanReader) -> None:
    empty = PartBatches(reader, np.array([], np.int64), 4)
    assert len(empty) == 0
    assert rows(empty) == []


# --------------------------------------------------------------------------- ranks


@given(count=st.integers(0, 60), ranks=st.integers(1, 9))
def test_shares_of_ranks_partition_a_batch(count: int, ranks: int) -> None:
    batch = np.arange(7, 7 + count)
    shares = [share(batch, rank, ranks) for rank in range(ranks)]
    assert np.concatenate(shares).tolist() == batch.tolist()
    sizes = [len(each) for each in shares]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("ranks", [2, 3, 8])
def test_ranks_together_read_each_batch_once(reader: SpanReader, ranks: int) -> None:
    train = reader.rows("train")[:17]  # the last batch has 3 spans: fewer than eight ranks
    together = zip(
        *(TrainingBatches(reader, train, SIZE, SEED, rank=r, ranks=ranks) for r in range(ranks)),
        strict=True,
    )
    alone = TrainingBatches(reader, train, SIZE, SEED)
    for parts, whole in zip(together, alone, strict=True):
        for field in dataclasses.fields(Batch):
            joined = torch.cat([getattr(part, field.name) for part in parts])
            assert same(joined, getattr(whole, field.name)), field.name


@pytest.mark.parametrize(("ranks", "size"), [(1, 4), (2, 4), (3, 1), (4, 1000)])
def test_ranks_together_have_each_batch_of_a_part(
    reader: SpanReader, ranks: int, size: int
) -> None:
    val = reader.rows("val")
    parts = [PartBatches(reader, val, size, rank=r, ranks=ranks) for r in range(ranks)]
    whole = rows(PartBatches(reader, val, size))
    assert {len(part) for part in parts} == {len(whole)}
    for shares, batch in zip(zip(*map(rows, parts), strict=True), whole, strict=True):
        assert list(itertools.chain(*shares)) == batch


# --------------------------------------------------------------------------- workers


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.dtype == other.dtype and one.numpy().tobytes() == other.numpy().tobytes()


def equal(one: Batch, other: Batch) -> bool:
    return all(
        same(getattr(one, field.name), getattr(other, field.name))
        and getattr(one, field.name).stride() == getattr(other, field.name).stride()
        for field in dataclasses.fields(Batch)
    )


def test_without_workers_no_process_is_started(reader: SpanReader) -> None:
    with contextlib.closing(batches(reader)) as loader:
        for _ in loader:
            assert multiprocessing.active_children() == []


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_no_bit_at_any_position_and_stay_over_epochs(
    reader: SpanReader, workers: int
) -> None:
    alone = batches(reader)
    loader = TrainingBatches(reader, reader.rows("train"), SIZE, SEED, workers=workers)
    random, handler = torch.get_rng_state(), signal.getsignal(signal.SIGCHLD)
    processes: set[int | None] = set()
    with contextlib.closing(loader):
        for epoch, position in [(0, 0), (1, 0), (1, 2), (4, loader.per_epoch), (4, 1)]:
            alone.epoch = loader.epoch = epoch
            alone.position = loader.position = position
            found = list(loader)
            assert len(found) == loader.per_epoch - position
            assert all(equal(*pair) for pair in zip(found, alone, strict=True))
            next(iter(loader), None)  # left in the middle: the next epoch is not disturbed
            processes |= {child.pid for child in multiprocessing.active_children()}
    assert len(processes) == workers, "the same processes serve every epoch"
    assert multiprocessing.active_children() == []
    assert torch.equal(torch.get_rng_state(), random), "the global generator is not drawn from"
    assert signal.getsignal(signal.SIGCHLD) is handler
    assert equal(next(iter(loader)), next(iter(alone))), "closed, it starts its workers again"
    loader.close()


@pytest.mark.slow
def test_a_share_may_be_empty_with_workers_too(reader: SpanReader) -> None:
    train = reader.rows("train")[:8]  # a batch of 7 and one of 1
    loader = TrainingBatches(reader, train, SIZE, SEED, workers=1, rank=0, ranks=2)
    with contextlib.closing(loader):
        found = list(loader)
    assert [len(batch) for batch in found] == [3, 0]
    assert found[1].window.shape == (0, *found[0].window.shape[1:])


@pytest.mark.slow
@pytest.mark.faults
def test_a_killed_worker_loses_no_batch(reader: SpanReader) -> None:
    told: list[dict[str, Any]] = []
    loader = TrainingBatches(
        reader,
        reader.rows("train"),
        2,
        SEED,
        workers=2,
        tell=lambda event: told.append(event.to_json()),
    )
    found = []
    with contextlib.closing(loader):
        for batch in loader:
            if len(found) == 2:
                victim = multiprocessing.active_children()[0]
                assert victim.pid is not None
                os.kill(victim.pid, signal.SIGKILL)
            found.append(batch)
        assert loader.workers == 1
        assert len(multiprocessing.active_children()) == 1
    expected = list(batches(reader, size=2))
    assert len(expected) > 8, "the case needs more batches than are read ahead"
    assert all(equal(*pair) for pair in zip(found, expected, strict=True))
    (event,) = told
    # What is found first: that it is gone, or a socket or pipe that it left broken.
    assert re.search("exited unexpectedly|Connection|EOFError|Broken pipe", event.pop("message"))
    assert event == {
        "event": "out_of_memory",
        "of": "host",
        "during": "data",
        "before": {"workers": 2, "cache": True},
        "after": {"workers": 1, "cache": True},
        "rank": 0,
    }


# A reader that takes more than the limit leaves, in a worker once a few batches are
# read, and with argument "cache" in the main process too as long as it may keep recordings.
HUNGRY = """
import json, multiprocessing, sys
from pathlib import Path
import numpy as np
from workflow_src.configuration import Dataset
from workflow_src.data.split_files import read_split
from workflow_src.data.windows import SpanReader
from workflow_src.limits import private_memory_now, limit_private_memory
from workflow_src.training.batches import TrainingBatches

class Hungry(SpanReader):
    reads, where = 0, "workers"

    def read(self, *draws):
        self.reads += 1
        child = multiprocessing.parent_process() is not None
        if child and self.reads > 3 or self.where == "always" or (
            self.where == "cache" and not child and self._capacity
        ):
            np.empty(2**33, np.uint8)
        return super().read(*draws)

def main():
    folder, dataset, where, workers = sys.argv[1:]
    data = Path(folder) / "data"
    split = read_split(data / "split")
    reader = Hungry(data / "small", split, Dataset.model_validate(json.loads(dataset)))
    reader.where = where
    limit_private_memory(private_memory_now() + 2**31)  # workers inherit it
    told = []
    loader = TrainingBatches(
        reader, reader.rows("train"), 2, 5, workers=int(workers),
        tell=lambda event: told.append(event.to_json()),
    )
    found, error = [], None
    try:
        found += [batch.index.tolist() for batch in loader]
    except MemoryError as caught:
        error = str(caught)
    loader.close()
    print(json.dumps({"found": found, "told": told, "error": error}))

if __name__ == "__main__":
    main()
"""


def hungry(small_rig: Path, folder: Path, where: str, workers: int) -> dict[str, Any]:
    script = folder / "hungry.py"
    script.write_text(HUNGRY)
    arguments = [str(small_rig), json.dumps(DATASET), where, str(workers)]
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def rungs(told: list[dict[str, Any]]) -> list[tuple[int, bool]]:
    return [(event["after"]["workers"], event["after"]["cache"]) for event in told]


@pytest.mark.slow
@pytest.mark.faults
def test_out_of_memory_in_workers_loses_no_batch(
    reader: SpanReader, small_rig: Path, tmp_path: Path
) -> None:
    found = hungry(small_rig, tmp_path, "workers", 2)
    assert found["found"] == rows(batches(reader, size=2))
    assert rungs(found["told"]) == [(1, True), (0, True)]
    assert all(event["of"] == "host" for event in found["told"])
    assert all("MemoryError: Unable to allocate" in event["message"] for event in found["told"])


@pytest.mark.faults
def test_without_workers_the_cache_goes(
    reader: SpanReader, small_rig: Path, tmp_path: Path
) -> None:
    found = hungry(small_rig, tmp_path, "cache", 0)
    assert found["found"] == rows(batches(reader, size=2))
    assert rungs(found["told"]) == [(0, False)]


@pytest.mark.faults
def test_when_nothing_is_left_to_give_up_the_error_is_raised(
    small_rig: Path, tmp_path: Path
) -> None:
    found = hungry(small_rig, tmp_path, "always", 0)
    assert found["found"] == []
    assert "Unable to allocate" in found["error"]
    assert rungs(found["told"]) == [(0, False)]
