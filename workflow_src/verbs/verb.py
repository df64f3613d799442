"""What the groups of verbs share: how one is added, and whose configuration it asks for."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from workflow_src.scheduling.cause import Cause

if TYPE_CHECKING:
    from pydantic import JsonValue

    from workflow_src.configuration import Configuration


ROOT = Path(__file__).parents[2]  # of the Snakefile and config/


class Verb(Protocol):
    """Adds a verb."""

    def __call__(
        self, name: str, run: Callable[[argparse.Namespace], Cause], text: str, *aliases: str
    ) -> argparse.ArgumentParser:
        """`text` is its help, `aliases` are older names."""


def kept_configuration() -> Configuration | None:
    """The configuration of the run that called this verb; None where a user did."""
    from workflow_src.configuration import snapshot

    return snapshot.kept() if snapshot.VARIABLE in os.environ else None


def configured(file: Path | None) -> Configuration:
    """What `file` over config/config.yaml says, on this machine."""
    from workflow_src.configuration import load
    from workflow_src.configuration.reading import merged, read

    folder = ROOT / "config"
    files = ([] if file is None else [file]) + [folder / "config.yaml"]
    values: dict[str, JsonValue] = {"hardware": "local"}
    for path in reversed(files):
        values = merged(values, read(path))
    return load(values, folder, files)
