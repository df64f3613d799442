"""`benchmarks/gpu.py` itself: budgets, failures, a machine without a card."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gpu
import pytest
import torch

from workflow_src.limits import resident

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")


def kept(bench: Any) -> None:
    bench.put("figure", value=1.5)


def raises(bench: Any) -> None:
    bench.put("before", value=2.0)
    raise ValueError("no such kernel")


def sleeps(bench: Any) -> None:
    bench.put("started", value=subprocess.Popen(["sleep", "60"]).pid)
    time.sleep(60)


def killed(bench: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Four parts in place of the script's own."""
    chosen = {
        "raises": gpu.Part(raises, 1.0),
        "killed": gpu.Part(killed, 1.0),
        "sleeps": gpu.Part(sleeps, 0.1),
        "kept": gpu.Part(kept, 10.0),
    }
    monkeypatch.setattr(gpu, "PARTS", chosen)
    return chosen


def test_a_part_that_fails_or_sleeps_says_so_and_the_next_runs(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    start = time.monotonic()
    gpu.run(list(parts), 0.5, tmp_path, CPU)
    assert time.monotonic() - start < 25  # the sleeper had a hundredth of half a minute
    found = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))["parts"]
    assert found["raises"]["error"] == "ValueError: no such kernel"
    assert found["raises"]["results"] == {"before": 2.0}
    assert "-9" in found["killed"]["error"]
    assert found["sleeps"]["error"].startswith("cut after")
    (started,) = found["sleeps"]["results"].values()
    assert not resident(started)  # nothing of a cut part goes on
    assert "error" not in found["kept"]
    assert found["kept"]["results"] == {"figure": 1.5}


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_card_it_says_so_and_ends_well(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "no GPU: nothing was measured" in done.stdout
    assert "--rehearsal" in done.stdout
    assert not (tmp_path / "out").exists()


def _page_of(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a copy of docs/gpu.py in `folder`, where it writes gpu.md."""
    script = shutil.copy(ROOT / "docs" / "gpu.py", folder)
    command = [sys.executable, script, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_page_is_what_its_script_writes(tmp_path: Path) -> None:
    """Until a run is recorded; then its figures stand in the page, whose head names the commit."""
    page = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
    if "Measured once." in page:
        return
    assert _page_of(tmp_path).returncode == 0
    assert page == (tmp_path / "gpu.md").read_text(encoding="utf-8")


def test_without_what_was_measured_the_page_stays(tmp_path: Path) -> None:
    (tmp_path / "gpu.md").write_text("of before", encoding="utf-8")
    done = _page_of(tmp_path, "found/gpu.json")
    assert done.returncode == 1
    assert "found/gpu.json is not there" in done.stderr
    assert "benchmarks/gpu.py --out found " in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "gpu.md").read_text(encoding="utf-8") == "of before"
