"""What the labels of a split's parts are, and which tasks they support."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from workflow_src.artifacts.split_summary import (
    AnomalyCounts,
    ByPart,
    LabelCounts,
    SpanFigures,
    SplitSummary,
    TaskSupport,
)
from workflow_src.configuration.geometry import Geometry
from workflow_src.configuration.schema import Dataset
from workflow_src.configuration.task_options import Label
from workflow_src.configuration.tasks import TASK_OPTIONS
from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.data.provenance import rate_tells_class
from workflow_src.data.recordings import NORMAL
from workflow_src.data.selection import listed
from workflow_src.errors import UserError
from workflow_src.features.fault_orders import REPEATING, fault_periods, shaft_hz

PARTS = ("train", "val", "test")


def label_counts(rows: pd.DataFrame, table: pd.DataFrame) -> LabelCounts:
    """Classes, counts and lives of the parts of a split.

    `rows` is a row a span, `table` a row a recording.
    """
    spans = _labelled(rows, table)
    train = spans[spans["part"] == "train"]
    known = spans[spans["fault"] != ""]
    classes = sorted(set(train["fault"]) - {""}, key=lambda fault: (fault != NORMAL, fault))
    everywhere = sorted(set(known["fault"]), key=lambda fault: (fault != NORMAL, fault))
    units = known.groupby(["fault", "part"])["unit_id"].nunique()
    lives = {
        str(run): float(life) for run, life in train.groupby("run_id")["life_s"].first().items()
    }
    lives = {run: life for run, life in lives.items() if not math.isnan(life)}
    anomaly = known["fault"] != NORMAL
    failing = spans[spans["life_s"].notna()]

    def units_of(fault: str, part: str) -> int:
        return int(units.get((fault, part), 0))

    return LabelCounts(
        spans=ByPart.of(lambda part: int((spans["part"] == part).sum())),
        recordings=ByPart.of(
            lambda part: int(spans["recording_id"][spans["part"] == part].nunique())
        ),
        classes=tuple(classes),
        units_per_class={fault: ByPart.of(partial(units_of, fault)) for fault in everywhere},
        training_class_counts={c: int((train["fault"] == c).sum()) for c in classes},
        anomaly_counts=ByPart.of(
            lambda part: AnomalyCounts(
                positive=int((anomaly & (known["part"] == part)).sum()),
                negative=int((~anomaly & (known["part"] == part)).sum()),
            )
        ),
        runs_to_failure=ByPart.of(
            lambda part: int(failing["run_id"][failing["part"] == part].nunique())
        ),
        training_lives_s=lives,
        mean_training_life_s=float(np.mean(list(lives.values()))) if lives else None,
    )


def _labelled(rows: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    labels = table.set_index("recording_id")[["fault", "life_s"]]
    return rows.join(labels, on="recording_id")


def figures(
    used: pd.DataFrame, dataset: Dataset, blocks: bool, geometry: Geometry | None = None
) -> SpanFigures:
    """The rate, what a span means in time, turns and fault periods, and warnings about them."""
    warnings: list[str] = []
    rates = sorted(set(used["rate_hz"].dropna()))
    rate = float(rates[0]) if len(rates) == 1 and used["rate_hz"].notna().all() else None
    if len(rates) > 1:
        listed = ", ".join(f"{r:g}" for r in rates)
        warnings.append(f"sampling rates are mixed ({listed} Hz) and may give the class away")
    warnings += rate_tells_class(used)
    turns = None
    if "speed_rpm" in used.columns:
        revolutions = dataset.span.window / used["rate_hz"] * shaft_hz(used)
        turns = float(revolutions.min()) if revolutions.notna().any() else None
    if turns is not None and turns < 1:
        warnings.append(f"a window of {dataset.span.window} samples holds {turns:.2g} revolutions")
    periods = fault_periods(used, geometry, dataset.span.window)
    short = [f"{n:.2g} of {name}" for name, n in periods.items() if name in REPEATING and n < 1]
    if short:
        found = f"a window of {dataset.span.window} samples holds"
        warnings.append(f"{found} less than one fault period ({', '.join(short)})")
    if blocks and used["life_s"].notna().any():
        warnings.append("runs to failure are cut by time: each life is known from the train part")
    return SpanFigures(
        rate_hz=rate,
        window_ms=1000 * dataset.span.window / rate if rate else None,
        horizon_ms=1000 * dataset.span.horizon / rate if rate else None,
        revolutions_per_window=turns,
        fault_periods_per_window=periods,
        fault_periods_per_horizon=fault_periods(used, geometry, dataset.span.horizon),
        warnings=tuple(warnings),
    )


# ------------------------------------------------------------------------------- tasks


def support(
    rows: pd.DataFrame, table: pd.DataFrame, absent: Sequence[str]
) -> dict[str, tuple[str, str | None] | None]:
    """For each task None, or why its labels do not suffice and the YAML that would mend it."""
    spans = _labelled(rows, table)
    faults = {part: set(spans["fault"][spans["part"] == part]) - {""} for part in PARTS}
    lives = {part: spans["life_s"][spans["part"] == part].notna().any() for part in PARTS}
    lacks_life = [part for part in ("train", "test") if not lives[part]]
    lacks: dict[Label | None, tuple[str, str | None] | None] = {
        None: None,
        "fault": _lacks_for_classes(faults, absent),
        "anomaly": _lacks_for_anomaly(faults),
        "rul": (
            (f"no run to failure (life_s) in the {' and '.join(lacks_life)} part", None)
            if lacks_life
            else None
        ),
    }
    return {task: lacks[options.LABEL] for task, options in TASK_OPTIONS.items()}


def _lacks_for_classes(
    faults: Mapping[str, set[str]], absent: Sequence[str]
) -> tuple[str, str | None] | None:
    train = faults["train"]
    if len(train) < 2:
        found = listed(train) or "none"
        return f"fewer than two classes in the train part: {found}", None
    for part in ("test", "val"):
        new = faults[part] - train
        if new:
            remedy = as_yaml(("select", "fault"), sorted(train))
            return f"class {listed(new)} in the {part} part, but not in the train part", remedy
    missing = train - faults["test"] - set(absent)
    if missing:
        allowed = sorted(missing | set(absent))
        remedy = as_yaml(("split", "classes_absent_from_test"), allowed)
        return f"class {listed(missing)} in the train part, but not in the test part", remedy
    return None if faults["test"] else ("no class in the test part", None)


def _lacks_for_anomaly(faults: Mapping[str, set[str]]) -> tuple[str, str | None] | None:
    for part in ("train", "test"):
        for name, there in ((NORMAL, {NORMAL} & faults[part]), ("fault", faults[part] - {NORMAL})):
            if not there:
                found = listed(faults[part]) or "none"
                return f"no {name} recording in the {part} part (labels: {found})", None
    return None


def task_support(
    rows: pd.DataFrame, used: pd.DataFrame, dataset: Dataset, where: str
) -> TaskSupport:
    """Which tasks the split supports: reasons against, and the YAML that would mend them."""
    absent, faults = dataset.split.classes_absent_from_test, sorted(set(used["fault"]) - {""})
    for name in absent:
        if name not in faults:
            raise UserError(
                f"There is no class {name!r}.",
                where=f"{where}, key `split.classes_absent_from_test`",
                expected="one of " + ", ".join(faults),
            )
    lacks = support(rows, used, absent)
    return TaskSupport(
        supported={task: lack[0] if lack else None for task, lack in lacks.items()},
        remedies={task: lack[1] for task, lack in lacks.items() if lack and lack[1]},
    )


def require(
    split: SplitSummary, tasks: Sequence[str], policy: str
) -> tuple[list[str], dict[str, str]]:
    """The tasks that a split supports, and those dropped with the reason.

    `policy` is the dataset's ``unsupported_tasks``: ``drop`` may leave no task. Raises
    ``UserError`` with the YAML to add where it is ``error``.
    """
    dropped = {task: reason for task in tasks if (reason := split.supported[task]) is not None}
    kept = [task for task in tasks if task not in dropped]
    if not dropped or policy == "drop":
        return kept, dropped
    remedies = [r for task in dropped if (r := split.remedies.get(task))]
    remedies.append("unsupported_tasks: drop   # a dash in the tables")
    task, reason = next(iter(dropped.items()))
    more = f" ({len(dropped) - 1} more tasks like it)" if len(dropped) > 1 else ""
    raise UserError(
        f"The task {task} has no support in the split of `{split.dataset}`.{more}",
        where=f"config/datasets/{split.dataset.partition('.fold')[0]}.yaml",
        found="\n".join(f"{task}: {reason}" for task, reason in dropped.items()),
        expected="labels of the task in the train and in the test part",
        remedy="\nor\n".join(remedies),
    )
