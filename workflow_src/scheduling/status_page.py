"""The grid as a table, once or on a screen that is kept up to date."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence

from rich.live import Live
from rich.text import Text

from workflow_src.scheduling.other_code import WORDS, retraining
from workflow_src.scheduling.status import State, Status

_EVERY_S = 3.0
_COLUMNS = (
    "cell",
    "state",
    "epoch",
    "loss",
    "s/epoch",
    "host MB",
    "left",
    "attempts",
    "class",
    "cause",
)


def table(study: str, grid: Sequence[Status]) -> str:
    """The grid in aligned columns, what is to be looked at first."""
    counts = Counter(status.state for status in grid)
    summary = ", ".join(f"{counts[state]} {state.value}" for state in State if counts[state])
    order = list(State)
    rows = [_row(one) for one in sorted(grid, key=lambda one: order.index(one.state))]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in (_COLUMNS, *rows)]
    if other := sum(status.other_code for status in grid):
        summary += f"; {other} {WORDS}"
        lines += [f"to train those anew: the command of the run with {retraining(study)}"]
    return "\n".join([f"{study}, {len(grid)} cells: {summary}", *lines])


def _row(status: Status) -> tuple[str, ...]:
    epochs = "" if status.epochs is None else f"{status.epoch}/{status.epochs}"
    memory = "" if status.used_mb is None else f"{status.used_mb}/{status.limit_mb}"
    return (
        status.cell.name,
        status.state.value,
        epochs,
        "" if status.loss is None else f"{status.loss:.4g}",
        "" if status.epoch_s is None else f"{status.epoch_s:.3g}",
        memory,
        "" if status.left_s is None else duration(status.left_s),
        str(status.attempts or ""),
        status.hardware,
        _remark(status),
    )


def _remark(status: Status) -> str:
    """Why it did not end well; whether other code did."""
    why = status.why if status.state is not State.DONE else ""
    return "; ".join(filter(None, [why, WORDS if status.other_code else ""]))


def duration(seconds: float) -> str:
    """In the words of a table: `40 s`, `7 min`, `3 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def watch(draw: Callable[[], str], every_s: float = _EVERY_S) -> None:
    """Show what `draw` gives, in place and again every `every_s` seconds, until Ctrl-C."""

    def drawn() -> Text:
        # What does not fit on the screen is cut: the rows are in the order of what matters.
        return Text(draw(), no_wrap=True, overflow="ellipsis")

    with contextlib.suppress(KeyboardInterrupt), Live(drawn(), auto_refresh=False) as live:
        while True:
            time.sleep(every_s)
            live.update(drawn(), refresh=True)
