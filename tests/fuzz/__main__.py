"""Inputs that are valid, shipped or changed: `python -m tests.fuzz --runs 1500 --seed 1`.

What is right is known from what was written or typed, never from the reader. The end is 1 where an
accepted value is wrong, something was lost in silence, a valid input was refused, or a run took
more than 1 GB; tracebacks and hangs are counted and listed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from .campaign import results
from .plan import plan_of, plans
from .report import failed, line, report
from .verdict import FAILING, Verdict


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="beside the texts that are shipped")
    parser.add_argument("--seed", type=int, default=0, help="of all draws")
    parser.add_argument("--only", type=int, help="the run of this seed alone, in full")
    parser.add_argument("--seconds", type=float, default=30.0, help="after which a run hangs")
    parser.add_argument("--quiet", action="store_true", help="the report at the end alone")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 where no input was misread in silence."""
    options = _parser().parse_args(arguments)
    if options.only is not None:
        found = list(results([plan_of(options.only)], options.seconds))
        print(f"[{found[0].kind}] {found[0].verdict}\n{found[0].detail}")
        return int(failed(found))
    begun, found = time.monotonic(), []
    for result in results(plans(options.seed, options.runs), options.seconds):
        found.append(result)
        if not options.quiet and result.verdict in (*FAILING, Verdict.TRACEBACK, Verdict.HANG):
            print(line(result), file=sys.stderr, flush=True)
    print(report(found))
    print(f"Seed {options.seed}: {len(found)} runs in {time.monotonic() - begun:.0f} s.")
    return int(failed(found))


if __name__ == "__main__":
    sys.exit(main())
