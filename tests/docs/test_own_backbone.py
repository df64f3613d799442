"""The backbone of docs/extending.md is planned, checked, built and trained as the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from workflow_src.configuration import load
from workflow_src.configuration.configuration import Configuration
from workflow_src.configuration.snapshot import keep, kept
from workflow_src.errors import UserError
from workflow_src.models.network import build_trunk

from ..workflow.conftest import DATASET, RIG, RUN, _write_project
from .page import REPOSITORY, blocks


def written(folder: Path) -> None:
    for place, text in blocks("A backbone").items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text, encoding="utf-8")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A configuration with the backbone of the page."""
    config = tmp_path / "config"
    for name, content in (("rigs", RIG), ("datasets", DATASET)):
        (config / name).mkdir(parents=True)
        (config / name / "tiny.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (config / "hardware").mkdir()
    shipped = REPOSITORY / "config"
    for file in ("hardware/local.yaml", "task_sets.yaml"):
        (config / file).write_text((shipped / file).read_text(encoding="utf-8"), encoding="utf-8")
    written(tmp_path)
    return config


def planned(config: Path) -> Configuration:
    return load({**RUN, "models": ["gru"], "hardware": "local"}, config)


def cell(configuration: Configuration) -> dict[str, Any]:
    return configuration.resolve("tiny", "gru", "all", 1).content()


def test_a_backbone_of_ones_own_is_checked_and_built(own: Path) -> None:
    model = cell(planned(own))["model"]
    assert (model["hidden"], model["reverse"]) == (16, False)
    trunk = build_trunk(model, 256, 2)
    assert trunk(torch.randn(3, 256, 2)).tokens.shape == (3, 32, 64)
    assert trunk.backbone.layers[0].read.hidden_size == 16


def test_its_text_is_in_the_identity_and_what_was_planned_is_built(own: Path) -> None:
    before = cell(planned(own))
    file = own / "models" / "gru.py"
    file.write_text(file.read_text(encoding="utf-8").replace("tokens + ", "tokens - "), "utf-8")
    after = cell(planned(own))
    assert before["identity"] != after["identity"]
    file.unlink()
    outputs = []
    for told in (before, after):
        torch.manual_seed(0)
        outputs.append(build_trunk(told["model"], 256, 2)(torch.ones(1, 256, 2)).tokens)
    assert not torch.equal(*outputs)


def test_jobs_of_the_run_read_the_kept_text(own: Path, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKFLOW_CONFIGURATION", "")
    configuration = planned(own)
    keep(configuration)
    (own / "models" / "gru.py").unlink()
    assert cell(kept()) == cell(configuration)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("gru.yaml", "hidden: 16", "hidden: 0", "hidden: 32"),
        ("gru.yaml", "hidden: 16", "hiden: 16", "the nearest is `hidden`"),
        ("gru.yaml", "hidden: 16\n", "", "hidden: 32"),
        ("gru.yaml", "hidden: 16", "hidden: 16\nheads: 4", "remove the line `heads:`"),
        ("gru.yaml", "gru.py", "gur.py", "The file of a backbone cannot be read."),
        ("gru.yaml", "gru.py\nlabel: GRU\nhidden: 16", "patchts", "backbone: patchtst"),
        ("gru.py", "class Options(BackboneOptions)", "class Keys(BackboneOptions)", "no class"),
        ("gru.py", "Field(ge=1", "Field(ge=nn.ONE", "uses no other imports"),
        ("gru.py", "class GRULayer(nn.Module):", "class GRULayer(nn.Module)", "gru.py, line"),
    ],
)
def test_what_is_wrong_with_it_is_told(own: Path, file: str, old: str, new: str, said: str) -> None:
    path = own / "models" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(UserError) as refused:
        planned(own)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("return Stack(GRULayer(", "return list(GRULayer(", "return Stack(layers)"),
        ("def build(", "def make(", "no function `build`"),
    ],
)
def test_a_file_that_builds_no_stack_is_refused(own: Path, old: str, new: str, said: str) -> None:
    path = own / "models" / "gru.py"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(UserError, match=re.escape(said)):
        build_trunk(cell(planned(own))["model"], 256, 2)


@pytest.mark.slow
def test_a_cell_of_it_is_trained_by_the_command_of_the_page(tmp_path: Path) -> None:
    project = _write_project(tmp_path / "project")
    written(project.folder)
    done = project.snakemake("--config", "models=[gru]", "hardware=local")
    assert done.code == 0, done.text
    metrics = json.loads(project.kept("gru").read("metrics.json"))
    assert "classification" in json.dumps(metrics)
    assert b"GRU" in b"".join(project.tables.values())
    assert project.dry("--config", "models=[gru]", "hardware=local").nothing_to_do
