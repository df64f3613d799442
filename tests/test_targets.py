"""What rules get from the targets, where Snakemake is not needed to see it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from snakemake.settings.types import DAGSettings

from workflow_src.artifacts.training_report import TrainingReport
from workflow_src.cells import results
from workflow_src.configuration import REVISIONS, load
from workflow_src.targets import Targets

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def targets() -> Targets:
    """Those of the default run."""
    run = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text(encoding="utf-8"))
    return Targets(load({**run, "hardware": "local"}, REPOSITORY / "config"), REPOSITORY)


@pytest.mark.parametrize("failing", ["false | cat", "false; true", "echo $NOT_SET"])
def test_a_rules_shell_ends_at_the_first_failure(targets: Targets, failing: str) -> None:
    prefix = targets.shell_prefix().replace("{{", "{").replace("}}", "}")
    for command, fails in ((f"{failing}", True), ("true | cat", False)):
        done = subprocess.run(["bash", "-c", prefix + command], capture_output=True, check=False)
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
