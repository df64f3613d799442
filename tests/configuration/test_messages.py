"""A wrong key: the message names file, line, key, what was found and may stand, and what mends it.

What it says to write is then written, and the configuration loads.
"""

from __future__ import annotations

import copy
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from workflow_src.configuration import load
from workflow_src.configuration.command_line import typed
from workflow_src.configuration.lines import shown
from workflow_src.configuration.reading import merged
from workflow_src.errors import UserError
from workflow_src.targets import Targets

from .conftest import FILES

JARGON = re.compile(r"pydantic|Value error|Input should|validation error|Extra inputs|_type")


class Told(NamedTuple):
    """The parts of a message."""

    text: str
    where: str
    found: str
    expected: str
    remedy: str


def told(world: Any, run: Any, files: list[Path] | None = None) -> Told:
    with pytest.raises(UserError) as caught:
        Targets(load(run, world.config, files or []), world.folder)
    text = str(caught.value)
    assert not JARGON.search(text), text
    parts = {
        label: "\n".join(line[12:] if i else line for i, line in enumerate(body.split("\n")))
        for label, body in re.findall(r"^  (\w+): +(.*(?:\n {12}.*)*)", text, re.MULTILINE)
    }
    return Told(text, *(parts.get(k, "") for k in ("where", "found", "expected", "remedy")))


def apply(values: Mapping[str, Any], remedy: str, wrong: str = "") -> dict[str, Any]:
    """What a user who obeys the message writes: a line less, or the YAML in its place.

    Of a value by --config it is an argument less, or the argument in its place.
    """
    mended = copy.deepcopy(dict(values))
    if remedy.startswith("--config "):
        return merged(mended, typed(shlex.split(remedy)[1:]))
    removed = re.fullmatch(r"remove (?:the line )?`(.+?):?`(?: from --config)?", remedy)
    path = re.findall(r"[^.\[\]]+", removed.group(1) if removed else wrong)
    if path:
        section: Any = mended
        for part in path[:-1]:
            section = section[int(part)] if part.isdigit() else section[part]
        section.pop(path[-1], None)
    return mended if removed else merged(mended, yaml.safe_load(remedy))


