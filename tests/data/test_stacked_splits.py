"""Windows of one file that may overlap are never divided between the parts of a split."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from workflow_src.configuration.folder import FolderOptions
from workflow_src.configuration.reading import merged
from workflow_src.configuration.schema import Dataset
from workflow_src.data.disjointness import require_disjoint
from workflow_src.data.inspection import inspect
from workflow_src.data.sources.folder import FolderSource
from workflow_src.data.split_files import SplitTable
from workflow_src.data.splits import make_split
from workflow_src.data.store import Heading, Store, write_store
from workflow_src.errors import UserError

STEP, LENGTH = 64, 256  # windows of LENGTH samples, cut from one signal every STEP
SPAN = {"window": 48, "horizon": 16}
FIELDS = {
    "unit_id": "{unit}",
    "condition": "c",
    "run_id": "{unit}",
    "fault": {"from": "state", "values": {"normal": "normal", "inner": "inner"}},
}
BLOCKS = {"strategy": "time_block", "share": 0.2}
UNITS = {"strategy": "unit", "share": 0.3}


def files(root: Path, units: int = 3, windows: int = 40) -> Path:
    """For each class, `units` files of windows that overlap by three quarters."""
    root.mkdir(exist_ok=True)
    for i in range(2 * units):
        signal = np.random.default_rng(i).standard_normal(windows * STEP + LENGTH)
        cut = np.stack([signal[w * STEP : w * STEP + LENGTH] for w in range(windows)])
        state = ("normal", "inner")[i % 2]
        np.save(root / f"u{i:02d}_{state}.npy", cut.astype(np.float32))
    return root


def store_of(root: Path, **keys: Any) -> pd.DataFrame:
    """The table of the store that the real reader makes of the files."""
    given = {"path": ".", "files": "{unit}_{state}.npy", "fields": FIELDS, "rate_hz": 1e3}
    source = FolderSource(
        FolderOptions.model_validate({**given, "stacked": {"along": "rows"}, **keys}), root, root
    )
    folder = root / "store"
    write_store(source.recordings(), folder, Heading("bench", "folder"), source.provenance)
    return Store(folder).table


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The table of three files a class."""
    return store_of(files(tmp_path_factory.mktemp("three")))


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The table of six files a class."""
    return store_of(files(tmp_path_factory.mktemp("six"), units=6))


def dataset(split: dict[str, Any]) -> Dataset:
    return Dataset.model_validate({"rig": "bench", "span": SPAN, "split": split})


def shared(split: SplitTable, table: pd.DataFrame) -> int:
    """Spans that hold a sample, as it was measured, which a span of another part holds too."""
    window = dict(zip(table["recording_id"], table["window"].astype(int), strict=True))
    begin = split.rows["recording_id"].map(window) * STEP + split.rows["start"]
    parts: dict[tuple[str, int], set[str]] = {}
    held = [
        [(run, at) for at in range(first, first + split.summary.span)]
        for run, first in zip(split.rows["run_id"], begin, strict=True)
    ]
    for samples, part in zip(held, split.rows["part"], strict=True):
        for sample in samples:
            parts.setdefault(sample, set()).add(part)
    return sum(any(len(parts[sample]) > 1 for sample in samples) for samples in held)


def remedied(error: UserError, split: dict[str, Any]) -> dict[str, Any]:
    """`split` with the YAML that the error shows first."""
    shown = re.split(r"\n +or ", str(error).partition("remedy:")[2])[0]
    return merged(split, yaml.safe_load(shown)["split"])


REFUSED = [
    {"strategy": "time_block", "test_share": 0.25, "validation": BLOCKS},
    {"strategy": "time_block", "validation": {"strategy": "none"}},
    {"strategy": "unit", "validation": BLOCKS},
    {"strategy": "unit"},
    {"strategy": "run", "test_share": 0.7, "validation": UNITS},
    {"strategy": "unit", "test": {"unit_id": ["u00", "u01"]}, "validation": BLOCKS},
    {"strategy": "unit", "rotation": {"folds": 3}, "validation": BLOCKS},
]


@pytest.mark.fast_cases("split0")
@pytest.mark.parametrize("split", REFUSED)
def test_blocks_of_windows_that_may_overlap_are_refused_and_the_remedy_works(
    three: pd.DataFrame, split: dict[str, Any]
) -> None:
    if "rotation" in split:
        split = {**split, "rotation": {"folds": 3, "fold": 0}}
    with pytest.raises(UserError, match="may overlap") as caught:
        make_split(three, dataset(split), "d")
    made = make_split(three, dataset(remedied(caught.value, split)), "d")
    assert shared(made, three) == 0


@pytest.mark.fast_cases("split0")
@pytest.mark.parametrize(
    "split",
    [
        {"strategy": "unit", "validation": UNITS},
        {"strategy": "run", "validation": {"strategy": "none"}},
        {
            "strategy": "unit",
            "validation": UNITS,
            "shots": {"per_class": 2, "of": "recordings"},
        },
    ],
)
def test_whole_files_in_parts_share_nothing(six: pd.DataFrame, split: dict[str, Any]) -> None:
    assert shared(make_split(six, dataset({"test_share": 0.4, **split}), "d"), six) == 0


def test_shots_of_blocks_are_refused_and_the_remedy_works(six: pd.DataFrame) -> None:
    split = {
        "strategy": "unit",
        "test_share": 0.4,
        "validation": UNITS,
        "shots": {"per_class": 2, "of": "blocks"},
    }
    with pytest.raises(UserError, match="may overlap") as caught:
        make_split(six, dataset(split), "d")
    assert shared(make_split(six, dataset(remedied(caught.value, split)), "d"), six) == 0


def test_where_no_draw_is_possible_the_way_out_is_more_files(tmp_path: Path) -> None:
    table = store_of(files(tmp_path, units=1))
    with pytest.raises(UserError, match="may overlap") as caught:
        make_split(table, dataset(REFUSED[0]), "d")
    said = str(caught.value).partition("remedy:")[2]
    assert "more files of each class" in said
    assert "strategy" not in said
    assert "gaps: none" in said


def test_windows_that_follow_each_other_are_cut_by_time(tmp_path: Path) -> None:
    table = store_of(files(tmp_path), stacked={"gaps": "none"})
    made = make_split(table, dataset(REFUSED[0]), "d")
    assert made.summary.strength == "time_block"


def test_the_guard_sees_for_itself_that_windows_are_divided(tmp_path: Path) -> None:
    table = store_of(files(tmp_path, units=1))
    own = table[table["run_id"] == table["run_id"].iloc[0]]
    rows = own[["recording_id", "unit_id", "run_id", "condition"]].assign(start=0, span=range(40))
    for parts in (["train"] * 20 + ["test"] * 20, ["train", "test"] * 20):
        with pytest.raises(UserError, match="may overlap"):
            require_disjoint(rows.assign(part=parts), table, 64)
    both = pd.concat([rows.assign(part="train"), rows.assign(part="test", start=192)])
    with pytest.raises(UserError, match="may overlap"):
        require_disjoint(both.sort_values("recording_id"), table, 64, 100)
    require_disjoint(rows.assign(part="train"), table, 64)


def test_a_leaky_split_does_not_claim_to_count_every_shared_window(three: pd.DataFrame) -> None:
    keys = {"strategy": "naive_windows", "allow_leakage": True}
    split = {**keys, "validation": {"strategy": "naive_windows"}}
    made = make_split(three, dataset(split), "d")
    assert shared(made, three) > made.summary.leaky.sharing_samples
    assert "at least" in made.summary.reasons[0]


def test_a_field_of_the_name_that_marks_windows_is_refused(tmp_path: Path) -> None:
    files(tmp_path)
    for name in ("window", "stacked_in"):
        with pytest.raises(UserError, match=name):
            store_of(tmp_path, fields={**FIELDS, name: "{unit}"})


@pytest.mark.slow
@pytest.mark.parametrize("units", [1, 2, 3, 4])
@pytest.mark.parametrize("length", [LENGTH, 1024, 4096])
def test_inspect_drafts_a_split_that_is_allowed(tmp_path: Path, units: int, length: int) -> None:
    root = tmp_path / "my_windows"
    root.mkdir()
    for i in range(2 * units):
        windows = np.random.default_rng(i).standard_normal((50, length)).astype(np.float32)
        np.save(root / f"{chr(97 + i)}_{('normal', 'inner')[i % 2]}.npy", windows)
    drafts = inspect(root)
    drafted = Dataset.model_validate(yaml.safe_load(drafts.dataset))
    span = drafted.span.window + drafted.span.horizon
    assert span <= length
    assert 2 * span > min(length, 2144)
    text = yaml.safe_load(drafts.rig)["folder"]
    table = store_of(root, files=text["files"], fields=text["fields"])
    if units == 1:
        assert "more files of each class, or a run_id for each" in drafts.dataset
        with pytest.raises(UserError, match="may overlap"):
            make_split(table, drafted, "d")
        return
    made = make_split(table, drafted, "d")
    assert set(made.rows.groupby("run_id")["part"].nunique()) == {1}
