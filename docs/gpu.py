"""Writes docs/gpu.md from what `benchmarks/gpu.py` has measured.

    python docs/gpu.py [FOLDER/gpu.json]

Without a file the page says which commands fill it, and that nothing is proven. A file that is not
there, as after a benchmark without a GPU, leaves the page as it is.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HOW = """\
# On a GPU

`benchmarks/gpu.py` answers two questions on a new card or cluster. Does the workflow work there?
How large may a batch be? It takes eight minutes and one GPU:

```
$ make .venv/.dev && .venv/bin/python benchmarks/gpu.py --out gpu-results
$ .venv/bin/python docs/gpu.py gpu-results/gpu.json
```

A machine may have its own PyTorch and no network. Collect elsewhere the wheels that it lacks
(3 MB). `PYTHON_VERSION` is the version of Python on that machine:

```
$ make bundle PYTHON_VERSION=3.12
```

Carry `bundle/` over with the sources. Then, on that machine:

```
$ python3 -m pip install --no-index --no-deps --target .site bundle/*.whl
$ PYTHONPATH=.site:. python3 benchmarks/gpu.py --out gpu-results
```

`--only card correctness` runs single parts. `--rehearsal` runs all parts small on the CPU.
`make test-gpu` tests correctness and recovery alone.
"""

UNPROVEN = """\
## Nothing is proven yet

