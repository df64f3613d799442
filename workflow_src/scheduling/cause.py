"""How an attempt ended."""

from __future__ import annotations

import enum

from workflow_src.errors import BadData, Diverged, OutOfMemory, Stopped


class Cause(enum.Enum):
    """How an attempt ended: name, exit code (0 done, 75 again, 1 do not), and words for it."""

    # One that is done and has no scores was not evaluated yet.
    DONE = ("done", 0, "trained, not scored yet")
    GPU_OOM = ("gpu_oom", 75, "out of GPU memory")
    HOST_OOM = ("host_oom", 75, "out of host memory")
    DEADLINE = ("deadline", 75, "time limit reached")
    TERMINATED = ("terminated", 75, "terminated from outside")
    NODE_LOST = ("node_lost", 75, "node lost")
    DIVERGED = ("diverged", 1, "loss diverged")
    BAD_DATA = ("bad_data", 1, "refused its data")
    ERROR = ("error", 1, "ended by an error")

    @property
    def text(self) -> str:
        """The name in the journal."""
        return self.value[0]

    @property
    def exit_code(self) -> int:
        """What the process ends with."""
        return self.value[1]

    @property
    def words(self) -> str:
        """What digest, status and tables say of a cell that ended so and has no scores."""
        return self.value[2]

    @staticmethod
    def named(text: object) -> Cause | None:
        """The cause of this name; None of anything else."""
        return next((cause for cause in Cause if cause.text == text), None)


def cause_of(error: BaseException) -> Cause:
    """The cause that an exception stands for."""
    if isinstance(error, Diverged):
        return Cause.DIVERGED
    if isinstance(error, BadData):
        return Cause.BAD_DATA
    if isinstance(error, OutOfMemory):
        return Cause.GPU_OOM if error.of == "gpu" else Cause.HOST_OOM
    if isinstance(error, MemoryError):
        return Cause.HOST_OOM
    if isinstance(error, Stopped):
        return Cause.DEADLINE if error.reason == "deadline" else Cause.TERMINATED
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return Cause.TERMINATED
    return Cause.ERROR