RUN = {
    "study": "demo",
    "datasets": ["d"],
    "models": ["net", "tr"],
    "task_sets": ["all"],
    "seeds": [1],
    "hardware": "local",
}
WRONG_RUN: list[tuple[dict[str, Any], str, str, str]] = [
    # changes, key in the message, allowed or found, in the remedy
    ({"training": {"epoch": 5}}, "training.epoch", "epochs", "epochs: 5"),
    ({"trainnig": {"epochs": 5}}, "trainnig", "training", "training: {epochs: 5}"),
    ({"epochs": 5}, "epochs", "training.epochs", "training: {epochs: 5}"),
    ({"frobnicate": 1}, "frobnicate", "one of code", "remove the line `frobnicate:`"),
    ({"training": {"epochs": "many"}}, "training.epochs", "whole number >= 1", "epochs: 200"),
    ({"training": {"epochs": 0}}, "training.epochs", ">= 1", "epochs: 200"),
    ({"training": {"epochs": True}}, "training.epochs", "no numbers", "epochs: 200"),
    ({"training": {"epochs": None}}, "training.epochs", "whole number", "epochs: 200"),
    ({"training": {"learning_rate": "0,001"}}, "training.learning_rate", "> 0", "0.001"),
    ({"training": {"learning_rate": float("inf")}}, "training.learning_rate", "> 0", "0.0005"),
    ({"training": {"schedule": "cosin"}}, "training.schedule", "cosine, constant", "cosine"),
    ({"training": 5}, "training", "keys batch_size", "training: {epochs: 200}"),
    ({"study": 5}, "study", "a letter or digit first", "study: '5'"),
    ({"datasets": "d"}, "datasets", "a list, each text", "datasets: [d]"),
    ({"training": {"epochs": "1_0"}}, "training.epochs", "'1_0' in quotes is text", "epochs: 10"),
    ({"seeds": [1, -3]}, "seeds[1]", ">= 0", "seeds: [1, 42]"),
    ({"seeds": [True]}, "seeds[0]", "whole number", "seeds: [42"),
    ({"seeds": ["007"]}, "seeds", "'007' in quotes is text", "seeds: [42"),
    ({"seeds": 1}, "seeds", "a list, each a whole number", "seeds: [1]"),
    ({"seeds": [1, 1]}, "seeds", "twice", "seeds: [1]"),
    ({"datasets": ["d", "d"]}, "datasets", "twice", "datasets: [d]"),
    ({"datasets": []}, "datasets", "a list", "datasets: [cwru]"),
    ({"study": "default"}, "study", "takes a folder `default`", "study: my_study"),
    ({"study": "My Study"}, "study", "text", "study: my_study"),
    (
        {"overrides": [{"cells": "*/net/*", "training": {"epoch": 5}}]},
        "overrides[0].training.epoch",
        "epochs",
        "overrides:\n- cells: '*/net/*'\n  training: {epochs: 5}",
    ),
    (
        {"overrides": [{"cells": "*/net/*", "training": {"epochs": None}}]},
        "overrides[0].training.epochs",
        "whole number",
        "epochs: 200",
    ),
    ({"overrides": 5}, "overrides", "a list, each", "overrides:\n- cells: '*/timesnet/*'"),
    ({"overrides": [{"cells": "*"}]}, "overrides[0]", "sets no key", "training: {epochs: 5}"),
    ({"overrides": [{"training": {"epochs": 5}}]}, "overrides[0].cells", "Pattern", "cells:"),
    ({"requests": [{"cells": "*", "memory": 9}]}, "requests[0].memory", "memory_mb", "memory_mb"),
    ({"request": {"memory_mb": 3}}, "request.memory_mb", ">= 300", "memory_mb: 16000"),
]


@pytest.mark.parametrize(("changes", "key", "says", "remedy"), WRONG_RUN)
def test_a_wrong_key_of_the_run(
    world: Any, changes: dict[str, Any], key: str, says: str, remedy: str
) -> None:
    world.write()
    run = {**RUN, **changes}
    file = world.folder / "mine.yaml"
    file.write_text("# a comment\n" + yaml.safe_dump(run, sort_keys=False))
    said = told(world, run, [file])
    assert f"`{key}`" in said.text
    assert says in said.text
    assert remedy in said.remedy
    assert said.found or "is missing" in said.text or "sets no key" in said.text
    line = int(re.match(r"mine\.yaml, line (\d+)", said.where).group(1))  # type: ignore[union-attr]
    last = re.findall(r"\w+", key)[-1]
    if not last.isdigit() and "is missing" not in said.text:
        assert f"{last}:" in file.read_text().splitlines()[line - 1]
    mended = apply(run, said.remedy, key if "There is no key" in said.text else "")
    if said.remedy != "datasets: [cwru]":  # an example, which this study has not
        load(mended, world.config)


@pytest.mark.parametrize(
    ("argument", "remedy"),
    [
        ("study=2024", "--config 'study=\"2024\"'"),
        ("study=true", "--config 'study=\"true\"'"),
        ("study=My Study", "--config study=my_study"),
        ("datasets=d", "--config 'datasets=[d]'"),
        ("seeds=['042']", "--config 'seeds=[42, 43, 44]'"),
        ("seeds=[1,1]", "--config 'seeds=[1]'"),
        ("trainnig={epochs: 5}", "remove `trainnig` from --config"),
        ("training={epoch: 5}", "--config 'training={epochs: 5}'"),
        ("training={learning_rate: '0,001'}", "--config 'training={learning_rate: 0.001}'"),
        ("overrides=[{cells: '*', training: {epochs: '1_0'}}]", None),
        ("frobnicate=1", "remove `frobnicate` from --config"),
        ("training={batch_size: '1,024'}", "--config 'training={batch_size: 1024}'"),
    ],
)
def test_the_remedy_of_a_value_by_config_is_an_argument(
    world: Any, argument: str, remedy: str | None
) -> None:
    world.write()
    file = world.folder / "mine.yaml"
    file.write_text(yaml.safe_dump({**RUN, "training": {"batch_size": 8}}))
    own = {**RUN, "training": {"batch_size": 8}}
    run = merged(own, typed([argument]))
    said = told(world, run, [file])
    assert said.where.startswith("--config on the command line")
    assert said.remedy == (remedy or said.remedy)
    assert "--config" in said.remedy
    is_removed = said.remedy.startswith("remove ")  # else the argument stands in its place
    load(apply(run if is_removed else own, said.remedy), world.config)


