"""How good forecasts were, and where memory went: figures of finished attempts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from workflow_src.drawing.style import COLOURS, INK, house_style, svg
from workflow_src.files import write_text
from workflow_src.scheduling.observed import Observed

_MARKERS = ("o", "s", "^", "D")
_STEPS = (1, 2, 5)  # of a logarithmic axis


def write_figures(
    folder: Path,
    rows: Sequence[Observed],
    lost: Mapping[str, float],
    parts: Mapping[str, Mapping[str, float]],
) -> list[Path]:
    """Write the three figures as SVG; their paths.

    Args:
        folder: where they go; made if it is not there.
        rows: cells with a forecast.
        lost: GB-hours asked for and not used, by policy.
        parts: of the memory of a process as forecast, MB, by name of what it trains.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with house_style():
        figures = {
            "forecast_observed": forecast_against_observed(rows),
            "memory_parts": memory_by_part(parts),
            "memory_policies": lost_by_policy(lost),
        }
        paths = []
        for name, figure in figures.items():
            paths.append(folder / f"{name}.svg")
            write_text(paths[-1], svg(figure).decode())
    return paths


def forecast_against_observed(rows: Sequence[Observed]) -> Figure:
    """Host memory, GPU memory and seconds of an epoch; a point a cell, a colour a model."""
    panels: dict[str, list[tuple[str, float | None, float | None]]] = {
        "host memory (MB)": [(r.model, r.forecast_mb, r.needed_mb) for r in rows],
        "GPU memory (MB)": [(r.model, r.forecast_device_mb, r.device_mb) for r in rows],
        "epoch (s)": [(r.model, r.forecast_epoch_s, r.epoch_s) for r in rows],
    }
    known = {
        title: [(model, float(f), float(o)) for model, f, o in points if f and o]
        for title, points in panels.items()
    }
    known = {title: points for title, points in known.items() if points}
    figure = Figure(figsize=(3.6 * max(1, len(known)), 3.4), layout="constrained")
    models = sorted({row.model for row in rows})
    for axes, (title, points) in zip(_row_of(figure, len(known)), known.items(), strict=True):
        _draw_points(axes, points, models)
        axes.set(title=title, xlabel="forecast", ylabel="used")
        axes.legend(frameon=False, fontsize=8)
    return figure


def _row_of(figure: Figure, count: int) -> list[Axes]:
    return list(figure.subplots(1, count, squeeze=False).flat) if count else []


def _draw_points(
    axes: Axes, points: Sequence[tuple[str, float, float]], models: Sequence[str]
) -> None:
    """Below the diagonal a forecast was too high, above it too low."""
    for index, model in enumerate(models):
        own = [(f, o) for name, f, o in points if name == model]
        if own:
            colour = COLOURS[index % len(COLOURS)]
            marker = _MARKERS[index % len(_MARKERS)]
            forecast, used = zip(*own, strict=True)
            axes.scatter(forecast, used, s=14, alpha=0.7, label=model, c=colour, marker=marker)
    ends = _around([value for _, f, o in points for value in (f, o)])
    axes.plot(ends, ends, color=INK)
    for scale, axis in ((axes.set_xscale, axes.xaxis), (axes.set_yscale, axes.yaxis)):
        scale("log")
        axis.set_major_locator(LogLocator(subs=_STEPS))
        axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axis.set_minor_locator(NullLocator())
    axes.set(xlim=ends, ylim=ends, aspect="equal")


def _around(values: Sequence[float]) -> tuple[float, float]:
    """The nearest ticks below and above."""
    low, high = min(values), max(values)
    ticks = [
        step * 10.0**power
        for power in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
        for step in _STEPS
    ]
    return max(t for t in ticks if t <= low), min(t for t in ticks if t >= high and t > low)


def memory_by_part(parts: Mapping[str, Mapping[str, float]]) -> Figure:
    """What the memory of a process is forecast to hold; a bar a process."""
    names = list(dict.fromkeys(name for found in parts.values() for name in found))
    figure = Figure(figsize=(7.2, 1.2 + 0.35 * len(parts)), layout="constrained")
    (axes,) = _row_of(figure, 1)
    left = [0.0] * len(parts)
    for name, colour in zip(names, cycle((INK, *COLOURS)), strict=False):
        widths = [found.get(name, 0.0) for found in parts.values()]
        axes.barh(list(parts), widths, left=left, color=colour, height=0.6, label=name)
        left = [before + width for before, width in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set(xlabel="MB of a process, as forecast")
    if names:
        figure.legend(loc="outside upper center", ncols=len(names), frameon=False, fontsize=8)
    return figure


def lost_by_policy(lost: Mapping[str, float]) -> Figure:
    """GB-hours that were asked for and not used."""
    figure = Figure(figsize=(5.4, 0.8 + 0.4 * len(lost)), layout="constrained")
    (axes,) = _row_of(figure, 1)
    bars = axes.barh(list(lost), list(lost.values()), color=COLOURS[0], height=0.6)
    axes.bar_label(bars, fmt=" {:,.3g}", fontsize=8)
    axes.margins(x=0.12)
    axes.invert_yaxis()
    axes.set(title="memory asked for and not used", xlabel="GB-hours")
    return figure
