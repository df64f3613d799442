"""What rules get from the targets, where Snakemake is not needed to see it."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from snakemake.settings.types import DAGSettings

from workflow_src.artifacts.forecast_file import CellForecast, DatasetForecast, forecast_key
from workflow_src.artifacts.training_report import TrainingReport
from workflow_src.cells import Cell, forecast_file, observed_file, results, runs
from workflow_src.configuration import REVISIONS, load, snapshot
from workflow_src.errors import BadData, UserError
from workflow_src.rule_shell import prefix
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.events import Ended, Started
from workflow_src.scheduling.forced import TRAINED
from workflow_src.scheduling.journal import Journal
from workflow_src.scheduling.next_request import UNKNOWN_MB
from workflow_src.scheduling.plan import plan
from workflow_src.scheduling.status import State, Status
from workflow_src.start import require_forecasts, require_own_site
from workflow_src.targets import Targets

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def targets() -> Targets:
    """Those of the default run."""
    run = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text(encoding="utf-8"))
    return Targets(load({**run, "hardware": "local"}, REPOSITORY / "config"), REPOSITORY)


@pytest.mark.parametrize("failing", ["false | cat", "false; true", "echo $NOT_SET"])
def test_a_rules_shell_ends_at_the_first_failure(targets: Targets, failing: str) -> None:
    text = prefix(targets.configuration, targets.basedir).replace("{{", "{").replace("}}", "}")
    for command, fails in ((f"{failing}", True), ("true | cat", False)):
        done = subprocess.run(["bash", "-c", text + command], capture_output=True, check=False)
        assert (done.returncode != 0) == fails


def test_features_are_waited_for_by_who_uses_them(targets: Targets) -> None:
    """Their revision is in the identity of these cells, and of no other."""
    uses = {"forest", "fault_lines", "ridge"}
    for name in targets.models("classic"):
        asked = targets.features_of(SimpleNamespace(dataset="life_sim", model=name))
        assert asked == (["data/life_sim/features.h5"] if name in uses else [])
    assert uses < set(targets.models("classic"))


def test_a_raised_revision_of_features_makes_their_cells_anew(
    targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    def identities() -> dict[str, str]:
        configuration = replace(targets.configuration, _resolved={}, _alike={})
        named = [cell for cell in targets.cells if cell.dataset == "life_sim"]
        return {cell.model: configuration.resolve(*cell.key).identity for cell in named}

    before = identities()
    monkeypatch.setitem(REVISIONS, "features", REVISIONS["features"] + 1)
    after = identities()
    changed = {model for model, identity in after.items() if before[model] != identity}
    assert changed == {"forest", "fault_lines", "ridge"}


def test_a_plan_that_trains_cells_anew_does_not_say_to_do_so(
    targets: Targets,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    forced, other = targets.cells[:2]
    files = [results(targets.study, cell) / "training.json" for cell in (forced, other)]
    for cell, file in zip((forced, other), files, strict=True):
        file.parent.mkdir(parents=True)
        TrainingReport(cell=cell, identity="x", code="of another day").write(file)
    settings = DAGSettings(forcerun={str(files[0])})
    monkeypatch.setattr(targets, "settings", lambda: settings)
    targets.tell_of_other_code(is_plan=True)
    said = capsys.readouterr().err
    assert other.name in said
    assert forced.name not in said
    targets.tell_of_other_code(is_plan=False)  # a run may have ended before it came to them
    assert "2 cells were" in capsys.readouterr().err


FORECASTED = CellForecast(
    name="dlinear/all",
    parameters=1,
    share=32,
    micro_batch=4,
    activation_checkpointing=False,
    device_mb=None,
    host_mb=1_234,
)


def write_forecast(targets: Targets, cell: Cell) -> Path:
    """The file of a dataset, with what one cell needs on each class; it fits on the last one."""
    configuration = targets.configuration
    request, found = configuration.request(*cell.key), dict[str, CellForecast]()
    for name, hardware in configuration.hardware.items():
        key = forecast_key(configuration.resolve(*cell.key), request, hardware)
        is_last = name == configuration.run.preferred[-1]
        refusal = "" if is_last else f"it takes more than {name} has"
        found[key] = FORECASTED.model_copy(update={"refusal": refusal})
    file = forecast_file(targets.study, cell.dataset)
    DatasetForecast(cells=found).write(file)
    return file


def test_a_request_follows_the_forecast_as_it_is_written(
    targets: Targets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cell = next(cell for cell in targets.cells if cell.model == "dlinear")
    assert targets.requests.of(cell).memory_mb == UNKNOWN_MB
    file = write_forecast(targets, cell)
    request = targets.requests.of(cell)
    assert (request.memory_mb, request.micro_batch_size) == (1_234, 4)
    assert targets.requests.of(replace(cell, model="fno")).memory_mb == UNKNOWN_MB
    assert targets.requests.of(replace(cell, seed=7)).memory_mb == 1_234  # of all seeds
    file.write_text("{", encoding="utf-8")
    assert targets.requests.of(cell).memory_mb == UNKNOWN_MB  # while a run goes on
    with pytest.raises(BadData, match=f"rm {file}"):
        require_forecasts(targets.forecasts())
    file.unlink()
    require_forecasts(targets.forecasts())
    assert targets.requests.of(cell).memory_mb == UNKNOWN_MB


def test_a_plan_names_what_may_not_fit(targets: Targets) -> None:
    cell = next(cell for cell in targets.cells if cell.model == "dlinear")
    for more, expected in ((0, False), (10**9, True)):
        found = FORECASTED.model_copy(update={"host_mb": FORECASTED.host_mb + more})
        (one,) = plan(
            targets.configuration,
            [Status(cell, State.NOT_STARTED)],
            targets.requests.of,
            lambda cell, name, found=found: found,
        )
        assert one.may_not_fit == expected


def test_of_several_classes_the_first_is_asked_where_a_cell_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text(encoding="utf-8"))
    names = ["v100-16g", "a100-40g", "v100-32g"]
    overrides = [{"cells": "*/fno/*", "training": {"precision": "bf16"}}]
    run |= {"hardware": names, "overrides": overrides}
    targets = Targets(load(run, REPOSITORY / "config"), REPOSITORY)
    cell = next(cell for cell in targets.cells if cell.model == "dlinear")
    needs_bf16 = replace(cell, model="fno")
    assert targets.requests.of(cell).hardware == "v100-16g"
    assert targets.requests.of(needs_bf16).hardware == "a100-40g"
    write_forecast(targets, cell)
    request = targets.requests.of(cell)
    assert (request.hardware, request.micro_batch_size) == ("v100-32g", 4)
    forecast = targets.requests.forecast
    assert forecast(cell, "v100-16g") != forecast(cell, "v100-32g")
    planned = {one.cell.model: one for one in targets.planned() if one.cell.dataset == cell.dataset}
    assert planned["dlinear"].to_json()["hardware"] == "v100-32g"
    assert planned["dlinear"].forecast == forecast(cell, "v100-32g")
    assert planned["fno"].to_json()["hardware"] == "a100-40g"
    keys = targets.forecast_keys(SimpleNamespace(dataset=cell.dataset))
    assert len(keys) == 3 * 3 + 1  # three networks on each class, one on one


def test_refused_is_what_no_class_of_the_list_has(tmp_path: Path) -> None:
    run = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text(encoding="utf-8"))
    run |= {"training": {"precision": "bf16"}, "hardware": ["v100-16g", "v100-32g"]}
    with pytest.raises(UserError, match="class v100-16g does not compute in bf16"):
        Targets(load(run, REPOSITORY / "config"), REPOSITORY)
    wide = load({**run, "hardware": ["v100-16g", "h100-80g"]}, REPOSITORY / "config")
    assert Targets(wide, REPOSITORY).requests.of(Targets(wide, REPOSITORY).cells[0]).hardware == (
        "h100-80g"
    )


def test_a_forecast_of_other_settings_or_of_another_revision_is_none(
    targets: Targets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cell = next(cell for cell in targets.cells if cell.model == "dlinear")
    write_forecast(targets, cell)
    run = targets.configuration.run
    other = run.model_copy(update={"request": run.request.model_copy(update={"workers": 1})})
    changed = Targets(replace(targets.configuration, run=other), REPOSITORY)
    assert changed.requests.of(cell).memory_mb == UNKNOWN_MB
    wildcards = SimpleNamespace(dataset=cell.dataset)
    assert changed.forecast_keys(wildcards) != targets.forecast_keys(wildcards)
    monkeypatch.setitem(REVISIONS, "forecasts", REVISIONS["forecasts"] + 1)
    again = Targets(targets.configuration, REPOSITORY)
    assert again.requests.of(cell).memory_mb == UNKNOWN_MB


def test_what_attempts_teach_is_fixed_when_a_run_begins(
    targets: Targets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(snapshot.VARIABLE, "")
    cell = next(cell for cell in targets.cells if cell.model == "dlinear")
    write_forecast(targets, cell)
    journal = Journal(runs(targets.study, cell) / "attempts.jsonl")
    told = AttemptRequest(hardware="local", micro_batch_size=4, memory_mb=1_234)
    identity = targets.configuration.resolve(*cell.key).identity

    def finish(host_mb: float) -> None:
        journal.append(Started(request=told, identity=identity))
        journal.append(Ended(cause="done", peaks_mb={"host_mb": host_mb}))

    def asked(by: Targets) -> int:
        return by.requests.of(replace(cell, seed=7)).memory_mb

    finish(2 * 1_234)
    run = Targets(targets.configuration, REPOSITORY)
    run.keep()
    finish(3 * 1_234)
    job = Targets(snapshot.kept(), REPOSITORY, snapshot.corrections())
    assert asked(run) == asked(job) == 2 * 1_234
    assert asked(Targets(targets.configuration, REPOSITORY)) == 3 * 1_234
    assert len(observed_file(targets.study).read_text(encoding="utf-8").splitlines()) == 2
    other = {"cpu": run.configuration.classes["cpu"]}
    elsewhere = Targets(replace(run.configuration, hardware=other), REPOSITORY)
    assert elsewhere.requests.corrections == {}  # an attempt on another class


def test_a_finished_cell_waits_for_no_forecast(
    targets: Targets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forecast that is made anew, for a sibling, would train it anew."""
    monkeypatch.chdir(tmp_path)
    cell = next(cell for cell in targets.cells if cell.model == "dlinear")
    wildcards = SimpleNamespace(**vars(cell))
    asked = [str(forecast_file(targets.study, cell.dataset))]
    assert targets.forecast_of(wildcards) == asked
    folder = results(targets.study, cell)
    folder.mkdir(parents=True)
    for name in TRAINED:
        (folder / name).touch()
    resolved = targets.configuration.resolve(*cell.key)
    (folder / "cell.json").write_text(resolved.to_json(), encoding="utf-8")
    assert targets.forecast_of(wildcards) == []
    settings = DAGSettings(forcerun={"train"})
    with monkeypatch.context() as patch:
        patch.setattr(targets, "settings", lambda: settings)
        assert targets.forecast_of(wildcards) == asked
    (folder / TRAINED[0]).unlink()
    assert targets.forecast_of(wildcards) == asked
    (folder / TRAINED[0]).touch()
    (folder / "cell.json").write_text("{}", encoding="utf-8")  # of other settings
    assert targets.forecast_of(wildcards) == asked


def test_the_account_of_the_example_is_refused_and_the_remedy_takes_it_out(
    tmp_path: Path,
) -> None:
    config = tmp_path / "config"
    shutil.copytree(REPOSITORY / "config", config, ignore=shutil.ignore_patterns("site.yaml"))
    shutil.copy(config / "site.example.yaml", config / "site.yaml")

    def made() -> Targets:
        run = yaml.safe_load((config / "config.yaml").read_text(encoding="utf-8"))
        return Targets(load({**run, "hardware": "a100-80g"}, config), tmp_path)

    with pytest.raises(UserError, match="no cluster has it") as refused:
        require_own_site(made().configuration)
    remedy = re.search(r"remedy: +(.*)", str(refused.value))
    assert remedy is not None
    subprocess.run(["bash", "-c", remedy[1]], check=True)
    require_own_site(made().configuration)
    assert made().configuration.sites["a100-80g"].partition == "gpu-a100"
