"""How good requests for host memory were, beside other policies on the same attempts (no torch).

All policies are asked for each cell in the order in which the cells ended, and learn from the cells
before it alone:

- as forecast, and with what was learned (`workflow_src/forecasting/learn.py`);
- doubled after each failure, from the same `UNKNOWN_MB` for every cell;
- a quantile regression on history alone: with model and dataset as the only inputs that is the
  quantile of what the cells before of the same model and dataset used, else of the same model.

An attempt with less than the cell needs counts as one that failed after the time of the real one,
and is followed by one with twice as much.
"""

from __future__ import annotations

import csv
import io
import math
import random
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from workflow_src.forecasting.learn import (
    FITS,
    Score,
    device_score,
    host_factor,
    host_score,
    seconds_score,
)
from workflow_src.scheduling.next_request import UNKNOWN_MB
from workflow_src.scheduling.observed import Observed

MB_PER_GB = 1024
DOUBLE = 2
QUANTITIES: dict[str, Score] = {
    "host memory": host_score,
    "GPU memory": device_score,
    "seconds of an epoch": seconds_score,
}


# What is asked for a cell, MB, after what has been seen.
Policy = Callable[[Observed, Sequence[Observed]], float]


def as_forecast(row: Observed, seen: Sequence[Observed]) -> float:
    """Before anything is learned."""
    return float(row.forecast_mb or UNKNOWN_MB)


def learned(row: Observed, seen: Sequence[Observed]) -> float:
    """The forecast times what earlier cells of the same model and class teach."""
    alike = [one for one in seen if (one.hardware, one.model) == (row.hardware, row.model)]
    return math.ceil(host_factor(alike) * as_forecast(row, seen))


def doubled(row: Observed, seen: Sequence[Observed]) -> float:
    """The same for every cell."""
    return float(UNKNOWN_MB)


def by_history(row: Observed, seen: Sequence[Observed]) -> float:
    """The quantile of what was used before, with model and dataset as inputs."""
    model = [one for one in seen if one.model == row.model]
    alike = [one for one in model if one.dataset == row.dataset] or model
    used = sorted(one.needed_mb for one in alike if one.needed_mb is not None)
    if not used:
        return float(UNKNOWN_MB)
    return used[min(len(used), math.ceil(FITS * len(used))) - 1]


POLICIES: dict[str, Policy] = {
    "forecast": as_forecast,
    "forecast, learned": learned,
    "double after failure": doubled,
    "quantile of history": by_history,
}


@dataclass(frozen=True)
class Error:
    """How far forecasts were from what was used, as shares of what was used.

    Attributes:
        quantity: what was forecast.
        model: its name, or `all`.
        cells: with both.
        mean: of the absolute error.
        median, worst: with the sign; the worst is the largest without it.
        too_low: share of forecasts below what was used.
        by_mean, by_most: how far those were too low; 0 where none was.
    """

    quantity: str
    model: str
    cells: int
    mean: float
    median: float
    worst: float
    too_low: float
    by_mean: float
    by_most: float


@dataclass(frozen=True)
class Replay:
    """What one policy would have asked for.

    Attributes:
        policy: its name.
        model: its name, or `all`.
        cells: that were replayed.
        fit: share of first requests that were enough.
        over: first request over what was needed, the median.
        wasted_gb_h: memory asked and not used x time, GB-hours.
        wasted_device_h: time of devices in attempts that failed, hours.
    """

    policy: str
    model: str
    cells: int
    fit: float
    over: float
    wasted_gb_h: float
    wasted_device_h: float


def scored(rows: Iterable[Observed]) -> list[Observed]:
    """One row a cell, the one that needed most, in the order of their ends.

    Left out are attempts whose limit was set below the forecast, and those without a forecast.
    """
    found: dict[tuple[str, str], Observed] = {}
    for row in rows:
        if row.lowered or host_score(row) is None:
            continue
        before = found.setdefault((row.cell, row.identity), row)
        if (row.needed_mb or 0.0) > (before.needed_mb or 0.0):
            found[row.cell, row.identity] = row
    return sorted(found.values(), key=lambda row: row.time)


def errors(rows: Sequence[Observed]) -> list[Error]:
    """By quantity, of each model and of all."""
    found = []
    for quantity, score in QUANTITIES.items():
        for model, group in by_model(rows):
            scores = [value for row in group if (value := score(row)) is not None]
            if scores:
                found.append(_error(quantity, model, [1 / value - 1 for value in scores]))
    return found


def _error(quantity: str, model: str, relative: Sequence[float]) -> Error:
    low = [-one for one in relative if one < 0]
    return Error(
        quantity,
        model,
        cells=len(relative),
        mean=statistics.fmean(map(abs, relative)),
        median=statistics.median(relative),
        worst=max(relative, key=abs),
        too_low=len(low) / len(relative),
        by_mean=statistics.fmean(low) if low else 0.0,
        by_most=max(low, default=0.0),
    )


