"""Every part of `benchmarks/gpu.py`, small and on the CPU: what it finds is whole and in bounds."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gpu_parts import correctness
from gpu_parts.bench import NEEDS_A_CARD

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
# Keys, or the beginnings of keys, whose values only a card can give.
CARD_ALONE = ("nvml", "pinned_memory", "cuda_graphs", "expandable_segments")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one rehearsal has left."""
    out = tmp_path_factory.mktemp("rehearsal")
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py")]
    command += ["--rehearsal", "--minutes", "40", "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def parts(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "gpu.json").read_text(encoding="utf-8"))["parts"]
    return found


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, (*path, key))
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each, path)
    else:
        yield path, value


def test_every_part_comes_to_its_end(parts: dict[str, Any]) -> None:
    assert list(parts) == [
        "card",
        "correctness",
        "running_out",
        "train_verb",
        "experiment",
        "killed_attempt",
        "speed",
    ]
    assert {name: part.get("error") for name, part in parts.items()} == dict.fromkeys(parts)


def test_every_figure_is_finite_and_only_what_needs_a_card_says_so(parts: dict[str, Any]) -> None:
    for name, part in parts.items():
        for path, value in leaves(part["results"]):
            assert "error" not in path, (name, path, value)
            if isinstance(value, float | int):
                assert math.isfinite(value), (name, path)
            if value == NEEDS_A_CARD:
                assert any(key.startswith(CARD_ALONE) for key in path), (name, path)


def test_gradients_are_those_of_the_whole_batch(parts: dict[str, Any]) -> None:
    found = parts["correctness"]["results"]
    assert all(found["keyed_draws_equal"].values())
    for backbone in ("dlinear", "fno", "patchtst", "timesnet"):
        errors = found[backbone]["micro_batches"]
        assert max(errors["fp64"].values()) <= correctness.FP64
        assert max(errors["fp32"].values()) <= correctness.FP32
        assert found[backbone]["repeated"]["bit_equal"]
        assert found[backbone]["recomputed"]["bit_equal"]


def test_memory_that_ran_out_changed_no_bit(parts: dict[str, Any]) -> None:
    found = parts["running_out"]["results"]
    for place in ("forward", "backward", "validation", "prediction"):
        assert found[place]["failed_in"]
        assert all(place in phase for phase in found[place]["failed_in"])
        assert found[place]["bit_equal"]
    for place in ("optimizer", "one_span"):
        assert found[place]["of"] == "host"
        assert found[place]["bit_equal"]


def test_the_verb_resumes_to_the_same_bits(parts: dict[str, Any]) -> None:
    found = parts["train_verb"]["results"]
    assert found["deadline"]["cause"] == "deadline"
    assert all(found[name]["bit_equal"] for name in ("killed", "deadline", "workers"))
    assert found["killed"]["ended_with"] == -9


def test_an_attempt_out_of_memory_is_followed_by_one_that_ends_well(parts: dict[str, Any]) -> None:
    found = parts["killed_attempt"]["results"]
    assert (found["terminated_with"], found["out_of_memory_with"], found["ended_with"]) == (
        75,
        75,
        0,
    )
    assert found["causes"][-1] == "done"
    assert "host_oom" in found["causes"]
    assert found["resumed"] >= 1


def test_the_page_of_it_names_each_part(folder: Path, tmp_path: Path) -> None:
    script = shutil.copy(ROOT / "docs" / "gpu.py", tmp_path)
    subprocess.run([sys.executable, script, str(folder / "gpu.json")], check=True)
    page = (tmp_path / "gpu.md").read_text(encoding="utf-8")
    assert "A rehearsal on the CPU: no figure below is of a GPU." in page
    for title in ("Correctness", "Running out", "Train verb", "Experiment", "Killed attempt"):
        assert f"## {title}" in page
    assert "timesnet, original" in page


def test_what_comes_back_is_small(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert 1 <= len(files) <= 8
    assert all(path.stat().st_size < 16 * 1024**2 for path in files)
    assert all(len(path.relative_to(folder).parts) <= 2 for path in files)


def test_a_step_takes_what_its_trace_forecasts(parts: dict[str, Any]) -> None:
    """On the CPU, where the measured step had its batch before."""
    for rows in parts["experiment"]["results"].values():
        for row in rows.values():
            assert set(row["forecast"]) == {"fp32", "bf16", "checkpointing", "checkpointing_bf16"}
            assert all(0.98 <= each["tensors"] <= 1.15 for each in row["forecast"].values())
