"""The proof that the parts of a split are apart, and how strong the separation is."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workflow_src.data.labels import COLUMN_OF
from workflow_src.errors import UserError


def guard(rows: pd.DataFrame, table: pd.DataFrame, span_length: int, gap: int = 0) -> None:
    """Prove that the parts are apart, or raise ``UserError`` naming two spans that are not.

    Every span lies within its recording; two spans of different parts in one recording have at
    least `gap` samples between them; the recordings of one run lie in the same parts.
    """
    recordings = table.set_index("recording_id")
    ends = rows["start"] + span_length
    outside = (rows["start"] < 0) | (ends > rows["recording_id"].map(recordings["length"]))
    if outside.any():
        raise _not_apart("A span does not lie within its recording.", rows[outside].head(1))
    # Spans are equally long: if any two are too near, so are two that are neighbours by start.
    ordered = rows.sort_values(["recording_id", "start"], kind="stable")
    before, after = ordered.iloc[:-1], ordered.iloc[1:]
    distance = after["start"].to_numpy() - before["start"].to_numpy() - span_length
    same = after["recording_id"].to_numpy() == before["recording_id"].to_numpy()
    near = same & (after["part"].to_numpy() != before["part"].to_numpy()) & (distance < gap)
    if near.any():
        i = int(np.argmax(near))
        raise _not_apart(
            f"Two spans of different parts are {distance[i]} samples apart, {gap} are needed.",
            ordered.iloc[i : i + 2],
        )
    parts = rows.groupby("recording_id", sort=False)["part"].agg(frozenset)
    runs = recordings["run_id"].loc[parts.index]
    kinds = parts.groupby(runs).nunique()
    if (kinds > 1).any():
        run = kinds.index[kinds > 1][0]
        inside = parts[runs == run]
        other = inside.index[inside != inside.iloc[0]][0]
        pair = [inside.index[0], other]
        raise _not_apart(
            f"Recordings of the run {run!r} lie in different parts.",
            rows[rows["recording_id"].isin(pair)].drop_duplicates("recording_id"),
        )


def _not_apart(what: str, spans: pd.DataFrame) -> UserError:
    found = [
        f"{row.part}: span {row.span}, recording {row.recording_id!r}, start {row.start}"
        for row in spans.itertuples()
    ]
    return UserError(
        what,
        found="\n".join(found),
        expected="parts that share no sample; all recordings of one run_id in one part",
        remedy="change `split:` of the dataset, or `run_id` under `fields:` of the rig",
    )


def strength(rows: pd.DataFrame, table: pd.DataFrame) -> str:
    """The strongest of STRENGTHS that separates the test part from train and val together."""
    recordings = table.set_index("recording_id")
    is_test = rows["part"] == "test"
    for name, column in COLUMN_OF.items():
        values = rows["recording_id"].map(recordings[column])
        if not set(values[is_test]) & set(values[~is_test]):
            return name
    return "time_block"
