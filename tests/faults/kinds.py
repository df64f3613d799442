"""The kinds of fault: each drives its cell through one attempt or damages what lies between two."""

from __future__ import annotations

import os
import random
import re
import signal
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .case import Case, Running, Violation
from .machine import MemoryGroup, no_memory_group, no_small_disk
from .moments import Moment, draw_moment

HOUR = 3600.0
AGAIN, KILLED = 75, -9


@dataclass(frozen=True)
class Hit:
    """Where a fault struck and how the attempt under it ended; `where` None: it came too late."""

    where: str | None
    ended: str


Strike = Callable[[Case, random.Random, float], Hit]
KINDS: dict[str, Strike] = {}
CANNOT: dict[str, Callable[[], str | None]] = {
    "kernel out of memory": no_memory_group,
    "disk full": no_small_disk,
}


def kind(name: str) -> Callable[[Strike], Strike]:
    """Register a kind of fault; it is called as (case, draw, seconds of an attempt)."""

    def register(strike: Strike) -> Strike:
        KINDS[name] = strike
        return strike

    return register


def _end(running: Running, where: str | None, expected: set[int]) -> Hit:
    """Wait for the end: `expected` if it was struck, else success."""
    code = running.end(expected | {0} if where else {0})
    if code:
        running.case.forget_outputs()
    return Hit(where, str(code))


def _signalled(
    case: Case,
    draw: random.Random,
    attempt_s: float,
    number: signal.Signals,
    victims: tuple[str, ...],
    expected: set[int],
) -> Hit:
    moment = draw_moment(draw, attempt_s)
    case.forget_outputs()
    with case.touched() as touched:
        running = case.train()
        there = moment.wait(touched, running.alive)
        where = running.strike(number, *victims) if there else None
    return _end(running, where, expected)


@kind("SIGKILL of the training process")
def kill_training(case: Case, draw: random.Random, attempt_s: float) -> Hit:
    return _signalled(case, draw, attempt_s, signal.SIGKILL, ("training",), {AGAIN})


@kind("SIGKILL of the supervisor")
def kill_supervisor(case: Case, draw: random.Random, attempt_s: float) -> Hit:
    """Its training process dies with it; half of the time the next attempt comes at once."""
    hit = _signalled(case, draw, attempt_s, signal.SIGKILL, ("supervisor",), {KILLED})
    if draw.random() < 0.5 and hit.ended == str(KILLED) and case.still_living(2.0):
        raise Violation("training goes on after the death of its supervisor")
    return hit


@kind("SIGKILL of both")
def kill_both(case: Case, draw: random.Random, attempt_s: float) -> Hit:
    both = ("training", "supervisor")
    return _signalled(case, draw, attempt_s, signal.SIGKILL, both, {KILLED, AGAIN})


def _told_to_end(number: signal.Signals) -> Strike:
    def strike(case: Case, draw: random.Random, attempt_s: float) -> Hit:
        # Before its handler stands, Python ends by the signal itself.
        expected = {AGAIN, -int(number), 1}
        hit = _signalled(case, draw, attempt_s, number, ("supervisor",), expected)
        if hit.where not in (None, "supervisor alone") and hit.ended not in ("0", str(AGAIN)):
            raise Violation(f"{number.name} while {hit.where} ended in {hit.ended}")
        return hit

    return strike


kind("SIGTERM to the supervisor")(_told_to_end(signal.SIGTERM))
kind("SIGINT to the supervisor")(_told_to_end(signal.SIGINT))


@kind("kernel out of memory")
def kernel_oom(case: Case, draw: random.Random, attempt_s: float) -> Hit:
    """A real kill by the kernel of the training process, or of the supervisor while it is alone."""
    moment = draw_moment(draw, attempt_s)
    case.forget_outputs()
    group = MemoryGroup(f"faults-{uuid.uuid4().hex[:8]}")
    try:
        with case.touched() as touched:
            running = case.train(group=group)
            where = case.phase(running) if moment.wait(touched, running.alive) else None
            trainer = running.trainer()
            if where and not group.squeeze(trainer or running.process.pid):
                where = None
        hit = _end(running, where, {AGAIN, KILLED})
    finally:
        group.remove()
    told = hit.where and trainer and hit.ended == str(AGAIN)
    if told and case.causes()[-1] != "host_oom":
        raise Violation(f"killed by the kernel for memory, called {case.causes()[-1]}")
    return hit


