"""The name of one training target."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, order=True)
class Cell:
    """One training target."""

    dataset: str
    model: str
    task_set: str
    seed: int

    @property
    def name(self) -> str:
        """`dataset/model/task_set/seed`: what patterns match and messages show."""
        return f"{self.dataset}/{self.model}/{self.task_set}/{self.seed}"

    @property
    def key(self) -> tuple[str, str, str, int]:
        """(dataset, model, task set, seed): what `Configuration` resolves and requests by."""
        return self.dataset, self.model, self.task_set, self.seed

    @property
    def of_all_seeds(self) -> tuple[str, str, str]:
        """(dataset, model, task set): what the seeds of a network share."""
        return self.dataset, self.model, self.task_set

    @property
    def folder(self) -> Path:
        """Where the cell lies below results/, runs/ and logs/."""
        return Path(self.dataset, self.model, self.task_set, f"seed{self.seed}")
