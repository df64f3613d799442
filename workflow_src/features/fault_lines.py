"""How far the lines of faults stand out of the spectrum of a window's squared envelope."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from workflow_src.features.spectra import Band, envelope_spectrum

Values = NDArray[np.float64]

LOWEST_HZ = (0.0, 2000.0)  # of the bands whose envelopes are looked at; each up to half of the rate
SLIP = 0.03  # a line lies so near its order
NEIGHBOURS = (0.5, 20.0)  # orders of the shaft behind the median that a line is compared with
PADDING = 4  # zeros lengthen the envelope so many times: a line lies on no bin
_LEAST = 1e-12


def fault_lines(
    signal: Values, rate_hz: float, shaft_hz: float, orders: Mapping[str, float]
) -> Values:
    """(2 K,) of a signal (L,) and K `orders`, for each band of LOWEST_HZ those of each order.

    The logarithm of the greatest line within SLIP of an order over the median line between the
    orders NEIGHBOURS. NaN where the order, the speed or the band is not there.
    """
    found = np.full((len(LOWEST_HZ), len(orders)), np.nan)
    for band, low in enumerate(LOWEST_HZ):
        if not (shaft_hz > 0 and rate_hz > 2 * low):
            continue
        spectrum = envelope_spectrum(signal, rate_hz, Band(low, rate_hz / 2, 0.0), PADDING)
        order = spectrum.frequency / shaft_hz
        inside = (order >= NEIGHBOURS[0]) & (order <= NEIGHBOURS[1])
        floor = np.median(spectrum.amplitude[inside]) if inside.any() else np.nan
        for k, at in enumerate(orders.values()):
            if not 0 < at <= order[-1]:
                continue
            near = np.abs(order - at) <= SLIP * at
            near[np.abs(order - at).argmin()] = True
            line = spectrum.amplitude[near].max()
            found[band, k] = np.log(max(line, _LEAST) / max(floor, _LEAST))
    return found.ravel()
