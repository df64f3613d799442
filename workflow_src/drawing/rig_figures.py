"""The figures of a rig's page: one a class, and RMS over life."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from workflow_src.data.rig_view import Example, RunView
from workflow_src.drawing.style import BAND, COLOURS, INK, MARKS
from workflow_src.features.spectra import Spectrum, Values

WAVE_S, WAVE_SAMPLES = 0.1, 4096  # of the waveform, at most
POINTS = 700  # of a spectrum: more cannot be seen
_WIDTH, _HEIGHT = 10.5, 4.6
_LETTER = 0.0075  # width of a letter of a mark's label, as a share of the axis
# Fixed, since a layout that is searched for takes longer than all else.
_MARGINS = {"left": 0.07, "right": 0.985, "bottom": 0.095, "top": 0.945}
_GAPS = {"wspace": 0.17, "hspace": 0.8}
_ROW = 8  # points from one row of labels to the next
_PER_ROW, _PANEL = 4, 1.5


@dataclass(frozen=True)
class Scales:
    """Limits that all classes of a rig share, so that one looks larger only where it is."""

    wave: float
    amplitude: tuple[float, float]
    envelope: float


def shared_scales(examples: Sequence[Example]) -> Scales:
    """The largest of each; spectra from the lowest tenth of the faintest class."""
    waves = [np.abs(_wave(e) - e.signal.mean()).max() for e in examples]
    tops = [e.spectrum.amplitude[1:].max() for e in examples]
    floors = [np.quantile(e.spectrum.amplitude[1:], 0.1) for e in examples]
    lines = [_part(e.envelope, *shown_range(e)).amplitude.max(initial=0.0) for e in examples]
    top = max(float(max(tops)), 1e-12)
    return Scales(
        wave=1.05 * float(max(waves)) or 1.0,
        amplitude=(max(float(min(floors)), 1e-6 * top), 1.5 * top),
        envelope=1.08 * float(max(lines)) or 1.0,
    )


def shown_range(example: Example) -> tuple[float, float]:
    """(low, high) in Hz; from two bins of the envelope's spectrum on, below lies its drift."""
    return 2 * float(example.envelope.frequency[1]), example.top


def class_figure(example: Example, scales: Scales, unit: str) -> Figure:
    """Waveform, whole spectrum, low spectrum and envelope spectrum of one example."""
    figure = Figure(figsize=(_WIDTH, _HEIGHT))
    wave, whole, low, envelope = figure.subplots(2, 2, gridspec_kw=_MARGINS | _GAPS).flat
    label = amplitude_label(unit)
    _draw_wave(wave, example, scales, unit)
    _draw_whole(whole, example, scales, label)
    top = example.top
    part = _part(example.spectrum, 0.0, top)
    low.plot(part.frequency, np.maximum(part.amplitude, scales.amplitude[0]), color=INK)
    low.set(yscale="log", ylim=scales.amplitude, ylabel=label)
    part = _part(example.envelope, *shown_range(example))
    envelope.plot(part.frequency, part.amplitude, color=INK)
    envelope.set(ylim=(0, scales.envelope), ylabel="share of the mean")
    hertz = "Hz" if example.rate_hz else "cycles a sample"
    for axes, title in ((low, "its low end"), (envelope, "squared envelope of the band")):
        axes.set(xlim=(0, top), xlabel=f"frequency ({hertz})")
        rows = draw_marks(axes, example.marks(top), top)
        axes.set_title(title, pad=4 + _ROW * rows)
    return figure


def amplitude_label(unit: str, what: str = "amplitude") -> str:
    """An axis's label; without a unit where it is unknown."""
    return what if unit == "unknown" else f"{what} ({unit})"


def _wave(example: Example) -> Values:
    most = WAVE_SAMPLES if example.rate_hz is None else int(WAVE_S * example.rate_hz)
    return example.signal[: min(most, WAVE_SAMPLES)]


def _draw_wave(axes: Axes, example: Example, scales: Scales, unit: str) -> None:
    shown, rate = _wave(example), example.rate_hz
    time = np.arange(len(shown)) * (1.0 if rate is None else 1000 / rate)
    axes.plot(time, shown - example.signal.mean(), color=INK, linewidth=0.5)
    axes.set(
        xlim=(0, time[-1]),
        ylim=(-scales.wave, scales.wave),
        xlabel="samples" if rate is None else "time (ms)",
        ylabel=amplitude_label(unit),
        title=f"waveform, RMS {example.rms:.3g}" + ("" if unit == "unknown" else f" {unit}"),
    )


