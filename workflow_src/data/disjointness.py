"""The proof that the parts of a split are apart, and how strong the separation is."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workflow_src.configuration.patterns import natural_key
from workflow_src.data.draws import COLUMN_OF
from workflow_src.data.stacked import may_overlap
from workflow_src.errors import UserError


def along_runs(table: pd.DataFrame) -> pd.DataFrame:
    """Where the recordings lie once those of each run are laid end to end.

    A row a recording, by ``recording_id``: ``begin``, in samples from the start of the run, and
    ``last``, whether the run has none after it. The order is ``time_s`` where all recordings of
    the run have it, else the natural order of their names.
    """
    timed = table["time_s"].notna().groupby(table["run_id"]).transform("all")
    times = table["time_s"].where(timed, 0.0)
    names = table["recording_id"]
    keys = zip(table["run_id"], times, names.map(natural_key), names, strict=True)
    order = [i for _, i in sorted((key, i) for i, key in enumerate(keys))]
    laid = table[["recording_id", "run_id", "length"]].iloc[order].set_index("recording_id")
    begin = laid.groupby("run_id")["length"].cumsum() - laid["length"]
    return pd.DataFrame({"begin": begin, "last": ~laid.duplicated("run_id", keep="last")})


def require_disjoint(
    rows: pd.DataFrame, table: pd.DataFrame, span_length: int, gap: int = 0
) -> None:
    """Prove that the parts are apart, or raise ``UserError`` naming two spans that are not.

    Every span lies within its recording; the recordings of one run lie in the same parts, or each
    of them keeps its parts so far from its ends that no order of them brings two parts nearer
    than `gap`; two spans of different parts in one run have at least `gap` samples between them.
    Recordings of one run may be consecutive pieces of one acquisition, so they are laid end to
    end for that. Windows that may overlap lie in one part with all of their run: no distance
    tells them apart.
    """
    recordings = table.set_index("recording_id")
    ends = rows["start"] + span_length
    outside = (rows["start"] < 0) | (ends > rows["recording_id"].map(recordings["length"]))
    if outside.any():
        raise _not_apart("A span does not lie within its recording.", rows[outside].head(1))
    _require_windows(rows, table)
    _require_runs(rows, recordings, span_length, gap)
    _require_distances(rows, along_runs(table)["begin"], span_length, gap)


def _require_windows(rows: pd.DataFrame, table: pd.DataFrame) -> None:
    own = rows[rows["run_id"].isin(list(table["run_id"][may_overlap(table)]))]
    parts = own.groupby("run_id", sort=False)["part"].nunique()
    for run in parts.index[parts > 1]:
        raise _not_apart(
            f"Windows of the run {run!r}, which may overlap, lie in different parts.",
            own[own["run_id"] == run].drop_duplicates("part"),
        )


def _require_runs(rows: pd.DataFrame, recordings: pd.DataFrame, span_length: int, gap: int) -> None:
    parts = rows.groupby("recording_id", sort=False)["part"].agg(frozenset)
    runs = recordings["run_id"].loc[parts.index]
    kinds = parts.groupby(runs).nunique()
    for run in kinds.index[kinds > 1]:
        inside = parts[runs == run]
        if gap and _apart_in_any_order(rows, inside.index, recordings["length"], span_length, gap):
            continue
        other = inside.index[inside != inside.iloc[0]][0]
        pair = [inside.index[0], other]
        raise _not_apart(
            f"Recordings of the run {run!r} lie in different parts.",
            rows[rows["recording_id"].isin(pair)].drop_duplicates("recording_id"),
        )


def _apart_in_any_order(
    rows: pd.DataFrame,
    names: pd.Index[str],
    lengths: pd.Series[int],
    span_length: int,
    gap: int,
) -> bool:
    """Whether parts stay `gap` apart whichever of the recordings `names` follows which.

    A part is as near to another recording as the samples behind its last span there, plus those
    before the first span of another part in the other recording.
    """
    own = rows[rows["recording_id"].isin(list(names))]
    edges = own.groupby(["recording_id", "part"])["start"].agg(["min", "max"]).reset_index()
    edges["behind"] = edges["recording_id"].map(lengths) - edges["max"] - span_length
    pairs = edges.merge(edges, how="cross", suffixes=("", "_after"))
    pairs = pairs[
        (pairs["recording_id"] != pairs["recording_id_after"])
        & (pairs["part"] != pairs["part_after"])
    ]
    return bool((pairs["behind"] + pairs["min_after"] >= gap).all())


def _require_distances(
    rows: pd.DataFrame, begins: pd.Series[int], span_length: int, gap: int
) -> None:
    # Spans are equally long: if any two are too near, so are two that are neighbours by place.
    ordered = rows.assign(place=rows["start"] + rows["recording_id"].map(begins))
    ordered = ordered.sort_values(["run_id", "place"], kind="stable")
    before, after = ordered.iloc[:-1], ordered.iloc[1:]
    distance = after["place"].to_numpy() - before["place"].to_numpy() - span_length
    same = after["run_id"].to_numpy() == before["run_id"].to_numpy()
    near = same & (after["part"].to_numpy() != before["part"].to_numpy()) & (distance < gap)
    if near.any():
        i = int(np.argmax(near))
        raise _not_apart(
            f"Two spans of different parts are {distance[i]} samples apart, {gap} are needed.",
            ordered.iloc[i : i + 2],
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
        if column not in recordings.columns:
            continue
        values = rows["recording_id"].map(recordings[column])
        if not set(values[is_test]) & set(values[~is_test]):
            return name
    return "time_block"
