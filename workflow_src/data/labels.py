"""What the columns of recordings say: selection, channels, draws by class, supported tasks."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workflow_src.configuration.keys import Dataset, Selector, TaskSet
from workflow_src.configuration.messages import as_yaml
from workflow_src.data.recordings import NORMAL
from workflow_src.errors import BadData, UserError

PARTS = ("train", "val", "test")
TASKS = tuple(TaskSet.model_fields)
STRENGTHS = ("unit", "condition", "run", "time_block")  # strongest first
COLUMN_OF = {"unit": "unit_id", "condition": "condition", "run": "run_id"}
RUN_TO_FAILURE = "run to failure"


# ------------------------------------------------------------------------------- selection


def select(table: pd.DataFrame, selector: Selector, where: str) -> NDArray[np.bool_]:
    """Which rows of `table` bear, in each column of `selector`, one of its values: (n,) bool.

    1200, "1200" and 1200.0 are one value. Raises ``UserError`` for a column or a value that the
    table does not have and where no row is left; `where` names the key.
    """
    chosen = np.ones(len(table), dtype=np.bool_)
    for column, values in selector.items():
        if column not in table.columns:
            raise _unknown_column(table, column, where)
        present = table[column].map(_canonical)
        wanted = {_canonical(value): value for value in values}
        for key, value in wanted.items():
            if key not in set(present):
                raise UserError(
                    f"No recording has {column} = {value!r}.",
                    where=where,
                    found=f"{column}: {_listed(table[column])}",
                    remedy=_nearest_value(table, column, key),
                )
        chosen &= present.isin(list(wanted)).to_numpy()
    if not chosen.any():
        raise UserError(
            "No recording is selected.",
            where=where,
            found=f"{dict(selector)}, of {len(table)} recordings",
            expected="values that at least one recording bears together",
        )
    return chosen


def _canonical(value: Any) -> str:
    """One text for all ways to write a number; other values as they are, missing ones as ''."""
    text = str(value).strip()
    if "_" in text:  # Python reads 1_2 as twelve; in a name it is a name
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    if math.isnan(number):
        return ""
    return repr(number) if math.isfinite(number) else text


def _unknown_column(table: pd.DataFrame, column: str, where: str) -> UserError:
    near = difflib.get_close_matches(column, list(table.columns), n=1, cutoff=0.5)
    return UserError(
        f"Recordings have no column `{column}`"
        + (f"; the nearest is `{near[0]}`." if near else "."),
        where=where,
        expected="one of " + ", ".join(table.columns),
        remedy=f"{near[0]}: {_listed(table[near[0]])}" if near else None,
    )


def _nearest_value(table: pd.DataFrame, column: str, key: str) -> str | None:
    near = difflib.get_close_matches(key, sorted(set(table[column].map(_canonical))), n=1)
    return as_yaml((column,), [near[0]]) if near else None


def _listed(values: Iterable[Any], most: int = 20) -> str:
    names = sorted({str(value) for value in values})
    return ", ".join(names[:most]) + (f", ... ({len(names)} in all)" if len(names) > most else "")


# ------------------------------------------------------------------------------- channels


def channel_indexes(kinds: str, wanted: Sequence[str]) -> list[int]:
    """Indexes of the channels of the `wanted` kinds; `kinds` is joined by ``|``, as in a store."""
    return [i for i, kind in enumerate(kinds.split("|")) if kind in wanted]


def common_channels(used: pd.DataFrame, wanted: Sequence[str], where: str) -> list[str]:
    """The kinds of the channels in use, in order; they must agree over all recordings."""
    first: tuple[str, list[str]] | None = None
    for kinds, group in used.groupby("channel_kinds", sort=False):
        names = str(kinds).split("|")
        chosen = [names[i] for i in channel_indexes(str(kinds), wanted)]
        recording = str(group["recording_id"].iloc[0])
        if not chosen:
            raise UserError(
                "A recording has no channel of the kinds in use.",
                where=f"{where}, recording {recording!r} ({len(group)} like it)",
                found=f"channels {kinds}",
                expected=f"channel_kinds: {list(wanted)}",
                remedy=as_yaml(("channel_kinds",), sorted(set(names))),
            )
        first = first or (recording, chosen)
        if chosen != first[1]:
            raise BadData(
                "Recordings differ in their channels.",
                where=f"{where}, recordings {first[0]!r} and {recording!r}",
                found=f"{len(first[1])} channels {first[1]}, {len(chosen)} channels {chosen}",
                remedy="name the channels that all have under `channels:` of the rig, or leave "
                "recordings out by `select:` of the dataset",
            )
    assert first is not None
    return first[1]


# ------------------------------------------------------------------------------- draws


def groups_of(table: pd.DataFrame, column: str) -> dict[str, frozenset[str]]:
    """The labels that each group (unit, condition, run) bears: its classes, and whether it fails.

    A group without any label has the empty set.
    """
    groups: dict[str, set[str]] = {}
    columns = (table[column], table["fault"], table["life_s"].notna())
    for group, fault, fails in zip(*columns, strict=True):
        labels = groups.setdefault(str(group), set())
        labels |= ({fault} if fault else set()) | ({RUN_TO_FAILURE} if fails else set())
    return {group: frozenset(labels) for group, labels in groups.items()}


def obstacle(groups: Mapping[str, frozenset[str]], column: str) -> str | None:
    """Why no draw can leave each label on both sides, or None."""
    noun = column.removesuffix("_id")
    if len(groups) < 2:
        return f"there is only one {noun}"
    counts = Counter(label for labels in groups.values() for label in labels)
    alone = sorted(label for label, count in counts.items() if count < 2)
    return f"only one {noun} bears {', '.join(alone)}" if alone else None


def draw(groups: Mapping[str, frozenset[str]], share: float, rng: np.random.Generator) -> set[str]:
    """About `share` of the groups, so that each label stands on both sides.

    Greedy: the next group is one that bears the label least drawn so far, among those that leave
    each of their labels behind at least once. The set is empty where that leads nowhere.
    """
    strata: dict[frozenset[str], list[str]] = {}
    names = sorted(groups)
    for i in rng.permutation(len(names)):
        strata.setdefault(groups[names[i]], []).append(names[i])
    totals = Counter(label for labels in groups.values() for label in labels)
    drawn: Counter[str] = Counter()
    taken: set[str] = set()
    goal = min(max(round(share * len(groups)), 1), len(groups) - 1)

    def urgency(labels: frozenset[str]) -> tuple[float, list[str]]:
        shares = [drawn[label] / totals[label] for label in labels]
        return min(shares, default=len(taken) / len(groups)), sorted(labels)

    while len(taken) < goal or any(not drawn[label] for label in totals):
        free = [
            labels
            for labels, members in strata.items()
            if members and all(drawn[label] + 2 <= totals[label] for label in labels)
        ]
        if not free or len(taken) + 1 == len(groups):
            break
        labels = min(free, key=urgency)
        taken.add(strata[labels].pop())
        drawn.update(labels)
    return taken if all(drawn[label] for label in totals) else set()


def draw_strongest(
    table: pd.DataFrame, strategy: str, share: float, seed: tuple[int, int]
) -> tuple[str, set[str], list[str]]:
    """The first strategy, from `strategy` downwards, whose draw leaves each label on both sides.

    Returns it, the recordings drawn (none for ``time_block``), and why others were passed over.
    """
    passed: list[str] = []
    for candidate in STRENGTHS[STRENGTHS.index(strategy) : -1]:
        column = COLUMN_OF[candidate]
        groups = groups_of(table, column)
        reason = obstacle(groups, column)
        if reason is None:
            taken = draw(groups, share, np.random.default_rng(seed))
            chosen = table[table[column].isin(list(taken))]
            rest = table[~table[column].isin(list(taken))]
            torn = set(chosen["run_id"]) & set(rest["run_id"])
            if taken and not torn:
                return candidate, set(chosen["recording_id"]), passed
            reason = (
                f"run {min(torn)} would be torn apart"
                if torn
                else "no draw leaves each class on both sides"
            )
        passed.append(f"not by {candidate}: {reason}")
    return "time_block", set(), passed


# ------------------------------------------------------------------------------- facts


def label_facts(rows: pd.DataFrame, table: pd.DataFrame) -> dict[str, Any]:
    """Classes, counts and lives of the parts of a split, as plain JSON.

    ``classes`` are those of the training part, normal first, then by name; ``lives`` are seconds
    by run. `rows` is a row a span, `table` a row a recording.
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
    return {
        "spans": {part: int((spans["part"] == part).sum()) for part in PARTS},
        "recordings": {
            part: int(spans["recording_id"][spans["part"] == part].nunique()) for part in PARTS
        },
        "classes": classes,
        "units_per_class": {
            fault: {part: int(units.get((fault, part), 0)) for part in PARTS}
            for fault in everywhere
        },
        "training_class_counts": {c: int((train["fault"] == c).sum()) for c in classes},
        "anomaly_counts": {
            part: {
                "positive": int((anomaly & (known["part"] == part)).sum()),
                "negative": int((~anomaly & (known["part"] == part)).sum()),
            }
            for part in PARTS
        },
        "training_lives_s": lives,
        "mean_training_life_s": float(np.mean(list(lives.values()))) if lives else None,
    }