def replays(rows: Sequence[Observed]) -> list[Replay]:
    """Each policy on all rows; each row is asked for after those before it."""
    asked = {
        name: [policy(row, rows[:index]) for index, row in enumerate(rows)]
        for name, policy in POLICIES.items()
    }
    return [_replay(name, "all", rows, asked[name]) for name in POLICIES if rows]


def calibration(rows: Sequence[Observed], seed: int = 0) -> list[Replay]:
    """Each policy fitted on each half of the cells, drawn by `seed`, and scored on the other."""
    mixed = list(rows)
    random.Random(seed).shuffle(mixed)
    middle = len(mixed) // 2
    halves = mixed[:middle], mixed[middle:]
    unseen = [(row, other) for own, other in (halves, halves[::-1]) for row in own]
    found = []
    for name, policy in POLICIES.items():
        asked = {id(row): policy(row, seen) for row, seen in unseen}
        found += [
            _replay(name, model, group, [asked[id(row)] for row in group])
            for model, group in by_model(mixed)
        ]
    return found


def by_model(rows: Sequence[Observed]) -> list[tuple[str, list[Observed]]]:
    """The rows of each model, then all of them."""
    groups: dict[str, list[Observed]] = {}
    for row in rows:
        groups.setdefault(row.model, []).append(row)
    return sorted(groups.items()) + ([("all", list(rows))] if rows else [])


def _replay(policy: str, model: str, rows: Sequence[Observed], asked: Sequence[float]) -> Replay:
    wasted_gb_h = wasted_device_h = 0.0
    over = []
    for row, first in zip(rows, asked, strict=True):
        needed, used = row.needed_mb or 0.0, row.host_mb or row.needed_mb or 0.0
        hours, request = (row.seconds or 0.0) / 3600, first
        over.append(first / needed)
        while request < needed:  # all that a failed attempt had is lost
            wasted_gb_h += request / MB_PER_GB * hours
            wasted_device_h += row.devices * hours * (row.device_mb is not None)
            request *= DOUBLE
        wasted_gb_h += (request - used) / MB_PER_GB * hours
    fit = sum(one >= 1 for one in over) / len(over)
    return Replay(
        policy, model, len(rows), fit, statistics.median(over), wasted_gb_h, wasted_device_h
    )


# ------------------------------------------------------------------ a page


def page(rows: Sequence[Observed], seed: int = 0) -> str:
    """Errors, policies and calibration as aligned tables; `rows` as by `scored`."""
    if not rows:
        return "no finished attempt has a forecast of its present settings: nothing to score"
    replayed = [_row(one) for one in replays(rows)]
    half = [_row(one) for one in calibration(rows, seed)]
    parts = [
        ("forecast / used - 1", [_error_row(one) for one in errors(rows)], _ERROR),
        ("each cell asked for after those before it", replayed, _REPLAY),
        (
            f"each half of the {len(rows)} cells by what the other half teaches",
            half,
            _REPLAY,
        ),
    ]
    return "\n\n".join(_table(title, names, lines) for title, lines, names in parts)


_ERROR = ("of", "model", "cells", "mean", "median", "worst", "too low", "by", "at most")
_REPLAY = ("policy", "model", "cells", "fit", "request / need", "GB-hours lost", "GPU-hours lost")


def _error_row(one: Error) -> tuple[str, ...]:
    shares = (one.mean, one.median, one.worst, one.too_low, one.by_mean, one.by_most)
    signs = ("", "+", "+", "", "", "")
    cut = (f"{100 * share:{sign}.1f} %" for share, sign in zip(shares, signs, strict=True))
    return one.quantity, one.model, str(one.cells), *cut


def _row(one: Replay) -> tuple[str, ...]:
    figures = (f"{100 * one.fit:.1f} %", f"{one.over:.2f}", f"{one.wasted_gb_h:.3f}")
    return one.policy, one.model, str(one.cells), *figures, f"{one.wasted_device_h:.3f}"


def _table(title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in (names, *rows)]
    return "\n".join([title, *lines])


def to_csv(rows: Sequence[Observed], seed: int = 0) -> str:
    """The same, a line a figure."""
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(("table", "name", "model", "measure", "value"))
    tables: dict[str, Sequence[Error | Replay]] = {
        "errors": errors(rows),
        "policies": replays(rows),
        "calibration": calibration(rows, seed),
    }
    for table, lines in tables.items():
        for line in lines:
            name, model, *figures = asdict(line).items()
            writer.writerows((table, name[1], model[1], *figure) for figure in figures)
    return output.getvalue()
