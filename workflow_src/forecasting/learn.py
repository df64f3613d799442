"""What finished attempts teach: factors of forecasts, learned between runs (no torch).

Split conformal prediction (Papadopoulos et al. 2002, "Inductive confidence machines for
regression"; Lei et al. 2018, "Distribution-free predictive inference for regression"). The score of
a cell is what it used over its forecast. The k-th smallest of n scores, k = ceil((n + 1) x share),
is at least the score of the next cell with a chance of `share`, whatever the distribution is. It
assumes that cells are exchangeable: the next one is no different from those before. A larger
network, or one of another dataset, may well be; a cell that used more is among the scores of the
next run.

Where n is too small for that (k > n), nothing bounds the next cell with the chance that is stated.
The largest score is then kept where it raises the forecast, and no forecast is lowered.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence

from workflow_src.artifacts.forecast_file import Correction
from workflow_src.scheduling.observed import Observed

FITS = 0.99  # the chance that a request for memory is enough
IN_TIME = 0.9  # the chance that epochs take no longer than forecast
Score = Callable[[Observed], float | None]


def upper_factor(scores: Sequence[float], share: float) -> float:
    """What at least `share` of forecasts are to be multiplied by, so as to be no less than used.

    Args:
        scores: used / forecast, one a cell; none: 1.
        share: between 0 and 1.
    """
    rank = _rank(len(scores), share)
    if rank <= len(scores):
        return sorted(scores)[rank - 1]
    return max([1.0, *scores])


def _rank(cells: int, share: float) -> int:
    return math.ceil((cells + 1) * share)


def time_factor(scores: Sequence[float]) -> float:
    """The same for seconds; of too few cells the median, where it raises the forecast.

    One epoch beside other work may take fifty times as long, and an attempt whose time was too
    short goes on from its checkpoint: the largest of few is no limit worth asking for.
    """
    if _rank(len(scores), IN_TIME) < len(scores):
        return upper_factor(scores, IN_TIME)
    return max(1.0, statistics.median(scores)) if scores else 1.0


def host_factor(rows: Sequence[Observed]) -> float:
    """What forecasts of host memory are to be multiplied by.

    Where tensors lie in host memory, a process is limited by what it maps. It may map more than the
    resident memory that was observed, so that nothing is lowered there.
    """
    factor = upper_factor(largest_of_cells(rows, host_score), FITS)
    on_gpu = any(row.forecast_device_mb is not None for row in rows)
    return factor if on_gpu else max(1.0, factor)


def learn(rows: Iterable[Observed]) -> dict[tuple[str, str], Correction]:
    """A correction for each (hardware class, model) of which attempts have finished."""
    groups: dict[tuple[str, str], list[Observed]] = {}
    for row in rows:
        if not row.lowered:
            groups.setdefault((row.hardware, row.model), []).append(row)
    found = {key: _correction(*key, group) for key, group in groups.items()}
    return {key: one for key, one in found.items() if one.cells}


def _correction(hardware: str, model: str, rows: Sequence[Observed]) -> Correction:
    host, device = largest_of_cells(rows, host_score), largest_of_cells(rows, device_score)
    seconds = largest_of_cells(rows, seconds_score)
    return Correction(
        hardware=hardware,
        model=model,
        host=host_factor(rows),
        host_cells=len(host),
        device=upper_factor(device, FITS),
        device_cells=len(device),
        seconds=time_factor(seconds),
        seconds_cells=len(seconds),
    )


def largest_of_cells(rows: Iterable[Observed], score: Score) -> list[float]:
    """One score a cell: attempts at the same cell are no independent draws."""
    found: dict[tuple[str, str], float] = {}
    for row in rows:
        value = score(row)
        if value is not None:
            key = row.cell, row.identity
            found[key] = max(value, found.get(key, 0.0))
    return list(found.values())


def host_score(row: Observed) -> float | None:
    """Host memory used over forecast."""
    return _ratio(row.needed_mb, row.forecast_mb)


def device_score(row: Observed) -> float | None:
    """GPU memory used over forecast."""
    return _ratio(row.device_mb, row.forecast_device_mb)


def seconds_score(row: Observed) -> float | None:
    """Seconds of an epoch over forecast; of an attempt that was not done its last epochs."""
    return _ratio(row.epoch_s, row.forecast_epoch_s)


def _ratio(used: float | None, forecast: float | None) -> float | None:
    return used / forecast if used and forecast else None
