"""Samples that stay in the users' files: linked, checked, hashed, never copied, guarded."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.configuration.phm_vibench import PhmVibenchOptions
from workflow_src.data.external import ExternalSamples, as_signal
from workflow_src.data.recordings import NORMAL, Recording
from workflow_src.data.sources.phm_vibench import PhmVibenchSource
from workflow_src.data.store import Heading, Store, write_store
from workflow_src.errors import BadData

from .. import phm_vibench_files as files
from ..examples import examples

FACTS = Heading("bench", "phm_vibench")
LENGTH, COUNT = 20_000, 5
RNG = np.random.default_rng(1)


def recordings(channels: int = 2) -> list[Recording]:
    kinds = ("vibration",) * channels
    signals = RNG.standard_normal((COUNT, LENGTH, channels)).astype(np.float32)
    return [
        Recording(f"r{k}", f"u{k}", "slow", f"r{k}", signal, kinds, 100.0, NORMAL)
        for k, signal in enumerate(signals)
    ]


def made(root: Path, **options: Any) -> tuple[files.Written, dict[str, Any]]:
    """The users' files below `root`, and the manifest of the store below `root`/store."""
    written = files.write_files(root, recordings())
    given = {"path": written.path.name, "metadata": written.metadata.name, "dataset_ids": [99]}
    source = PhmVibenchSource(PhmVibenchOptions.model_validate({**given, **options}), root)
    return written, write_store(source.recordings(), root / "store", FACTS)


def samples_in(file: Path) -> int:
    """How many samples an HDF5 file holds itself."""
    with h5py.File(file, "r") as opened:
        group = opened["recordings"]
        own = [key for key in group if isinstance(group.get(key, getlink=True), h5py.HardLink)]
        return sum(int(group[key].size) for key in own)


def test_in_place_reads_what_a_copy_reads(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    written, linked = made(tmp_path)
    given = {"path": str(written.path), "metadata": str(written.metadata), "dataset_ids": [99]}
    options = PhmVibenchOptions.model_validate({**given, "copy": True})
    source = PhmVibenchSource(options, None)
    copied = write_store(source.recordings(), tmp_path / "copy", FACTS)
    assert linked.sha256 == copied.sha256
    assert list(linked.links) == [str(written.path)]
    assert copied.links == {}
    with Store(tmp_path / "store") as there, Store(tmp_path / "copy") as here:
        for name in there.table["recording_id"]:
            span = there.read(name, 7, 900)
            assert span.dtype == np.float32
            assert span.flags.c_contiguous
            np.testing.assert_array_equal(span, here.read(name, 7, 900))
        assert there.table.equals(here.table)
        with pytest.raises(ValueError, match="outside of"):
            there.read("100", 0, LENGTH + 1)
        with pytest.raises(BadData, match="no recording"):
            there.read("nobody", 0, 1)
    assert samples_in(tmp_path / "store" / "recordings.h5") == 0
    assert samples_in(tmp_path / "copy" / "recordings.h5") == COUNT * LENGTH * 2
    size = (tmp_path / "store" / "recordings.h5").stat().st_size
    assert size < 4 * COUNT * LENGTH * 2 / 50


@given(
    dtype=st.sampled_from(["f8", "f4", "f2", ">f8", "i1", "u1", "i2", "i4", "i8"]),
    shape=st.sampled_from(files.SHAPES),
    begin=st.integers(0, 30),
    channels=st.none() | st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True),
)
@examples(30)
def test_any_span_of_any_form_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    dtype: str,
    shape: str,
    begin: int,
    channels: list[int] | None,
) -> None:
    folder = tmp_path_factory.mktemp("linked")
    count = 1 if shape == "(L,)" else 3
    chosen = None if channels is None or count == 1 else tuple(channels)
    whole = RNG.integers(0, 100, (40, count)).astype(dtype)
    with h5py.File(folder / "theirs.h5", "w") as file:
        file["7"] = whole[:, 0] if shape == "(L,)" else whole[..., None] if "1)" in shape else whole
    signal = as_signal(whole, chosen)
    place = ExternalSamples(folder / "theirs.h5", "7", chosen)
    kinds = ("vibration",) * signal.shape[1]
    write_store([Recording("a", "u", "c", "r", signal, kinds, place=place)], folder / "s", FACTS)
    with Store(folder / "s") as store:
        span = store.read("a", begin, 40)
    np.testing.assert_array_equal(span, signal[begin:])
    assert span.dtype == np.float32