def _least_memory_mb(case: Case) -> int:
    """What an attempt says that it needs at least."""
    case.memory_mb = 1
    case.train().end({1})
    case.memory_mb = 0
    found = re.findall(r"at least (\d+) MB", case.log.read_text())
    if not found:
        raise Violation("too little memory was not refused with what is needed")
    return int(found[-1])


@kind("allocations fail")
def small_memory(case: Case, draw: random.Random, attempt_s: float) -> Hit:
    """Little more memory than the least: a step of the whole batch does not fit."""
    case.memory_mb = _least_memory_mb(case) + draw.randint(0, 60)
    # Each loss of memory is a line of the journal: killed after some of them, or not at all.
    moment = Moment(draw.uniform(0, 1), "attempts.jsonl", draw.randint(2, 12))
    case.forget_outputs()
    with case.touched() as touched:
        running = case.train()
        case.memory_mb = 0
        if moment.wait(touched, running.alive):
            running.strike(signal.SIGKILL, "training")
    code = running.end({0, AGAIN})
    if code:
        case.forget_outputs()
    return Hit("a step of the whole batch" if case.shrunk() else None, str(code))


@kind("disk full")
def disk_full(case: Case, draw: random.Random, attempt_s: float) -> Hit:
    assert case.disk is not None
    moment = draw_moment(draw, attempt_s)
    case.forget_outputs()
    with case.touched() as touched:
        running = case.train()
        where = case.phase(running) if moment.wait(touched, running.alive) else None
    if where:
        case.disk.fill()
    try:
        return _end(running, where, {1, AGAIN})
    finally:
        case.disk.free()


@kind("clock wrong")
def clock_wrong(case: Case, draw: random.Random, attempt_s: float) -> Hit:
    """Hours off at the start and again within the attempt, most often back; then a kill."""
    clock = (draw.uniform(-48, 12) * HOUR, draw.uniform(-12, 4) * HOUR)
    moment = draw_moment(draw, attempt_s)
    case.forget_outputs()
    with case.touched() as touched:
        running = case.train(clock=clock)
        there = moment.wait(touched, running.alive)
        where = running.strike(signal.SIGKILL, "training", "supervisor") if there else None
    hit = _end(running, where, {AGAIN, KILLED})
    return Hit(hit.where or "the whole attempt", hit.ended)


@kind("two at once")
def two_at_once(case: Case, draw: random.Random, attempt_s: float) -> Hit:
    """A second `train` waits for the first, or takes over where that is killed."""
    moment = draw_moment(draw, attempt_s) if draw.random() < 0.5 else None
    victim = draw.choice(["training", "supervisor"])
    where: str | None = "both undisturbed"
    case.forget_outputs()
    with case.touched() as touched:
        first = case.train()
        time.sleep(draw.choice([0.0, draw.uniform(0, attempt_s)]))
        second = case.train()
        if moment is not None and moment.wait(touched, first.alive):
            struck = first.strike(signal.SIGKILL, victim)
            where = f"{victim} of the first killed while {struck}" if struck else where
    first.end({0, AGAIN, KILLED} if where != "both undisturbed" else {0})
    code = second.end({0})
    return Hit(where, str(code))


def _with_checkpoints(case: Case, draw: random.Random) -> bool:
    """See that an interrupted attempt has left checkpoints; whether there are any."""
    if not _checkpoints(case) and not case.finished:
        case.forget_outputs()
        case.checkpoint_minutes = 1e-9  # after every step
        with case.touched() as touched:
            running = case.train()
            if Moment(0.0, "last.ckpt", draw.randint(2, 6)).wait(touched, running.alive):
                running.strike(signal.SIGKILL, "training", "supervisor")
        if running.end({0, AGAIN, KILLED}):
            case.forget_outputs()
    case.still_living()
    return bool(_checkpoints(case))


def _checkpoints(case: Case) -> list[Path]:
    """One is there alone after a kill between the two renames of a save."""
    return [path for path in case.runs.glob("*.ckpt") if path.stat().st_size]


def _cut(path: Path, draw: random.Random) -> str:
    os.truncate(path, draw.randrange(path.stat().st_size))
    return f"{path.name} cut"


