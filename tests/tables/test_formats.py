from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.tables.pages import compiled
from workflow_src.tables.paper import write_tables
from workflow_src.tables.plan import ModelEntry
from workflow_src.tables.show import show


@pytest.fixture
def awkward(study: Any) -> Any:
    """Labels and notes with everything that LaTeX and Markdown read as markup."""
    nasty = r"a_b & 50% #1 $x$ {y} ~z ^w <v> |u| \t *s* ±°µ"
    study.models["patchtst"] = ModelEntry(nasty, "network")
    study.dataset("bearing", label=nasty, note=nasty)
    study.dataset("other", label=nasty)
    for dataset in ("bearing", "other"):
        study.classify(dataset, "patchtst", (0.8, 0.85, 0.9))
        study.classify(dataset, "fno", (nasty,) * 3)
        study.classify(dataset, "trivial", (0.4, 0.4, 0.4), row="majority class")
    return study


def test_markdown(bearing: Any) -> None:
    write_tables(bearing.plan.to_json())
    text = Path("demo/tables/classification.md").read_text()
    assert "| | bearing<br>unit |" in text
    assert "| PatchTST | **0.850 ± 0.050** |" in text
    assert "| FNO | <u>0.700 ± 0.000</u> |" in text


def test_markdown_keeps_its_columns(awkward: Any) -> None:
    write_tables(awkward.plan.to_json())
    lines = Path("demo/tables/classification.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {4}


def test_latex(bearing: Any) -> None:
    write_tables(bearing.plan.to_json())
    text = Path("demo/tables/classification.tex").read_text()
    assert r"PatchTST & \textbf{0.850 $\pm$ 0.050} \\" in text
    assert r"FNO & \underline{0.700 $\pm$ 0.000} \\" in text
    assert text.count(r"\midrule") == 2


def test_latex_is_well_formed(awkward: Any) -> None:
    for path in write_tables(awkward.plan.to_json()):
        if path.suffix == ".tex":
            check_latex(path.read_text(encoding="utf-8"))


def check_latex(text: str) -> None:
    """Balanced braces, environments and mathematics, no bare special, equal columns."""
    plain = re.sub(r"\\[\\{}&%$#_]", lambda m: r"\\" if m[0] == r"\\" else "", text)
    depth = 0
    for char in plain:
        depth += {"{": 1, "}": -1}.get(char, 0)
        assert depth >= 0
    assert depth == 0
    opened: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", plain):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    assert plain.count("$") % 2 == 0
    outside = re.sub(r"\$[^$]*\$", "", plain)
    assert not re.search(r"[#%_<>|~±µ°]|(?<!\\)\^", outside)
    panels = re.findall(
        r"\\begin\{tabular\}\{@\{\}(l?r*)@\{\}\}(.*?)\\end\{tabular\}", plain, re.DOTALL
    )
    assert panels
    for columns, panel in panels:
        for line in panel.splitlines():
            if line.endswith(r"\\"):
                spans = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", line))
                assert line.count("&") + 1 + spans == len(columns)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(awkward: Any, tmp_path: Path) -> None:
    inputs = [p for p in write_tables(awkward.plan.to_json()) if p.suffix == ".tex"]
    compiled(inputs, tmp_path, "")


def test_csv_is_for_machines(awkward: Any) -> None:
    write_tables(awkward.plan.to_json())
    table = pd.read_csv("demo/tables/classification.csv")
    label = awkward.datasets["bearing"].label
    own = table[table["label"] == f"{label} (bearing)"].reset_index()
    assert own["datasets"].tolist() == ["bearing"] * 3
    assert own["group"].tolist() == ["model", "model", "trivial"]
    assert own["mean"].tolist() == pytest.approx([0.85, float("nan"), 0.4], nan_ok=True)
    assert own["sd"][0] == pytest.approx(0.05)
    assert own["mark"].tolist()[0] == "best"
    assert own["note"][1].startswith("undefined: ")


def test_the_stand_in_in_every_format(one_class: Any) -> None:
    write_tables(one_class.plan.to_json())
    folder = Path("demo/tables")
    assert "acc 0.030 ± 0.010<sup>a</sup> |" in (folder / "classification.md").read_text("utf-8")
    text = (folder / "classification.tex").read_text("utf-8")
    assert r"& acc 0.030 $\pm$ 0.010\textsuperscript{a} \\" in text
    check_latex(text)
    data = pd.read_csv(folder / "classification.csv").set_index(["label", "metric"])
    main, stand_in = data.loc[("ir028", "macro_f1")], data.loc[("ir028", "accuracy")]
    assert main["mean"].isna().all()
    assert main["n"].tolist() == [0, 0, 0]
    assert stand_in["mean"].tolist() == pytest.approx([0.03, 0.04, 0.91])
    assert stand_in["sd"].tolist() == pytest.approx([0.01] * 3)
    assert stand_in["n"].tolist() == [3, 3, 3]
    assert main["mark"].isna().all()
    assert ("bearing", "accuracy") not in data.index
    assert "acc 0.030 ± 0.010 a" in show(one_class.plan.to_json())
