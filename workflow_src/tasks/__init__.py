"""The tasks: each has `options.py` and `score.py` (no torch), and `objective.py` (torch)."""

from workflow_src.configuration.tasks import TASKS

__all__ = ["TASKS"]
