"""The fault campaign: `python -m tests.faults --runs 300 --seed 1 --jobs 2 --markdown`."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from .campaign import Campaign, describe, plans, table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="cells that are driven to their end")
    parser.add_argument("--seed", type=int, default=0, help="of the faults, moments and places")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--only", type=int, help="this run of the seed alone")
    parser.add_argument("--keep", action="store_true", help="the folders of runs that held, too")
    parser.add_argument("--markdown", action="store_true", help="end with the table alone")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 where every promise held."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # runs clean up behind them
    folder = Path(tempfile.mkdtemp(prefix="faults-")).resolve()
    begun = time.monotonic()
    runs = options.runs if options.only is None else options.only + 1
    planned = plans(options.seed, runs)[options.only or 0 :]
    campaign, results = Campaign(folder, keep=options.keep), []
    # Ctrl-C ends with the table of what is done, after the runs that have begun.
    with contextlib.suppress(KeyboardInterrupt):
        for result in campaign.all(planned, options.jobs):
            results.append(result)
            stream = sys.stderr if options.markdown else sys.stdout
            print(describe(result), file=stream, flush=True)
    print(table(results))
    spent = time.monotonic() - begun
    print(f"\nSeed {options.seed}: {spent:.0f} s, {options.jobs} runs at a time.")
    broken = any(result.broken for result in results)
    if broken or options.keep:
        print(f"kept: {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
