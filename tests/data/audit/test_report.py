"""The verb: what it says and writes, what it ends with, and that training keeps to itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from workflow_src.__main__ import main
from workflow_src.artifacts.audit_report import AuditReport
from workflow_src.configuration import load, snapshot
from workflow_src.configuration.schema import Dataset
from workflow_src.data.audit.report import as_text, audit, leak
from workflow_src.data.recordings import Recording
from workflow_src.data.split_files import SplitTable, write_split
from workflow_src.data.splits import make_split
from workflow_src.data.store import Heading, Store, write_store
from workflow_src.data.windows import SpanArrays, SpanReader
from workflow_src.errors import BadData, UserError
from workflow_src.scheduling.journal import cause_of

from .benches import by_hand, noise, recording

KEYS: dict[str, Any] = {
    "rig": "bench",
    "span": {"window": 400, "horizon": 100},
    "split": {
        "strategy": "unit",
        "test": {"unit_id": ["t"]},
        "validation": {"strategy": "run", "share": 0.4},
    },
    "unsupported_tasks": "drop",
}


def place(recordings: list[Recording], keys: dict[str, Any] = KEYS) -> SplitTable:
    """A store and its split below the current folder, as the workflow leaves them."""
    write_store(recordings, Path("data", "bench"), Heading("bench", "test"))
    with Store(Path("data", "bench")) as store:
        split = make_split(store.table, Dataset.model_validate(keys), "bench")
    write_split(split, Path("data", "bench"))
    return split


@pytest.fixture
def leaky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    kept = [noise(3000, seed, 2) for seed in range(4)]
    made = [recording(f"r{i}", signal, unit_id=f"u{i}") for i, signal in enumerate(kept)]
    place([*made, recording("new", np.ascontiguousarray(kept[0][17:, ::-1]), unit_id="t")])
    return tmp_path


def test_a_leak_is_an_error_that_names_both_recordings(
    leaky: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "bench"]) == 1
    said = capsys.readouterr()
    assert "LEAK" in said.out
    assert said.err.startswith("Parts of the split of `bench` share content.")
    assert "test 'new' 0..2500 is train 'r0' 17..2517: 2500 samples, shift -17" in said.err
    assert "channels 0 is 1, 1 is 0" in said.err
    assert "5 of 5 test spans (100 %)" in said.err
    error = leak(AuditReport.read(Path("data/bench/audit.json")))
    assert isinstance(error, BadData)
    assert "recordings of one run" in str(error)
    way = yaml.safe_load(str(error).rpartition("needed:")[2])
    assert Dataset.model_validate(KEYS | way | {"split": KEYS["split"] | way["split"]})
    assert cause_of(error).text == "bad_data"


@pytest.mark.slow
def test_the_json_says_the_same(leaky: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "bench", "--json"]) == 1
    (told,) = json.loads(capsys.readouterr().out)
    assert told == json.loads(Path("data/bench/audit.json").read_text())
    (pair,) = told["shared"]
    assert (pair["shift"], pair["samples"], pair["gain"]) == (-17, 2500, 1)
    assert pair["channels"] == [[0, 1], [1, 0]]
    assert told["shared_pairs"] == 1


def test_a_clean_split_ends_well_and_its_file_is_touched_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["u0", "u1", "u2", "t"]
    place([recording(name, noise(3000, i)) for i, name in enumerate(names)])
    assert main(["audit", "bench"]) == 0
    assert "no stretch of 384 samples or more is shared" in capsys.readouterr().out
    written = Path("data/bench/audit.json").stat().st_mtime_ns
    assert main(["audit", "bench"]) == 0
    assert Path("data/bench/audit.json").stat().st_mtime_ns == written


@pytest.mark.slow
def test_a_split_that_declares_its_leak_is_told_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    signals = [recording("a", noise(30_000, 1))]
    write_store(signals, Path("data", "bench"), Heading("bench", "test"))
    with Store(Path("data", "bench")) as store:
        (row,) = store.table.itertuples()
    rng = np.random.default_rng(0)
    starts = [(int(start), part) for part in ("train", "val", "test")
              for start in rng.integers(0, 29_000, 30)]  # fmt: skip
    split = by_hand([(row, *one) for one in starts], ["vibration"])
    for strength, declared in (("time_block", False), ("leaky", True)):
        summary = split.summary.model_copy(update={"strength": strength})
        write_split(SplitTable(split.rows, summary), Path("data/bench"))
        told = audit("bench")
        assert (leak(told) is None) == declared
        assert told.declared_leaky == declared
        assert 0.5 * 30 < told.shared_spans["test"].spans <= 30
        assert ("as its split declares" in as_text(told)) == declared


def test_without_a_split_the_command_that_makes_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"data/nothing/split\.csv"):
        audit("nothing")


def test_without_a_name_the_datasets_are_those_of_the_last_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.yaml").write_text("study: other\ndatasets: [gearbox_sim]\n")
    assert main(["audit"]) == 1
    assert "No run is known here" in capsys.readouterr().err
    config = Path(__file__).parents[3] / "config"
    run = yaml.safe_load((config / "config.yaml").read_text()) | {"hardware": "local"}
    with pytest.MonkeyPatch.context() as patch:  # `keep` tells jobs by a variable
        patch.setenv(snapshot.VARIABLE, "")
        snapshot.keep(load(run | {"datasets": ["life_sim"]}, config))
    assert main(["audit"]) == 1
    assert "no split of `life_sim`" in capsys.readouterr().err
    assert main(["audit", "--configfile", "other.yaml"]) == 1
    assert "no split of `gearbox_sim`" in capsys.readouterr().err


# ------------------------------------------------------------ nothing of test in training


def read(folder: Path, split: SplitTable, part: str, keys: dict[str, Any]) -> SpanArrays:
    reader = SpanReader(folder, split, Dataset.model_validate(keys))
    arrays = reader.read(reader.rows(part))
    reader.close()
    return arrays


@pytest.mark.slow
@pytest.mark.parametrize("amplitude", ["absolute", "relative"])
def test_no_statistic_of_test_is_in_training(tmp_path: Path, amplitude: str) -> None:
    keys = {**KEYS, "amplitude": amplitude}
    seen = {}
    for loudness in (1, 1000):
        folder = tmp_path / str(loudness)
        made = [
            recording(n, noise(3000, i) * np.float32(loudness if n == "t" else 1))
            for i, n in enumerate(["u0", "u1", "u2", "t"])
        ]
        write_store(made, folder, Heading("bench", "test"))
        with Store(folder) as store:
            split = make_split(store.table, Dataset.model_validate(keys), "bench")
        seen[loudness] = [read(folder, split, part, keys) for part in ("train", "val", "test")]
    for part in (0, 1):
        for name in SpanArrays.__dataclass_fields__:
            one, other = (getattr(seen[loudness][part], name) for loudness in seen)
            np.testing.assert_array_equal(one, other)
    assert not np.array_equal(seen[1][2].window, seen[1000][2].window)


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("amplitude", ["absolute", "none"])
def test_rank_count_and_spacing_of_snapshots_are_no_input(tmp_path: Path, amplitude: str) -> None:
    """What is read of a snapshot is the same whichever other snapshots of its run are kept."""
    split_keys = {**KEYS["split"], "validation": {"strategy": "none"}}
    keys = {**KEYS, "amplitude": amplitude, "split": split_keys}
    windows = {}
    for step in (1, 3, 7):
        kept = [
            recording(f"{unit}_{k:02d}", noise(600, 100 * u + k), unit_id=unit, run_id=unit,
                      fault=None, time_s=10.0 * k, life_s=500.0)
            for u, unit in enumerate(["u0", "u1", "t"])
            for k in range(0, 50, step if unit == "t" else 1)
        ]  # fmt: skip
        folder = tmp_path / str(step)
        write_store(kept, folder, Heading("bench", "test"))
        with Store(folder) as store:
            split = make_split(store.table, Dataset.model_validate(keys), "bench")
        arrays = read(folder, split, "test", keys)
        windows[step] = {
            float(t): (arrays.window[i], arrays.log_amplitude[i], arrays.age[i], arrays.rul[i])
            for i, t in enumerate(arrays.time_s)
        }
    for step in (3, 7):
        assert set(windows[step]) < set(windows[1])
        for time, seen in windows[step].items():
            for one, other in zip(seen, windows[1][time], strict=True):
                np.testing.assert_array_equal(one, other)
