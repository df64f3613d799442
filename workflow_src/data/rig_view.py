"""What a rig's page shows, in numbers: one recording a class, RMS over lives, and its table.

Memory and time do not grow with the recordings: a bounded stretch of each example and of a bounded
number of snapshots of each run is read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from workflow_src.artifacts.store_manifest import StoreManifest
from workflow_src.configuration.geometry import Geometry
from workflow_src.data.recordings import NORMAL
from workflow_src.data.store import Store
from workflow_src.features.fault_orders import REPEATING, orders_by_recording, shaft_hz
from workflow_src.features.spectra import (
    Band,
    Spectrum,
    Values,
    amplitude_spectrum,
    envelope_spectrum,
    kurtosis_band,
)

STRETCH = 1 << 16  # samples of an example that are read, from its start
SEGMENT = 1 << 15  # of its spectrum
SNAPSHOTS, SNAPSHOT_SAMPLES = 200, 8192  # of a run to failure, and of one of them
MOST_RUNS, MOST_CHANNELS = 24, 4  # whose RMS is drawn
HARMONICS = 3  # of each order that is marked
SHAFT_ORDERS = 20.0  # shown where the orders of a bearing's faults are unknown
LOW_SHARE = 0.05  # of the rate, where the speed is unknown too


@dataclass(frozen=True)
class Example:
    """One recording that stands for a class, in one channel.

    ``shaft_hz`` is None where the speed is unknown, ``rate_hz`` where the rate is: frequencies are
    then in cycles a sample, as if it were 1. ``orders`` are of this recording.
    """

    title: str
    recording_id: str
    condition: str
    channel: int
    rate_hz: float | None
    shaft_hz: float | None
    orders: dict[str, float]
    signal: Values  # (L,), in the rig's unit
    spectrum: Spectrum
    band: Band
    envelope: Spectrum

    @property
    def top(self) -> float:
        """Up to which frequency the low spectrum and the envelope's are shown."""
        wanted = _wanted_top(self.orders, self.shaft_hz, self.rate_hz)
        return min(wanted, self.band.high - self.band.low)

    @property
    def rms(self) -> float:
        """About the mean, of the stretch that was read."""
        return float(self.signal.std())

    def marks(self, top: float) -> list[tuple[str, int, float]]:
        """(order's name, harmonic, frequency) of the shaft and each fault, up to `top`."""
        if self.shaft_hz is None:
            return []
        lines = {"shaft": 1.0, **self.orders}
        found = [
            (name, harmonic, harmonic * order * self.shaft_hz)
            for name, order in lines.items()
            for harmonic in range(1, HARMONICS + 1)
        ]
        return [mark for mark in found if mark[2] <= top]


@dataclass(frozen=True)
class RunView:
    """RMS about the mean of a run's snapshots (n, channels) at shares of its life (n,)."""

    run_id: str
    life_s: float
    onset: float | None  # share of life
    share: Values
    rms: Values


@dataclass(frozen=True)
class RigView:
    """All that the page tells."""

    manifest: StoreManifest
    facts: list[tuple[str, str]]
    examples: list[Example]
    runs: list[RunView]
    runs_left_out: int
    geometry: Geometry | None


def view(store: Store, geometry: Geometry | None, amplitude_comparable: bool) -> RigView:
    """Read what the page of a rig needs from its store."""
    table = store.table
    failing = table[table["life_s"].notna()]
    runs = list(dict.fromkeys(failing["run_id"]))
    return RigView(
        manifest=store.manifest,
        facts=facts(table, store.manifest, amplitude_comparable),
        examples=[
            _example(store, table, row, title, geometry) for title, row in chosen(table).items()
        ],
        runs=[_run(store, failing[failing["run_id"] == run]) for run in runs[:MOST_RUNS]],
        runs_left_out=max(0, len(runs) - MOST_RUNS),
        geometry=geometry,
    )


# ------------------------------------------------------------------------------- examples


def chosen(table: pd.DataFrame) -> dict[str, int]:
    """Title -> row of the recording that is shown: one a class, normal first.

    All from the condition and rate that most classes share, where they have a recording there; of
    runs to failure the last one of a faulty class. Without classes, three stages of a life.
    """
    if not classes(table):
        return _stages(table)
    known = table[table["fault"] != ""]
    shared = known.groupby(["condition", "rate_hz"], dropna=False, sort=False)["fault"].nunique()
    condition, rate = cast(tuple[str, float], shared.idxmax())  # the first one of several
    same_rate = known["rate_hz"].isna() if math.isnan(rate) else known["rate_hz"] == rate
    here = known[(known["condition"] == condition) & same_rate]
    picked = {}
    for fault in classes(table):
        own = here[here["fault"] == fault]
        own = own if len(own) else known[known["fault"] == fault]
        first_run = own[own["run_id"] == own["run_id"].iloc[0]]
        last = fault != NORMAL and first_run["life_s"].notna().any()
        row = first_run["time_s"].idxmax() if last else first_run.index[0]
        picked[fault] = int(row)
    return picked


def classes(table: pd.DataFrame) -> list[str]:
    """Normal first, then by name."""
    return sorted(set(table["fault"]) - {""}, key=lambda fault: (fault != NORMAL, fault))


def _stages(table: pd.DataFrame) -> dict[str, int]:
    failing = table[table["life_s"].notna()]
    if failing.empty:
        return {"no class label": int(table.index[0])}
    run = failing[failing["run_id"] == failing["run_id"].iloc[0]].sort_values("time_s")
    middle = int((run["time_s"] - run["life_s"] / 2).abs().idxmin())
    name = run["run_id"].iloc[0]
    return {
        f"{name}, start of life": int(run.index[0]),
        f"{name}, half of life": middle,
        f"{name}, end of life": int(run.index[-1]),
    }


