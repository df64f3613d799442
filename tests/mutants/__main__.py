"""Do the fast tests notice when code is wrong? `python -m tests.mutants --count 60 --seed 1`.

Edits of one place each are drawn from the code that must not be wrong, an equal number from each
area; each is made in a copy of the tree, and the tests of its area run there. A mutant whose tests
fail, or do not end, is killed. One that survives meets the slow tests and every example of the
properties too: one killed only there is what the fast tests lack. The end is 1 where tests fail
without any edit.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import edits
from .edits import Edit

ROOT = Path(__file__).resolve().parents[2]
TRAINING, SCHEDULING = "workflow_src/training", "workflow_src/scheduling"
AREAS: dict[str, tuple[list[str], list[str]]] = {  # code and the tests that hold it, as patterns
    "step": ([f"{TRAINING}/step.py"], ["tests/training/test_step.py"]),
    "recovery": (
        [f"{TRAINING}/recovery.py", f"{TRAINING}/out_of_memory.py"],
        ["tests/training/test_recovery.py", "tests/training/test_out_of_memory.py"],
    ),
    "request": ([f"{SCHEDULING}/next_request.py"], ["tests/scheduling/test_next_request.py"]),
    "disjointness": (["workflow_src/data/disjointness.py"], ["tests/data/test_splits*.py"]),
    "lock": ([f"{SCHEDULING}/lock.py"], ["tests/scheduling/test_lock.py"]),
    "scores": (
        ["workflow_src/tasks/scores.py", "workflow_src/tasks/*/score.py"],
        ["tests/tasks/test_*.py", "tests/test_evaluation.py"],
    ),
}
FAST = ("--hypothesis-profile", "fast-unshrunk")
ALL = ("--hypothesis-profile", "full-unshrunk", "-m", "not slurm and not gpu")


@dataclass(frozen=True)
class Mutant:
    """An edit of one file, and the tests that should notice it."""

    area: str
    file: str
    edit: Edit

    def __str__(self) -> str:
        was, becomes = (text.split("\n")[0][:60] for text in (self.edit.was, self.edit.becomes))
        return f"{self.area:9} {self.file}:{self.edit.line}  {was}  ->  {becomes}"


def drawn(tree: Path, count: int, seed: int, areas: Sequence[str]) -> Iterator[Mutant]:
    """`count` mutants of `tree`, dealt to the areas in turn."""
    rng = random.Random(seed)
    hands = {}
    for area in areas:
        paths = _matching(tree, AREAS[area][0])
        sites = [(path, n) for path in paths for n in range(edits.count(path.read_text("utf-8")))]
        hands[area] = rng.sample(sites, len(sites))
    for number in range(count):
        area = areas[number % len(areas)]
        if hands[area]:
            path, site = hands[area].pop()
            code = path.read_text("utf-8")
            yield Mutant(area, str(path.relative_to(tree)), edits.edit(code, site))


def _matching(tree: Path, patterns: Sequence[str]) -> list[Path]:
    found = {pattern: sorted(tree.glob(pattern)) for pattern in patterns}
    lost = [pattern for pattern, paths in found.items() if not paths]
    if lost:
        raise SystemExit(f"No file is {', '.join(lost)}: change AREAS in {Path(__file__).name}.")
    return [path for paths in found.values() for path in paths]


def _copy(tree: Path, folder: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=tree, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (tree / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(tree / name, folder / name)


def noticed(folder: Path, area: str, choice: Sequence[str], seconds: float | None = None) -> bool:
    """Whether a test of `area` fails in the copy, or they have not ended after `seconds`."""
    tests = [str(path) for path in _matching(folder, AREAS[area][1])]
    # Compiled files are known by second and size, which an edit may not change.
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *choice, *tests]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return True
    if done.returncode not in (0, 1, 2):  # passed, failed, could not even be collected
        raise SystemExit(done.stdout.decode() + done.stderr.decode())
    return done.returncode != 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 where the tests of every area pass without an edit."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--count", type=int, default=60, help="mutants")
    parser.add_argument("--seed", type=int, default=1, help="of the draw")
    parser.add_argument("--tree", type=Path, default=ROOT, help="another checkout of the project")
    parser.add_argument("--areas", nargs="+", choices=AREAS, default=list(AREAS), help="of code")
    options = parser.parse_args(arguments)
    tree = options.tree.resolve()
    fates: dict[str, list[str]] = {area: [] for area in options.areas}
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        folder, limits = Path(name), {}
        _copy(tree, folder)
        for area in options.areas:
            for choice in (FAST, ALL):
                begun = time.monotonic()
                if noticed(folder, area, choice):
                    print(f"Tests of {area} fail without any edit.", file=sys.stderr)
                    return 1
                limits[area, choice] = 60 + 5 * (time.monotonic() - begun)  # after it they hang
        for mutant in drawn(tree, options.count, options.seed, options.areas):
            path = folder / mutant.file
            path.write_text(mutant.edit.code, encoding="utf-8")
            met = (
                c for c in (FAST, ALL) if noticed(folder, mutant.area, c, limits[mutant.area, c])
            )
            fate = {FAST: "killed", ALL: "slow", None: "SURVIVED"}[next(met, None)]
            shutil.copy(tree / mutant.file, path)
            fates[mutant.area].append(fate)
            print(f"{fate:8} {mutant}", flush=True)
    for area, ends in fates.items():
        print(f"{area:9} {_share(ends)}")
    print(f"Seed {options.seed}: {_share([end for ends in fates.values() for end in ends])}")
    return 0


def _share(ends: Sequence[str]) -> str:
    killed, slow = ends.count("killed"), ends.count("slow")
    return f"{killed} of {len(ends)} mutants killed by fast tests, {slow} by slow ones alone"


if __name__ == "__main__":
    sys.exit(main())
