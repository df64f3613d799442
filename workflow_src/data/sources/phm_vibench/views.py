"""Which channels of a record make up a recording."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from workflow_src.configuration.phm_vibench import PhmVibenchOptions
from workflow_src.data.sources.phm_vibench.table import MetadataRow
from workflow_src.errors import UserError


class View(NamedTuple):
    """Some channels of a record, None for all; ``name`` is that of a bearing, or empty."""

    name: str
    channels: tuple[int, ...] | None
    fails: bool


def views_of(runs: set[str], options: PhmVibenchOptions) -> dict[str, tuple[View, ...]]:
    """The views of the records of each run; ``UserError`` for a bearing of an unknown run."""
    if options.bearings is None:
        chosen = None if options.channels is None else tuple(options.channels)
        return dict.fromkeys(runs, (View("", chosen, True),))
    views: dict[str, list[View]] = defaultdict(list)
    for bearing in options.bearings:
        if bearing.run not in runs:
            raise UserError(
                f"The bearing {bearing.name} belongs to a run that there is not.",
                found=f"run: {bearing.run}",
                expected="one of " + ", ".join(sorted(runs)[:20]),
                remedy="mend `run:` under `bearings:` of the rig",
            )
        views[bearing.run].append(View(bearing.name, tuple(bearing.channels), bearing.fails))
    return {run: tuple(of) for run, of in views.items()}


def require_channels(view: View, count: int, row: MetadataRow) -> None:
    """Raise ``UserError`` for a channel that a record of `count` channels does not have."""
    wrong = [channel for channel in view.channels or () if channel >= count]
    if wrong:
        raise UserError(
            f"A record has no channel {wrong[0]}.",
            where=f"record {row.id}",
            found=f"{count} channels, counted from 0",
            remedy="mend `channels:` under `phm_vibench:` of the rig",
        )
