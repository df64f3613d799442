"""Which sampling rates are believed where nobody vouches for them."""

from __future__ import annotations

PLAUSIBLE_HZ = (1e3, 2e6)  # of vibration; seconds taken for milliseconds lie below, for days above


def plausible(rate_hz: float) -> bool:
    """Whether vibration is sampled at such a rate."""
    return PLAUSIBLE_HZ[0] <= rate_hz <= PLAUSIBLE_HZ[1]
