"""The recordings of one rig at one rate, whatever rate each was taken at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.data.provenance import RESAMPLED_FROM, rate_tells_class
from workflow_src.data.recordings import Recording, check
from workflow_src.data.resampling import FILTER, inexact, ratio, resampled
from workflow_src.data.source import Provenance, Source
from workflow_src.errors import BadData


class AtCommonRate:
    """Each recording of `source` at `common_hz`, with the rate it was taken at as an attribute.

    Notes of the rates, and of what they tell of the class, follow those of `source`.
    """

    def __init__(self, source: Source, common_hz: float) -> None:
        self._source = source
        self._common_hz = common_hz
        self._notes: list[str] = []

    def recordings(self) -> Iterator[Recording]:
        """Raises ``BadData`` for a recording of a lower or of no known rate."""
        origins: list[dict[str, str | None]] = []
        for recording in self._source.recordings():
            check(recording)
            made = _brought(recording, self._common_hz)
            del recording  # before the next one is read
            origins.append({"fault": made.fault, RESAMPLED_FROM: made.attributes[RESAMPLED_FROM]})
            yield made
        counts = Counter(str(origin[RESAMPLED_FROM]) for origin in origins)
        told = ", ".join(f"{count} at {rate} Hz" for rate, count in sorted(counts.items()))
        self._notes = [f"brought to {self._common_hz:g} Hz: {told}"]
        self._notes += inexact([float(rate) for rate in counts], self._common_hz)
        self._notes += rate_tells_class(pd.DataFrame(origins))

    def provenance(self) -> Provenance:
        """That of `source`, and of the filter."""
        known = self._source.provenance()
        versions = {**known.versions, **FILTER}
        return replace(known, notes=[*known.notes, *self._notes], versions=versions)


def _brought(recording: Recording, common_hz: float) -> Recording:
    where = f"recording {recording.recording_id!r}; key `common_rate_hz` of the rig"
    native_hz = recording.rate_hz
    if native_hz is None:
        raise BadData(
            "The sampling rate of a recording is unknown.",
            where=where,
            expected=f"a rate, from which {common_hz:g} Hz can be made",
            remedy="give its rate in the rig's file, or leave `common_rate_hz` out",
        )
    if RESAMPLED_FROM in recording.attributes:
        raise BadData(
            "A recording has an attribute that resampling gives it.",
            where=where,
            found=RESAMPLED_FROM,
            remedy="name it otherwise under `fields:` of the rig",
        )
    try:
        rates = ratio(native_hz, common_hz)
    except ValueError as error:
        raise BadData(
            "A recording cannot be brought to the common rate.",
            where=where,
            found=str(error),
            expected="a rate that is not higher than that of any recording",
            remedy=as_yaml(("common_rate_hz",), native_hz),
        ) from error
    return replace(
        recording,
        signal=resampled(recording.signal, rates),
        rate_hz=common_hz,
        attributes={**recording.attributes, RESAMPLED_FROM: f"{native_hz:.12g}"},
        place=None,  # no file holds these samples
    )
