"""A draft of every rig of bearing-datasets is YAML that the configuration takes."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from workflow_src.__main__ import main
from workflow_src.configuration import Dataset, Rig
from workflow_src.configuration.drafts import MARK
from workflow_src.configuration.folder import CHANNEL_KINDS
from workflow_src.configuration.patterns import template_names
from workflow_src.data.sources.bearing_datasets.definitions import names, of_package
from workflow_src.data.sources.bearing_datasets.drafting import DraftedFiles, drafts, how_to_split
from workflow_src.errors import UserError

# Those for which the package's own page says that it names the physical bearing, and the runs.
WITH_BEARINGS = {"cwru", "ferrara_or", "hit_intershaft", "hse_similar_system", "hust"}
WITH_BEARINGS |= {"hustbearing", "ottawa_uored", "paderborn", "saarland"}
RUNS = {"dlr_needle", "femto", "ferrara_rtf", "ims", "kaist_rtf", "paderborn_rtf", "unsw"}
RUNS |= {"wt_hss", "xjtu_sy"}


def made(name: str) -> DraftedFiles:
    return drafts(of_package(name), {"name": name}, name)


def test_there_are_69() -> None:
    assert len(names()) == 69


def test_an_unknown_name_is_answered_by_the_nearest_and_the_list() -> None:
    with pytest.raises(UserError, match="`paderbron`; the nearest is `paderborn`") as caught:
        of_package("paderbron")
    assert "one of its 69" in str(caught.value)
    assert "bearing-datasets list" in str(caught.value)


@pytest.mark.fast_cases("cwru", "paderborn", "xjtu_sy", "ims", "vbl_va001", "hust*", "subf*")
@pytest.mark.parametrize("name", names())
def test_a_draft_is_taken_by_the_configuration(name: str) -> None:
    texts = made(name)
    rig = Rig.model_validate(yaml.safe_load(texts.rig))
    dataset = Dataset.model_validate(yaml.safe_load(texts.dataset))
    assert dataset.rig == name
    assert rig.bearing_datasets is not None
    options = rig.bearing_datasets
    assert options.channels
    assert set(options.channels) <= set(of_package(name).channels)
    assert set(dataset.channel_kinds) == set(options.channels.values()) <= set(CHANNEL_KINDS)
    columns = of_package(name).columns | {"native_label"}
    for rule in options.fields.values():
        assert isinstance(rule, str)
        assert set(template_names(rule)) <= columns
    assert MARK in texts.rig


@pytest.mark.slow
def test_the_strategy_follows_the_labels() -> None:
    strategies = {name: how_to_split(of_package(name).columns).strategy for name in names()}
    assert {name for name, strategy in strategies.items() if strategy == "unit"} == WITH_BEARINGS
    assert {name for name, strategy in strategies.items() if strategy == "run"} == RUNS
    assert strategies["vbl_va001"] == "time_block"


def test_parts_of_one_acquisition_are_one_run() -> None:
    rig = yaml.safe_load(made("subf_v1").rig)
    assert "segment" not in rig["bearing_datasets"]["fields"]["run_id"]


def test_a_run_without_a_life_in_seconds_says_so() -> None:
    assert "no rul_prediction" in made("unsw").rig
    assert "no rul_prediction" not in made("femto").rig


def test_what_is_built_decides_on_channels_and_window() -> None:
    common = {"quantity": "acceleration", "unit": "g", "fs": 1000.0, "bearing_id": "b"}
    rows = [
        {**common, "channel": c, "n_samples": n, "speed_rpm": 60.0}
        for c, n in (("DE", 5000), ("FE", 5000), ("DE", 3000), ("FE", 3000), ("BA", 3000))
    ]
    texts = drafts(of_package("cwru"), {"name": "cwru"}, "x", pd.DataFrame(rows))
    assert yaml.safe_load(texts.rig)["bearing_datasets"]["channels"] == {
        "DE": "vibration",
        "FE": "vibration",
    }
    # Two turns are 2000 samples, so 2048; the shortest recording holds them and the horizon.
    assert yaml.safe_load(texts.dataset)["span"]["window"] == 2048
    assert "shortest recording holds 3000" in texts.dataset


def test_the_verb_writes_both_and_overwrites_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["draft", "hust", "--config", str(tmp_path)]
    assert main([*arguments, "--print"]) == 0
    assert not list(tmp_path.iterdir())
    assert "name: hust" in capsys.readouterr().out
    assert main(arguments) == 0
    files = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.yaml"))
    assert files == ["datasets/hust.yaml", "rigs/hust.yaml"]
    capsys.readouterr()
    (tmp_path / "rigs" / "hust.yaml").write_text("mine", encoding="utf-8")
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert "A draft overwrites nothing." in said
    assert "--as ANOTHER_NAME" in said
    assert (tmp_path / "rigs" / "hust.yaml").read_text(encoding="utf-8") == "mine"
    assert main([*arguments, "--as", "hust_2"]) == 0
    dataset = yaml.safe_load((tmp_path / "datasets" / "hust_2.yaml").read_text(encoding="utf-8"))
    assert dataset["rig"] == "hust_2"


def test_an_unknown_name_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["draft", "paderbron", "--print"]) == 1
    assert "paderborn" in capsys.readouterr().err


def test_a_private_definition_is_named_by_its_folder_below_the_rigs(tmp_path: Path) -> None:
    folder = tmp_path / "rigs" / "definitions" / "own"
    folder.mkdir(parents=True)
    keys = {"name": "own", "title": "t", "license": "l", "citation": "c", "sources": []}
    (folder / "dataset.yaml").write_text(json.dumps(keys), encoding="utf-8")
    channels = {"a": {"quantity": "current", "unit": "A", "fs": 10.0}}
    (folder / "builder.py").write_text(f"CHANNELS = {channels}\n", encoding="utf-8")
    assert main(["draft", str(folder), "--config", str(tmp_path)]) == 0
    rig = yaml.safe_load((tmp_path / "rigs" / "own.yaml").read_text(encoding="utf-8"))
    assert rig["bearing_datasets"]["definition"] == "definitions/own"
    assert rig["bearing_datasets"]["channels"] == {"a": "current"}
    assert rig["unit"] == "A"
