"""Test runs seen up to a given time: one prediction each, at the last snapshot before it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from workflow_src.configuration.patterns import natural_key
from workflow_src.errors import BadData, UserError
from workflow_src.predictions import TruncatedRun

COLUMNS = ("run_id", "truncation_s", "official_rul_s")


class Truncated(NamedTuple):
    """The parts that are left, what is known of each run at its truncation, and how many went."""

    parts: dict[str, str]
    runs: dict[str, TruncatedRun]
    reasons: list[str]
    left_out: int


def truncate(used: pd.DataFrame, parts: Mapping[str, str], path: Path, where: str) -> Truncated:
    """Keep of each test run the last recording that begins at or before its truncation.

    `path` is a CSV with the columns COLUMNS, times in seconds in life: ``truncation_s`` is when
    the last snapshot that may be seen begins. Of each run, ``snapshot_s`` is when the one that is
    there begins, ``full_run_rul_s`` its life less its truncation, None where the life is unknown.
    Raises ``UserError`` or ``BadData`` where table and runs do not fit.
    """
    table = read_truncation(path, where)
    where = f"{where}, key `split.truncation`, file {path}"
    part_of = used["recording_id"].map(dict(parts))
    test = used[part_of == "test"]
    kept: set[str] = set()
    runs: dict[str, TruncatedRun] = {}
    for run in sorted(set(test["run_id"]), key=natural_key):
        if run not in table.index:
            raise UserError(
                f"The test run {run} has no truncation.",
                where=where,
                expected="a row for each run of the test part",
                remedy=f"{run},<truncation_s>,<official_rul_s>   # or leave it out by `select:`",
            )
        at = float(table["truncation_s"][run])
        last = _last(test[test["run_id"] == run], run, at, where)
        kept.add(str(last["recording_id"]))
        life = float(last["life_s"])
        runs[str(run)] = TruncatedRun(
            truncation_s=at,
            snapshot_s=float(last["time_s"]),
            official_rul_s=float(table["official_rul_s"][run]),
            full_run_rul_s=None if math.isnan(life) else life - at,
        )
    _require_no_training(used[part_of.isin(["train", "val"])], table, where)
    left = {name: p for name, p in parts.items() if p != "test" or name in kept}
    return Truncated(left, runs, _reasons(runs, table, path), len(parts) - len(left))


def read_truncation(path: Path, where: str) -> pd.DataFrame:
    """The table at `path` by ``run_id``, times as float64; what cannot be used is a UserError."""
    try:
        table = pd.read_csv(path, dtype={"run_id": str}, comment="#")[list(COLUMNS)]
        table = table.astype({"truncation_s": float, "official_rul_s": float})
        wrong = table[
            table.duplicated("run_id")
            | ~(table["truncation_s"] >= 0)
            | ~(table["official_rul_s"] > 0)
        ]
        if len(wrong) or not len(table):
            raise ValueError(f"row {wrong.iloc[0].to_dict()}" if len(wrong) else "no row")
    except (OSError, KeyError, ValueError) as error:
        raise UserError(
            "The table of truncations cannot be read.",
            where=f"{where}, file {path}",
            found=f"{type(error).__name__}: {error}",
            expected=f"a CSV with the columns {', '.join(COLUMNS)}; each run once, times in "
            "seconds, a RUL above 0",
        ) from error
    return table.set_index("run_id")


def _last(run: pd.DataFrame, name: str, at: float, where: str) -> pd.Series:
    if run["time_s"].isna().any():
        raise BadData(
            f"The run {name} cannot be truncated: a recording of it has no time.",
            where=f"{where}, recording {run['recording_id'][run['time_s'].isna()].iloc[0]!r}",
            expected="time_s for each recording of a truncated run",
        )
    seen = run[run["time_s"] <= at]
    if seen.empty:
        raise UserError(
            f"The run {name} is truncated before its first recording.",
            where=where,
            found=f"truncation_s {at:g}, first recording at {run['time_s'].min():g} s",
        )
    if len(run) == 1 and not run["life_s"].isna().all():
        raise UserError(
            f"The run {name} is one recording, and cannot be seen up to a time within it.",
            where=where,
            expected="a run of snapshots, each a recording with its time",
        )
    return seen.sort_values("time_s").iloc[-1]


def _require_no_training(trained: pd.DataFrame, table: pd.DataFrame, where: str) -> None:
    both = sorted(set(trained["run_id"]) & set(table.index), key=natural_key)
    if both:
        raise UserError(
            f"The run {both[0]} has a truncation, but is no test run.",
            where=where,
            found=f"{len(both)} of them are in the training or validation part",
            remedy="remove them from the file, or select them for `test:`",
        )


def _reasons(runs: Mapping[str, TruncatedRun], table: pd.DataFrame, path: Path) -> list[str]:
    reasons = ["each test run is seen up to a given time and gives one prediction there"]
    absent = len(table) - len(runs)
    if absent:
        reasons.append(
            f"{len(runs)} of the {len(table)} test runs of {path.name} are there: not comparable "
            "with published scores"
        )
    begins = [(one.truncation_s, one.snapshot_s) for one in runs.values()]
    late = max((at - begin for at, begin in begins if begin is not None), default=0)
    if late > 0:
        reasons.append(f"the last snapshot that is there lies up to {late:g} s before it")
    for run, one in runs.items():
        full, official = one.full_run_rul_s, one.official_rul_s
        if full is not None and official is not None and abs(full - official) > 1:
            reasons.append(
                f"{run}: official RUL {official:g} s, by its full run {full:g} s; "
                "scores are given for both"
            )
    return reasons