def _flip(path: Path, draw: random.Random) -> str:
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)
    return f"{path.name} with a bit flipped"


@kind("checkpoint damaged")
def checkpoint_damaged(case: Case, draw: random.Random, attempt_s: float) -> Hit:
    names = draw.choice([["last.ckpt"], ["previous.ckpt"], ["last.ckpt", "previous.ckpt"]])
    damage = draw.choice([_cut, _flip])
    if not _with_checkpoints(case, draw):
        return Hit(None, "between attempts")
    found = sorted(_checkpoints(case))
    there = [path for path in found if path.name in names] or found
    said = [damage(path, draw) for path in there]
    return Hit(" and ".join(said) or None, "between attempts")


@kind("file torn")
def file_torn(case: Case, draw: random.Random, attempt_s: float) -> Hit:
    """What was not written in one piece ends at any byte."""
    name = draw.choice(["identity", "history.csv", "attempts.jsonl"])
    _with_checkpoints(case, draw)
    path = case.runs / name
    if not path.exists() or not path.stat().st_size:
        return Hit(None, "between attempts")
    if name == "attempts.jsonl":  # half a line more; whole lines are not lost by a kill
        line = path.read_bytes().splitlines()[-1]
        with path.open("ab") as file:
            file.write(line[: draw.randrange(1, len(line))])
        return Hit("attempts.jsonl with half a line", "between attempts")
    said = _cut(path, draw)
    case.whole_history &= name != "history.csv"
    return Hit(said, "between attempts")


@kind("lock left behind")
def lock_left(case: Case, draw: random.Random, attempt_s: float) -> Hit:
    """The supervisor's death leaves its lock; a crash of the machine may have torn it, too."""
    case.forget_outputs()
    with case.touched() as touched:
        running = case.train()
        moment = Moment(draw.choice([0.0, draw.uniform(0, attempt_s)]), "lock.*")
        where = None
        if moment.wait(touched, running.alive):
            where = running.strike(signal.SIGKILL, "training", "supervisor")
    hit = _end(running, where, {KILLED, AGAIN})
    case.still_living()
    locks = [path for path in case.runs.glob("lock.*") if path.stat().st_size]
    if not hit.where or not locks:
        return hit
    said = draw.choice(["whole", "empty", "cut"])
    for path in locks:
        if said != "whole":
            os.truncate(path, 0 if said == "empty" else draw.randrange(path.stat().st_size))
    return Hit(f"lock {said}, left while {hit.where}", hit.ended)


@kind("half-written files")
def half_written(case: Case, draw: random.Random, attempt_s: float) -> Hit:
    """Temporary files of a process that is no more, old or seemingly from the future."""
    age = draw.choice([0.0, -HOUR, 24 * HOUR])
    for folder in (case.runs, case.results):
        for name in ("last.ckpt", "predictions.h5", "training.json"):
            path = folder / f".{2**22 + draw.randint(1, 9)}.{name}"  # above the largest pid
            path.write_bytes(draw.randbytes(100))
            os.utime(path, (time.time() - age,) * 2)
    return Hit(f"{-age / HOUR:+.0f} h", "between attempts")


@kind("files from the future")
def files_from_the_future(case: Case, draw: random.Random, attempt_s: float) -> Hit:
    """The clock of the machine that wrote them was ahead, or ours was set back."""
    ahead = time.time() + draw.uniform(1, 240) * HOUR
    _with_checkpoints(case, draw)
    for path in case.runs.iterdir():
        os.utime(path, (ahead, ahead))
    return Hit("all of runs/", "between attempts")


@kind("SIGKILL of the evaluation")
def kill_evaluation(case: Case, draw: random.Random, attempt_s: float) -> Hit:
    case.forget_outputs()
    case.train().end({0})
    pattern = draw.choice([None, ".*.metrics.json", "metrics.json"])
    delay = draw.uniform(0, 1.5) if pattern is None else draw.choice([0.0, 0.001])
    with case.touched() as touched:
        running = case.evaluate()
        there = Moment(delay, pattern).wait(touched, running.alive)
        where = "evaluation" if there else None
        if where:
            running.process.kill()
    code = running.end({0, KILLED})
    return Hit(where if code else None, str(code))