def _labelled(rows: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    labels = table.set_index("recording_id")[["fault", "life_s"]]
    return rows.join(labels, on="recording_id")


def figures(used: pd.DataFrame, dataset: Dataset, blocks: bool) -> dict[str, Any]:
    """The rate, what a span means in time and in turns of the shaft, and warnings about them."""
    warnings: list[str] = []
    rates = sorted(set(used["rate_hz"].dropna()))
    rate = float(rates[0]) if len(rates) == 1 and used["rate_hz"].notna().all() else None
    if len(rates) > 1:
        listed = ", ".join(f"{r:g}" for r in rates)
        warnings.append(f"sampling rates are mixed ({listed} Hz) and may give the class away")
    turns = None
    if "speed_rpm" in used.columns:
        speeds = pd.to_numeric(used["speed_rpm"], errors="coerce")
        revolutions = dataset.span.window / used["rate_hz"] * speeds / 60
        turns = float(revolutions.min()) if revolutions.notna().any() else None
    if turns is not None and turns < 1:
        warnings.append(f"a window of {dataset.span.window} samples holds {turns:.2g} revolutions")
    if blocks and used["life_s"].notna().any():
        warnings.append("runs to failure are cut by time: each life is known from the train part")
    return {
        "rate_hz": rate,
        "window_ms": 1000 * dataset.span.window / rate if rate else None,
        "horizon_ms": 1000 * dataset.span.horizon / rate if rate else None,
        "revolutions_per_window": turns,
        "warnings": warnings,
    }


# ------------------------------------------------------------------------------- tasks


def support(
    rows: pd.DataFrame, table: pd.DataFrame, absent: Sequence[str]
) -> dict[str, tuple[str, str | None] | None]:
    """For each task None, or why its labels do not suffice and the YAML that would mend it."""
    spans = _labelled(rows, table)
    faults = {part: set(spans["fault"][spans["part"] == part]) - {""} for part in PARTS}
    lives = {part: spans["life_s"][spans["part"] == part].notna().any() for part in PARTS}
    lacks_life = [part for part in ("train", "test") if not lives[part]]
    return {
        "classification": _lacks_for_classification(faults, absent),
        "anomaly_detection": _lacks_for_anomaly(faults),
        "signal_prediction": None,
        "rul_prediction": (
            (f"no run to failure (life_s) in the {' and '.join(lacks_life)} part", None)
            if lacks_life
            else None
        ),
    }


def _lacks_for_classification(
    faults: Mapping[str, set[str]], absent: Sequence[str]
) -> tuple[str, str | None] | None:
    train = faults["train"]
    if len(train) < 2:
        found = _listed(train) or "none"
        return f"fewer than two classes in the train part: {found}", None
    for part in ("test", "val"):
        new = faults[part] - train
        if new:
            remedy = as_yaml(("select", "fault"), sorted(train))
            return f"class {_listed(new)} in the {part} part, but not in the train part", remedy
    missing = train - faults["test"] - set(absent)
    if missing:
        allowed = sorted(missing | set(absent))
        remedy = as_yaml(("split", "classes_absent_from_test"), allowed)
        return f"class {_listed(missing)} in the train part, but not in the test part", remedy
    return None if faults["test"] else ("no class in the test part", None)


def _lacks_for_anomaly(faults: Mapping[str, set[str]]) -> tuple[str, str | None] | None:
    for part in ("train", "test"):
        for name, there in ((NORMAL, {NORMAL} & faults[part]), ("fault", faults[part] - {NORMAL})):
            if not there:
                return f"no recording with the label {name} in the {part} part", None
    return None


def task_facts(
    rows: pd.DataFrame, used: pd.DataFrame, dataset: Dataset, where: str
) -> dict[str, Any]:
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
    return {
        "supported": {task: lack[0] if lack else None for task, lack in lacks.items()},
        "remedies": {task: lack[1] for task, lack in lacks.items() if lack and lack[1]},
    }


def require(
    facts: Mapping[str, Any], tasks: Sequence[str], policy: str
) -> tuple[list[str], dict[str, str]]:
    """The tasks that a split supports, and those dropped with the reason.

    `facts` are those of the split; `policy` is the dataset's ``unsupported_tasks``. Raises
    ``UserError`` with the YAML to add where the policy is ``error`` or no task is left.
    """
    reasons: Mapping[str, str | None] = facts["supported"]
    dropped = {task: reason for task in tasks if (reason := reasons[task]) is not None}
    kept = [task for task in tasks if task not in dropped]
    if not dropped or (kept and policy == "drop"):
        return kept, dropped
    remedies = [r for task in dropped if (r := facts["remedies"].get(task))]
    if kept:
        remedies.append("unsupported_tasks: drop   # a dash in the tables")
    task, reason = next(iter(dropped.items()))
    more = f" ({len(dropped) - 1} more tasks like it)" if len(dropped) > 1 else ""
    raise UserError(
        f"The task {task} has no support in the split of `{facts['dataset']}`.{more}",
        where=f"config/datasets/{facts['dataset'].partition('.fold')[0]}.yaml",
        found="\n".join(f"{task}: {reason}" for task, reason in dropped.items()),
        expected="labels of the task in the train and in the test part",
        remedy="\nor\n".join(remedies) or "another task set, or recordings with these labels",
    )
