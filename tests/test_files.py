"""Files are whole or absent, whatever fails while they are written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workflow_src.errors import UserError
from workflow_src.files import write_text, write_whole

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.txt"


def contents(path: Path) -> dict[str, str]:
    return {each.name: each.read_text(encoding="utf-8") for each in path.parent.iterdir()}


def half(temporary: Path) -> None:
    temporary.write_text("half", encoding="utf-8")
    raise OSError("no space left on device")


def test_text_is_written_in_utf8(path: Path) -> None:
    write_text(path, "µ = 1\n")
    assert path.read_bytes() == "µ = 1\n".encode()
    write_text(path, "second")
    assert contents(path) == {"file.txt": "second"}


def test_a_failure_leaves_nothing(path: Path) -> None:
    with pytest.raises(OSError, match="no space"):
        write_whole(path, half)
    assert contents(path) == {}


def test_a_failure_leaves_what_was_there(path: Path) -> None:
    write_text(path, "before")
    with pytest.raises(OSError, match="no space"):
        write_whole(path, half)
    assert contents(path) == {"file.txt": "before"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_an_interruption_is_a_failure_too(path: Path, error: type[BaseException]) -> None:
    def write(temporary: Path) -> None:
        temporary.write_text("half", encoding="utf-8")
        raise error

    with pytest.raises(error):
        write_whole(path, write)
    assert contents(path) == {}


def test_a_writer_that_fails_before_it_writes_says_so(path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write_whole(path, lambda _: 1 / 0)
    with pytest.raises(FileNotFoundError):
        write_whole(path, lambda _: None)  # it promised a file
    assert contents(path) == {}


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_what_was_there(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    write_text(path, "before")

    def fail(*_: Any) -> None:
        raise OSError("input/output error")

    monkeypatch.setattr(*((os, "fsync", fail) if call == "fsync" else (Path, "replace", fail)))
    with pytest.raises(OSError, match="input/output"):
        write_text(path, "after")
    monkeypatch.undo()
    assert contents(path) == {"file.txt": "before"}


def test_bytes_are_on_the_disk_before_the_name_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    sync, replace = os.fsync, Path.replace

    def syncing(descriptor: int) -> None:
        order.append("fsync")
        sync(descriptor)

    def replacing(self: Path, target: Path) -> Path:
        order.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(Path, "replace", replacing)
    write_text(path, "text")
    assert order[:2] == ["fsync", "rename"]


def test_the_folder_is_made(tmp_path: Path) -> None:
    write_text(tmp_path / "missing" / "file", "text")
    assert (tmp_path / "missing" / "file").read_text(encoding="utf-8") == "text"


KILLED = """
import os, signal, sys
from pathlib import Path
from workflow_src.files import write_whole

def write(temporary):
    with temporary.open("w") as file:
        file.write("half")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

write_whole(Path(sys.argv[1]), write)
"""


def test_a_killed_writer_leaves_no_half_file_under_the_name(path: Path) -> None:
    write_text(path, "before")
    process = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        timeout=60,
    )
    assert process.returncode == -signal.SIGKILL
    assert path.read_text(encoding="utf-8") == "before"
    write_text(path, "after")  # and the next one is not hindered
    assert path.read_text(encoding="utf-8") == "after"


@pytest.mark.faults
def test_a_full_disk_is_named_and_left_clean(small_disk: Path) -> None:
    """Text, predictions (HDF5) and weights (safetensors) alike."""
    import numpy as np
    import pandas as pd
    from safetensors.numpy import save_file

    from workflow_src.predictions import (
        SPAN_COLUMNS,
        Predictions,
        TaskPredictions,
        read_predictions,
        write_predictions,
    )

    def predictions(count: int) -> Predictions:
        spans = pd.DataFrame({name: np.zeros(count) for name in SPAN_COLUMNS})
        outputs = {"model": np.ones((count, 8), np.float32)}
        task = TaskPredictions(np.ones(count, np.bool_), outputs, columns=("a",))
        return Predictions(spans, {"signal_prediction": task})

    kept = small_disk / "kept.json"
    write_text(kept, "before")
    too_large = (
        lambda: write_text(kept, "x" * 2_000_000),
        lambda: write_predictions(small_disk / "predictions.h5", predictions(40_000)),
        lambda: write_whole(
            small_disk / "model.safetensors",
            lambda path: save_file({"w": np.ones(600_000, np.float32)}, path),
        ),
    )
    for write in too_large:
        with pytest.raises(UserError, match="The disk is full") as caught:
            write()
        assert str(small_disk) in str(caught.value)
        assert [path.name for path in small_disk.iterdir()] == ["kept.json"]
    assert kept.read_text(encoding="utf-8") == "before"
    write_predictions(small_disk / "predictions.h5", predictions(100))  # serves again
    assert len(read_predictions(small_disk / "predictions.h5").spans) == 100
