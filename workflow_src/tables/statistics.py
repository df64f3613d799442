"""Mean and spread over seeds and rotations, the best rows, and the meaning of "beats"."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MIN_SEEDS = 3  # below, neither a spread nor a claim
CEILING = 0.98  # models that all reach it are not ranked


@dataclass(frozen=True)
class Summary:
    """Scores of one row in one column.

    ``seeds`` maps a seed to its score, the mean over rotations. ``mean`` and ``sd`` (ddof 1, None
    below 3 seeds) are over seeds. ``low`` and ``high`` are over rotations, None without rotations.
    """

    seeds: dict[int, float]
    mean: float
    sd: float | None
    low: float | None
    high: float | None

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.seeds)


def summarise(scores: Mapping[int, Sequence[float]]) -> Summary:
    """Summary of `scores`: seed -> one score per rotation, in the same order for every seed."""
    seeds = {seed: statistics.fmean(values) for seed, values in sorted(scores.items())}
    over_seeds = [statistics.fmean(values) for values in zip(*scores.values(), strict=True)]
    rotations = len(over_seeds) > 1
    return Summary(
        seeds=seeds,
        mean=statistics.fmean(seeds.values()),
        sd=statistics.stdev(seeds.values()) if len(seeds) >= MIN_SEEDS else None,
        low=min(over_seeds) if rotations else None,
        high=max(over_seeds) if rotations else None,
    )


@dataclass(frozen=True)
class Ranking:
    """``best``, ``second`` or empty per row; not ranked if all networks are ``at_ceiling``."""

    marks: list[str]
    at_ceiling: bool = False


def as_shown(value: float, *, higher_is_better: bool, digits: int) -> float:
    """The printed value, which marks and ranks compare; 1 from 0.98 on if higher is better."""
    return 1.0 if higher_is_better and value >= CEILING else round(value, digits)


def rank(
    means: Sequence[float | None],
    networks: Sequence[bool],
    *,
    higher_is_better: bool,
    digits: int,
) -> Ranking:
    """Best and second of one column; means that print the same value tie (see `as_shown`).

    All rows compete, trivial ones too. If higher is better and all networks, two or more, reach
    0.98, nothing is marked.
    """
    if higher_is_better:
        models = [m for m, is_network in zip(means, networks, strict=True) if is_network]
        reached = [mean >= CEILING for mean in models if mean is not None]
        if len(reached) > 1 and all(reached):
            return Ranking([""] * len(means), at_ceiling=True)
    shown = [
        None if m is None else as_shown(m, higher_is_better=higher_is_better, digits=digits)
        for m in means
    ]
    values = [s for s in shown if s is not None]
    if len(values) < 2:  # nothing to be better than
        return Ranking([""] * len(shown))
    order = sorted(set(values), reverse=higher_is_better)
    names = dict(zip(order, ("best", "second"), strict=False))
    return Ranking(["" if s is None else names.get(s, "") for s in shown])


def beats_trivial(
    model: Mapping[int, float], trivial: Sequence[Mapping[int, float]], *, higher_is_better: bool
) -> bool | None:
    """Is `model` (seed -> score) better than the best of `trivial` by over two standard errors?

    Paired by seed; None (no claim) with fewer than 3 common seeds or without a trivial row.
    """
    sign = 1.0 if higher_is_better else -1.0
    rows = [row for row in trivial if len(row.keys() & model.keys()) >= MIN_SEEDS]
    if not rows:
        return None
    best = max(rows, key=lambda row: sign * statistics.fmean(row.values()))
    gains = [sign * (model[seed] - best[seed]) for seed in sorted(model.keys() & best.keys())]
    error = statistics.stdev(gains) / math.sqrt(len(gains))
    return statistics.fmean(gains) > 2 * error
