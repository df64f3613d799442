"""How far the lines of faults stand out of the spectrum of a window's squared envelope."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from workflow_src.features.fault_orders import COLUMNS
from workflow_src.features.spectra import Band, envelope_spectrum

Values = NDArray[np.float64]

# Of bearings, then of gears: what is looked for, whatever a rig knows.
ORDERS = (*(name for name, _ in COLUMNS.values()), "wheel", "mesh")
LOWEST_HZ = (0.0, 2000.0)  # of the bands whose envelopes are looked at; each up to half of the rate
SLIP = 0.03  # a line lies so near its order
NEIGHBOURS = (0.5, 20.0)  # orders of the shaft behind the median that a line is compared with
PADDING = 4  # zeros lengthen the envelope so many times: a line lies on no bin
_LEAST = 1e-12


def lines_of_channels(
    window: NDArray[np.float32], rate_hz: float, shaft_hz: float, orders: Values
) -> Values:
    """(C 2 K,) of a window (L, C) at ORDERS (K,), NaN where one is not known: see `fault_lines`."""
    known = dict(zip(ORDERS, orders.tolist(), strict=True))
    channels = [fault_lines(x, rate_hz, shaft_hz, known) for x in window.T.astype(np.float64)]
    return np.concatenate(channels)


def fault_lines(
    signal: Values, rate_hz: float, shaft_hz: float, orders: Mapping[str, float]
) -> Values:
    """(2 K,) of a signal (L,) and K `orders`, for each band of LOWEST_HZ those of each order.

    The logarithm of the greatest line within SLIP of an order over the median line between the
    orders NEIGHBOURS. NaN where the order, the speed or the band is not there.
    """
    found = np.full((len(LOWEST_HZ), len(orders)), np.nan)
    for band, low in enumerate(LOWEST_HZ):
        if not (shaft_hz > 0 and rate_hz > 2 * low and any(at > 0 for at in orders.values())):
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
