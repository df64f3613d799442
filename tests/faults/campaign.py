"""Many runs, each of one cell under several faults drawn from a seed, and what came of them."""

from __future__ import annotations

import random
import shutil
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from .case import Case, Violation
from .cell import (
    VARIANTS,
    WIDE,
    Outcome,
    Variant,
    differences,
    distances,
    outcome,
    too_far,
    write_data,
)
from .kinds import CANNOT, KINDS, Hit
from .processes import Probe

LAST = "SIGKILL of the evaluation"  # it needs a finished cell, which others would not interrupt
SHRINKS = "allocations fail"


@dataclass(frozen=True)
class Plan:
    """One run before it begins."""

    seed: int
    index: int
    kinds: tuple[str, ...]
    variant: Variant

    def draw(self) -> random.Random:
        """The source of every further draw of this run."""
        return random.Random(f"{self.seed}/{self.index}")


@dataclass
class Result:
    """One run after its end; `broken` says which promises."""

    plan: Plan
    folder: Path
    hits: list[tuple[str, Hit, str]] = field(default_factory=list)  # kind, hit, cause
    broken: list[str] = field(default_factory=list)
    distance: dict[str, float] | None = None
    seconds: float = 0.0


def unavailable() -> dict[str, str]:
    """Kinds that this machine or this user cannot offer, and why."""
    reasons = {name: reason() for name, reason in CANNOT.items()}
    return {name: reason for name, reason in reasons.items() if reason}


def plans(seed: int, runs: int) -> list[Plan]:
    """Deal kinds like shuffled cards, so that each comes as often as any other."""
    draw = random.Random(seed)
    cards = _cards(draw, [name for name in KINDS if name not in unavailable()])
    found = []
    for index in range(runs):
        kinds = [next(cards) for _ in range(draw.randint(2, 4))]
        kinds.sort(key=lambda name: name == LAST)
        variant = WIDE if SHRINKS in kinds else draw.choice(VARIANTS)
        found.append(Plan(seed, index, tuple(kinds), variant))
    return found


def _cards(draw: random.Random, names: list[str]) -> Iterator[str]:
    while True:
        yield from draw.sample(names, len(names))


@dataclass(frozen=True)
class Undisturbed:
    """A finished cell that nothing befell, and the seconds that its one attempt took."""

    cell: Path
    outcome: Outcome
    attempt_s: float


class Campaign:
    """Runs against undisturbed ones, in folders below `folder`; runs that hold are removed."""

    def __init__(self, folder: Path, *, keep: bool = False) -> None:
        self.folder = folder
        self.keep = keep
        self._undisturbed: dict[str, Undisturbed] = {}
        self._lock = threading.Lock()
        write_data(folder)

    def undisturbed(self, variant: Variant) -> Undisturbed:
        """What the runs of a variant are compared with; trained when first asked for."""
        with self._lock:
            if variant.name not in self._undisturbed:
                folder = self.folder / f"undisturbed-{variant.name}"
                folder.mkdir()
                case = Case(folder, self.folder, variant)
                try:
                    begun = time.monotonic()
                    case.train().end({0})
                    attempt_s = time.monotonic() - begun
                    case.evaluate().end({0})
                finally:
                    case.close()
                cell = case.folder / case.cell
                self._undisturbed[variant.name] = Undisturbed(cell, outcome(cell), attempt_s)
            return self._undisturbed[variant.name]

    def run(self, plan: Plan) -> Result:
        """Drive one cell through its faults to its end, and compare."""
        expected = self.undisturbed(plan.variant)
        folder = self.folder / f"run-{plan.seed}-{plan.index}"
        folder.mkdir()
        result, begun = Result(plan, folder), time.monotonic()
        case = Case(folder, self.folder, plan.variant, small_disk="disk full" in plan.kinds)
        try:
            with Probe(case.folder) as probe:
                _strike(case, result, expected.attempt_s)
                case.finish()
            if probe.most > 1:
                pids = [process.pid for process in probe.seen]
                result.broken.append(f"training processes at the same time: {pids}")
            _compare(case, result, expected)
        except Violation as error:
            result.broken.append(str(error))
        except Exception:
            result.broken.append(traceback.format_exc())
        finally:
            if result.broken and case.disk is not None:
                shutil.copytree(case.folder / "study", case.folder / "study-kept", symlinks=True)
            case.close()
        result.seconds = time.monotonic() - begun
        if not result.broken and not self.keep:
            shutil.rmtree(folder)
        return result

    def all(self, planned: Sequence[Plan], jobs: int) -> Iterator[Result]:
        """Results in the order of the plans, `jobs` runs at a time."""
        with ThreadPoolExecutor(jobs) as pool:
            yield from pool.map(self.run, planned)