def test_a_key_by_config_names_no_file(world: Any) -> None:
    world.write()
    said = told(world, {**RUN, "traning": {"epochs": 3}})
    assert said.where.startswith("--config on the command line")


def test_a_value_by_config_over_that_of_a_file_is_not_blamed_on_the_file(world: Any) -> None:
    world.write()
    (world.config / "config.yaml").write_text(yaml.safe_dump({**RUN, "seeds": [4]}))
    said = told(world, {**RUN, "seeds": [-4]})
    assert said.where.startswith("--config on the command line")


@pytest.mark.parametrize("key", sorted(set(RUN) - {"hardware"}))
def test_a_missing_key(world: Any, key: str) -> None:
    world.write()
    said = told(world, {k: v for k, v in RUN.items() if k != key})
    assert f"`{key}` is missing" in said.text
    assert key in yaml.safe_load(said.remedy)


WITHOUT_HARDWARE = {key: value for key, value in RUN.items() if key != "hardware"}


@pytest.mark.parametrize("option", [["--profile", "slurm"], ["--profile=slurm"], []])
def test_hardware_is_that_of_the_profile(
    world: Any, monkeypatch: pytest.MonkeyPatch, option: list[str]
) -> None:
    world.write()
    monkeypatch.chdir(world.folder)
    Path("slurm").mkdir()
    Path("slurm/config.yaml").write_text("jobs: 2\nconfig:\n  hardware: big\n")
    monkeypatch.setattr(sys, "argv", ["snakemake", "-n", *option, "--config", "study=demo"])
    if not option:
        monkeypatch.setenv("SNAKEMAKE_PROFILE", "slurm")
    said = told(world, WITHOUT_HARDWARE)
    assert said.where.startswith("--config on the command line")
    assert "slurm/config.yaml" in said.found
    assert said.remedy == "--config study=demo hardware=big"
    arguments = said.remedy.split()[1:]
    Targets(load(WITHOUT_HARDWARE | typed(arguments), world.config), world.folder)


