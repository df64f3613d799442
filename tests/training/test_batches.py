"""Logical batches: their order, and going on from any position in it."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.configuration import Dataset
from workflow_src.data.split_files import read_split
from workflow_src.data.windows import SpanReader
from workflow_src.training.batches import PartBatches, TrainingBatches, order

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
