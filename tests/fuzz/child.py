"""Runs seeds that it reads, a line each, and writes a result a line: `python -m tests.fuzz.child`.

Started by `tests.fuzz.campaign`, which ends it where a run hangs.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
import warnings
from dataclasses import asdict
from pathlib import Path

from .execute import Executor

_ADDRESSES = 8 << 30  # far beyond what is allowed, and less than would hurt the machine


def main() -> None:
    """Serve until the input ends."""
    results = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # what the product or a library prints is no result
    os.dup2(nowhere, 2)
    logging.disable()
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESSES, _ADDRESSES))
    executor = Executor(Path(sys.argv[1]))
    print("ready", file=results, flush=True)
    for line in sys.stdin:
        print(json.dumps(asdict(executor.run(int(line)))), file=results, flush=True)


if __name__ == "__main__":
    main()
