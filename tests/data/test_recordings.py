"""The store: what is written is read back, whole or not at all, from any process."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import weakref
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from workflow_src.data.recordings import NORMAL, Recording, check
from workflow_src.data.source import Provenance
from workflow_src.data.store import COLUMNS, Heading, Store, write_store
from workflow_src.errors import BadData

from ..examples import examples

FACTS = Heading("bench", "folder")


def recording(name="a", length=100, channels=2, **labels) -> Recording:
    seed = sum(name.encode())
    signal = np.random.default_rng(seed).standard_normal((length, channels)).astype(np.float32)
    own = {"unit_id": "u1", "condition": "600rpm", "run_id": name, **labels}
    return Recording(name, signal=signal, channel_kinds=("vibration",) * channels, **own)


def test_signals_and_labels_come_back(tmp_path):
    first = recording(
        "a", 70_000, 3, rate_hz=25_600.0, fault=NORMAL, attributes={"load": "4 kN", "speed": "007"}
    )
    second = recording("b", 5, 1, time_s=10.0, life_s=40.0, attributes={"severity": "none"})
    manifest = write_store([first, second], tmp_path, FACTS)

    with Store(tmp_path) as store:
        for one in (first, second):
            read = store.read(one.recording_id, 0, len(one.signal))
            assert read.dtype == np.float32
            np.testing.assert_array_equal(read, one.signal)
        np.testing.assert_array_equal(store.read("a", 16_000, 18_000), first.signal[16_000:18_000])
        table = store.table.set_index("recording_id")
    assert list(store.table.columns) == [*COLUMNS, "load", "speed", "severity"]
    assert table.loc["a", "speed"] == "007"
    assert table.loc["a", "severity"] == "" == table.loc["b", "fault"]
    assert table.loc["b", "life_s"] == 40.0
    assert np.isnan(table.loc["b", "rate_hz"])
    assert np.isnan(table.loc["a", "time_s"])
    assert table.loc["a", "channel_kinds"] == "vibration|vibration|vibration"
    assert manifest == store.manifest
    assert manifest.content() == json.loads((tmp_path / "manifest.json").read_text())
    assert manifest.recordings == 2
    assert manifest.bytes == 4 * (70_000 * 3 + 5)


@given(
    signal=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=40),
        elements=st.floats(-(2.0**100), 2.0**100, width=32),
    ),
    names=st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1),
        min_size=1,
        max_size=4,
        unique=True,
    ).filter(lambda names: not {".", ".."} & set(names)),
)
@examples(25)
def test_any_signal_under_any_name_comes_back(tmp_path_factory, signal, names):
    folder = tmp_path_factory.mktemp("store")
    kinds = ("vibration",) * signal.shape[1]
    write_store((Recording(n, n, n, n, signal, kinds) for n in names), folder, FACTS)
    with Store(folder) as store:
        assert list(store.table["unit_id"]) == names
        for name in names:
            np.testing.assert_array_equal(store.read(name, 0, len(signal)), signal)


def test_long_signals_are_chunked_along_time(tmp_path):
    write_store([recording("a", 50_000, 2)], tmp_path, FACTS)
    with h5py.File(tmp_path / "recordings.h5") as file:
        chunk = file["recordings/a"].chunks
    assert chunk[1] == 2
    assert 4096 < chunk[0] < 50_000


def test_the_digest_is_of_the_content(tmp_path):
    def digest(name, *recordings):
        return write_store(recordings, tmp_path / name, FACTS).sha256

    one, changed = recording("a"), recording("a")
    changed.signal[50, 1] += 1
    assert digest("1", one) == digest("2", recording("a"))
    others = [changed, recording("b"), replace(one, unit_id="u2"), replace(one, rate_hz=1.0)]
    assert len({digest("x", one), *(digest("x", other) for other in others)}) == 5


def test_facts_that_a_source_gathers_while_read_stand_in_the_manifest(tmp_path):
    files: dict[str, str] = {}

    def source():
        files["a.csv"] = "1234"
        yield recording()

    manifest = write_store(source(), tmp_path, FACTS, lambda: Provenance(files=files))
    assert manifest.files == {"a.csv": "1234"}


def test_a_recording_is_let_go_before_the_next_is_read(tmp_path):
    given = []

    def source():
        for number in range(4):
            assert [one() for one in given] == [None] * number
            one = recording(f"r{number}")
            given.append(weakref.ref(one.signal))
            yield one
            del one

    assert write_store(source(), tmp_path, FACTS).recordings == 4


def test_a_failure_leaves_what_was_there_before(tmp_path):
    write_store([recording("old")], tmp_path, FACTS)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def source():
        yield recording("new")
        raise RuntimeError("the source breaks")

    with pytest.raises(RuntimeError, match="the source breaks"):
        write_store(source(), tmp_path, FACTS)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_store_that_was_never_finished_is_not_read(tmp_path):
    write_store([recording("a")], tmp_path, FACTS)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(BadData, match=r"missing[\s\S]*snakemake .*--force"):
        Store(tmp_path).read("a", 0, 1)


def _read_in_child(store, queue):
    queue.put(store.read("a", 3, 6).tolist())


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_a_store_that_is_open_serves_another_process(tmp_path, method):
    write_store([recording("a")], tmp_path, FACTS)
    context = multiprocessing.get_context(method)
    with Store(tmp_path) as store:
        expected = store.read("a", 3, 6).tolist()
        if method == "spawn":
            assert pickle.loads(pickle.dumps(store)).read("a", 3, 6).tolist() == expected
            return
        queue = context.Queue()
        child = context.Process(target=_read_in_child, args=(store, queue))
        child.start()
        assert queue.get(timeout=60) == expected
        child.join()
        assert store.read("a", 3, 6).tolist() == expected


@pytest.mark.parametrize("span", [(-1, 5), (0, 101), (5, 5), (8, 3)])
def test_a_span_outside_of_the_recording_is_refused(tmp_path, span):
    write_store([recording("a", 100)], tmp_path, FACTS)
    with Store(tmp_path) as store, pytest.raises(ValueError, match="outside of 'a', 100 samples"):
        store.read("a", *span)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"unit_id": ""}, "no unit_id"),
        ({"condition": ""}, "no condition"),
        ({"fault": ""}, "empty string"),
        ({"rate_hz": 0.0}, "rate_hz is out of bounds"),
        ({"rate_hz": float("nan")}, "rate_hz is out of bounds"),
        ({"time_s": -1.0}, "time_s is out of bounds"),
        ({"time_s": 0.0, "life_s": 0.0}, "life_s is out of bounds"),
        ({"time_s": 11.0, "life_s": 10.0}, "time_s does not lie within"),
        ({"life_s": 10.0}, "time_s does not lie within"),
        ({"time_s": 1.0, "life_s": 10.0, "onset_s": 12.0}, "onset_s does not lie within"),
    ],
)
def test_labels_that_cannot_be_are_refused(labels, message):
    with pytest.raises(BadData, match=message):
        check(recording(**labels))


def test_times_at_the_ends_of_life_are_accepted():
    for time_s in (0.0, 10.0):
        check(recording(time_s=time_s, life_s=10.0, onset_s=10.0))


def test_kinds_must_describe_the_channels():
    with pytest.raises(BadData, match=r"1 kinds .* for 2 channels"):
        check(replace(recording(), channel_kinds=("vibration",)))
    with pytest.raises(BadData, match="thermometer"):
        check(replace(recording(), channel_kinds=("vibration", "thermometer")))


def test_a_signal_must_be_float32_of_length_and_channels():
    for signal in (np.zeros(9, np.float32), np.zeros((9, 2)), np.zeros((9, 2, 1), np.float32)):
        with pytest.raises(BadData, match="wrong form"):
            check(replace(recording(), signal=signal))


def test_attributes_may_not_hide_columns(tmp_path):
    with pytest.raises(BadData, match="length"):
        write_store([recording(attributes={"length": "5"})], tmp_path, FACTS)
    assert list(tmp_path.iterdir()) == []
