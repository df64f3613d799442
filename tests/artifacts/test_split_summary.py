"""split.json: what is written is read back, an edit is named, absent keys stay absent."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.artifacts.split_summary import (
    LeakyWindows,
    ShotSummary,
    SplitSummary,
    UnitSummary,
    ValidationClaim,
)
from workflow_src.data.split_files import read_split, write_split
from workflow_src.data.splits import make_split
from workflow_src.errors import BadData
from workflow_src.predictions import TruncatedRun

from ..data.audit.benches import CONFIG, dataset_of, stored
from ..split_summaries import split_summary

NUMBERS = st.floats(allow_nan=False)
WHOLE = st.integers(min_value=0)
TEXTS = st.lists(st.text(), max_size=3).map(tuple)
RUNS = st.builds(
    TruncatedRun,
    truncation_s=NUMBERS,
    snapshot_s=NUMBERS,
    official_rul_s=NUMBERS,
    full_run_rul_s=st.none() | NUMBERS,
)
SHOTS = st.builds(
    ShotSummary,
    per_class=WHOLE,
    of=st.sampled_from(["recordings", "blocks"]),
    draw=WHOLE,
    drawn=st.dictionaries(st.text(), TEXTS, max_size=2),
)
UNITS = st.builds(
    UnitSummary,
    number=st.integers(min_value=1) | st.just("all"),
    draw=WHOLE,
    drawn=st.dictionaries(st.text(), TEXTS, max_size=2),
)
CHANGES = st.fixed_dictionaries(
    {
        "strength": st.text(),
        "reasons": TEXTS,
        "validation": st.builds(
            ValidationClaim, declared=st.text(), strategy=st.text(), reason=st.text()
        ),
        "excluded": st.dictionaries(st.text(), WHOLE, max_size=3),
        "gap": WHOLE,
        "training_lives_s": st.dictionaries(st.text(), NUMBERS, max_size=3),
        "mean_training_life_s": st.none() | NUMBERS,
        "supported": st.dictionaries(st.text(), st.none() | st.text(), max_size=3),
        "rate_hz": st.none() | NUMBERS,
        "warnings": TEXTS,
    },
    optional={
        "leaky": st.builds(LeakyWindows, test_windows=WHOLE, sharing_samples=WHOLE),
        "truncation": st.dictionaries(st.text(), RUNS, max_size=2),
        "shots": SHOTS,
        "train_units": UNITS,
        "test_rigs": TEXTS,
    },
)


@given(CHANGES)
def test_what_is_written_is_read_back(tmp_path_factory: Any, changes: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("d") / "split.json"
    summary = SplitSummary(**(dict(split_summary()) | changes)).sealed("ab")
    summary.write(path)
    before = path.read_bytes()
    read = SplitSummary.read(path)
    assert read == summary
    read.write(path)
    assert path.read_bytes() == before
    absent = {"leaky", "truncation", "shots", "train_units", "test_rigs"} - changes.keys()
    assert not absent & json.loads(before).keys()


@pytest.mark.fast_cases("cwru*")
@pytest.mark.parametrize(
    ("rig", "names"),
    [
        ("gearbox_sim", ("gearbox_sim",)),
        ("bearing_sim", ("bearing_sim",)),
        ("life_sim", ("life_sim",)),
        ("cwru", ("cwru_ir028", "cwru_blocks")),
        ("femto", ("femto_phm2012",)),
    ],
)
def test_shipped_splits_come_back_byte_for_byte(
    tmp_path: Path, rig: str, names: tuple[str, ...]
) -> None:
    with stored(tmp_path, rig) as store:
        splits = {n: make_split(store.table, dataset_of(n), n, CONFIG / "datasets") for n in names}
    for name, split in splits.items():
        write_split(split, tmp_path / name)
        path = tmp_path / name / "split.json"
        before = path.read_bytes()
        read = read_split(tmp_path / name).summary
        assert read.model_copy(update={"sha256": None}) == split.summary
        read.write(path)
        assert path.read_bytes() == before


def test_the_keys_stand_in_the_order_of_the_file(tmp_path: Path) -> None:
    """A sum over keys in another order would refuse every split that is there."""
    shots = {"per_class": 1, "of": "blocks", "draw": 0, "drawn": {}}
    summary = split_summary(shots=shots, test_rigs=["a"]).sealed("ab")
    summary.write(tmp_path / "split.json")
    keys = list(json.loads((tmp_path / "split.json").read_text()))
    assert keys[:6] == ["dataset", "rig", "declared", "strength", "reasons", "shots"]
    assert keys[6:11] == ["validation", "excluded", "window", "horizon", "span"]
    assert keys[11:16] == ["gap", "channels", "channel_kinds", "test_rigs", "spans"]
    assert keys[-5:] == [
        "fault_periods_per_window", "fault_periods_per_horizon", "warnings", "shares", "sha256",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "key"),
    [
        ({"colour": "red"}, "colour"),
        ({"spans": {"train": 1, "val": 2}}, "spans.test"),
        ({"spans": {"train": 1, "val": 2, "test": 3, "rest": 4}}, "spans.rest"),
        ({"channels": "1"}, "channels"),
        ({"validation": {"strategy": "unit", "reason": ""}}, "validation.declared"),
        ({"truncation": {"b1": {"truncation_s": 1.0, "colour": "red"}}}, "truncation.b1"),
    ],
)
def test_an_edit_is_named_with_file_key_and_command(
    tmp_path: Path, edit: dict[str, Any], key: str
) -> None:
    path = tmp_path / "split.json"
    path.write_text(json.dumps(json.loads(split_summary().to_json()) | edit))
    with pytest.raises(BadData) as caught:
        SplitSummary.read(path)
    assert f"{path}, key `{key}" in str(caught.value)
    assert f"rm {tmp_path / 'split.csv'} {path}" in str(caught.value)


def test_an_edit_that_fits_is_found_by_its_sum(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    split_summary().sealed("ab").write(path)
    path.write_text(path.read_text().replace('"gap": 0', '"gap": 1'))
    with pytest.raises(BadData, match="SHA-256 is another"):
        SplitSummary.read(path)


def test_a_split_of_before_runs_and_shares_were_counted_is_read(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    content = json.loads(split_summary().to_json())
    assert "runs_to_failure" not in content
    del content["shares"], content["remedies"]
    path.write_text(json.dumps(content, indent=1) + "\n")
    before = path.read_bytes()
    read = SplitSummary.read(path)
    assert (read.runs_to_failure, read.shares, read.remedies) == (None, {}, {})
    assert asdict(read.spans) == content["spans"]
    read.write(path)
    assert path.read_bytes() == before
