"""Which rig and rate a resampled recording comes from, and what its native rate gives away."""

from __future__ import annotations

import pandas as pd

from workflow_src.configuration.schema import Dataset
from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.data.resampling import SUPPORT
from workflow_src.errors import UserError

RIG, NATIVE_RATE = "rig", "native_rate_hz"  # attributes of a union's recordings
RESAMPLED_FROM = "resampled_from_hz"  # attribute of those of one rig at a common rate


def is_union(table: pd.DataFrame) -> bool:
    """Whether the recordings of `table` (a row a recording) are those of a union."""
    return {RIG, NATIVE_RATE} <= set(table.columns)


def rate_tells_class(table: pd.DataFrame) -> list[str]:
    """A sentence for each rig in which the rate that a recording was taken at tells of its class.

    It does where a class was not recorded at each of the rig's rates: what distinguishes a native
    recording from a decimated one is then a feature of the class. `table` has a row a recording.
    """
    said = []
    for rig, own in _origins(table):
        rates = {
            str(fault): {float(rate) for rate in group}
            for fault, group in own.groupby("fault")["hz"]
            if fault
        }
        everywhere = set[float]().union(*rates.values())
        partial = [
            f"{fault} at {_listed(found)} alone"
            for fault, found in rates.items()
            if found != everywhere
        ]
        if partial:
            said.append(
                f"{rig}the rate of origin predicts the class ({_listed(everywhere)} before "
                f"resampling; {', '.join(partial)})"
            )
    return said


def _origins(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The resampled recordings by rig, with the rate that each was taken at as ``hz``."""
    if is_union(table):
        rigs = table.assign(hz=table[NATIVE_RATE]).groupby(RIG, sort=False)
        return [(f"{rig}: ", own) for rig, own in rigs]
    if RESAMPLED_FROM in table.columns:
        return [("", table.assign(hz=table[RESAMPLED_FROM]))]
    return []


def _listed(rates: set[float]) -> str:
    return " and ".join(f"{rate:g}" for rate in sorted(rates)) + " Hz"


def rigs_in_test(rows: pd.DataFrame, table: pd.DataFrame) -> tuple[str, ...] | None:
    """The rigs in the test part of a split, where recordings name their rig."""
    if RIG not in table.columns:
        return None
    names = rows["recording_id"][rows["part"] == "test"]
    return tuple(sorted(set(table[RIG][table["recording_id"].isin(names)])))


def require_gap(table: pd.DataFrame, dataset: Dataset, where: str) -> None:
    """Blocks of one resampled recording must lie further apart than the filter reaches."""
    filtered = is_union(table) or RESAMPLED_FROM in table.columns
    if filtered and dataset.split.gap < SUPPORT:
        raise UserError(
            "Resampled recordings passed a filter, and blocks cut from them are too near.",
            where=f"{where}, key `split.gap`",
            found=f"gap: {dataset.split.gap}",
            expected=f"at least {SUPPORT}, the samples behind one of the filter's",
            remedy=as_yaml(("split", "gap"), SUPPORT),
        )
