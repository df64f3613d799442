"""Which span of which recording trains, validates and tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from workflow_src.configuration.geometry import Geometry
from workflow_src.configuration.keys import Dataset, Selector
from workflow_src.configuration.messages import as_yaml
from workflow_src.data.draws import COLUMN_OF, STRENGTHS, draw_strongest
from workflow_src.data.guard import along_runs, guard, strength
from workflow_src.data.selection import common_channels, select
from workflow_src.data.split_files import SplitTable
from workflow_src.data.support import PARTS, figures, label_facts, task_facts
from workflow_src.errors import BadData, UserError

_TEST_DRAW, _VALIDATION_DRAW = 0, 1  # so that the two draws of one seed differ

_CUT_EACH = "recordings of one run are cut each by itself, with a gap between one and the next"


class _Plan(NamedTuple):
    """The part of each recording that is used, and what is cut inside recordings."""

    strategy: str
    parts: dict[str, str]
    passed: list[str]  # why stronger strategies were passed over


def make_split(
    table: pd.DataFrame,
    dataset: Dataset,
    name: str,
    folder: Path = Path(),
    geometry: Geometry | None = None,
) -> SplitTable:
    """Split the recordings of `table` (a row a recording) as `dataset` says.

    The parts do not depend on the order of the rows. `folder` is where the file of a ``fixed``
    split lies; `geometry` is the rig's, for the facts.

    Raises ``UserError`` or ``BadData`` where a key does not fit the recordings; which
    tasks the labels support is a fact, judged by ``support.require``.
    """
    where = f"dataset `{name}`"
    used = table[select(table, dataset.select, f"{where}, key `select`")]
    excluded = {"not in `select`": len(table) - len(used)}
    channel_kinds = common_channels(used, dataset.channel_kinds, where)
    plan = _plan_test(used, dataset, where, folder)
    excluded["in no part"] = len(used) - len(plan.parts)
    used = used[used["recording_id"].isin(list(plan.parts))]
    validation, parts = _plan_validation(used, dataset, plan.parts, where)
    span = dataset.span.window + dataset.span.horizon
    strategies = (plan.strategy, validation["strategy"])
    rows = _spans(used, dataset, parts, strategies, where)
    gap = span + dataset.split.gap if "time_block" in strategies else 0
    if dataset.split.gap and not gap:
        raise UserError(
            "The key `gap` has no effect: no recording is cut by time.",
            where=f"{where}, key `split.gap`",
            found=f"strategy {plan.strategy}, validation by {validation['strategy']}",
            remedy="remove the line `gap:`",
        )
    guard(rows, used, span, gap)
    _require_parts(rows, validation["strategy"], where)
    facts = {
        "dataset": name,
        "rig": dataset.rig,
        **_claim(rows, used, dataset.split.strategy, plan),
        "validation": validation,
        "excluded": {reason: count for reason, count in excluded.items() if count},
        "window": dataset.span.window,
        "horizon": dataset.span.horizon,
        "span": span,
        "gap": gap,
        "channels": len(channel_kinds),
        "channel_kinds": channel_kinds,
        **label_facts(rows, used),
        **task_facts(rows, used, dataset, where),
        **figures(used, dataset, "time_block" in strategies, geometry),
    }
    return SplitTable(rows, facts)


def _claim(
    rows: pd.DataFrame, used: pd.DataFrame, declared: str, plan: _Plan
) -> dict[str, str | list[str]]:
    """The declared and the proven strength, and why they differ."""
    proven, reasons = strength(rows, used), list(plan.passed)
    if plan.strategy in STRENGTHS and STRENGTHS.index(proven) > STRENGTHS.index(plan.strategy):
        column = COLUMN_OF[plan.strategy]
        is_test = rows["part"] == "test"
        shared = sorted(set(rows[column][is_test]) & set(rows[column][~is_test]))
        reasons.append(
            f"declared {declared}, proven {proven}: {len(shared)} values of {column} are on both "
            f"sides, among them {shared[0]}"
        )
    if plan.strategy == "time_block" and used["run_id"].duplicated().any():
        reasons.append(_CUT_EACH)
    return {"declared": declared, "strength": proven, "reasons": reasons}


# ------------------------------------------------------------------------------- parts


def _plan_test(used: pd.DataFrame, dataset: Dataset, where: str, folder: Path) -> _Plan:
    """Train or test for each recording; under ``time_block`` all train, and are cut later."""
    split = dataset.split
    _refuse_unused_keys(dataset, where)
    if split.strategy == "fixed":
        return _Plan("fixed", _fixed(used, folder / str(split.file), where), [])
    if split.test is not None:
        return _Plan(split.strategy, _selected(used, split.test, split.train, where), [])
    strategy, drawn, passed = draw_strongest(
        used, split.strategy, split.test_share, (split.seed, _TEST_DRAW)
    )
    parts = {name: "test" if name in drawn else "train" for name in used["recording_id"]}
    return _Plan(strategy, parts, passed)


def _refuse_unused_keys(dataset: Dataset, where: str) -> None:
    """A key that this strategy does not read is an error, not an ornament."""
    split = dataset.split
    if (split.strategy == "fixed") != (split.file is not None):
        raise UserError(
            "`file` and strategy `fixed` need each other.",
            where=f"{where}, key `split`",
            found=f"strategy: {split.strategy}, file: {split.file}",
            remedy=as_yaml(("split",), {"strategy": "fixed", "file": split.file or "my.csv"}),
        )
    if split.strategy in ("fixed", "time_block") and (split.test or split.train):
        raise UserError(
            f"Strategy {split.strategy} reads neither `test` nor `train`.",
            where=f"{where}, key `split`",
            remedy="remove `test:` and `train:`, or use strategy unit, condition or run",
        )
    if split.train is not None and split.test is None:
        keys = {"test": {"unit_id": ["..."]}, "train": dict(split.train)}
        raise UserError(
            "`train` is given, but not `test`.", where=where, remedy=as_yaml(("split",), keys)
        )


def _selected(
    used: pd.DataFrame, test: Selector, train: Selector | None, where: str
) -> dict[str, str]:
    is_test = select(used, test, f"{where}, key `split.test`")
    is_train = ~is_test if train is None else select(used, train, f"{where}, key `split.train`")
    names = used["recording_id"].to_numpy()
    if (is_test & is_train).any():
        raise UserError(
            f"{int((is_test & is_train).sum())} recordings are in `test` and in `train`.",
            where=f"{where}, key `split`",
            found=f"first: {names[is_test & is_train][0]!r}",
            expected="selectors that no recording satisfies both",
        )
    parts = dict.fromkeys(names[is_train], "train")
    return {**parts, **dict.fromkeys(names[is_test], "test")}


def _fixed(used: pd.DataFrame, path: Path, where: str) -> dict[str, str]:
    """The parts in the CSV at `path`; a recording that it does not name is excluded."""
    where = f"{where}, file {path}"
    try:
        listed = pd.read_csv(path, dtype=str, keep_default_na=False)
        parts = dict(zip(listed["recording_id"], listed["part"], strict=True))
    except (OSError, KeyError, ValueError) as error:
        raise UserError(
            "The file of a fixed split cannot be read.",
            where=where,
            found=f"{type(error).__name__}: {error}",
            expected="a CSV with the columns recording_id and part",
        ) from error
    names = set(used["recording_id"])
    wrong = [f"part {part!r} of {name!r}" for name, part in parts.items() if part not in PARTS]
    wrong += [f"{name!r}, which the dataset does not have" for name in parts if name not in names]
    wrong += [
        f"{name!r} twice" for name in listed["recording_id"][listed.duplicated("recording_id")]
    ]
    if wrong:
        raise UserError(
            "The file of a fixed split does not fit the dataset.",
            where=where,
            found="\n".join(wrong[:5] + [f"... {len(wrong) - 5} more"] * (len(wrong) > 5)),
            expected=f"each recording at most once, part one of {', '.join(PARTS)}",
        )
    return parts


def _plan_validation(
    used: pd.DataFrame, dataset: Dataset, parts: dict[str, str], where: str
) -> tuple[dict[str, str], dict[str, str]]:
    """What is held out of the training part: facts, and the part of each recording."""
    asked = dataset.split.validation
    train = used[used["recording_id"].map(parts) == "train"]
    if "val" in parts.values():
        return {"declared": "fixed", "strategy": "fixed", "reason": "the file names it"}, parts
    if asked.strategy == "none" or train.empty:
        if asked.select is not None:
            raise UserError(
                "validation: strategy none reads no `select`.",
                where=f"{where}, key `split.validation`",
                remedy=as_yaml(("split", "validation"), {"strategy": "run"}),
            )
        return {"declared": "none", "strategy": "none", "reason": "as declared"}, parts
    if asked.select is not None:
        chosen = select(train, asked.select, f"{where}, key `split.validation.select`")
        held = set(train["recording_id"][chosen])
        facts = {"declared": asked.strategy, "strategy": "select", "reason": "as declared"}
    else:
        strategy, held, passed = draw_strongest(
            train, asked.strategy, asked.share, (dataset.split.seed, _VALIDATION_DRAW)
        )
        if strategy == "time_block" and train["run_id"].duplicated().any():
            passed.append(_CUT_EACH)
        reason = "; ".join(passed) or "as declared"
        facts = {"declared": asked.strategy, "strategy": strategy, "reason": reason}
    return facts, {name: "val" if name in held else part for name, part in parts.items()}


# ------------------------------------------------------------------------------- spans


def _spans(
    used: pd.DataFrame,
    dataset: Dataset,
    parts: Mapping[str, str],
    strategies: tuple[str, str],
    where: str,
) -> pd.DataFrame:
    """A row a span, by recording and start; `strategies` are those of test and validation."""
    span = dataset.span.window + dataset.span.horizon
    stride = dataset.span.stride or span
    most = dataset.span.per_recording
    last = along_runs(used)["last"]
    starts, names, recordings = [], [], []
    for i, (recording, length) in enumerate(zip(used["recording_id"], used["length"], strict=True)):
        cuts = _cuts(parts[recording], dataset, strategies)
        blocks = _blocks(recording, length, parts[recording], cuts, last[recording], dataset, where)
        for begin, end, part in blocks:
            first = np.arange(begin, end - span + 1, stride)
            if most is not None and len(first) > most:
                first = first[np.linspace(0, len(first) - 1, most).round().astype(np.int64)]
            starts.append(first)
            names += [part] * len(first)
            recordings += [i] * len(first)
    rows = used[["recording_id", "unit_id", "run_id", "condition"]].iloc[recordings]
    rows = rows.assign(start=np.concatenate(starts), part=names).reset_index(drop=True)
    rows.insert(0, "span", np.arange(len(rows)))
    return rows


def _cuts(part: str, dataset: Dataset, strategies: tuple[str, str]) -> list[tuple[str, float]]:
    """The blocks to cut from the end of a recording of `part`, last first, and their shares."""
    split = dataset.split
    cuts = [("test", split.test_share)] if strategies[0] == "time_block" else []
    if strategies[1] == "time_block" and part == "train":
        cuts.append(("val", split.validation.share))
    return cuts


def _blocks(
    recording: str,
    length: int,
    part: str,
    cuts: list[tuple[str, float]],
    last: bool,
    dataset: Dataset,
    where: str,
) -> list[tuple[int, int, str]]:
    """Begin, end and part of a recording's blocks: `part`, then, where time is cut, val and test.

    Between two lie span + `gap` samples, and as many after the last one unless the recording is
    the `last` of its run: the next may go on where it ends. Each block holds at least one span.
    """
    span = dataset.span.window + dataset.span.horizon
    gap = span + dataset.split.gap
    left_out = gap if cuts and not last else 0
    least = span + len(cuts) * (span + gap)
    if length < least + left_out:
        names = [cut for cut, _ in cuts]
        raise _too_short(recording, length, least, left_out, dataset, names, where)
    blocks, end = [], length - left_out
    for cut, share in cuts:
        least -= span + gap  # what the blocks before this one need
        size = min(max(round(share * (end - gap)), span), end - gap - least)
        blocks.append((end - size, end, cut))
        end -= size + gap
    return [(0, end, part), *reversed(blocks)]


def _too_short(
    recording: str,
    length: int,
    least: int,
    left_out: int,
    dataset: Dataset,
    cuts: list[str],
    where: str,
) -> BadData:
    window, horizon = dataset.span.window, dataset.span.horizon
    if length < window + horizon:
        shorter = min(horizon, max(1, length // 8))
        remedy = as_yaml(("span",), {"window": max(length - shorter, 2), "horizon": shorter})
        what, needed = "is shorter than a span", f"window {window} + horizon {horizon}"
        least, left_out = window + horizon, 0
    else:
        whole = {"validation": {"strategy": "run"}} if "val" in cuts else {}
        keys = {"strategy": "run"} | whole if "test" in cuts else whole
        remedy = as_yaml(("split",), keys) + "\nor a shorter window under `span:`"
        what, gap = "is too short to be cut into time blocks", window + horizon + dataset.split.gap
        needed = f"a span in train, {' and '.join(cuts)}, and {gap} samples between two blocks"
        needed += " and before the next recording of the run" if left_out else ""
    return BadData(
        f"A recording {what}.",
        where=f"{where}, recording {recording!r}",
        found=f"{length} samples",
        expected=f"at least {least + left_out}: {needed}",
        remedy=remedy + "\nor leave it out by `select:`",
    )


def _require_parts(rows: pd.DataFrame, validation: str, where: str) -> None:
    for part in PARTS:
        if (rows["part"] == part).any() or (part == "val" and validation == "none"):
            continue
        raise UserError(
            f"The {part} part has no span.",
            where=f"{where}, key `split`",
            found=f"spans by part: {rows['part'].value_counts().to_dict()}",
            remedy="select recordings for it, or none for validation:\n"
            + as_yaml(("split", "validation"), {"strategy": "none"}),
        )
