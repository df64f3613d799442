"""Whether the workflow works on this card, how fast, and how large a batch may be.

    python benchmarks/gpu.py --out FOLDER [--minutes 8] [--only PART ...] [--rehearsal]

Parts run in order of worth. Each part runs in its own process and gets a share of the minutes.
FOLDER/gpu.json receives a part's results when the part ends, also when it fails or is cut; then the
next part runs. `docs/gpu.py` turns the file into docs/gpu.md. --rehearsal runs the same functions
small on the CPU; figures that need a card are marked. A machine needs torch, pytorch-lightning and
the wheels of `make bundle`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT)]  # on a bare machine it is installed nowhere

import torch  # noqa: E402
from gpu_parts import (  # noqa: E402
    card,
    correctness,
    experiment,
    killed_attempt,
    running_out,
    speed,
    train_verb,
)
from gpu_parts.bench import Bench  # noqa: E402
from gpu_parts.children import Cut, Failed, in_child  # noqa: E402

from workflow_src.files import write_text  # noqa: E402
from workflow_src.limits import devices  # noqa: E402


@dataclass(frozen=True)
class Part:
    """What is measured, and its share of the minutes."""

    measure: Callable[[Bench], object]
    share: float


PARTS = {
    "card": Part(card.measure, 20),
    "correctness": Part(correctness.measure, 70),
    "running_out": Part(running_out.measure, 60),
    "train_verb": Part(train_verb.measure, 100),
    "experiment": Part(experiment.measure, 130),
    "killed_attempt": Part(killed_attempt.measure, 40),
    "speed": Part(speed.measure, 60),
}


def run(names: Sequence[str], minutes: float, folder: Path, device: torch.device) -> dict[str, Any]:
    """Measure the parts; what is found is in FOLDER/gpu.json at any time.

    A part that ends early leaves its time to those that follow.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
        "device": device.type,
        "minutes": minutes,
        "parts": {},
    }
    end = time.monotonic() + 60 * minutes
    for number, name in enumerate(names):
        left = max(0.0, end - time.monotonic())
        shares = [PARTS[each].share for each in names[number:]]
        found["parts"][name] = measured(name, left * shares[0] / sum(shares), device)
        write_text(folder / "gpu.json", json.dumps(found, indent=1))
    return found


def measured(name: str, budget_s: float, device: torch.device) -> dict[str, Any]:
    """One part: `results`, `seconds`, its `budget_s`, and `error` where it did not end well."""
    start = time.monotonic()
    print(f"{name}: at most {budget_s:.0f} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="gpu-") as scratch:
        file = Path(scratch, "results.json")
        bench = Bench(device, start + budget_s, Path(scratch), file)
        outcome: dict[str, Any] = {}
        try:
            in_child(partial(_measure, name, bench), budget_s)
        except Cut as error:
            outcome["error"] = str(error)
        except Failed as error:
            outcome["error"] = str(error).strip().splitlines()[-1]
            print(error, file=sys.stderr, flush=True)
        results = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    outcome |= {"budget_s": budget_s, "seconds": time.monotonic() - start, "results": results}
    print(f"{name}: {outcome.get('error', 'done')}, {outcome['seconds']:.0f} s", flush=True)
    return outcome


def _measure(name: str, bench: Bench) -> None:
    if not bench.cuda:
        torch.set_num_threads(1)  # as an attempt does by default, and so that rehearsals are small
    PARTS[name].measure(bench)


def commit() -> str:
    """The commit that is measured; "unknown" where the folder is no repository."""
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=8.0, help="for all parts together")
    parser.add_argument("--out", type=Path, required=True, help="folder of gpu.json")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--rehearsal", action="store_true", help="small, on the CPU")
    options = parser.parse_args(arguments)
    # Ask NVML: a fork cannot use CUDA once its parent has.
    if not options.rehearsal and not devices():
        print("no GPU: nothing was measured. `--rehearsal` runs the same parts small on the CPU.")
        return
    device = torch.device("cpu" if options.rehearsal else "cuda")
    run(options.only, options.minutes, options.out, device)
    print(f"results: {options.out / 'gpu.json'}")


if __name__ == "__main__":
    main()
