"""Metrics of a whole part while it streams by, in a state of constant size.

Every labelled span counts once here. metrics.json counts every recording once (RUL: every run),
for which all predictions must be kept. The numbers are therefore named apart: ``span_x`` equals
``x`` of the task's score.py if no two spans share a recording (RUL: and all share one run).

A state belongs to a set of spans. The states of two disjoint sets join to the state of both, by
addition or, for moments, by the formula of Chan, Golub & LeVeque; in which order and how often does
not matter up to the rounding of float64. States are replaced and never written to, so that one may
be kept, sent or saved while the meter goes on.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from workflow_src.tasks.batch import Batch
from workflow_src.tasks.classification.score import class_f1, class_recall, matthews
from workflow_src.tasks.curves import area, average_precision, roc_curve
from workflow_src.tasks.objective import Scale
from workflow_src.tasks.scores import UndefinedError

Mask = Callable[[Batch], Tensor]

_BINS = 4095  # an odd number: a logit of 0 lies in the middle of a bin, not on an edge
_KNEE = 0.5  # |logit| above which bins widen in proportion to it; about equal below
_BINS_PER_E = 256  # bins while |logit| grows e-fold; logits beyond +-744 share the outermost bin
_SKILL_STEPS = 32  # as in signal_prediction/score.py
_STILL = 1e-6  # likewise: a window deviates by more than this share of its mean, or stands still


class StreamMeter(ABC):
    """What the meters of all tasks share; `mask` gives the (B,) spans that bear a label.

    Attributes:
        state: a plain tensor, of a size that depends on the task alone; empty (0,) before the
            first span. Assign one to go on from it; it follows the device of what joins it.
        names: of the metrics.
    """

    names: tuple[str, ...]

    def __init__(self, mask: Mask) -> None:
        self.mask = mask
        self.reset()

    def reset(self) -> None:
        """Forget all spans."""
        self.state = torch.zeros(0)

    @torch.no_grad()
    def update(self, output: Tensor, batch: Batch, scale: Scale) -> None:
        """Add the labelled spans of a micro-batch; the host does not wait for the device."""
        self.merge(self._measure(output, batch, scale))

    def merge(self, other: Tensor) -> None:
        """Add the spans of the `other` state, of a meter of the same task."""
        if not self.state.numel():
            self.state = other
        elif other.numel():
            self.state = self._join(self.state.to(other.device), other)

    def compute(self) -> dict[str, float]:
        """Each metric over all spans so far, NaN where it is undefined; waits for the device."""
        values = self._metrics(self.state.cpu()) if self.state.numel() else {}
        return {name: values.get(name, math.nan) for name in self.names}

    @abstractmethod
    def _measure(self, output: Tensor, batch: Batch, scale: Scale) -> Tensor:
        """State of the spans of one micro-batch."""

    def _join(self, one: Tensor, other: Tensor) -> Tensor:
        """State of the spans of both."""
        return one + other

    @abstractmethod
    def _metrics(self, state: Tensor) -> dict[str, float]:
        """What can be told from the state of one span or more, on the CPU."""


class ConfusionMeter(StreamMeter):
    """Counts (K, K) int64 of true class i predicted as class j; output (B, K) logits. Exact."""

    names = (
        "span_macro_f1",
        "span_balanced_accuracy",
        "span_accuracy",
        "span_worst_class_recall",
        "span_matthews",
    )

    def _measure(self, output: Tensor, batch: Batch, scale: Scale) -> Tensor:
        classes = output.shape[1]
        which = batch.fault.clamp(min=0) * classes + output.argmax(1)  # (B,)
        flat = _counts(which, self.mask(batch), classes**2)
        return flat.reshape(classes, classes)  # (K K,) -> (K, K)

    def _metrics(self, state: Tensor) -> dict[str, float]:
        confusion = state.numpy().astype(np.float64)  # (K, K)
        values: dict[str, float] = {}
        if confusion.any():
            values["span_accuracy"] = float(np.trace(confusion) / confusion.sum())
            values["span_matthews"] = _or_nan(lambda: matthews(confusion))
        if confusion.any(1).all():  # else a mean over classes is undefined
            recall = class_recall(confusion)  # (K,)
            values["span_macro_f1"] = float(class_f1(confusion).mean())
            values["span_balanced_accuracy"] = float(recall.mean())
            values["span_worst_class_recall"] = float(recall.min())
        return values


class LogitMeter(StreamMeter):
    """Counts (2, 4096) int64 of healthy and faulty spans by the bin of their logit (B,).

    Bins are equal in asinh(2 logit): 0.002 wide about 0 and 0.4 % of the logit far from it. (Bins
    of probabilities lose the order of confident spans.) The last is for NaN, which makes all
    metrics NaN. Spans of one bin count as equal, by which AUROC and average precision are off by
    at most 3e-5 and 1e-3 where logits spread over a unit about 0 or saturate at both ends, by 5e-4
    and 4e-3 at 40 +- 3, by 2e-3 and 2e-2 where they crowd more (40 +- 1, 0.3 +- 0.01).
    """

    names = ("span_auroc", "span_average_precision")

    def _measure(self, output: Tensor, batch: Batch, scale: Scale) -> Tensor:
        which = (batch.anomaly > 0.5) * (_BINS + 1) + _bin(output)  # (B,)
        flat = _counts(which, self.mask(batch), 2 * (_BINS + 1))
        return flat.reshape(2, _BINS + 1)  # (2 x 4096,) -> (2, 4096)

    def _metrics(self, state: Tensor) -> dict[str, float]:
        counts = state.numpy()
        if counts[:, _BINS].any() or not counts.any(1).all():
            return {}
        faulty, logit_bin = counts.nonzero()  # (n,) each, the pairs that occur
        weights = counts[faulty, logit_bin].astype(np.float64)
        ordered = logit_bin.astype(np.float64), faulty.astype(np.bool_), weights
        return {
            "span_auroc": area(*roc_curve(*ordered)),
            "span_average_precision": average_precision(*ordered),
        }


class MomentMeter(StreamMeter):
    """Sums and central moments (9,) float64 of the fraction of life left; output (B,).

    The last six are the means of truth and output and their (2, 2) sums of products about the
    means; before them come sums, the first of which is the weight of all spans.
    """

    names = ("span_rmse", "span_mae", "span_bias", "span_r2", "span_pearson")
    rounding = 1e-7  # of float32: values that deviate by less than this share of their mean are one

    def _measure(self, output: Tensor, batch: Batch, scale: Scale) -> Tensor:
        labelled = self.mask(batch)  # (B,)
        pair = torch.stack([batch.rul, output.float()]).double()  # (2, B)
        return _moments(torch.where(labelled, pair, 0.0), labelled.double())

    def _join(self, one: Tensor, other: Tensor) -> Tensor:
        """Update of Chan, Golub & LeVeque 1979 for samples of sizes m and n, of two variables."""
        sums = one[:-6] + other[:-6]
        share = other[0] / sums[0].clamp(min=1)
        step = other[-6:-4] - one[-6:-4]  # (2,)
        means = one[-6:-4] + share * step
        between = (one[0] * share) * (step[:, None] * step).flatten()  # (2, 2) -> (4,)
        return torch.cat([sums, means, one[-4:] + other[-4:] + between])

    def _metrics(self, state: Tensor) -> dict[str, float]:
        weight, absolute, squared, *_, true_mean, mean, true_spread, product, _, spread = (
            state.tolist()
        )
        if weight == 0:
            return {}
        values = {
            "span_rmse": math.sqrt(squared / weight),
            "span_mae": absolute / weight,
            "span_bias": mean - true_mean,
        }
        if true_spread / weight > (self.rounding * true_mean) ** 2:
            values["span_r2"] = 1 - squared / true_spread
            if spread / weight > (self.rounding * mean) ** 2:
                values["span_pearson"] = product / math.sqrt(true_spread * spread)
        return values


class ForecastMeter(MomentMeter):
    """The same moments and two sums more, (11,) float64, of horizons; output (B, H, C) normalised.

    As in score.py, errors are in deviations of the window, channel by channel, whatever the
    network's own normalisation; channels that do not move are left out, and each span weighs 1,
    which its values share. The two sums are the squared errors, over the first 32 steps, of the
    forecast and of the window's mean as forecast; on a shorter horizon they are NaN.
    """

    names = ("span_skill", "span_nmse", "span_mae", "span_r2", "span_pearson")
    rounding = 3e-5  # as in score.py: that of the window's mean and deviation comes on top

    def _measure(self, output: Tensor, batch: Batch, scale: Scale) -> Tensor:
        mean = batch.window.mean(1, keepdim=True)  # (B, 1, C)
        # Two passes: as exact as Welford's one of std_mean, and several times as fast.
        norm = torch.linalg.vector_norm(batch.window - mean, dim=1, keepdim=True)
        deviation = norm / math.sqrt(batch.window.shape[1])
        moving = deviation > _STILL * mean.abs()  # (B, 1, C)
        moving = moving & self.mask(batch)[:, None, None]
        values = output.shape[1] * moving.sum(2, keepdim=True)  # (B, 1, 1), of a span
        weight = (moving / values.clamp(min=1).double()).expand(output.shape)  # (B, H, C)
        gain = 1 / torch.where(moving, deviation, 1.0).double()
        pair = torch.stack([batch.horizon.double(), scale.undo(output.double())])  # (2, B, H, C)
        pair = torch.where(moving, (pair - mean) * gain, 0.0)
        if output.shape[1] < _SKILL_STEPS:
            first = pair.new_full((2,), math.nan)
        else:
            early = pair[:, :, :_SKILL_STEPS]  # (2, B, 32, C)
            squares = torch.stack([early[1] - early[0], early[0]]).square()
            first = (squares * weight[:, :_SKILL_STEPS]).sum((1, 2, 3))  # (2,)
        return _moments(pair.flatten(1), weight.flatten(), first)

    def _metrics(self, state: Tensor) -> dict[str, float]:
        values = super()._metrics(state)
        weight, _, squared, first_squared, first_of_mean = state[:5].tolist()
        if weight > 0:
            values["span_nmse"] = squared / weight
        if first_of_mean > 0:
            values["span_skill"] = 1 - first_squared / first_of_mean
        return values


def _counts(which: Tensor, counted: Tensor, size: int) -> Tensor:
    """(size,) int64: how often each number occurs in `which` (B,) where `counted` (B,)."""
    zeros = torch.zeros(size, dtype=torch.int64, device=which.device)
    return zeros.index_add_(0, which, counted.long())  # bincount would ask the device for its size


def _bin(logit: Tensor) -> Tensor:
    """(B,) int64: number of the bin of each logit, in their order; the last is for NaN."""
    position = torch.asinh(logit.double() / _KNEE) * _BINS_PER_E + _BINS / 2  # (B,)
    return position.clamp(0, _BINS - 1).nan_to_num(nan=_BINS).long()


def _moments(pair: Tensor, weight: Tensor, more: Tensor | None = None) -> Tensor:
    """State of `MomentMeter` from truth and output (2, V) and weights (V,), float64.

    `more` (S,) sums go beside. The means come first and the products about them second: a mean
    far above the deviation costs no digits.
    """
    error = pair[1] - pair[0]  # (V,)
    total = weight.sum()
    means = (pair @ weight) / total.clamp(min=1)  # (2,)
    centred = pair - means[:, None]  # (2, V)
    spread = (centred * weight) @ centred.T  # (2, 2)
    sums = torch.stack([total, error.abs() @ weight, error.square() @ weight])
    return torch.cat([sums, *(() if more is None else (more,)), means, spread.flatten()])


def _or_nan(metric: Callable[[], float]) -> float:
    try:
        return metric()
    except UndefinedError:
        return math.nan
