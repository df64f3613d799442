"""Recordings of a rig that the package bearing-datasets built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workflow_src.configuration.bearing_datasets import BearingDatasetsOptions
from workflow_src.configuration.folder import CHANNEL_KINDS
from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.data.constancy import watched
from workflow_src.data.recordings import Recording
from workflow_src.data.report import DataReport
from workflow_src.data.source import Context, Provenance
from workflow_src.data.sources.bearing_datasets.building import Building
from workflow_src.data.sources.bearing_datasets.definitions import KIND_OF, Facts, Keys
from workflow_src.data.sources.bearing_datasets.fields import Fields, fields_of
from workflow_src.errors import BadData, UserError


class BearingDatasetsSource:
    """The recordings of a built dataset, one in memory at a time.

    Vibration is converted to ``unit`` unless that is ``unknown``. ``files`` (raw file -> sha256),
    ``versions`` and ``description`` are the package's own; ``notes`` and ``report`` grow while
    ``recordings`` is read. ``data_root`` is None where none is set; ``config_folder`` holds the
    rig's YAML.
    """

    def __init__(
        self,
        options: BearingDatasetsOptions,
        unit: str,
        data_root: Path | None,
        config_folder: Path,
    ) -> None:
        self._building = Building(options, data_root, config_folder)
        self._options = options
        self._unit = unit
        self.notes: list[str] = []
        self.report = DataReport()

    @cached_property
    def _manifest(self) -> Keys:
        return self._building.manifest()

    @property
    def files(self) -> dict[str, str]:
        """Raw file -> sha256."""
        return {entry["name"]: entry["sha256"] for entry in self._manifest["raw_files"]}

    @property
    def versions(self) -> dict[str, str]:
        """The release of the package that built the dataset."""
        return {"bearing-datasets": self._manifest["package_version"]}

    @property
    def description(self) -> str:
        """Title, licence and citation."""
        manifest = self._manifest
        words = (manifest["title"], f"licence: {manifest['license']}", manifest["citation"])
        return ". ".join(" ".join(text.split()) for text in words)

    def provenance(self) -> Provenance:
        """What the package says of the raw files, and what is said of the recordings."""
        return Provenance(self.files, self.notes, self.versions, self.description, self.report)

    def recordings(self) -> Iterator[Recording]:
        """The recordings in the package's order; time in life only where it says the end of life.

        Raises ``UserError`` or ``BadData`` naming the recording and the key that mends it.
        """
        import bearing_datasets

        self.notes.clear()
        self.report.clear()
        self._building.manifest()  # what is built is what the rig asks for
        dataset = bearing_datasets.open(self._building.folder.name, root=self._building.root)
        without, channel_names, units = 0, Counter[str](), Counter[str]()
        metadata = dataset.metadata()
        self._require_channels(list(metadata["channel"].unique()))
        for recording, group in metadata.groupby("recording_id", sort=False):
            channels = self._chosen(group.to_dict("records"))
            if not channels:
                without += 1
                continue
            channel_names[", ".join(facts["channel"] for facts in channels)] += 1
            kinds = self._kinds(channels, str(recording))
            for facts, kind in zip(channels, kinds, strict=True):
                if kind == "vibration":
                    units[facts.get("unit", "unknown")] += 1
            fields = fields_of(channels, self._options.fields, f"recording {recording!r}")
            yield watched(self._recording(dataset, channels, kinds, fields), self.report)
        self._note(without, channel_names, units)
        self.notes += self.report.told

    def _require_channels(self, present: list[str]) -> None:
        """A channel that no recording has is a slip of the pen, which would leave it out."""
        given = self._options.channels or {}
        absent = [name for name in given if name not in present]
        if absent:
            kept = {name: kind for name, kind in given.items() if name in present}
            raise UserError(
                f"No recording has the channel `{absent[0]}`.",
                where="key `bearing_datasets.channels` of the rig",
                expected="one of " + ", ".join(present),
                remedy=as_yaml(("channels",), kept or {present[0]: "vibration"}),
            )

    def _note(self, without: int, channel_names: Counter[str], units: Counter[str]) -> None:
        if without:
            self.notes.append(f"{without} recordings have none of `channels` and were left out")
        if len(channel_names) > 1:
            counts = "; ".join(f"{names}: {n}" for names, n in channel_names.most_common())
            self.notes.append(f"recordings differ in their channels ({counts})")
        for unit, count in units.items():
            if self._unit == "unknown":
                self.notes.append(f"{count} signals are in {unit}, by the package")
            elif unit != self._unit:
                self.notes.append(f"{count} signals were converted from {unit} to {self._unit}")

    def _chosen(self, channels: list[Facts]) -> list[Facts]:
        """The channels to use, in the order that the rig gives."""
        if self._options.channels is None:
            return channels
        by_name = {facts["channel"]: facts for facts in channels}
        return [by_name[name] for name in self._options.channels if name in by_name]

    def _kinds(self, channels: list[Facts], name: str) -> tuple[str, ...]:
        """The kind of each channel; all of them must share rate and length."""
        given = self._options.channels or {}
        kinds = [given.get(c["channel"]) or KIND_OF.get(_quantity(c)) for c in channels]
        forms = Counter((c["fs"], c["n_samples"]) for c in channels)
        if None not in kinds and len(forms) == 1:
            return tuple(str(kind) for kind in kinds)
        (form, _), *_ = forms.most_common()
        keys = {
            c["channel"]: kind or "vibration"
            for c, kind in zip(channels, kinds, strict=True)
            if (c["fs"], c["n_samples"]) == form
        }
        raise BadData(
            "The channels of a recording have no kind, or not one rate and length.",
            where=f"recording {name!r}",
            found="\n".join(
                f"{c['channel']}: {_quantity(c)}, {c['fs']:g} Hz, {c['n_samples']} samples"
                for c in channels
            ),
            expected=f"kinds: {', '.join(CHANNEL_KINDS)}",
            remedy="choose under `bearing_datasets:` of the rig, for example\n"
            + as_yaml(("channels",), keys),
        )

    def _recording(
        self, dataset: Any, channels: list[Facts], kinds: tuple[str, ...], fields: Fields
    ) -> Recording:
        signal = np.empty((channels[0]["n_samples"], len(channels)), np.float32)  # (L, C)
        for i, (facts, kind) in enumerate(zip(channels, kinds, strict=True)):
            signal[:, i] = self._signal(dataset, facts["signal_id"], kind)
        return Recording(
            recording_id=fields.recording_id,
            unit_id=fields.unit_id,
            condition=fields.condition,
            run_id=fields.run_id,
            signal=signal,
            channel_kinds=kinds,
            rate_hz=float(channels[0]["fs"]),
            fault=fields.fault,
            time_s=fields.time_s,
            life_s=fields.life_s,
            onset_s=fields.onset_s,
            attributes=fields.attributes,
        )

    def _signal(self, dataset: Any, signal_id: str, kind: str) -> NDArray[np.float32]:
        """The samples of a channel (L,); what float32 cannot hold becomes inf, an error later."""
        unit = self._unit if kind == "vibration" and self._unit != "unknown" else None
        try:
            samples = dataset.signal(signal_id, unit=unit)
        except ValueError as error:
            raise UserError(
                "A signal cannot be converted to the rig's unit.",
                where=f"signal {signal_id!r}",
                found=str(error),
                expected=f"a signal in {unit}, as `unit:` of the rig says",
                remedy="unit: unknown   # or that of the package, or other `channels:`",
            ) from error
        except (OSError, KeyError, IndexError) as error:
            raise BadData(
                "A built dataset is damaged.",
                where=str(self._building.folder),
                found=f"{type(error).__name__}: {error}",
                remedy=f"build it anew: rm -r {self._building.folder}",
            ) from error
        with np.errstate(over="ignore"):
            found: NDArray[np.float32] = np.asarray(samples, dtype=np.float32)
        return found


def open_built(options: BearingDatasetsOptions, context: Context) -> BearingDatasetsSource:
    """The source of a built dataset."""
    at = (context.data_root, context.config_folder)
    return BearingDatasetsSource(options, context.unit, *at)


def _quantity(facts: Facts) -> str:
    return str(facts.get("quantity", "unknown"))
