"""The recordings of one rig at one rate, whatever rate each was taken at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from workflow_src.configuration.messages import as_yaml
from workflow_src.data.origin import RESAMPLED_FROM, rate_tells_class
from workflow_src.data.recordings import Recording, check
from workflow_src.data.resampling import inexact, ratio, resampled
from workflow_src.errors import BadData


def at_common_rate(
    recordings: Iterator[Recording], common_hz: float, notes: list[str]
) -> Iterator[Recording]:
    """Each recording at `common_hz`, with the rate it was taken at as an attribute.

    ``notes`` get the rates, and what they tell of the class, after the last recording. Raises
    ``BadData`` for a recording of a lower or of no known rate.
    """
    origins: list[dict[str, str | None]] = []
    for recording in recordings:
        check(recording)
        made = _brought(recording, common_hz)
        del recording  # before the next one is read
        origins.append({"fault": made.fault, RESAMPLED_FROM: made.attributes[RESAMPLED_FROM]})
        yield made
    counts = Counter(str(origin[RESAMPLED_FROM]) for origin in origins)
    told = ", ".join(f"{count} at {rate} Hz" for rate, count in sorted(counts.items()))
    notes.append(f"brought to {common_hz:g} Hz: {told}")
    notes += inexact([float(rate) for rate in counts], common_hz)
    notes += rate_tells_class(pd.DataFrame(origins))


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
