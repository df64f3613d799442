"""Every file below a folder is a recording, is counted as none, or stops the reading by name."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.data.inspection import inspect
from workflow_src.data.sources.folder import FolderOptions, FolderSource
from workflow_src.data.sources.folder.listing import by_pattern, everything, list_below
from workflow_src.errors import BadData, UserError

from ..examples import examples

FIELDS = {"unit_id": "{unit}", "condition": "c", "run_id": "{unit}"}
NOBODY = 65534


def put(*paths: Path) -> None:
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(path, np.random.default_rng(number).standard_normal(200))


def read(
    root: Path, files: str = "{unit}/{k:d}.csv", **keys: object
) -> tuple[list[str], list[str]]:
    given = {"path": "rig", "files": files, "rate_hz": 1000, "fields": FIELDS, **keys}
    source = FolderSource(FolderOptions.model_validate(given), root, root)
    return [r.attributes["file"] for r in source.recordings()], source.notes


def table(root: Path, *files: str) -> dict[str, object]:
    lines = [f"{file},{i},c,{i}" for i, file in enumerate(files)]
    (root / "t.csv").write_text("\n".join(["file,unit_id,condition,run_id", *lines]) + "\n")
    return {"files": None, "table": "t.csv", "fields": {}}


@pytest.fixture
def rig(tmp_path: Path) -> Path:
    put(tmp_path / "rig" / "b1" / "1.csv", tmp_path / "rig" / "b1" / "2.csv")
    return tmp_path / "rig"


@contextmanager
def ordinary() -> Iterator[None]:
    """As a user whom the rights of a folder bind, which they do not bind root."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_root() -> Iterator[Path]:
    """A folder that an ordinary user may enter, which pytest's own are not."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    yield root
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(0o755)
    shutil.rmtree(root)


# -- links ----------------------------------------------------------------------------------------


def test_linked_folders_and_files_are_read(rig, tmp_path):
    put(tmp_path / "disk" / "b2" / "1.csv", tmp_path / "disk" / "b2" / "2.csv")
    (rig / "b2").symlink_to(tmp_path / "disk" / "b2")
    (rig / "b1" / "3.csv").symlink_to(rig / "b1" / "1.csv")
    expected = ["b1/1.csv", "b1/2.csv", "b1/3.csv", "b2/1.csv", "b2/2.csv"]
    assert read(tmp_path) == (expected, [])
    assert read(tmp_path, **table(tmp_path, "b2/2.csv"))[0] == ["b2/2.csv"]


def test_the_folder_itself_may_be_a_link(rig, tmp_path):
    (tmp_path / "link").symlink_to(rig)
    assert read(tmp_path, path="link")[0] == ["b1/1.csv", "b1/2.csv"]


def test_a_linked_folder_in_a_linked_folder_is_read(rig, tmp_path):
    put(tmp_path / "deep" / "1.csv")
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "day").symlink_to(tmp_path / "deep")
    (rig / "b9").symlink_to(tmp_path / "far")
    assert read(tmp_path, "{unit}/day/{k:d}.csv")[0] == ["b9/day/1.csv"]


def test_a_link_that_leads_to_nothing_is_named(rig, tmp_path):
    (rig / "b1" / "4.csv").symlink_to("/nowhere/x.csv")
    with pytest.raises(BadData, match=r"b1/4\.csv: a link to /nowhere/x\.csv: No such file"):
        read(tmp_path)
    (rig / "b1" / "4.csv").unlink()
    (rig / "b3").symlink_to("/nowhere/b3")  # a unit of its own, on a disk that is not there
    with pytest.raises(BadData, match=r"b3: a link to /nowhere/b3"):
        read(tmp_path)
    (rig / "b3").unlink()
    (rig / "b1" / "5.csv").symlink_to("5.csv")
    with pytest.raises(BadData, match=r"b1/5\.csv: a link to 5\.csv: Too many levels"):
        read(tmp_path)


def test_a_link_to_nothing_that_can_be_no_recording_is_reported(rig, tmp_path):
    (rig / "b1" / "notes.txt").symlink_to("/nowhere/notes.txt")
    files, notes = read(tmp_path)
    assert files == ["b1/1.csv", "b1/2.csv"]
    assert any("b1/notes.txt: a link to /nowhere/notes.txt" in note for note in notes)


def test_a_table_says_why_a_file_of_it_is_not_there(rig, tmp_path):
    (rig / "b3").symlink_to("/nowhere/b3")
    with pytest.raises(BadData, match=r"t\.csv, line 2[\s\S]*b3: a link to /nowhere/b3"):
        read(tmp_path, **table(tmp_path, "b3/1.csv"))
    assert read(tmp_path, **table(tmp_path, "b1/1.csv"))[0] == ["b1/1.csv"]


def test_links_that_lead_round_end(rig, tmp_path):
    (rig / "all").symlink_to(".")
    (rig / "b1" / "up").symlink_to("..")
    files, notes = read(tmp_path)
    assert files == ["b1/1.csv", "b1/2.csv"]
    assert any("all" in note and "lead back" in note for note in notes)


def test_folders_that_link_to_each_other_end(rig, tmp_path):
    names = [f"b{i}" for i in range(2, 7)]
    for name in names:
        put(rig / name / "1.csv")
        for other in names:
            (rig / name / f"{other}").symlink_to(rig / other)
    files, _ = read(tmp_path)
    assert files == ["b1/1.csv", "b1/2.csv", *(f"{name}/1.csv" for name in names)]
    assert len(read(tmp_path, "{unit}/{other}/{k:d}.csv")[0]) == 5 * 4  # as written, none twice


def test_an_inspected_folder_shows_what_lies_behind_links(rig, tmp_path):
    put(*(tmp_path / "disk" / f"{k}.csv" for k in range(1, 5)))
    (rig / "b2").symlink_to(tmp_path / "disk")
    put(rig / "b1" / "._1.csv")
    draft = inspect(rig)
    assert "files that match: 6" in draft.rig
    assert "b1/._1.csv" in draft.rig


# -- rights ---------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_read_is_named(open_root):
    put(open_root / "rig" / "b1" / "1.csv", open_root / "rig" / "b2" / "1.csv")
    (open_root / "rig" / "b2").chmod(0)
    with ordinary(), pytest.raises(BadData, match=r"b2: Permission denied[\s\S]*chmod -R u\+rX"):
        read(open_root)
    named = table(open_root, "b2/1.csv")
    with ordinary(), pytest.raises(BadData, match=r"line 2[\s\S]*b2: Permission denied"):
        read(open_root, **named)
    (open_root / "rig" / "b2").chmod(0o444)  # its names can be read, and nothing else of it
    with ordinary(), pytest.raises(BadData, match=r"b2/1\.csv: Permission denied"):
        read(open_root)
    (open_root / "rig" / "b2").chmod(0o755)
    with ordinary():
        assert read(open_root)[0] == ["b1/1.csv", "b2/1.csv"]


def test_a_folder_that_no_rule_leads_into_may_be_closed(open_root):
    put(open_root / "rig" / "b1" / "1.csv", open_root / "rig" / "b1" / "private" / "1.csv")
    put(open_root / "rig" / "lost+found" / "1.csv")  # of every disk, and root's alone
    (open_root / "rig" / "b1" / "private").chmod(0)
    (open_root / "rig" / "lost+found").chmod(0)
    with ordinary():
        files, notes = read(open_root)
    assert files == ["b1/1.csv"]
    assert any("b1/private: Permission denied" in note for note in notes)
    assert any("lost+found" in note for note in notes)


def test_a_rig_or_a_file_that_cannot_be_read_is_named(open_root):
    put(open_root / "rig" / "b1" / "1.csv")
    (open_root / "rig" / "b1" / "1.csv").chmod(0)
    with ordinary(), pytest.raises(UserError, match=r"b1/1\.csv[\s\S]*Permission denied"):
        read(open_root)
    (open_root / "rig").chmod(0)
    with ordinary(), pytest.raises(UserError, match=r"rig\s+found:\s+Permission denied"):
        read(open_root)


# -- what is no recording -------------------------------------------------------------------------

LITTER = (
    *("b1/._1.csv", "b1/~$1.csv", "b1/.ipynb_checkpoints/1-checkpoint.csv", "__MACOSX/b1.csv"),
    *("__MACOSX/1.csv", ".Trash-0/1.csv", "@eaDir/1.csv", "$RECYCLE.BIN/1.csv", ".snapshot/1.csv"),
)


@pytest.mark.parametrize("files", ["{unit}/{k}.csv", "{unit}/*.csv", "{unit}.csv"])
def test_what_systems_leave_is_no_recording_and_reported(tmp_path, files):
    mine = ["a.csv"] if files == "{unit}.csv" else ["b1/1.csv", "b1/2.csv"]
    put(*(tmp_path / "rig" / name for name in (*LITTER, *mine, "~$b.csv", ".c.csv")))
    found, notes = read(tmp_path, files)
    assert found == mine
    (note,) = [note for note in notes if "no recordings" in note]
    assert "names are hidden or left by a system" in note


def test_a_hidden_name_that_is_written_is_read(tmp_path):
    put(tmp_path / "rig" / ".data" / "1.csv", tmp_path / "rig" / ".other" / "1.csv")
    assert read(tmp_path, ".data/{unit}.csv")[0] == [".data/1.csv"]
    assert read(tmp_path, **table(tmp_path, ".other/1.csv"))[0] == [".other/1.csv"]


def test_a_name_that_is_no_file_is_no_recording(rig, tmp_path):
    os.mkfifo(rig / "b1" / "3.csv")
    with pytest.raises(BadData, match=r"b1/3\.csv: neither a file nor a folder"):
        read(tmp_path)


# -- times in names -------------------------------------------------------------------------------

STAMPS = ("2003.10.22.12.06.24", "2003.10.22.12.09.13", "2003.10.23.00.14.13")


def test_a_time_that_is_no_number_of_a_snapshot_names_the_way(tmp_path):
    put(*(tmp_path / "rig" / f"{stamp}.csv" for stamp in STAMPS))
    one = {"unit_id": "b", "condition": "c", "run_id": "r", "recording_id": "{t}"}
    keys = {"fields": one, "time": {"from": "t", "step_s": 600}}
    with pytest.raises(BadData, match=r"t = '2003[\s\S]*`table:`\s+with a column `time_s`"):
        read(tmp_path, "{t}.csv", **keys)
    lines = [f"{stamp}.csv,b,c,r,{s}" for stamp, s in zip(STAMPS, (0, 169, 43669), strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["file,unit_id,condition,run_id,time_s", *lines]))
    given = {"path": "rig", "table": "t.csv", "rate_hz": 1000}
    source = FolderSource(FolderOptions.model_validate(given), tmp_path, tmp_path)
    assert [r.time_s for r in source.recordings()] == [0, 169, 43669]


def test_a_number_that_starts_again_within_a_run_is_noted(tmp_path):
    put(*(tmp_path / "rig" / f"{hour}.{minute}.csv" for hour, minute in ((1, 10), (1, 50), (2, 4))))
    one = {"unit_id": "b", "condition": "c", "run_id": "r"}
    keys = {"fields": one, "time": {"from": "m", "step_s": 60}}
    _, notes = read(tmp_path, "{h:d}.{m:d}.csv", **keys)
    (note,) = notes
    assert "by `m` alone, falls 1 times" in note
    assert "1.50.csv, then 2.4.csv" in note
    (tmp_path / "rig" / "2.4.csv").unlink()
    assert read(tmp_path, "{h:d}.{m:d}.csv", **keys)[1] == []


# -- any tree -------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "1.csv", "2.csv", ".h", "._1.csv", "~$1.csv", "__MACOSX"])
MADE = st.lists(
    st.tuples(
        st.lists(NAMES, min_size=1, max_size=3), st.sampled_from(["file", "link", "dangling"])
    ),
    max_size=12,
)


@given(made=MADE, targets=st.lists(st.sampled_from(["", "a", "b", "a/b", "a/1.csv"]), min_size=12))
@examples(150)
def test_each_name_of_a_tree_is_a_file_or_accounted_for(tmp_path_factory, made, targets):
    root = tmp_path_factory.mktemp("tree")
    for (parts, kind), target in zip(made, targets, strict=False):
        path = root.joinpath(*parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "file":
                path.touch(exist_ok=False)
            else:
                path.symlink_to("/nowhere" if kind == "dangling" else root / target)
        except OSError:
            continue  # there is something else of the name
    listing = list_below(root, everything())
    accounted = {*listing.files, *listing.unseen, *listing.litter, *listing.loops}
    for folder, folders, files in os.walk(root):
        for name in [*files, *(f for f in folders if Path(folder, f).is_symlink())]:
            below = Path(folder, name).relative_to(root).as_posix()
            above = [str(p) for p in Path(below).parents]
            inside = any(file.startswith(below + "/") for file in accounted)
            empty = Path(folder, name).is_dir() and not any(Path(folder, name).iterdir())
            assert below in accounted or inside or empty or accounted & set(above), below
    assert len(set(listing.files)) == len(listing.files)
    assert all((root / file).is_file() for file in listing.files)


def test_a_pattern_knows_which_names_lead_to_its_files():
    wanted: Callable[[str], bool] = by_pattern("{unit}/{k:d}/{unit}_{k}.csv").on_the_way
    assert wanted("b1")
    assert wanted("b1/2")
    assert wanted("b1/2/b1_2.csv")
    assert not wanted("b1/x")
    assert not wanted("b1/2/b1_3.csv")
    assert not wanted("b1/2/b1_2.csv/deeper")
