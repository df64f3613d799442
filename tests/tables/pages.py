"""The tables of a shipped study with made-up scores: its own labels, notes, rotations and rows.

Widths of a page are decided by labels and by how many digits there are, not by the digits.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.split_summaries import split_summary
from workflow_src.cells import rotation_of
from workflow_src.configuration import load
from workflow_src.configuration.tasks import TASK_OPTIONS
from workflow_src.tables.plan import TablePlan
from workflow_src.tasks.registry import label_of, task_of

CONFIG = Path(__file__).parents[2] / "config"
CLASSES = {"normal": 1, "inner": 2, "outer": 2, "ball": 1}
# pdflatex knows both; the second has two columns on a page.
CLASS_OPTIONS = ("", "twocolumn")


def plan_of(experiment: str, **changes: Any) -> TablePlan:
    """The plan of `config/experiments/<experiment>.yaml`, or of the default study for "default"."""
    names = ["config.yaml"]
    names += [f"experiments/{experiment}.yaml"] if experiment != "default" else []
    run: dict[str, Any] = {}
    for name in names:
        run |= yaml.safe_load((CONFIG / name).read_text(encoding="utf-8"))
    return TablePlan.from_configuration(load({**run, "hardware": "local", **changes}, CONFIG))


def fill(study: Any, plan: TablePlan) -> None:
    """Write what the workflow would: splits, and a score for every row, metric and cell."""
    rng = np.random.default_rng(1)
    study.name = plan.study
    for name in plan.datasets:
        base = rotation_of(name)[0]
        fails = "femto" in base or "life" in base
        supported: dict[str, str | None] = dict.fromkeys(TASK_OPTIONS)
        if fails:
            faults = [task for task in TASK_OPTIONS if label_of(task) in ("fault", "anomaly")]
            supported |= dict.fromkeys(faults, "no class is known")
        else:
            supported["rul_prediction"] = "no run to failure in train and test"
        units = {fault: {"train": n, "val": 1, "test": n} for fault, n in CLASSES.items()}
        study.dataset(name, split_summary(units_per_class=units, supported=supported))
    study.datasets = dict(plan.datasets)
    for cell in plan.cells:
        of_cell: dict[str, Any] = {}
        kind = plan.models[cell.model].kind
        for task in plan.task_sets[cell.task_set].tasks:
            spec = task_of(task)
            rows = [*spec.trivial, *spec.reference] if kind == "classic" else ["model"]
            of_cell[task] = {
                row: {metric.name: float(rng.normal(0.5, 0.3)) for metric in spec.metrics}
                for row in rows
            }
        study.score(cell, of_cell)


def compiled(inputs: list[Path], folder: Path, options: str) -> str:
    """The log of pdflatex over `inputs` in an article."""
    body = "\n\\clearpage\n".join(path.read_text(encoding="utf-8") for path in inputs)
    head = f"\\documentclass[{options}]{{article}}\\usepackage{{booktabs}}\\begin{{document}}\n"
    name = f"all{options}"
    (folder / f"{name}.tex").write_text(head + body + "\\end{document}\n", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout
