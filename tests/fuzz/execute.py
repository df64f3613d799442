"""One run from its seed to its verdict, in this process."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from snakemake_interface_common.exceptions import WorkflowError

from workflow_src.errors import UserError

from . import configurations, valid
from .loaded import Loader
from .plan import RECORDINGS, Plan, plan_of
from .product import read_case
from .verdict import Case, Result, Verdict, judged, refused

LIMIT_MB = 1000.0


class Executor:
    """Makes runs within a folder, which it leaves as it was."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loader = Loader(folder)

    def run(self, seed: int) -> Result:
        """The run of a seed; whatever the product raises is a verdict."""
        plan, begun = plan_of(seed), time.monotonic()
        root = self._folder / f"run{seed}"
        root.mkdir()
        try:
            attempt = self._attempt(plan, root)
            forget_peak()
            verdict, detail = ended(attempt)
        finally:
            shutil.rmtree(root, ignore_errors=True)
        peak = peak_mb()
        if peak > LIMIT_MB:
            verdict, detail = Verdict.MEMORY, f"{peak:.0f} MB; {verdict}: {detail}"
        seconds = time.monotonic() - begun
        detail = detail.replace(str(self._folder), "")
        return Result(seed, plan.family, plan.kind, verdict, detail, seconds, peak)

    def _attempt(self, plan: Plan, root: Path) -> Callable[[], tuple[Verdict, str]]:
        """Make the files of a run; what is left is to have the product read them."""
        if plan.family in ("shipped", "configuration"):
            typed = (
                configurations.as_shipped(-plan.seed - 1)
                if plan.family == "shipped"
                else configurations.changed(plan.kind, plan.draw())
            )
            return lambda: _configuration(typed, self._loader)
        kinds = valid.KINDS if plan.family == "valid" else RECORDINGS
        case = kinds[plan.kind](plan.draw(), root)
        return lambda: _recordings(case, root)


def _recordings(case: Case, root: Path) -> tuple[Verdict, str]:
    try:
        return judged(case, read_case(root, case))
    except UserError as error:
        return refused(case, str(error))


def _configuration(typed: configurations.Typed, loader: Loader) -> tuple[Verdict, str]:
    try:
        return configurations.judged(typed, loader)
    except UserError as error:
        return configurations.refused(typed, str(error))
    except WorkflowError as error:  # Snakemake read the file first, in words of its own
        return configurations.refused(typed, f"`Snakemake`: {error}")


def ended(attempt: Callable[[], tuple[Verdict, str]]) -> tuple[Verdict, str]:
    """The verdict of an attempt, whatever it raises."""
    try:
        return attempt()
    except MemoryError as error:
        return Verdict.MEMORY, f"MemoryError: {error}"
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}, line {last.lineno}"
        return Verdict.TRACEBACK, f"{type(error).__name__}: {error} ({place})"


def peak_mb() -> float:
    """The most memory that this process has held since `forget_peak`, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return float(line.split()[1]) / 1024.0
    return 0.0


def forget_peak() -> None:
    """Measure the peak anew from what is held now."""
    Path("/proc/self/clear_refs").write_text("5")