No run on a GPU is recorded here. The rehearsal on the CPU passes (`make test-slow
SLOW_TESTS=tests/gpu`). It says nothing of CUDA's kernels, NVML, pinned memory, expandable segments
and CUDA graphs.
"""

PAGE = Path(__file__).with_suffix(".md")

Rows = Sequence[Sequence[object]]


def page(found: Mapping[str, Any] | None) -> str:
    """The page, in Markdown."""
    if found is None:
        return f"{HOW}\n{UNPROVEN}"
    sections = [HOW, head(found)]
    for name, section in SECTIONS.items():
        part = found["parts"].get(name)
        if part is not None:
            sections.append(f"## {name.replace('_', ' ').capitalize()}\n{ended(part)}")
            sections.append(section(part["results"]))
    return "\n".join(text for text in sections if text).rstrip("\n") + "\n"


def head(found: Mapping[str, Any]) -> str:
    """What was measured, when, and of which commit."""
    rehearsal = found["device"] == "cpu"
    what = "A rehearsal on the CPU: no figure below is of a GPU." if rehearsal else "Measured once."
    return f"{what} Commit {found['commit']}, {found['date']}.\n"


def ended(part: Mapping[str, Any]) -> str:
    """A line for a part that did not come to its end."""
    return f"\nNot complete: {part['error']}\n" if "error" in part else ""


def table(columns: Sequence[str], rows: Rows) -> str:
    """A table; nothing where there is no row."""
    if not rows:
        return ""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n" + "\n".join(f"| {' | '.join(map(shown, line))} |" for line in lines) + "\n"


def shown(value: object) -> str:
    """A cell of a table: four digits, yes or no, a list by its members."""
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if isinstance(value, float):
        return f"{value:.3g}" if math.isfinite(value) else "undefined"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {shown(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(shown, value)) or "none"
    return str(value)


def pairs(results: Mapping[str, Any]) -> str:
    """A table of names and values."""
    return table(["", ""], [[name.replace("_", " "), value] for name, value in results.items()])


def nested(results: Mapping[str, Any], first: str) -> str:
    """A table with a row per name, and a column per key that any of them has."""
    whole = {name: row for name, row in results.items() if isinstance(row, Mapping)}
    keys = list(dict.fromkeys(key for row in whole.values() for key in row))
    rows = [[name, *(row.get(key, "") for key in keys)] for name, row in whole.items()]
    return table([first, *(key.replace("_", " ") for key in keys)], rows)


def of_correctness(results: Mapping[str, Any]) -> str:
    """A table per check, a row per backbone."""
    backbones = {name: value for name, value in results.items() if name != "keyed_draws_equal"}
    text = "\nDraws keyed by the sample, equal on CPU and GPU:\n"
    text += pairs(results.get("keyed_draws_equal", {}))
    checks = dict.fromkeys(check for value in backbones.values() for check in value)
    for check in checks:
        text += f"\n{CHECKS.get(check, check)}\n"
        text += nested({name: value.get(check, {}) for name, value in backbones.items()}, "network")
    return text


CHECKS = {
    "against_float64": "Error against float64 on the CPU, over the largest value:",
    "micro_batches": "Error of the gradient by micro-batch against the whole batch of 11 (at most "
    "1e-12 in float64, 5e-6 in float32):",
    "half_precision": "Error of the gradient in half precision:",
    "repeated": "The same step twice:",
    "recomputed": "Activations recomputed:",
    "fused_adamw": "Where 20 steps of AdamW end, from the CPU's, over the distance moved:",
}


def of_experiment(results: Mapping[str, Any]) -> str:
    """What a step takes, what fits, and hours, per network and dimensions."""
    flat = {
        f"{backbone}, {dimensions}": row
        for dimensions, rows in results.items()
        for backbone, row in rows.items()
        if "fits" in row
    }
    steps = {
        name: {
            "parameters": f"{row['parameters']:,}",
            "MB per span": row["line_bytes"]["per_span"] / 1024**2,
            "MB constant": row["line_bytes"]["constant"] / 1024**2,
            "ms per span": 1e3 * row["line_s"]["per_span"],
            **{f"largest, {key.replace('_', ' ').upper()}": n for key, n in row["fits"].items()},
            "16 GB verified": row.get("verified", ""),
        }
        for name, row in flat.items()
    }
    hours = {
        name: {key: row[key] for key in ("hours_per_epoch", "gpu_hours", "gpu_hours_bf16")}
        for name, row in flat.items()
    }
    levers = {name: {"at": row["levers_at"], **row["levers"]} for name, row in flat.items()}
    text = "\nBytes and seconds of a step by micro-batch, and the largest that fits:\n"
    text += nested(steps, "network")
    text += "\nBytes and seconds over those of float32, at one micro-batch:\n"
    text += nested(levers, "network")
    text += "\nForecast over measured, tensors and as the allocator reserves:\n"
    text += nested({name: row.get("forecast", {}) for name, row in flat.items()}, "network")
    text += "\nHours at the original batch, of 200 epochs and two seeds in all:\n"
    return text + nested(hours, "network")


def of_speed(results: Mapping[str, Any]) -> str:
    """A table per question."""
    text = ""
    for name, value in results.items():
        rows = any(isinstance(each, Mapping) for each in value.values())
        text += f"\n{name.replace('_', ' ').capitalize()}:\n"
        text += nested(value, "") if rows else pairs(value)
    return text


def of_running_out(results: Mapping[str, Any]) -> str:
    """A row per place in which memory ran out; then fragmentation."""
    places = {name: row for name, row in results.items() if name != "fragmentation"}
    text = nested(places, "memory ran out in")
    return text + nested(results.get("fragmentation", {}), "allocator")


SECTIONS = {
    "card": pairs,
    "correctness": of_correctness,
    "running_out": of_running_out,
    "train_verb": pairs,
    "experiment": of_experiment,
    "killed_attempt": pairs,
    "speed": of_speed,
}


def main(arguments: Sequence[str]) -> None:
    """Write the page, or end with the reason why not."""
    found = None
    if arguments:
        file = Path(arguments[0])
        if not file.is_file():
            sys.exit(
                f"{file} is not there, and the page stays as it is.\n"
                f"  remedy:   python benchmarks/gpu.py --out {file.parent}   # with a GPU"
            )
        found = json.loads(file.read_text(encoding="utf-8"))
    PAGE.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