def _strike(case: Case, result: Result, attempt_s: float) -> None:
    draw = result.plan.draw()
    for kind in result.plan.kinds:
        case.checkpoint_minutes = draw.choice([1e-9, 0.001, 0.003])  # each step, 60 ms, 180 ms
        if case.finished and kind != LAST:
            case.begin_anew()
        ends = len(case.causes())
        hit = Hit("where a promise broke", "?")
        try:
            hit = KINDS[kind](case, draw, attempt_s)
        finally:
            cause = (case.causes()[ends:] or ["none written"])[-1]
            said = hit.ended if "attempts" in hit.ended else f"{hit.ended}, {cause}"
            result.hits.append((kind, hit, said))


def _compare(case: Case, result: Result, expected: Undisturbed) -> None:
    """All that must hold of a cell that came to its end."""
    broken = result.broken
    if living := case.still_living():
        broken.append(f"processes left: {living}")
    if temporaries := case.temporaries():
        broken.append(f"temporary files left: {sorted(path.name for path in temporaries)}")
    if said := case.unbalanced():
        broken.append(said)
    cell = case.folder / case.cell
    if case.shrunk():
        result.distance = distances(cell, expected.cell)
        broken += [f"differs: {part}" for part in too_far(result.distance)]
    else:
        found = differences(outcome(cell), expected.outcome, history=case.whole_history)
        broken += [f"differs: {part}" for part in found]


def describe(result: Result) -> str:
    """One line where all held; else the faults, what broke and the end of the log."""
    plan = result.plan
    faults = "; ".join(f"{kind} ({hit.where or 'too late'})" for kind, hit, _ in result.hits)
    head = f"run {plan.index} ({plan.variant.name}, {result.seconds:.0f} s): {faults}"
    if not result.broken:
        return head
    lines = [f"BROKEN {head}", *(f"  {text}" for text in result.broken)]
    log = result.folder / "log"
    if log.exists():
        lines += [f"  | {line}" for line in log.read_text(errors="replace").splitlines()[-40:]]
    lines += [f"  kept: {result.folder}"]
    lines += [f"  again: python -m tests.faults --seed {plan.seed} --only {plan.index}"]
    return "\n".join(lines)


def table(results: Sequence[Result]) -> str:
    """Markdown: a row a kind, with how often it struck, where, and how attempts ended."""
    rows = ["| fault | struck | too late | where | ends |", "|---|---|---|---|---|"]
    for kind in KINDS:
        hits = [(hit, said) for r in results for name, hit, said in r.hits if name == kind]
        struck = [(hit, said) for hit, said in hits if hit.where]
        where = Counter(_generalised(str(hit.where)) for hit, _ in struck)
        ends = Counter(said for _, said in struck)
        cells = [kind, str(len(struck)), str(len(hits) - len(struck)), _counts(where, 8)]
        rows.append("| " + " | ".join([*cells, _counts(ends, 5)]) + " |")
    broken = sum(bool(result.broken) for result in results)
    most = {
        part: max((r.distance[part] for r in results if r.distance), default=0.0)
        for part in ("weights", "outputs", "scores")
    }
    shrunk = sum(r.distance is not None for r in results)
    lines = [
        f"{len(results)} runs, {sum(len(r.hits) for r in results)} faults, {broken} runs broke a "
        f"promise; {len(results) - shrunk} runs compared bit for bit, {shrunk} with a shrunk "
        "micro-batch, whose largest differences were "
        + ", ".join(f"{value:.2g} in {part}" for part, value in most.items())
        + ".",
        "",
        *rows,
    ]
    lines += [f"\nNot offered here: {name} ({why})." for name, why in unavailable().items()]
    return "\n".join(lines)


def _generalised(where: str) -> str:
    """Lock files bear numbers and tokens."""
    words = where.split("writing lock.")
    return where if len(words) == 1 else words[0] + "writing lock"


def _counts(counter: Counter[str], most: int) -> str:
    named = [f"{name} {count}" for name, count in counter.most_common(most)]
    rest = sum(counter.values()) - sum(count for _, count in counter.most_common(most))
    return ", ".join(named + [f"others {rest}"] * bool(rest))
