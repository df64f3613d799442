"""A linear autoregression per channel, fitted on windows in one pass at constant memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workflow_src.errors import UserError

Floats = NDArray[np.float64]

ORDER, STEPS = 32, 32  # of the reference that forecasts are compared with, and over which steps
REFERENCE = "ar_squared"  # its squared errors over those steps, summed for each span
_RIDGE = 1e-6  # of the variance: a pure tone has a singular autocovariance


class Autoregression:
    """AR(p) by the Yule-Walker equations on windows of zero mean and unit variance.

    The windows' biased autocovariances are pooled by adding their power spectra, so that nothing
    grows with their number; a biased autocovariance makes every iterated forecast stable
    (Stoica and Moses 2005, section 3.4.1).
    """

    def __init__(self, order: int) -> None:
        self.order = order
        self._power: Floats | None = None  # (F, C)
        self._padded = 0

    def add(self, windows: NDArray[np.float32]) -> None:
        """Take in training windows (n, L, C); a channel that does not move adds nothing."""
        length = windows.shape[1]
        if length <= self.order:
            raise UserError(
                f"AR({self.order}) cannot be fitted on windows this short.",
                found=f"{length} samples",
                expected=f"more than {self.order}",
                remedy="window: 2048   # in the dataset's file",
            )
        self._padded = length + self.order + 1  # no lag up to `order` wraps around
        normalised, _, _ = normalise(windows)
        spectrum = np.fft.rfft(normalised, n=self._padded, axis=1)  # (n, F, C)
        power = (spectrum.real**2 + spectrum.imag**2).sum(0)  # (F, C)
        self._power = power if self._power is None else self._power + power

    def coefficients(self) -> Floats:
        """(C, p) weights of the last, second last, ... value; zeros for a channel never moving."""
        if self._power is None:
            raise ValueError("no window was added")
        covariance = np.fft.irfft(self._power, n=self._padded, axis=0)[: self.order + 1]  # (p+1, C)
        lags = np.arange(self.order)
        weights = np.zeros((covariance.shape[1], self.order))
        for channel, r in enumerate(covariance.T):
            if r[0] > 0:
                toeplitz = r[np.abs(lags[:, None] - lags)] + _RIDGE * r[0] * np.eye(self.order)
                weights[channel] = np.linalg.solve(toeplitz, r[1:])
        return weights

    def forecaster(self, steps: int) -> Floats:
        """(C, H, p) matrices that map the last p normalised values, oldest first, to H steps."""
        matrices = []
        for weights in self.coefficients():
            history = np.eye(self.order)  # rows are times, columns what the past contributes
            for _ in range(steps):
                history = np.vstack([history, weights[::-1] @ history[-self.order :]])
            matrices.append(history[self.order :])
        return np.stack(matrices)


def normalise(windows: NDArray[np.float32]) -> tuple[Floats, Floats, Floats]:
    """Windows (n, L, C) to normalised (n, L, C), mean (n, C) and standard deviation (n, C).

    A channel that does not move has deviation 0 and normalised values 0.
    """
    mean = windows.mean(1, dtype=np.float64)  # (n, C)
    centred = windows - mean[:, None]  # (n, L, C)
    deviation = np.sqrt((centred**2).mean(1))  # (n, C)
    moving = deviation > 1e-6 * np.abs(mean)
    deviation = np.where(moving, deviation, 0.0)
    gain = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=moving)
    return centred * gain[:, None], mean, deviation


def forecast(matrices: Floats, windows: NDArray[np.float32]) -> Floats:
    """Windows (n, L, C) to forecasts (n, H, C) in the rig's unit by `forecaster` matrices."""
    order = matrices.shape[2]
    normalised, mean, deviation = normalise(windows)
    steps = np.einsum("chp,npc->nhc", matrices, normalised[:, -order:], optimize=True)
    result: Floats = steps * deviation[:, None] + mean[:, None]
    return result


class ReferenceForecast:
    """AR(ORDER), fitted on training windows, as what a forecast is compared with."""

    def __init__(self) -> None:
        self._model = Autoregression(ORDER)
        self._matrices: Floats | None = None  # (C, STEPS, p), once all training windows are in

    def learn(self, windows: NDArray[np.float32]) -> None:
        """Take in training windows (n, L, C), where they are long enough."""
        if windows.shape[1] > ORDER:
            self._model.add(windows)

    def errors(self, windows: NDArray[np.float32], horizons: NDArray[np.float32]) -> Floats | None:
        """(n,) squared errors over STEPS, in deviations of windows (n, L, C), summed.

        Channels that do not move are left out. None where windows or horizons (n, H, C) are short.
        """
        if windows.shape[1] <= ORDER or horizons.shape[1] < STEPS:
            return None
        if self._matrices is None:
            self._matrices = self._model.forecaster(STEPS)
        _, _, deviation = normalise(windows)  # (n, C)
        error = forecast(self._matrices, windows) - horizons[:, :STEPS]  # (n, STEPS, C)
        gain = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
        squares: Floats = ((error * gain[:, None]) ** 2).sum((1, 2))
        return squares
