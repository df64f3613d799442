"""Which span of which recording trains, validates and tests."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from workflow_src.artifacts.split_summary import (
    SpanLayout,
    SplitClaim,
    SplitSummary,
    ValidationClaim,
)
from workflow_src.configuration.geometry import Geometry
from workflow_src.configuration.scalars import Yaml
from workflow_src.configuration.schema import Dataset, Selector
from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.data.disjointness import require_disjoint, strength
from workflow_src.data.draws import COLUMN_OF, STRENGTHS, TEST_DRAW, VALIDATION_DRAW, draw_strongest
from workflow_src.data.label_support import PARTS, figures, label_counts, task_support
from workflow_src.data.leaky_windows import LEAKY, draw_windows, leak
from workflow_src.data.provenance import require_gap, rigs_in_test
from workflow_src.data.rotations import held_out
from workflow_src.data.selection import common_channels, select
from workflow_src.data.shares import far_off, shares
from workflow_src.data.spans import place_spans
from workflow_src.data.split_files import SplitTable
from workflow_src.data.stacked import may_overlap, require_whole
from workflow_src.data.training_part import Changed, change_training
from workflow_src.data.truncation import truncate
from workflow_src.errors import UserError
from workflow_src.predictions import TruncatedRun

_CUT_EACH = "recordings of one run are cut each by itself, with a gap between one and the next"
_AS_DECLARED = "as declared"


class _SplitPlan(NamedTuple):
    """The part of each recording that is used, and what is cut inside recordings."""

    strategy: str
    parts: dict[str, str]
    passed: list[str]  # why stronger strategies were passed over


class _Parted(NamedTuple):
    """Spans in parts, the recordings that they are of, and what is said of both."""

    rows: pd.DataFrame
    used: pd.DataFrame
    claim: SplitClaim
    excluded: dict[str, int]  # recordings by reason
    gap: int  # samples left out at a border inside a recording


def make_split(
    table: pd.DataFrame,
    dataset: Dataset,
    name: str,
    folder: Path = Path(),
    geometry: Geometry | None = None,
) -> SplitTable:
    """Split the recordings of `table` (a row a recording) as `dataset` says.

    The parts do not depend on the order of the rows. `folder` is where the file of a ``fixed``
    split and the table of a ``truncation`` lie; `geometry` is the rig's, for the figures.

    Raises ``UserError`` or ``BadData`` where a key does not fit the recordings; which tasks the
    labels support is stated, and judged by ``label_support.require``.
    """
    where = f"dataset `{name}`"
    used = table[select(table, dataset.select, f"{where}, key `select`")]
    excluded = {"not in `select`": len(table) - len(used)}
    channel_kinds = common_channels(used, dataset.channel_kinds, where)
    parted = (_leaky if dataset.split.strategy == "naive_windows" else _apart)(
        used, dataset, where, folder
    )
    rows, used = parted.rows, parted.used
    validation = parted.claim.validation.strategy
    _require_parts(rows, validation, where)
    excluded |= parted.excluded
    held = shares(rows, dataset.split, drawn=validation not in ("fixed", "select"))
    known = figures(used, dataset, blocks=_in_blocks(rows), geometry=geometry)
    layout = SpanLayout(
        excluded={reason: count for reason, count in excluded.items() if count},
        window=dataset.span.window,
        horizon=dataset.span.horizon,
        span=dataset.span.window + dataset.span.horizon,
        gap=parted.gap,
        channels=len(channel_kinds),
        channel_kinds=tuple(channel_kinds),
        test_rigs=rigs_in_test(rows, used),
    )
    labels, tasks = label_counts(rows, used), task_support(rows, used, dataset, where)
    groups = (parted.claim, layout, labels, tasks, known)
    found = {key: value for group in groups for key, value in group}
    found["warnings"] = (*known.warnings, *far_off(held))
    return SplitTable(rows, SplitSummary(dataset=name, rig=dataset.rig, **found, shares=held))


def _in_blocks(rows: pd.DataFrame) -> bool:
    """Whether a recording has spans in several parts."""
    return bool(rows.groupby("recording_id")["part"].nunique().max() > 1)


def _apart(used: pd.DataFrame, dataset: Dataset, where: str, folder: Path) -> _Parted:
    """Parts that share no sample, with the proof; every strategy but ``naive_windows``."""
    split, span = dataset.split, dataset.span.window + dataset.span.horizon
    plan = _plan_test(used, dataset, where, folder)
    excluded = {"in no part": len(used) - len(plan.parts)}
    parts, reasons, truncation = plan.parts, list(plan.passed), None
    if split.truncation is not None:
        cut = truncate(used, parts, folder / split.truncation, where)
        parts, truncation = cut.parts, cut.runs
        excluded["of truncated runs, not the last snapshot before"] = cut.left_out
        reasons += cut.reasons
    used = used[used["recording_id"].isin(list(parts))]
    validation, parts = _plan_validation(used, dataset, parts, where)
    strategies = (plan.strategy, validation.strategy)
    in_blocks = "time_block" in strategies or (split.shots and split.shots.of == "blocks")
    gap = span + split.gap if in_blocks else 0
    require_whole(used, dataset, parts, strategies, where)
    if gap:
        require_gap(used, dataset, where)
    if split.gap and not gap:
        raise UserError(
            "The key `gap` has no effect: no recording is cut by time.",
            where=f"{where}, key `split.gap`",
            found=f"strategy {plan.strategy}, validation by {validation.strategy}",
            remedy="remove the line `gap:`",
        )
    changed = change_training(used, parts, plan.strategy, dataset, gap, where)
    parts, laid = changed.parts, changed.laid
    excluded |= changed.left_out
    used = used[used["recording_id"].isin(list(parts))]
    rows = place_spans(used, dataset, parts, laid, strategies, where)
    require_disjoint(rows, used, span, gap)
    plan = plan._replace(passed=[*reasons, *changed.reasons])
    claim = _claim(rows, used, dataset, plan, truncation, changed, validation)
    return _Parted(rows, used, claim, excluded, gap)


def _leaky(used: pd.DataFrame, dataset: Dataset, where: str, folder: Path) -> _Parted:
    """Windows at random; what the guard would refuse is counted instead of proven away."""
    del folder
    split, span = dataset.split, dataset.span.window + dataset.span.horizon
    _refuse_unused_keys(dataset, where)
    parts = dict.fromkeys(used["recording_id"], "train")
    rows = place_spans(used, dataset, parts, {}, ("none", "none"), where)
    rows = draw_windows(rows, split)
    found = leak(rows, span)
    least = "at least " if may_overlap(used).any() else ""  # samples of one recording are counted
    reason = (
        f"{LEAKY}: windows drawn at random; {least}{found.sharing_samples} of "
        f"{found.test_windows} "
        "test windows share samples with training"
    )
    claim = SplitClaim(
        declared=split.strategy,
        strength=LEAKY,
        reasons=(reason,),
        leaky=found,
        validation=_as_declared(split.validation.strategy),
    )
    return _Parted(rows, used, claim, {}, gap=0)


def _claim(
    rows: pd.DataFrame,
    used: pd.DataFrame,
    dataset: Dataset,
    plan: _SplitPlan,
    truncation: dict[str, TruncatedRun] | None,
    changed: Changed,
    validation: ValidationClaim,
) -> SplitClaim:
    """The declared and the proven strength, and why they differ."""
    declared, proven = dataset.split.strategy, strength(rows, used)
    reasons, by_design = list(plan.passed), dataset.split.shots is not None
    known = plan.strategy in STRENGTHS and not by_design
    if known and STRENGTHS.index(proven) > STRENGTHS.index(plan.strategy):
        reasons.append(f"declared {declared}, proven {proven}: {_shared(rows, used, plan)}")
    if plan.strategy == "time_block" and used["run_id"].duplicated().any():
        reasons.append(_CUT_EACH)
    return SplitClaim(
        declared=declared,
        strength=proven,
        reasons=tuple(reasons),
        truncation=truncation,
        shots=changed.shots,
        train_units=changed.train_units,
        validation=validation,
    )


def _shared(rows: pd.DataFrame, used: pd.DataFrame, plan: _SplitPlan) -> str:
    """What the test part shares with the others, of that which the strategy keeps apart."""
    column = COLUMN_OF[plan.strategy]
    if column not in used.columns:
        return "there is only one rig"
    is_test = rows["part"] == "test"
    values = rows["recording_id"].map(used.set_index("recording_id")[column])
    shared = sorted(set(values[is_test]) & set(values[~is_test]))
    return f"{len(shared)} values of {column} are on both sides, among them {shared[0]}"


# ------------------------------------------------------------------------------- parts


def _plan_test(used: pd.DataFrame, dataset: Dataset, where: str, folder: Path) -> _SplitPlan:
    """Train or test for each recording; under ``time_block`` all train, and are cut later."""
    split = dataset.split
    _refuse_unused_keys(dataset, where)
    if split.strategy == "fixed":
        return _SplitPlan("fixed", _fixed(used, folder / str(split.file), where), [])
    if split.rotation is not None:
        held, reasons = held_out(used, split, where)
        parts = {name: "test" if name in held else "train" for name in used["recording_id"]}
        return _SplitPlan(split.strategy, parts, reasons)
    if split.test is not None:
        return _SplitPlan(split.strategy, _selected(used, split.test, split.train, where), [])
    strategy, drawn, passed = draw_strongest(
        used, dataset.span, split.strategy, split.test_share, (split.seed, TEST_DRAW)
    )
    parts = {name: "test" if name in drawn else "train" for name in used["recording_id"]}
    return _SplitPlan(strategy, parts, passed)


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
            remedy="remove `test:` and `train:`, or use strategy rig, unit, condition or run",
        )
    if split.train is not None and split.test is None:
        keys: Yaml = {"test": {"unit_id": ["..."]}, "train": split.train}
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
) -> tuple[ValidationClaim, dict[str, str]]:
    """How the validation part is held out of training, and the part of each recording."""
    asked = dataset.split.validation
    train = used[used["recording_id"].map(parts) == "train"]
    if "val" in parts.values():
        named = "the file names it"
        return ValidationClaim(declared="fixed", strategy="fixed", reason=named), parts
    if asked.strategy == "none" or train.empty:
        if asked.select is not None:
            raise UserError(
                "validation: strategy none reads no `select`.",
                where=f"{where}, key `split.validation`",
                remedy=as_yaml(("split", "validation"), {"strategy": "run"}),
            )
        return _as_declared("none"), parts
    if asked.select is not None:
        chosen = select(train, asked.select, f"{where}, key `split.validation.select`")
        held = set(train["recording_id"][chosen])
        strategy, reason = "select", _AS_DECLARED
    else:
        strategy, held, passed = draw_strongest(
            train, dataset.span, asked.strategy, asked.share, (dataset.split.seed, VALIDATION_DRAW)
        )
        if strategy == "time_block" and train["run_id"].duplicated().any():
            passed.append(_CUT_EACH)
        reason = "; ".join(passed) or _AS_DECLARED
    claim = ValidationClaim(declared=asked.strategy, strategy=strategy, reason=reason)
    return claim, {name: "val" if name in held else part for name, part in parts.items()}


def _as_declared(strategy: str) -> ValidationClaim:
    return ValidationClaim(declared=strategy, strategy=strategy, reason=_AS_DECLARED)


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