def _draw_whole(axes: Axes, example: Example, scales: Scales, label: str) -> None:
    scale, unit = (1.0, "cycles a sample") if example.rate_hz is None else (1e-3, "kHz")
    thin = _thinned(example.spectrum)
    band = example.band
    axes.axvspan(scale * band.low, scale * band.high, color=BAND, alpha=0.5, linewidth=0)
    for name, harmonic, frequency in example.marks(float(example.spectrum.frequency[-1])):
        if name == "mesh":  # the others lie too close to 0 here
            _draw_mark(axes, name, harmonic, scale * frequency)
    shown = np.maximum(thin.amplitude, scales.amplitude[0])  # silence has no logarithm
    axes.plot(scale * thin.frequency, shown, color=INK, linewidth=0.6)
    axes.set(
        yscale="log",
        ylim=scales.amplitude,
        xlim=(0, scale * float(example.spectrum.frequency[-1])),
        xlabel=f"frequency ({unit})",
        ylabel=label,
        title=f"spectrum; band {scale * band.low:.3g} to {scale * band.high:.3g} {unit}, "
        f"kurtosis {band.kurtosis:.1f}",
    )


def _part(spectrum: Spectrum, low: float, high: float) -> Spectrum:
    inside = (spectrum.frequency >= low) & (spectrum.frequency <= high)
    return Spectrum(spectrum.frequency[inside], spectrum.amplitude[inside])


def _thinned(spectrum: Spectrum) -> Spectrum:
    """The greatest of each group of bins, so that no line is lost; at most POINTS."""
    group = math.ceil(len(spectrum.amplitude) / POINTS)
    count = len(spectrum.amplitude) // group
    amplitude = spectrum.amplitude[: count * group].reshape(count, group)  # (bins,) -> (n, group)
    frequency = spectrum.frequency[: count * group].reshape(count, group)
    return Spectrum(frequency.mean(axis=1), amplitude.max(axis=1))


# ------------------------------------------------------------------------------- marks


def draw_marks(axes: Axes, marks: Sequence[tuple[str, int, float]], top: float) -> int:
    """A dashed line at each mark; its name above, in as many rows as keep names apart.

    Returns the number of rows.
    """
    for name, harmonic, frequency in marks:
        _draw_mark(axes, name, harmonic, frequency)
    firsts = sorted((f, name) for name, harmonic, f in marks if harmonic == 1)
    widths = [_LETTER * 2.4 * (len(name) + 1) for _, name in firsts]
    rows = staggered([f / top for f, _ in firsts], widths)
    for (frequency, name), row in zip(firsts, rows, strict=True):
        axes.annotate(
            name,
            (frequency, 1),
            (0, 1 + _ROW * row),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            fontsize=7,
            color=MARKS[name][0],
        )
    return 1 + max(rows, default=-1)


def _draw_mark(axes: Axes, name: str, harmonic: int, place: float) -> None:
    colour, dashes = MARKS[name]
    line = axes.axvline(place, color=colour, linewidth=0.9, alpha=0.75, zorder=0.5)
    line.set_dashes(dashes)
    line.set_gid(f"mark {name} {harmonic}")


def staggered(centres: Sequence[float], widths: Sequence[float]) -> list[int]:
    """A row for each label, so that no two of one row overlap; centres ascend."""
    ends: list[float] = []
    rows = []
    for centre, width in zip(centres, widths, strict=True):
        row = next((r for r, end in enumerate(ends) if centre - width / 2 > end), len(ends))
        ends[row : row + 1] = [centre + width / 2]
        rows.append(row)
    return rows


# ------------------------------------------------------------------------------- lives


def life_figure(runs: Sequence[RunView], unit: str) -> Figure:
    """RMS over share of life, a panel a run, all on one logarithmic scale."""
    rows = math.ceil(len(runs) / _PER_ROW)
    figure = Figure(figsize=(_WIDTH, _PANEL * rows + 0.9), layout="constrained")
    panels = figure.subplots(rows, _PER_ROW, sharex=True, sharey=True, squeeze=False)
    for axes, run in zip(panels.flat, runs, strict=False):
        for channel, rms in enumerate(run.rms.T):  # (n, channels) -> (n,) each
            axes.plot(run.share, rms, color=COLOURS[channel], marker=".", markersize=2)
        if run.onset is not None:
            axes.axvline(run.onset, color="#888888", linewidth=0.8, linestyle="--")
        axes.set_title(f"{run.run_id}, {run.life_s / 3600:.3g} h", fontsize=8)
        axes.set(yscale="log", xlim=(0, 1))
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))  # lives span less than a decade
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    for axes in panels.flat[len(runs) :]:
        axes.set_axis_off()
    for axes in panels.flat[max(0, len(runs) - _PER_ROW) : len(runs)]:
        axes.tick_params(labelbottom=True)  # the lowest of its column
    figure.supxlabel("share of life", fontsize=9)
    figure.supylabel(amplitude_label(unit, "RMS"), fontsize=9)
    channels = max(run.rms.shape[1] for run in runs)
    handles = [Line2D([], [], color=COLOURS[c], label=f"channel {c}") for c in range(channels)]
    if any(run.onset is not None for run in runs):
        handles.append(Line2D([], [], color="#888888", linestyle="--", label="onset of the defect"))
    if len(handles) > 1:
        figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), fontsize=8)
    return figure