def test_without_a_profile_the_hardware_classes_are_listed(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write()
    monkeypatch.setattr(sys, "argv", ["snakemake", "--profile", "nowhere"])
    said = told(world, WITHOUT_HARDWARE)
    assert said.expected == "one of big, local"
    assert said.remedy.startswith("--config hardware=NAME,")


def test_missing_hardware_hides_no_other_mistake(world: Any) -> None:
    world.write()
    for wrong in ({"seeds": [1, 1]}, {"datasets": ["nowhere"]}, {"training": {"epochs": 0}}):
        said = told(world, WITHOUT_HARDWARE | wrong)
        assert next(iter(wrong)) in said.text
        assert "hardware" not in said.text
    said = told(world, WITHOUT_HARDWARE | {"hardwar": "big"})
    assert said.remedy == "--config hardware=big"


FOLDER = {
    "source": "folder",
    "simulated": None,
    "folder": {
        "path": ".",
        "files": "{unit}_{i:d}.csv",
        "rate_hz": 1,
        "fields": {"unit_id": "{unit}", "condition": "c", "run_id": "{unit}"},
    },
}


def folder(**options: Any) -> dict[str, Any]:
    return merged(FOLDER, {"folder": options})


WRONG_FILE: list[tuple[str, dict[str, Any], str, str]] = [
    # file, changes, in the message, in the remedy
    ("models/net", {"drop_out": 0.3}, "the nearest is `dropout`", "dropout: 0.3"),
    ("models/net", {"heads": 2}, "dlinear has no `heads`", "remove the line `heads:`"),
    ("models/net", {"embedding": "pach"}, "one of patch, hse", "embedding: patch"),
    ("models/pt", {"heads": None}, "patchtst needs heads", "heads: 4"),
    ("models/net", {"training": {"epochs": None}}, "training.epochs", "epochs: 200"),
    ("models/tr", {"width": 3}, "takes `method` and no size", "remove the line `width:`"),
    ("models/net", {"method": "trivial"}, "takes no `method`", "remove the line `method:`"),
    ("models/tr", {"heads": 3}, "trivial has no `heads`", "remove the line `heads:`"),
    ("models/tr", {"method": None}, "needs `method`", "method: trivial"),
    ("models/tr", {"method": "trivia"}, "no method `trivia`", "method: trivial"),
    ("hardware/local", {"rates": {"tflops": {"fp32": 9}, "copy_gb_s": 9}}, "this class has none",
     "remove the line `rates:`"),
    ("datasets/d", {"horizon": 9}, "`span.horizon`", "span: {horizon: 9}"),
    ("datasets/d", {"span": {"window": 1}}, "`span.window`", "window: 1024"),
    ("datasets/d", {"channel_kinds": ["vibraton"]}, "acoustic", "channel_kinds: [vibration]"),
    ("datasets/d", {"split": {"strategy": "units"}}, "`split.strategy`", "strategy: unit"),
    ("datasets/d", {"select": {"unit_id": "u1"}}, "`select.unit_id`", "select:"),
    ("datasets/d", {"select": {"state": [True]}}, "`select.state[0]`", "state: ['true']"),
    ("datasets/d", {"select": {"unit_id": [None]}}, "`select.unit_id[0]`", "unit_id: ['null']"),
    ("rigs/bench", folder(rate_hz="25,600"), "`folder.rate_hz`", "rate_hz: 25600"),
    ("rigs/bench", {"folder": FOLDER["folder"]}, "no key `folder`", "remove the line `folder:`"),
    ("rigs/bench", {"simulated": None}, "needs the key `simulated`", "kind: bearing"),
    ("rigs/bench", {"simulated": {"kind": "gear"}}, "`simulated.kind`", "kind: gearbox"),
    ("rigs/bench", {"simulated": {"speeds_rpm": [9, 9]}}, "each speed once", "speeds_rpm:"),
    ("rigs/bench", {"amplitude_comparable": "maybe"}, "true or false", "comparable: true"),
    ("rigs/bench", folder(files=None), "Neither", "files:"),
    ("rigs/bench", folder(table="x.csv"), "not both", "remove the line `folder.files:`"),
    ("rigs/bench", folder(fields={"time_s": "1"}, time={"from": "i", "step_s": 1}), "not both",
     "remove the line `folder.time:`"),
    ("rigs/bench", folder(fields={"rate_hz": "1"}), "not both", "`folder.rate_hz:`"),
    ("rigs/bench", folder(files="{unit.csv"), "is no pattern", "files:"),
    ("rigs/bench", folder(fields={"load": "{unti}"}), "uses `unti`", "load: '{unit}'"),
    ("rigs/bench", folder(fields={"fault": {"from": "unitt", "values": {"a": "b"}}}),
     "uses `unitt`", "from: unit"),
    ("rigs/bench", folder(fields={"fault": {"from": "unit", "value": {}}}),
     "`folder.fields.fault.value`", "values: {}"),
    ("rigs/bench", folder(time={"from": "ix", "step_s": 1}), "`time` uses `ix`", "from: i"),
    ("rigs/bench", folder(ends_in_failure=True), "needs `time`", "time: {from: i"),
    ("rigs/bench", folder(channel_kinds=["curent"]), "channel_kinds[0]", "[current]"),
    ("rigs/bench", folder(rate_hz="unkown"), "`folder.rate_hz`", "rate_hz: unknown"),
    ("rigs/bench", folder(rate_hz="25,600"), "`folder.rate_hz`", "rate_hz: 25600}  # or 25.6"),
    ("rigs/bench", folder(rate_hz="1,025,600"), "`folder.rate_hz`", "rate_hz: 1025600"),
    ("rigs/bench", folder(rate_hz="25600,5"), "`folder.rate_hz`", "rate_hz: 25600.5"),
    ("rigs/bench", folder(rate_hz="25.600,5"), "`folder.rate_hz`", "rate_hz: 25600.5"),
    ("rigs/bench", folder(rate_hz=-2), "`folder.rate_hz`", "rate_hz: 20000"),
    ("rigs/bench", folder(rate_hz="025600"), "in quotes is text", "rate_hz: 25600"),
    ("rigs/bench", folder(channels=[True]), "no numbers", "channels: [4, 5]"),
    ("rigs/bench", folder(time_column=True), "no numbers", "time_column: 'true'"),
    ("hardware/local", {"accelerator": "gpu"}, "`accelerator`", "accelerator:"),
    ("task_sets", {"all": {"clasification": {}}}, "`all.clasification`", "remove the line"),
    ("models/net", {"detph": 3}, "`depth`, which is set", "remove the line `detph:`"),
    ("task_sets", {"all": {"rul_prediction": {"inputs": ["ages"]}}}, "inputs[0]", "[age]"),
    ("task_sets", {"all": {"classification": {"weight": 0}}}, "weight", "weight: 1.0"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "says", "remedy"), WRONG_FILE)
def test_a_wrong_key_of_a_file(
    world: Any, name: str, changes: dict[str, Any], says: str, remedy: str
) -> None:
    world.write({name: changes})
    (world.config / "rigs" / "x.csv").write_text("file\n", encoding="utf-8")
    run = {**RUN, "models": ["net", "pt", "tr"]}
    said = told(world, run)
    assert says in said.text, said.text
    assert remedy in said.remedy, said.text
    assert re.match(rf"config/{name}\.yaml, line \d+", said.where), said.where
    file = world.config / f"{name}.yaml"
    wrong = re.search(r"There is no key `([^`]+)`", said.text)
    mended = apply(yaml.safe_load(file.read_text()), said.remedy, wrong.group(1) if wrong else "")
    file.write_text(yaml.safe_dump(mended))
    load(run, world.config)


def test_a_remedy_writes_a_lookup_as_a_file_says_it(world: Any) -> None:
    fields = {"fault": {"from": "code", "values": {"a": "b"}}, "rate_hz": "5"}
    options = {"name": "ims", "fields": fields}
    rig = {"simulated": None, "source": "bearing_datasets", "bearing_datasets": options}
    world.write({"rigs/bench": rig})
    said = told(world, RUN)
    assert "no field sets it" in said.text
    fields.clear()  # the remedy holds the whole mapping
    fields |= yaml.safe_load(said.remedy)["bearing_datasets"]["fields"]
    assert fields == {"fault": {"from": "code", "values": {"a": "b"}}}
    world.write({"rigs/bench": rig})
    load(RUN, world.config)


def test_a_wrong_key_in_the_parent_is_found_there(world: Any) -> None:
    world.write({"models/net": {"detph": 3}, "models/child": {"extends": "net", "width": 4}})
    said = told(world, {**RUN, "models": ["child"]})
    assert said.where.startswith("config/models/net.yaml, line ")


def test_a_wrong_value_that_is_merged_is_found_where_it_stands(world: Any) -> None:
    text = "rig: bench\nspan: {window: 40, horizon: 8}\n"
    text += "split:\n  strategy: unit\n  test:\n    <<: &more {unit_id: [normal0, true]}\n"
    world.write({"datasets/d": text})
    said = told(world, RUN)
    assert said.where == "config/datasets/d.yaml, line 6"
    assert "`split.test.unit_id[1]`" in said.text
    world.write({"datasets/d": text.replace("true", "1.10")})
    said = told(world, RUN)
    assert said.where.startswith("config/datasets/d.yaml, line 6")
    assert yaml.safe_load(said.remedy.split("   #")[0]) == {
        "split": {"test": {"unit_id": ["normal0", "1.10"]}}
    }


def test_a_circle_of_extends(world: Any) -> None:
    world.write({"models/net": {"extends": "child"}, "models/child": {"extends": "net"}})
    said = told(world, RUN)
    assert "net -> child -> net" in said.text
    assert "extends:" in said.remedy


@pytest.mark.parametrize(
    ("changes", "says", "remedy"),
    [
        ({"models": ["nett"]}, "no `nett` in models/", "write `net` in its place"),
        ({"models": ["quite_else"]}, "one of fno, net, pt, tn, tr", "create config/models/"),
        ({"hardware": "lokal"}, "no `lokal` in hardware/", "write `local` in its place"),
        ({"task_sets": ["al"]}, "no task set `al`", "task_sets: [all]"),
        ({"datasets": ["d.fold3"]}, "no fold 3", "datasets: [d]"),
        ({"exclude": ["*/net/*", "*/tr/*"]}, "2 cells, the first d/net/all/1", "exclude: []"),
        ({"exclude": ["*/fno/*"]}, "`*/fno/*` of `exclude` matches no cell", "`exclude:`"),
        (
            {"overrides": [{"cells": "x/*", "training": {"epochs": 1}}]},
            "`x/*` of `overrides` matches no cell",
            "`overrides:`",
        ),
        (
            {"requests": [{"cells": "*/tr/*", "memory_mb": 900}]},
            "matches only classic models",
            "`requests:`",
        ),
        (
            {"overrides": [{"cells": "*/net/*", "model": {"heads": 2}}]},
            "`model.heads` for `net`, but dlinear does not have it",
            "remove `heads` from the override",
        ),
        (
            {"training": {"early_stopping_patience": 3}},
            "needs a validation part, and `d` has none",
            "strategy: time_block",
        ),
    ],
)
def test_names_that_lead_nowhere(
    world: Any, changes: dict[str, Any], says: str, remedy: str
) -> None:
    world.write({"datasets/d": {"split": {"validation": {"strategy": "none", "select": None}}}})
    said = told(world, {**RUN, **changes})
    assert says in said.text
    assert remedy in said.remedy


def test_a_request_in_an_override_is_moved_where_requests_stand(world: Any) -> None:
    world.write()
    override = {"cells": "*/net/*", "training": {"epochs": 5}, "request": {"memory_mb": 4000}}
    run = {**RUN, "overrides": [override, {"cells": "d/*", "request": {"runtime_minutes": 9}}]}
    said = told(world, run)
    assert "requests of some cells stand under `requests:`" in said.text
    mended = load(apply(run, said.remedy), world.config)
    assert mended.request("d", "net", "all", 1).memory_mb == 4000
    assert mended.request("d", "tr", "all", 1).runtime_minutes == 9
    assert mended.resolve("d", "net", "all", 1).training.epochs == 5


def test_names_may_have_capital_letters(world: Any) -> None:
    world.write({"datasets/CWRU_A": FILES["datasets/d"], "models/DLinear": FILES["models/net"]})
    run = {**RUN, "study": "Mine", "datasets": ["CWRU_A"], "models": ["DLinear"]}
    assert load(run, world.config).run.study == "Mine"
    said = told(world, {**RUN, "study": "My Study"})
    assert "letters, digits, `_`, `.` and `-`, a letter or digit first" in said.expected
    load(apply(RUN, said.remedy), world.config)


def test_a_fold_and_all_folds(world: Any) -> None:
    world.write({"datasets/d": {"split": {"folds": [{"test": {"unit_id": ["b0"]}}]}}})
    run = {**RUN, "datasets": ["d", "d.fold0"]}
    said = told(world, run)
    assert "`d.fold0` twice" in said.text or "names d.fold0 twice" in said.text
    load(apply(run, said.remedy), world.config)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("backbone: [dlinear\nkernel: 3\n", 2, "kernel: 3"),
        ("backbone: dlinear\n\tkernel: 3\n", 2, "\tkernel: 3"),
        ("a: b: c\n", 1, "a: b: c"),
    ],
)
def test_a_file_that_is_not_yaml(world: Any, text: str, line: int, says: str) -> None:
    world.write({"models/net": text})
    said = told(world, RUN)
    assert said.where == f"config/models/net.yaml, line {line}"
    assert says in said.text


