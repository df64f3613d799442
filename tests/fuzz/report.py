"""What a campaign says at its end."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from .plan import FAMILIES, MUTANTS
from .verdict import FAILING, REFUSALS, Result, Verdict

MOST_REFUSED = 0.6  # of the mutants: a product that refuses everything is of no use


def failed(results: Sequence[Result]) -> bool:
    """Whether a value was wrong, something was lost, or memory was not bounded."""
    return any(result.verdict in FAILING for result in results)


def refused_share(results: Sequence[Result]) -> float:
    """Refusals as a share of the mutants."""
    mutants = [result for result in results if result.family in MUTANTS]
    return sum(result.verdict in REFUSALS for result in mutants) / max(len(mutants), 1)


def line(result: Result) -> str:
    """One run in one line."""
    detail = " ".join(result.detail.split())
    return f"--only={result.seed}  {result.verdict}  [{result.kind}] {detail[:300]}"


def report(results: Sequence[Result]) -> str:
    """Counts by family and verdict, the ten commonest refusals, and each fault with its seed."""
    parts = [_counts(results)]
    share = refused_share(results)
    parts.append(f"Refused: {share:.0%} of the mutants (at most {MOST_REFUSED:.0%} is wished for).")
    parts.append("The ten commonest refusals:")
    refusals = Counter(_generalised(r.detail) for r in results if r.verdict is Verdict.REFUSED)
    parts += [f"  {count:5}  {text}" for text, count in refusals.most_common(10)]
    for verdict in (*FAILING, Verdict.TRACEBACK, Verdict.HANG):
        found = [result for result in results if result.verdict is verdict]
        if found:
            parts += [f"\n{verdict}: {len(found)}", *(f"  {line(result)}" for result in found)]
    kinds = Counter((r.verdict, r.kind) for r in results if r.verdict in FAILING)
    if kinds:
        parts.append("\nBy kind:")
        parts += [f"  {n:5}  {verdict}  [{kind}]" for (verdict, kind), n in kinds.most_common()]
    slowest = max(results, key=lambda r: r.seconds)
    largest = max(results, key=lambda r: r.peak_mb)
    parts.append(
        f"\nSlowest {slowest.seconds:.1f} s (seed {slowest.seed}), "
        f"largest {largest.peak_mb:.0f} MB (seed {largest.seed})."
    )
    return "\n".join(parts)


def _counts(results: Sequence[Result]) -> str:
    rows = [f"{'':42}" + "".join(f"{family:>15}" for family in FAMILIES) + f"{'all':>8}"]
    for verdict in Verdict:
        own = [result.family for result in results if result.verdict is verdict]
        cells = "".join(f"{own.count(family):15}" for family in FAMILIES)
        rows.append(f"{verdict:42}{cells}{len(own):8}")
    return "\n".join(rows)


def _generalised(message: str) -> str:
    first = message.partition("\n")[0]
    return re.sub(r"`[^`]*`|'[^']*'|\"[^\"]*\"|\d+", "*", first)
