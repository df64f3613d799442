"""What an epoch draws: pure in (seed, epoch), each group equally often, nothing lost."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.configuration.augmentation import Augmentation
from workflow_src.configuration.schema import Dataset
from workflow_src.data.recordings import Recording
from workflow_src.data.split_files import read_split, write_split
from workflow_src.data.splits import make_split
from workflow_src.data.store import Heading, Store, write_store
from workflow_src.data.windows import SpanReader
from workflow_src.errors import UserError
from workflow_src.tasks.batch import Batch
from workflow_src.training.batches import PartBatches, TrainingBatches
from workflow_src.training.sampling import augmentation_of, drawn, groups_of, order

SEED, SIZE = 5, 7
KEYS = {
    "rig": "rig",
    "span": {"window": 40, "horizon": 8},
    "amplitude": "none",
    "split": {
        "strategy": "unit",
        "test": {"unit_id": ["u0", "u1", "u2"]},
        "validation": {"select": {"unit_id": ["u3", "u4", "u5"]}},
    },
}


def recordings() -> list[Recording]:
    """Whole numbers, so that no byte depends on a machine; the last unit runs to failure."""
    made = []
    for u, fault in enumerate(["normal", "inner", "outer"] * 4):
        ramp = np.arange(600, dtype=np.float32)
        signal = np.stack([(ramp * (u + 3)) % 251 - 125, (ramp * 7) % (19 + u)], 1)
        made.append(
            Recording(
                recording_id=f"r{u}",
                unit_id=f"u{u}",
                condition="c",
                run_id=f"r{u}",
                fault=fault,
                signal=signal,
                rate_hz=64.0,
                channel_kinds=("vibration", "vibration"),
                time_s=float(u),
                life_s=16.0 if u != 7 else None,
                onset_s=8.0 if u != 7 else None,
                attributes={"rig": "left" if u < 8 else "right"},
            )
        )
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_store(recordings(), folder / "rig", Heading("rig", "test"))
    with Store(folder / "rig") as store:
        write_split(make_split(store.table, Dataset.model_validate(KEYS), "d"), folder / "d")
    return folder


@pytest.fixture
def reader(folder: Path) -> SpanReader:
    return SpanReader(folder / "rig", read_split(folder / "d"), Dataset.model_validate(KEYS))


def batches(reader: SpanReader, sampling: Any = "uniform", size: int = SIZE, **keys: Any) -> Any:
    rows = reader.rows("train")
    return TrainingBatches(
        reader,
        rows,
        size,
        SEED,
        groups=groups_of(reader, rows, sampling),
        augmentation=augmentation_of(reader, rows, Augmentation(**keys) if keys else None, SEED),
    )


def test_by_default_every_byte_is_what_it_was(reader: SpanReader) -> None:
    """Figures of the reader that had no sampling, no augmentation and read through HDF5 alone."""
    found = list(batches(reader))
    ids = np.concatenate([batch.index.numpy() for batch in found])
    assert len(ids) == 72
    assert hashlib.sha256(ids.astype("<i8").tobytes()).hexdigest() == IDS
    digest = hashlib.sha256()
    for field in fields(Batch):
        digest.update(field.name.encode())
        digest.update(getattr(found[1], field.name).contiguous().numpy())
    assert digest.hexdigest() == SECOND_BATCH


IDS = "3582164f4b68cc201af586e32d4aa6ce9044bf93ae33fcc139704fee3dd482ca"
SECOND_BATCH = "8aff22148d2f35f70bfb5dcd5591b7868f37abf0f67269613c85155b8c89153a"

# --------------------------------------------------------------------------- groups

grouped = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(
    lambda found: np.unique(found, return_inverse=True)[1]
)


@given(groups=grouped, seed=st.integers(0, 2**40), epoch=st.integers(0, 1000))
def test_each_group_equally_often_and_as_many_spans_as_there_are(
    groups: np.ndarray, seed: int, epoch: int
) -> None:
    rows = np.arange(100, 100 + len(groups))
    found = drawn(rows, seed, epoch, groups)
    again = drawn(rows, seed, epoch, groups)
    assert found.rows.tolist() == again.rows.tolist()
    assert len(found.rows) == len(rows)
    counts = np.bincount(groups[found.rows - 100], minlength=groups.max() + 1)
    assert counts.max() - counts.min() <= 1


@given(groups=grouped, seed=st.integers(0, 2**40), epochs=st.integers(1, 12))
def test_no_span_again_before_all_of_its_group(groups: np.ndarray, seed: int, epochs: int) -> None:
    rows = np.arange(len(groups))
    counts: Counter[int] = Counter()
    for epoch in range(epochs):
        found = drawn(rows, seed, epoch, groups)
        for row, time in sorted(zip(found.rows, found.times, strict=True), key=lambda x: x[1]):
            assert counts[row] == time, "the number says how often it was drawn before"
            counts[row] += 1
        for group in range(groups.max() + 1):
            drawn_of = [counts[row] for row in rows[groups == group]]
            assert max(drawn_of) - min(drawn_of) <= 1
    of_groups = [sum(counts[r] for r in rows[groups == g]) for g in range(groups.max() + 1)]
    assert max(of_groups) - min(of_groups) <= 1, "over all epochs together, too"


@given(count=st.integers(1, 60), seed=st.integers(0, 2**32), epoch=st.integers(0, 1000))
def test_without_groups_each_span_once(count: int, seed: int, epoch: int) -> None:
    rows = np.arange(count)
    found = drawn(rows, seed, epoch)
    assert found.rows.tolist() == order(rows, seed, epoch).tolist()
    assert set(found.times.tolist()) == {epoch}


def test_another_epoch_or_seed_draws_otherwise() -> None:
    groups = np.arange(100) % 3
    rows = np.arange(100)
    one = drawn(rows, 1, 0, groups).rows.tolist()
    assert one != drawn(rows, 1, 1, groups).rows.tolist()
    assert one != drawn(rows, 2, 0, groups).rows.tolist()


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        ("class", {"normal": 24, "inner": 24, "outer": 24}),
        ("rig", {"left": 36, "right": 36}),
        ("task", {False: 36, True: 36}),
    ],
)
def test_an_epoch_of_a_rig_is_balanced(
    reader: SpanReader, sampling: str, expected: dict[Any, int]
) -> None:
    made = recordings()
    name = {
        "class": lambda u: made[u].fault,
        "rig": lambda u: made[u].attributes["rig"],
        "task": lambda u: made[u].life_s is not None,
    }[sampling]
    loader = batches(reader, sampling)
    found = list(loader)
    assert [len(batch) for batch in found] == [SIZE] * 10 + [2], "the short last batch is used"
    assert len(found) == loader.per_epoch
    units = reader.frame(np.concatenate([b.index.numpy() for b in found]))["unit_id"]
    assert Counter(name(int(unit[1:])) for unit in units) == expected


def test_the_task_counts_of_a_batch_follow_its_spans(reader: SpanReader) -> None:
    for batch in batches(reader, "task"):
        plain = reader.read(batch.index.numpy())
        assert batch.rul.numpy().tobytes() == plain.rul.tobytes()
        assert batch.fault.tolist() == plain.fault.tolist()


def test_groups_that_cannot_be_formed_are_refused(folder: Path, tmp_path: Path) -> None:
    kept = [{"unit_id": [f"u{u}" for u in (0, 3, 6, 9)]}]  # all normal
    keys = KEYS | {"select": kept[0], "split": {"strategy": "unit"}}
    with Store(folder / "rig") as store:
        split = make_split(store.table, Dataset.model_validate(keys), "d")
    reader = SpanReader(folder / "rig", split, Dataset.model_validate(keys))
    with pytest.raises(UserError, match="all training spans are of one"):
        groups_of(reader, reader.rows("train"), "class")

    made = recordings()
    object.__setattr__(made[8], "fault", None)
    for recording in made:
        object.__setattr__(recording, "attributes", {})
    write_store(made, tmp_path / "rig", Heading("rig", "test"))
    dataset = Dataset.model_validate(KEYS)
    with Store(tmp_path / "rig") as store:
        reader = SpanReader(tmp_path / "rig", make_split(store.table, dataset, "d"), dataset)
    with pytest.raises(UserError, match=r"1 recordings name none, among them 'r8'"):
        groups_of(reader, reader.rows("train"), "class")
    with pytest.raises(UserError, match="no column `rig`"):
        groups_of(reader, reader.rows("train"), "rig")


# --------------------------------------------------------------------------- augmentation

ALL = {"noise_db": 10.0, "polarity": True, "shift": 20, "scale": 2.0}


def spans(reader: SpanReader, epoch: int = 0, **keys: Any) -> dict[int, Batch]:
    """Each training span of one epoch, by its row."""
    loader = batches(reader, size=1, **keys)
    loader.epoch = epoch
    return {int(batch.index[0]): batch for batch in loader}


@pytest.mark.parametrize("sampling", ["uniform", "class"])
def test_changes_depend_on_neither_order_batch_nor_position(
    reader: SpanReader, sampling: str
) -> None:
    large, small = batches(reader, sampling, 9, **ALL), batches(reader, sampling, 2, **ALL)
    for epoch, position in [(0, 0), (3, 0), (3, 5)]:
        large.epoch = small.epoch = epoch
        small.position = position
        many = np.concatenate([batch.window.numpy() for batch in large])
        few = np.concatenate([batch.window.numpy() for batch in small])
        assert many[2 * position :].tobytes() == few.tobytes()


def test_changes_differ_from_epoch_to_epoch_and_reach_no_other_part(reader: SpanReader) -> None:
    one, two = spans(reader, 0, **ALL), spans(reader, 1, **ALL)
    assert sum(one[row].window.equal(two[row].window) for row in one) == 0
    val = reader.rows("val")
    for batch in PartBatches(reader, val, 5):
        assert batch.window.numpy().tobytes() == reader.read(batch.index.numpy()).window.tobytes()


def test_a_span_drawn_twice_in_an_epoch_is_changed_twice(reader: SpanReader) -> None:
    rows = reader.rows("train")
    groups = (rows == rows[0]).astype(np.int64)  # half of all draws are of one span
    loader = TrainingBatches(
        reader,
        rows,
        1,
        SEED,
        groups=groups,
        augmentation=augmentation_of(reader, rows, Augmentation(**ALL), SEED),
    )
    seen = {b.window.numpy().tobytes() for b in loader if int(b.index[0]) == rows[0]}
    assert len(seen) == len(rows) // 2


def test_polarity_turns_half_of_the_spans_whole(reader: SpanReader) -> None:
    plain, turned = spans(reader), spans(reader, polarity=True)
    signs = [1 if turned[row].window.equal(plain[row].window) else -1 for row in plain]
    assert 0.25 < signs.count(-1) / len(signs) < 0.75
    for sign, row in zip(signs, plain, strict=True):
        assert turned[row].window.equal(sign * plain[row].window)
        assert turned[row].horizon.equal(sign * plain[row].horizon)


def test_noise_has_its_ratio_and_leaves_the_horizon(reader: SpanReader) -> None:
    plain, noisy = spans(reader), spans(reader, noise_db=6.0)
    ratios = []
    for row, batch in plain.items():
        assert noisy[row].horizon.equal(batch.horizon)
        noise = (noisy[row].window - batch.window).double()
        ratios.append(noise.square().mean() / batch.window.double().var(1, correction=0).mean())
    assert abs(10 * np.log10(np.mean(ratios)) + 6) < 1


def test_the_scale_lies_within_its_bounds(reader: SpanReader) -> None:
    plain, scaled = spans(reader), spans(reader, scale=2.0)
    factors = [float((scaled[r].window / plain[r].window).nanmedian()) for r in plain]
    assert 0.5 <= min(factors) < 0.8
    assert 1.3 < max(factors) <= 2.0
    for factor, row in zip(factors, plain, strict=True):
        assert np.allclose(scaled[row].horizon, factor * plain[row].horizon, rtol=1e-6)


@pytest.mark.slow
def test_a_shifted_span_is_one_of_its_recording_with_the_labels_of_where_it_is(
    reader: SpanReader,
) -> None:
    shifted, moved = spans(reader, shift=20), 0
    for row, batch in shifted.items():
        frame = reader.frame([row]).iloc[0]
        signal = recordings()[int(frame["unit_id"][1:])].signal
        span = np.concatenate([batch.window[0], batch.horizon[0]])
        places = [
            start
            for start in range(max(0, frame["start"] - 20), frame["start"] + 21)
            if signal[start : start + 48].tobytes() == span.tobytes()
        ]
        assert places, "within 20 samples of where it was"
        assert len(places) == 1
        moved += places[0] != frame["start"]
        if np.isfinite(frame["life_s"]):
            time = frame["time_s"] + (places[0] - frame["start"]) / 64
            assert float(batch.rul) == pytest.approx(max(0, 1 - time / 16))
    assert moved > len(shifted) / 2


@given(data=st.data())
def test_a_shift_never_leaves_the_block_of_its_part(data: st.DataObject) -> None:
    reader = BLOCKS["reader"]
    shift = data.draw(st.integers(1, 1000))
    rows, epoch = reader.rows("train"), data.draw(st.integers(0, 50))
    augmentation = augmentation_of(reader, rows, Augmentation(shift=shift), SEED)
    assert augmentation is not None
    starts = reader.frame(rows)["start"].to_numpy()
    moves = augmentation.moves(rows, np.full(len(rows), epoch), *reader.room(rows))
    assert np.abs(moves).max() <= shift
    assert (starts + moves).min() >= starts.min()
    assert (starts + moves).max() <= starts.max()


BLOCKS: dict[str, SpanReader] = {}


@pytest.fixture(autouse=True, scope="module")
def blocks(folder: Path) -> None:
    """Every recording is cut into train, val and test."""
    keys = KEYS | {"split": {"strategy": "time_block", "validation": {"strategy": "time_block"}}}
    dataset = Dataset.model_validate(keys)
    with Store(folder / "rig") as store:
        split = make_split(store.table, dataset, "d")
    BLOCKS["reader"] = SpanReader(folder / "rig", split, dataset)


def test_parts_that_lie_between_one_another_cannot_be_shifted(folder: Path) -> None:
    dataset = Dataset.model_validate(KEYS)
    split = read_split(folder / "d")
    split.rows.loc[split.rows.index[split.rows["part"] == "train"][3], "part"] = "val"
    reader = SpanReader(folder / "rig", split, dataset)
    with pytest.raises(UserError, match="train and val"):
        augmentation_of(reader, reader.rows("train"), Augmentation(shift=3), SEED)


def test_a_shift_without_room_is_refused(folder: Path) -> None:
    dataset = Dataset.model_validate(
        KEYS | {"span": {"window": 40, "horizon": 8, "per_recording": 1}}
    )
    with Store(folder / "rig") as store:
        reader = SpanReader(folder / "rig", make_split(store.table, dataset, "d"), dataset)
    with pytest.raises(UserError, match="no recording has two spans"):
        augmentation_of(reader, reader.rows("train"), Augmentation(shift=3), SEED)