def test_a_key_twice(world: Any) -> None:
    world.write({"models/net": "backbone: dlinear\nkernel: 3\nkernel: 5\n"})
    said = told(world, RUN)
    assert "`kernel` stands twice" in said.text
    assert said.where == "config/models/net.yaml, lines 2 and 3"


@pytest.mark.parametrize("text", ["- a\n", "just words\n"])
def test_a_file_without_keys(world: Any, text: str) -> None:
    world.write({"models/net": text})
    assert "must hold keys" in told(world, RUN).text


def test_a_file_in_another_encoding(world: Any) -> None:
    world.write()
    (world.config / "models/net.yaml").write_bytes("label: Gerät\n".encode("latin-1"))
    assert "not text in UTF-8" in told(world, RUN).text


def test_an_unknown_class_in_the_site(world: Any) -> None:
    world.write()
    (world.config / "site.yaml").write_text("lokal: {partition: x}\n")
    said = told(world, RUN)
    assert "no hardware class `lokal`" in said.text
    assert yaml.safe_load(said.remedy) == {"local": {"partition": "x"}}


@pytest.mark.parametrize("value", ["short", 5, ["short"]])
def test_a_class_in_the_site_without_keys(world: Any, value: Any) -> None:
    world.write()
    (world.config / "site.yaml").write_text(yaml.safe_dump({"local": value}), encoding="utf-8")
    said = told(world, RUN)
    assert "The hardware class `local` holds no keys." in said.text
    (world.config / "site.yaml").write_text(said.remedy, encoding="utf-8")
    partition = load(RUN, world.config).sites["local"].partition
    assert partition == (value if isinstance(value, str) else "gpu")


