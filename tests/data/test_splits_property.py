"""Contracts of every split over random rigs, held against brute force over sample intervals."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from workflow_src.configuration.rotations import rotations
from workflow_src.configuration.schema import Dataset
from workflow_src.data.draws import COLUMN_OF as ALL
from workflow_src.data.split_files import SplitTable
from workflow_src.data.splits import make_split
from workflow_src.errors import BadData, UserError

from ..examples import examples

# Those of one rig; a union's column `rig` is seen in test_union.py.
COLUMN_OF = {strategy: column for strategy, column in ALL.items() if strategy != "rig"}
PROFILE = examples(
    60, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
PARTS = ("train", "val", "test")


# ------------------------------------------------------------------------- random rigs


@st.composite
def rigs(draw: st.DrawFn, shortest: int, few_shot: bool) -> pd.DataFrame:
    """Units of one class (or run to failure) in runs of one condition, each in a few pieces.

    For `few_shot`, enough of them that shots can be drawn more often than not.
    """
    least, classes = (4, ["normal", "inner"]) if few_shot else (1, ["normal", "inner", "outer", ""])
    rows = []
    timed = draw(st.booleans())
    for u in range(draw(st.integers(least, 6))):
        fault = draw(st.sampled_from(classes))
        for run in range(draw(st.integers(2 if few_shot else 1, 3))):
            condition = draw(st.sampled_from(["c0", "c1", "c2"]))
            for piece in range(draw(st.integers(1, 3))):
                rows.append(
                    {
                        "recording_id": f"u{u}_{run}_{piece}",
                        "unit_id": f"u{u}",
                        "run_id": f"u{u}_{run}",
                        "condition": condition,
                        "fault": fault,
                        "length": shortest + draw(st.integers(0, 60)),
                        "time_s": float(piece) if timed or not fault else np.nan,
                        "life_s": 9.0 if not fault else np.nan,
                        "onset_s": np.nan,
                        "rate_hz": 100.0,
                        "channels": 1,
                        "channel_kinds": "vibration",
                    }
                )
    return pd.DataFrame(draw(st.permutations(rows)))


@dataclass(frozen=True)
class Case:
    """A rig, the keys of a dataset of it, and which of its rotations is looked at."""

    table: pd.DataFrame
    dataset: Dataset
    which: int = 0

    @property
    def dense(self) -> Case:
        """The same with every span that fits: stride 1, no cap."""
        span = self.dataset.span.model_copy(update={"stride": 1, "per_recording": None})
        return replace(self, dataset=self.dataset.model_copy(update={"span": span}))

    @property
    def span(self) -> int:
        return self.dataset.span.window + self.dataset.span.horizon


@st.composite
def cases(draw: st.DrawFn, few_shot: bool = False) -> Case:
    window, horizon = draw(st.integers(2, 7)), draw(st.integers(1, 3))
    span = window + horizon
    extra = draw(st.sampled_from([0, 0, 1, 5]))
    by_group = draw(st.sampled_from(["unit", "condition", "run"]))
    strategy = draw(st.sampled_from([by_group, by_group, by_group if few_shot else "time_block"]))
    validation = draw(st.sampled_from(["unit", "condition", "run", "time_block", "none"]))
    split: dict[str, Any] = {
        "strategy": strategy,
        "validation": {"strategy": validation, "share": draw(st.sampled_from([0.1, 0.3, 0.6]))},
        "test_share": draw(st.sampled_from([0.1, 0.3, 0.6])),
        "seed": draw(st.integers(0, 3)),
        "gap": extra,
    }
    if strategy != "time_block" and draw(st.booleans()):
        split["rotation"] = {"folds": draw(st.integers(2, 4))}
    if strategy != "time_block" and (few_shot or draw(st.booleans())):
        split["shots"] = {"per_class": draw(st.integers(1, 2)), "draws": 2}
        if draw(st.booleans()):
            split["shots"] |= {"of": "blocks", "spans": draw(st.integers(1, 3))}
    elif strategy != "time_block" and draw(st.booleans()):
        split["train_units"] = [draw(st.integers(1, 2)), "all"]
    keys = {
        "rig": "any",
        "span": {
            "window": window,
            "horizon": horizon,
            "stride": draw(st.none() | st.integers(1, 2 * span)),
            "per_recording": draw(st.sampled_from([None, None, 1, 4])),
        },
        "split": split,
        "select": draw(st.sampled_from([{}, {}, {"fault": ["normal", "inner"]}])),
    }
    # Room for three blocks with a gap between two of them and at a seam.
    shortest = draw(st.sampled_from([span, 6 * (span + extra) + 1]))
    return Case(
        draw(rigs(shortest, few_shot)), Dataset.model_validate(keys), draw(st.integers(0, 7))
    )


def made(case: Case) -> SplitTable | None:
    """The split of one rotation or draw; None where it is refused, which is counted."""
    all_of_them = rotations("any", case.dataset)
    name = sorted(all_of_them)[case.which % len(all_of_them)]
    try:
        split = _split(case.table, all_of_them[name], name)
    except (UserError, BadData) as refusal:
        event(f"refused: {str(refusal).splitlines()[0][:50]}")
        return None
    event("made")
    return split


def _split(table: pd.DataFrame, dataset: Dataset, name: str) -> SplitTable:
    try:
        return make_split(table, dataset, name)
    except UserError as refusal:  # drawn, the strategies decide whether anything is cut
        if "The key `gap` has no effect" not in str(refusal):
            raise
    whole = dataset.split.model_copy(update={"gap": 0})
    return make_split(table, dataset.model_copy(update={"split": whole}), name)


# ------------------------------------------------------------------------- brute force


def places(table: pd.DataFrame) -> dict[str, int]:
    """Where each recording begins in its run; the pieces of `rigs` are numbered upwards."""
    begins, ends = {}, defaultdict(int)
    for row in table.sort_values("recording_id").itertuples():
        begins[row.recording_id] = ends[row.run_id]
        ends[row.run_id] += row.length
    return begins


def nearest_of_two_parts(rows: pd.DataFrame, table: pd.DataFrame, span: int) -> float:
    """Samples between the nearest spans of different parts in one run, by all their samples."""
    begins = places(table)
    owners: dict[str, dict[int, str]] = defaultdict(dict)
    for row in rows.itertuples():
        for sample in range(row.start, row.start + span):
            at = begins[row.recording_id] + sample
            if owners[row.run_id].setdefault(at, row.part) != row.part:
                return -1
    distance = np.inf
    for samples in owners.values():
        ordered = sorted(samples.items())
        for (before, one), (after, other) in pairwise(ordered):
            if one != other:
                distance = min(distance, after - before - 1)
    return distance


def require_complete(case: Case, split: SplitTable) -> None:
    """Every start at which a span fits is used, or another part or a seam is too near.

    A start is left out for one of three reasons: spans of two parts lie within the gap of it;
    it reaches into the gap at the end of a recording that is cut and that another of its run
    follows; or it lies in the gap around a block of shots.
    """
    rows, span, gap = split.rows, case.span, split.summary.gap
    lengths = dict(zip(case.table["recording_id"], case.table["length"], strict=True))
    shots = split.summary.shots is not None and split.summary.shots.of == "blocks"
    for run, in_run in rows.groupby("run_id"):
        alone = in_run["recording_id"].nunique() == 1
        for name, own in in_run.groupby("recording_id"):
            starts = dict(zip(own["start"], own["part"], strict=True))
            cut = len(set(starts.values())) > 1
            for start in set(range(lengths[name] - span + 1)) - set(starts):
                near = {p for s, p in starts.items() if abs(s - start) < span + gap}
                at_seam = cut and not alone and start + span > lengths[name] - gap
                assert len(near) > 1 or at_seam or (shots and "train" in near), (run, name, start)


# ------------------------------------------------------------------------- contracts


@PROFILE
@given(case=cases())
def test_no_split_leaks_and_none_loses_a_recording_in_silence(case: Case) -> None:
    split = made(case)
    if split is None:
        return
    rows, summary, table = split.rows, split.summary, case.table
    assert nearest_of_two_parts(rows, table, case.span) >= summary.gap
    if (rows.groupby("run_id")["part"].nunique() > 1).any():  # a run that is cut
        assert summary.gap >= case.span
    assert rows["recording_id"].nunique() + sum(summary.excluded.values()) == len(table)
    assert rows["recording_id"].isin(table["recording_id"]).all()
    lengths = rows["recording_id"].map(table.set_index("recording_id")["length"])
    assert ((rows["start"] >= 0) & (rows["start"] + case.span <= lengths)).all()
    assert not rows.duplicated(["recording_id", "start"]).any()
    is_test = rows["part"] == "test"
    shared = [c for c in COLUMN_OF.values() if set(rows[c][is_test]) & set(rows[c][~is_test])]
    strongest = next((s for s, column in COLUMN_OF.items() if column not in shared), "time_block")
    assert summary.strength == strongest
    most = case.dataset.span.per_recording
    assert most is None or rows.groupby(["recording_id", "part"]).size().max() <= most


@PROFILE
@given(case=cases())
def test_every_span_that_fits_is_there(case: Case) -> None:
    split = made(case.dense)
    if split is not None:
        require_complete(case.dense, split)


@PROFILE
@given(case=cases())
def test_a_stride_and_a_cap_take_some_of_what_fits(case: Case) -> None:
    shots = case.dataset.split.shots
    if shots is not None and shots.spans > 1:
        return  # the length of such blocks is counted in strides
    few, dense = made(case), made(case.dense)
    assert (few is None) == (dense is None)
    if few is not None and dense is not None:
        # Not their parts: a share is one of spans, so other units may be drawn for few of them.
        key = ["recording_id", "start"]
        some, every = (set(s.rows[key].itertuples(index=False, name=None)) for s in (few, dense))
        assert some <= every


@settings(PROFILE, max_examples=examples(30).max_examples)
@given(case=cases(), folds=st.integers(2, 5), strategy=st.sampled_from(list(COLUMN_OF)))
def test_a_rotation_tests_each_group_once(case: Case, folds: int, strategy: str) -> None:
    column = COLUMN_OF[strategy]
    groups = sorted(set(case.table[column]))
    split = {"strategy": strategy, "rotation": {"folds": folds}, "validation": {"strategy": "none"}}
    keys = {"rig": "any", "span": {"window": 2, "horizon": 1, "per_recording": 1}, "split": split}
    dataset = Dataset.model_validate(keys)
    if folds > len(groups):
        with pytest.raises(UserError, match="fewer groups than folds"):
            make_split(case.table, rotations("any", dataset)["any.fold0"], "any")
        return
    tested: list[str] = []
    bearers = case.table.groupby("fault")[column].agg(set)
    for name, fold in rotations("any", dataset).items():
        made_of_it = make_split(case.table, fold, name)
        held = set(made_of_it.rows[column][made_of_it.rows["part"] == "test"])
        tested += held
        told = " ".join(made_of_it.summary.reasons)
        for fault in set(bearers.index) - {""}:
            assert (bearers[fault] <= held) == (f"training lacks {fault}," in told)
    assert sorted(tested) == groups


@pytest.mark.slow
@PROFILE
@given(case=cases(few_shot=True))
def test_shots_are_of_the_test_classes_and_absent_from_test(case: Case) -> None:
    shots, few = case.dataset.split.shots, made(case)
    if shots is None or few is None:
        return
    plain = case.dataset.split.model_copy(update={"shots": None})
    plain_case = replace(case, dataset=case.dataset.model_copy(update={"split": plain}))
    # Draws vary fastest: the rotation is that of the plain dataset.
    folds = len(rotations("any", plain_case.dataset))
    without = made(replace(plain_case, which=case.which % (folds * shots.draws) // shots.draws))
    assert without is not None
    held = set(without.rows["recording_id"][without.rows["part"] == "test"])
    tested = set(few.rows["recording_id"][few.rows["part"] == "test"])
    trained = set(few.rows["recording_id"][few.rows["part"] == "train"])
    drawn = {k: {n.split(" ")[0] for n in v} for k, v in few.summary.shots.drawn.items()}
    fault = dict(zip(case.table["recording_id"], case.table["fault"], strict=True))
    assert tested <= held
    assert set(drawn) == {fault[n] for n in held} - {""} == {fault[n] for n in tested} - {""}
    assert held & trained == set().union(*drawn.values())
    assert all(fault[n] == label for label, names in drawn.items() for n in names)
    assert all(len(v) == shots.per_class for v in few.summary.shots.drawn.values())
    if shots.of == "recordings":
        run = dict(zip(case.table["recording_id"], case.table["run_id"], strict=True))
        assert not {run[n] for n in held & trained} & {run[n] for n in tested}