def _example(
    store: Store, table: pd.DataFrame, index: int, title: str, geometry: Geometry | None
) -> Example:
    row: Any = table.loc[index]  # its columns have types of their own
    channel = _vibration(row["channel_kinds"])[0]
    stop = min(int(row["length"]), STRETCH)
    signal = store.read(row["recording_id"], 0, stop)[:, channel].astype(np.float64)  # (L,)
    turning = float(shaft_hz(table.loc[[index]]).iloc[0])
    known = orders_by_recording(table.loc[[index]], geometry).iloc[0]
    orders = {str(name): float(order) for name, order in known.items()}
    rate = None if math.isnan(row["rate_hz"]) else float(row["rate_hz"])
    known_hz = None if rate is None or math.isnan(turning) else turning
    # A band shows modulation up to its width.
    band = kurtosis_band(signal, rate or 1.0, _wanted_top(orders, known_hz, rate))
    return Example(
        title=title,
        recording_id=row["recording_id"],
        condition=row["condition"],
        channel=channel,
        rate_hz=rate,
        shaft_hz=known_hz,
        orders=orders,
        signal=signal,
        spectrum=amplitude_spectrum(signal, rate or 1.0, SEGMENT),
        band=band,
        envelope=envelope_spectrum(signal, rate or 1.0, band),
    )


def _wanted_top(orders: dict[str, float], turning: float | None, rate: float | None) -> float:
    """A little beyond the last mark of a bearing's faults; a tooth has many harmonics."""
    if turning is None:
        return LOW_SHARE * (rate or 1.0)
    fastest = max((orders[name] for name in REPEATING if name in orders), default=0.0)
    return turning * (1.1 * HARMONICS * fastest if fastest > 1 else SHAFT_ORDERS)


def _vibration(kinds: str) -> list[int]:
    """Channels of vibration; all of them where there is none."""
    names = kinds.split("|")
    found = [number for number, kind in enumerate(names) if kind == "vibration"]
    return found or list(range(len(names)))


# ------------------------------------------------------------------------------- lives


def _run(store: Store, run: pd.DataFrame) -> RunView:
    """Snapshots in order of time; at most SNAPSHOTS, evenly spaced, with the last one."""
    ordered = run.sort_values("time_s")
    few = np.linspace(0, len(ordered) - 1, min(len(ordered), SNAPSHOTS)).round().astype(int)
    ordered = ordered.iloc[few]
    channels = _vibration(ordered["channel_kinds"].iloc[0])[:MOST_CHANNELS]
    rms = []
    for row in ordered.itertuples():
        samples = store.read(str(row.recording_id), 0, min(int(row.length), SNAPSHOT_SAMPLES))  # type: ignore[arg-type]
        rms.append(samples[:, channels].std(axis=0, dtype=np.float64))
    life, onset = float(ordered["life_s"].iloc[0]), float(ordered["onset_s"].iloc[0])
    return RunView(
        run_id=str(ordered["run_id"].iloc[0]),
        life_s=life,
        onset=None if math.isnan(onset) else onset / life,
        share=ordered["time_s"].to_numpy(dtype=np.float64) / life,
        rms=np.asarray(rms),  # (n, channels)
    )


# ------------------------------------------------------------------------------- table


def facts(
    table: pd.DataFrame, manifest: StoreManifest, amplitude_comparable: bool
) -> list[tuple[str, str]]:
    """The rig in words and numbers: label, text."""
    units = table[table["fault"] != ""].groupby("fault")["unit_id"].nunique()
    units = units[classes(table)]
    lives = table.groupby("run_id")["life_s"].first().dropna() / 3600
    rates = _counted(table["rate_hz"].map(lambda rate: "unknown" if rate != rate else f"{rate:g}"))
    seconds = table["length"] / table["rate_hz"]
    lasting = "" if seconds.isna().all() else f" ({_range(seconds)} s)"
    kinds = _counted(table["channel_kinds"].str.replace("|", ", "))
    speeds = shaft_hz(table) * 60
    told = [
        ("source", manifest.source),
        ("recordings", f"{len(table)} of {table['unit_id'].nunique()} units"),
        ("units a class", _listed(units) or "no class labels"),
        ("sampling rate (Hz)", rates),
        ("length of a recording (samples)", f"{_range(table['length'])}{lasting}"),
        ("channels", kinds),
        ("conditions", _counted(table["condition"])),
        ("shaft speed (rpm)", "unknown" if speeds.isna().all() else _range(speeds)),
        ("unit of amplitude", manifest.unit),
        ("amplitude comparable", "yes" if amplitude_comparable else "no"),
    ]
    if len(lives):
        text = f"{len(lives)}: {_range(lives)} h, median {lives.median():.3g} h"
        told.insert(3, ("runs to failure, lives", text))
    return told


def _listed(counts: pd.Series[int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _counted(values: pd.Series) -> str:
    """Each value with the number of recordings that have it, where there are several."""
    counts = values.value_counts(sort=False)
    if len(counts) == 1:
        return str(counts.index[0])
    listed = [f"{value} ({count})" for value, count in counts.items()]
    more = [f"and {len(listed) - 8} more"] if len(listed) > 8 else []
    return ", ".join(listed[:8] + more)


def _range(values: pd.Series[float]) -> str:
    low, high = values.min(), values.max()
    texts = [f"{v:.0f}" if v >= 1000 else f"{v:.3g}" for v in (low, high)]
    return texts[0] if low == high else " to ".join(texts)
