"""Recordings of several rigs as those of one: common classes, common rate, like channels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_src.configuration.folder import CHANNEL_KINDS
from workflow_src.configuration.union import UnionOptions
from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.data.provenance import NATIVE_RATE, RESAMPLED_FROM, RIG, rate_tells_class
from workflow_src.data.recordings import Recording
from workflow_src.data.resampling import FILTER, inexact, ratio, resampled
from workflow_src.data.selection import listed, select
from workflow_src.data.source import Context, Provenance
from workflow_src.data.store import COLUMNS, Store
from workflow_src.errors import BadData, UserError

_PREFIXED = ("recording_id", "unit_id", "condition", "run_id")
_TIMES = ("time_s", "life_s", "onset_s")


class UnionSource:
    """The recordings of a union, one in memory at a time, read from the stores of its parts.

    ``folders`` maps the name of each rig of the union to its store. A recording keeps its columns;
    its identifiers and condition get the rig's name before them (``cwru:normal_0_97``), since two
    rigs may use one name for two things, and it gains the attributes ``rig`` and
    ``native_rate_hz``. ``files`` (store -> digest of its content) and ``notes`` are filled while
    ``recordings`` is read.
    """

    def __init__(self, options: UnionOptions, folders: Mapping[str, Path]) -> None:
        self._options = options
        self._folders = {rig: folders[rig] for rig in options.rigs}
        self.files: dict[str, str] = {}
        self.notes: list[str] = []

    def recordings(self) -> Iterator[Recording]:
        """The recordings in the order of the rigs, then in that of their stores.

        Raises ``UserError`` or ``BadData`` where the parts do not go together, before the first.
        """
        used = self._common_classes({rig: self._selected(rig) for rig in self._folders})
        plans = {rig: self._plans(rig, table) for rig, table in used.items()}
        natives = pd.concat(table["rate_hz"] for table in used.values())
        self.notes += inexact(natives, self._options.rate_hz)
        self.notes += rate_tells_class(pd.concat(used.values()))
        for rig, folder in self._folders.items():
            with Store(folder) as store:
                for (_, row), (rates, channels) in zip(
                    used[rig].iterrows(), plans[rig], strict=True
                ):
                    yield self._read(store, row, rates, channels)

    def provenance(self) -> Provenance:
        """The stores that were read, and what was made alike."""
        return Provenance(self.files, self.notes, FILTER)

    # --------------------------------------------------------------------- which recordings

    def _selected(self, rig: str) -> pd.DataFrame:
        """A row a recording of `rig` that bears a class, under the class's common name."""
        with Store(self._folders[rig]) as store:
            table, digest = store.table, store.manifest.sha256
        self.files[str(self._folders[rig])] = digest
        taken = {RIG, NATIVE_RATE} & set(table.columns)
        if taken:
            raise BadData(
                "Recordings of a part of a union have attributes that the union gives them.",
                where=f"rig `{rig}`",
                found=", ".join(sorted(taken)),
                remedy="name them otherwise under `fields:` of that rig",
            )
        chosen = select(table, self._options.select.get(rig, {}), f"key `union.select.{rig}`")
        labelled = table["fault"] != ""
        self.notes += _left_out(rig, int((~chosen).sum()), "not in `select`")
        self.notes += _left_out(rig, int((chosen & ~labelled).sum()), "without a class")
        used = table[chosen & labelled]
        names = self._options.classes.get(rig, {})
        strange = sorted(set(names) - set(used["fault"]))
        if strange:
            raise UserError(
                f"The rig `{rig}` has no class {strange[0]!r}.",
                where=f"key `union.classes.{rig}`",
                expected="one of " + listed(used["fault"]),
                remedy=as_yaml(
                    ("union", "classes", rig), {k: v for k, v in names.items() if k not in strange}
                ),
            )
        fault = used["fault"].map(lambda own: names.get(own, own))
        native = used["rate_hz"].map(lambda rate: f"{rate:g}")
        if RESAMPLED_FROM in used.columns:  # by the rig itself
            native = used[RESAMPLED_FROM]
        return used.assign(fault=fault, rig=rig, native_rate_hz=native)

    def _common_classes(self, tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        """The recordings of the classes that every rig has; at least two are needed."""
        classes = {rig: set(table["fault"]) for rig, table in tables.items()}
        common = set.intersection(*classes.values())
        if len(common) < 2:
            raise UserError(
                "The rigs of a union have fewer than two classes in common.",
                where="key `union.rigs`",
                found="\n".join(f"{rig}: {listed(own) or 'none'}" for rig, own in classes.items()),
                expected="names that mean the same in each rig",
                remedy=as_yaml(
                    ("union", "classes"), {rig: {"own name": "common name"} for rig in classes}
                ),
            )
        self.notes.append(f"classes: {', '.join(sorted(common))}")
        used = {}
        for rig, table in tables.items():
            for fault, count in sorted(Counter(table["fault"]).items()):
                if fault not in common:
                    self.notes += _left_out(rig, count, f"class {fault}, not in every rig")
            used[rig] = table[table["fault"].isin(list(common))]
            rates = Counter(used[rig][NATIVE_RATE])
            told = ", ".join(f"{count} at {rate} Hz" for rate, count in sorted(rates.items()))
            self.notes.append(f"{rig}: {len(used[rig])} recordings ({told})")
        return used

    # --------------------------------------------------------------------- rate and channels

    def _plans(self, rig: str, table: pd.DataFrame) -> list[tuple[Fraction, list[int]]]:
        """How each recording is resampled, and the indexes of its channels in use."""
        columns = (table["recording_id"], table["rate_hz"], table["channel_kinds"])
        return [
            (self._ratio(rig, name, rate), self._channels(rig, name, kinds.split("|")))
            for name, rate, kinds in zip(*columns, strict=True)
        ]

    def _ratio(self, rig: str, name: str, native_hz: float) -> Fraction:
        common = self._options.rate_hz
        where = f"rig `{rig}`, recording {name!r}; key `union.rate_hz`"
        if math.isnan(native_hz):
            raise BadData(
                "The sampling rate of a recording is unknown.",
                where=where,
                expected=f"a rate, from which {common:g} Hz can be made",
                remedy=f"give `rate_hz` in the file of `{rig}`, or take the rig out of `rigs:`",
            )
        try:
            return ratio(native_hz, common)
        except ValueError as error:
            lower = native_hz / math.ceil(native_hz / common)
            raise BadData(
                "A recording cannot be brought to the common rate.",
                where=where,
                found=str(error),
                expected="a rate that is not higher",
                remedy=as_yaml(("union", "rate_hz"), lower)
                + f"\nor leave it out under `select: {{{rig}: ...}}`",
            ) from error

    def _channels(self, rig: str, name: str, kinds: Sequence[str]) -> list[int]:
        """Indexes of the first channels of each kind, in one order of kinds for all rigs."""
        chosen: list[int] = []
        for kind in CHANNEL_KINDS:
            own = [i for i, other in enumerate(kinds) if other == kind]
            needed = self._options.channels.get(kind, 0)
            if len(own) < needed:
                raise BadData(
                    "A recording has too few channels for the union.",
                    where=f"rig `{rig}`, recording {name!r}",
                    found=f"{len(own)} of kind {kind}",
                    expected=f"at least {needed}",
                    remedy=as_yaml(("union", "channels"), {kind: max(len(own), 1)})
                    + f"\nor leave it out under `select: {{{rig}: ...}}`",
                )
            chosen += own[:needed]
        return chosen

    # --------------------------------------------------------------------- one recording

    def _read(
        self, store: Store, row: pd.Series[Any], rates: Fraction, channels: list[int]
    ) -> Recording:
        signal = store.read(row["recording_id"], 0, int(row["length"]))[:, channels]  # (L, C)
        kinds = row["channel_kinds"].split("|")
        texts = {name: str(row[name]) for name in row.index if name not in COLUMNS}
        columns: dict[str, Any] = {c: f"{row[RIG]}:{row[c]}" for c in _PREFIXED}
        columns |= {c: None if math.isnan(row[c]) else row[c] for c in _TIMES}
        return Recording(
            **columns,
            signal=resampled(signal, rates),
            channel_kinds=tuple(kinds[i] for i in channels),
            rate_hz=self._options.rate_hz,
            fault=row["fault"],
            attributes={name: text for name, text in texts.items() if text},
        )


def open_union(options: UnionOptions, context: Context) -> UnionSource:
    """The source of several rigs."""
    return UnionSource(options, context.stores)


def _left_out(rig: str, count: int, why: str) -> list[str]:
    return [f"{rig}: {count} recordings left out, {why}"] if count else []
