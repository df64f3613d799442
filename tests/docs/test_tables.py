"""The tables that docs/tables.md asks for are written, and fit the page."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.tables.pages import CLASS_OPTIONS, compiled, fill, plan_of
from workflow_src.tables.paper import write_tables

from ..tables.conftest import Study
from .page import REPOSITORY

_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_example_gives_the_tables_that_it_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (REPOSITORY / "docs" / "tables.md").read_text(encoding="utf-8")
    (block,) = _BLOCK.findall(page)
    plan = plan_of("default", **yaml.safe_load(block), seeds=[1, 2, 3])
    monkeypatch.chdir(tmp_path)
    fill(Study(), plan)
    written = write_tables(plan.to_json())
    text = (tmp_path / "simulated" / "tables" / "detectors.md").read_text(encoding="utf-8")
    assert "Faults of gearboxes and bearings (simulated rigs)" in text
    heads = (
        "gearbox<br>unit<br>AUROC",
        "gearbox<br>unit<br>recall",
        "gearbox<br>unit<br>false alarms",
    )
    assert " | ".join(heads) + " | bearing<br>unit<br>AUROC" in text
    rows = re.findall(r"^\| ([^|\s][^|]*) \|", text, re.MULTILINE)
    assert [row for row in rows if row != "———"] == [
        "FNO",
        "PatchTST",
        "always the majority",
        "RMS stump",
    ]
    for options in CLASS_OPTIONS:
        log = compiled([path for path in written if path.suffix == ".tex"], tmp_path, options)
        assert "Overfull \\hbox" not in log
