"""What the benchmarks compare is the same; their bytes are exact; every script runs."""

from __future__ import annotations

import argparse
import importlib
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "benchmarks"
TINY = {"width": 16, "patch_length": 16, "patch_count": 16}
SMALLER: dict[str, dict[str, Any]] = {
    "dlinear": {"kernel": 5},
    "fno": {"modes": 5},
    "patchtst": {"heads": 2, "feed_forward": 8},
    "timesnet": {"feed_forward": 4, "top_k": 2, "kernels": 3},
}
QUICKLY = {
    "audit.py": ["--megabytes", "12"],
    "dry_run.py": ["--cells", "24", "--heartbeats", "5"],
    "gpu.py": ["--rehearsal", "--minutes", "2", "--only", "card", "--out", "gpu-results"],
    "forecast.py": ["--cases", "1"],
    "failed_experiment.py": ["--classes", "v100-16g", "--sizes", "small"],
    "failed_runs.py": ["--only", "dlinear", "--batch", "2"],
    "host_memory.py": [
        *("--gib", "0.01", "0.02", "--workers", "0", "--steps", "3", "--samples", "20000"),
        *("--cache-mb", "1"),
    ],
    "large_store.py": ["--gib", "0"],
    "loading.py": ["--gib", "0", "--samples", "20000", "--spans", "64", "--rounds", "1"],
    "meters.py": ["--steps", "2"],
    "parse_cells.py": ["--cells", "2000"],
    "rates.py": ["--seconds", "0.1"],
    "seconds.py": ["--cells", "1", "--steps", "4", "--seconds", "0.1"],
    "status.py": ["--cells", "50", "--epochs", "5"],
    "step.py": ["--quick", "--backbones", "dlinear"],
    "textbook.py": ["--quick"],
    "watch.py": ["--steps", "5", "--rounds", "1"],
}


@pytest.fixture(scope="module")
def scripts() -> Iterator[Callable[[str], Any]]:
    """Imports a script by name, which may import its neighbours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        yield importlib.import_module


def test_peak_bytes_counts_what_lived_before_and_what_is_freed_within(
    scripts: Callable[[str], Any],
) -> None:
    def prepare() -> Callable[[], object]:
        kept, gone = torch.zeros(1000), torch.zeros(5000)
        del gone

        def work() -> None:
            torch.zeros(700)
            torch.zeros(300)
            kept.add_(1)

        return work

    assert scripts("step").peak_bytes(prepare) == 4 * 1700


def test_more_bytes_with_weights_at_a_larger_micro_batch(scripts: Callable[[str], Any]) -> None:
    step = scripts("step")
    sizes = {"window": 256, "channels": 1, **TINY, **SMALLER["patchtst"]}

    def peak(batch: int) -> int:
        def prepare() -> Callable[[], object]:
            network = step.build("patchtst", 32, **sizes)
            loop, drawn = step.Loop(network, step.Levers(batch)), step.draw(batch, 32, 256, 1)
            return lambda: loop(drawn)

        return int(step.peak_bytes(prepare))

    parameters = sum(p.numel() for p in step.build("patchtst", 32, **sizes).parameters())
    small, large = peak(2), peak(32)
    assert 16 * parameters < small < large  # weights, gradients and two moments, 4 bytes each


@pytest.mark.parametrize("backbone", SMALLER)
def test_one_backward_pass_gives_the_gradients_of_the_step(
    scripts: Callable[[str], Any], backbone: str
) -> None:
    step = scripts("step")
    found = []
    for joint in (False, True):
        network = step.build(backbone, 32, window=256, channels=1, **TINY, **SMALLER[backbone])
        torch.manual_seed(1)
        loop = step.Loop(network, step.Levers(3, joint=joint))
        losses = loop(step.draw(7, 32, 256, 1))
        assert all(math.isfinite(loss) for loss in losses.values())
        found.append((losses, [p.grad for p in network.parameters()]))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    for ours, theirs in zip(found[0][1], found[1][1], strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("backbone", SMALLER)
def test_a_textbook_block_gives_the_tokens_and_gradients_of_ours(
    scripts: Callable[[str], Any], backbone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    textbook = scripts("textbook")
    monkeypatch.setattr(textbook, "SIZES", {**textbook.SIZES, **TINY})
    small = textbook.BACKBONES[backbone] | SMALLER[backbone]
    monkeypatch.setitem(textbook.BACKBONES, backbone, small)
    written, ours = textbook.pair(backbone)
    tokens = torch.randn(1, 16, 16)
    outputs, gradients = [], []
    for block in (written, ours):
        seen = tokens.clone().requires_grad_()
        out = block(seen)
        outputs.append(out)
        (gradient,) = torch.autograd.grad(out.square().sum(), seen)
        gradients.append(gradient)
    assert torch.allclose(*outputs, rtol=1e-4, atol=1e-5)
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_flatness_part_ends_with_its_medians(
    scripts: Callable[[str], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    scripts("step").show_flat(argparse.Namespace(steps=40))
    printed = capsys.readouterr().out
    first, last = (line for line in printed.splitlines() if "of tensors" in line)
    assert first.split()[3] == last.split()[3]  # the same KiB of tensors
    assert "slope" in printed


def test_a_ratio_is_the_median_of_the_ratios_within_rounds(scripts: Callable[[str], Any]) -> None:
    rounds = [[1.0, 2.0], [10.0, 20.0], [5.0, 5.0]]
    assert scripts("step").medians(rounds, 1) == (5000.0, 2.0)


def test_no_script_is_left_out() -> None:
    assert {path.name for path in SCRIPTS.glob("*.py")} == set(QUICKLY)


@pytest.mark.slow
@pytest.mark.parametrize("script", QUICKLY)
def test_the_script_runs(script: str) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / script), *QUICKLY[script]],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert "nan" not in done.stdout