def test_the_users_files_are_left_as_they_are(tmp_path: Path) -> None:
    written, _ = made(tmp_path)

    def digest() -> list[str]:
        both = (written.path, written.metadata)
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in both]

    before, times = digest(), written.path.stat().st_mtime_ns
    os.chmod(written.path, 0o444)
    with Store(tmp_path / "store") as store:
        store.read("100", 0, 10)
    assert digest() == before
    assert written.path.stat().st_mtime_ns == times


@pytest.mark.slow
def test_a_file_that_somebody_has_locked_is_read(tmp_path: Path) -> None:
    """Shared file systems: a lock of another program, or none to be had, must not stop it."""
    written, _ = made(tmp_path)
    program = "import sys; from pathlib import Path; from workflow_src.data.store import Store; "
    program += "print(Store(Path(sys.argv[1])).read('100', 0, 3).shape)"
    with written.path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "store")],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
    assert done.stdout == "(3, 2)\n", done.stderr


def test_a_missing_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    written, _ = made(tmp_path)
    written.path.unlink()
    with Store(tmp_path / "store") as store, pytest.raises(BadData) as refused:
        store.read("100", 0, 10)
    assert str(written.path) in str(refused.value)
    assert "snakemake --profile profiles/local --force" in str(refused.value)


@pytest.mark.parametrize("change", ["longer", "touched"])
def test_a_changed_file_is_refused_with_the_remedy(tmp_path: Path, change: str) -> None:
    written, _ = made(tmp_path)
    store = Store(tmp_path / "store")
    store.read("100", 0, 10)
    copy = pickle.loads(pickle.dumps(store))  # what a worker gets
    store.close()
    if change == "longer":
        with h5py.File(written.path, "a") as file:
            file["more"] = np.zeros(1000)
    else:
        os.utime(written.path, (1_000_000_000, 1_000_000_000))
    for reader in (store, copy):
        with pytest.raises(BadData, match="has changed since the store was made") as refused:
            reader.read("100", 0, 10)
        assert "snakemake --profile profiles/local --force" in str(refused.value)


def test_a_file_that_changes_while_it_is_read_gives_no_store(tmp_path: Path) -> None:
    written = files.write_files(tmp_path, recordings())
    given = {"path": written.path.name, "metadata": written.metadata.name, "dataset_ids": [99]}
    source = PhmVibenchSource(PhmVibenchOptions.model_validate(given), tmp_path)

    def meddling() -> Any:
        for recording in source.recordings():
            yield recording
            os.utime(written.path, (1_000_000_000, 1_000_000_000))

    with pytest.raises(BadData, match="changed"):
        write_store(meddling(), tmp_path / "store", FACTS)
    assert not (tmp_path / "store" / "manifest.json").exists()


def test_the_content_and_not_the_place_decides_the_digest(tmp_path: Path) -> None:
    """Moving the files, or a copy of them, trains nothing anew."""
    written, first = made(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    written.path.rename(tmp_path / "elsewhere" / written.path.name)
    written.metadata.rename(tmp_path / "elsewhere" / written.metadata.name)
    given = {"path": written.path.name, "metadata": written.metadata.name, "dataset_ids": [99]}
    options = PhmVibenchOptions.model_validate(given)
    source = PhmVibenchSource(options, tmp_path / "elsewhere")
    again = write_store(source.recordings(), tmp_path / "store", FACTS)
    assert again.sha256 == first.sha256
    assert again.links != first.links
    kept = json.loads((tmp_path / "store" / "manifest.json").read_text(encoding="utf-8"))
    assert kept["links"] == {name: dict(one) for name, one in again.links.items()}


def test_other_samples_or_labels_make_another_file(tmp_path: Path) -> None:
    """Snakemake trains anew only if the bytes of a small input differ, and these are links."""
    with h5py.File(tmp_path / "theirs.h5", "w") as file:
        file["1"] = np.zeros((9, 1))
    place = ExternalSamples(tmp_path / "theirs.h5", "1")

    def digest(samples: float, fault: str) -> str:
        signal = np.full((9, 1), samples, np.float32)
        one = Recording("a", "u", "c", "r", signal, ("vibration",), fault=fault, place=place)
        write_store([one], tmp_path / "store", FACTS)
        return hashlib.sha256((tmp_path / "store" / "recordings.h5").read_bytes()).hexdigest()

    first = digest(0.0, NORMAL)
    assert digest(0.0, NORMAL) == first
    assert digest(1.0, NORMAL) != first
    assert digest(0.0, "inner") != first
