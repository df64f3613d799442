"""Tables that rigs and splits name: an edit of one is an edit of the key."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from workflow_src.configuration import digest, load
from workflow_src.data.prepare import prepare_rig
from workflow_src.errors import UserError

CONFIG = Path(__file__).parents[2] / "config"
RUN = {
    "study": "demo",
    "datasets": ["cwru_blocks"],
    "models": ["dlinear"],
    "task_sets": ["all"],
    "seeds": [1],
    "hardware": "local",
}
CELL = ("cwru_blocks", "dlinear", "all", 1)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CONFIG, tmp_path / "config"))


def relabel(config: Path) -> None:
    table = config / "rigs" / "cwru.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(",ball,", ",inner,"), "utf-8")


def test_another_label_in_a_table_is_another_rig_and_another_cell(config: Path) -> None:
    before = load(RUN, config)
    relabel(config)
    after = load(RUN, config)
    assert after.rig_part("cwru") != before.rig_part("cwru")
    assert after.resolve(*CELL).identity != before.resolve(*CELL).identity


def test_a_table_edited_while_a_job_waits_is_refused(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    part = load(RUN, config).rig_part("cwru")
    relabel(config)
    with pytest.raises(UserError, match="edited after this job was submitted"):
        prepare_rig("cwru", part, description="", data_root=None, config_folder=config / "rigs")
    assert not (tmp_path / "data").exists()


def test_a_table_that_is_not_there_stops_the_dry_run(config: Path) -> None:
    (config / "rigs" / "cwru.csv").unlink()
    with pytest.raises(UserError, match=r"cannot be read[\s\S]*cwru\.csv"):
        load(RUN, config)


def test_an_edit_below_a_definition_is_another_definition(tmp_path: Path) -> None:
    """The whole folder is what is built; what Python leaves in it is not of it."""
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "labels.csv").write_text("a,normal\n", encoding="utf-8")
    first = digest(tmp_path)
    (tmp_path / "maps" / "__pycache__").mkdir()
    (tmp_path / "maps" / "__pycache__" / "a.pyc").write_bytes(b"1")
    assert digest(tmp_path) == first
    (tmp_path / "maps" / "labels.csv").write_text("a,inner\n", encoding="utf-8")
    assert digest(tmp_path) != first


def test_what_a_definition_links_to_is_of_it(tmp_path: Path) -> None:
    far, own = tmp_path / "far", tmp_path / "own"
    for folder in (far, own):
        folder.mkdir()
        (folder / "labels.csv").write_text("a,normal\n", encoding="utf-8")
    (own / "maps").symlink_to(far)
    first = digest(own)
    (far / "labels.csv").write_text("a,inner\n", encoding="utf-8")
    assert digest(own) != first
    (own / "gone.csv").symlink_to("/nowhere/gone.csv")
    with pytest.raises(UserError, match=r"cannot be read[\s\S]*gone\.csv"):
        digest(own)