@pytest.mark.parametrize(
    ("rig", "dataset"), [({"amplitude_comparable": False}, {}), ({}, {"amplitude": "none"})]
)
def test_amplitude_that_is_not_comparable(
    world: Any, rig: dict[str, Any], dataset: dict[str, Any]
) -> None:
    """An error where it was asked for; left out by itself where it is a default (RUL)."""
    task_sets = {"all": {"anomaly_detection": {"amplitude": True}}}
    world.write({"rigs/bench": rig, "datasets/d": dataset, "task_sets": task_sets})
    said = told(world, RUN)
    for part in ("`all`", "`bench`", "all.anomaly_detection.amplitude"):
        assert part in said.text
    file = world.config / "task_sets.yaml"
    file.write_text(yaml.safe_dump(apply(yaml.safe_load(file.read_text()), said.remedy)))
    Targets(load(RUN, world.config), world.folder)


def test_several_wrong_keys_are_counted(world: Any) -> None:
    world.write()
    assert "(2 more after this one)" in told(
        world, {**RUN, "a": 1, "seeds": [-1], "training": {"epochs": 0}}
    ).text  # fmt: skip


def test_paths_are_shown_from_the_working_directory(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "config" / "a.yaml") == "config/a.yaml"
    assert shown(Path("config/a.yaml")) == "config/a.yaml"
    assert shown(tmp_path.parent / "b.yaml") == str(tmp_path.parent / "b.yaml")
