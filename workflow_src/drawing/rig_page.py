"""A rig's page: one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from workflow_src.artifacts.store_manifest import StoreManifest
from workflow_src.cells import rig_folder
from workflow_src.configuration.geometry import Geometry
from workflow_src.data.rig_view import HARMONICS, MOST_RUNS, SNAPSHOTS, Example, RigView, view
from workflow_src.data.store import Store
from workflow_src.drawing.rig_figures import class_figure, life_figure, shared_scales
from workflow_src.drawing.style import house_style, svg
from workflow_src.features.fault_orders import fault_orders
from workflow_src.features.spectra import LEAST_POWER
from workflow_src.files import write_text

PAGE = "rig.html"
MEANINGS = {
    "FTF": "cage",
    "BPFO": "defect of the outer race",
    "2 BSF": "defect of a rolling element",
    "BPFI": "defect of the inner race",
    "wheel": "turns of the wheel",
    "mesh": "teeth of the pinion",
}

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1080px; margin: 2em auto;
       padding: 0 1em; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 1.8em; } h3 { margin: 1.4em 0 0.2em; }
table { border-collapse: collapse; } th, td { text-align: left; vertical-align: top;
       padding: 0.25em 1.2em 0.25em 0; border-bottom: 1px solid #ddd; }
th { font-weight: 600; white-space: nowrap; } figure { margin: 0.5em 0 1em; }
img { width: 100%; height: auto; } p, li { max-width: 75ch; }
figcaption, .small { color: #555; font-size: 0.9em; }
"""


def write_page(rig: str, part: Mapping[str, Any]) -> Path:
    """Write `data/<rig>/rig.html` from the rig's store; return its path.

    ``part`` is `loading.page_part`: geometry and `amplitude_comparable`. Raises ``BadData``
    where the store is missing or damaged.
    """
    known = part["geometry"]
    geometry = None if known is None else Geometry.model_validate(known)
    folder = rig_folder(rig)
    with Store(folder) as store:
        text = page(view(store, geometry, part["amplitude_comparable"]))
    write_text(folder / PAGE, text)
    return folder / PAGE


def page(rig: RigView) -> str:
    """The page as HTML; the same view gives the same text."""
    manifest = rig.manifest
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(manifest.rig)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(manifest.rig)}</h1>",
        f"<p>{escape(manifest.description)}</p>" if manifest.description else "",
        _table(rig.facts),
        *_orders(rig),
        *_classes(rig),
        *_lives(rig),
        *_notes(manifest),
        f'<p class="small">Drawn from recordings of sha256 {escape(manifest.sha256)}.</p>',
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _table(rows: list[tuple[str, str]]) -> str:
    lines = [f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows]
    return "<table>" + "\n".join(lines) + "</table>"


def _orders(rig: RigView) -> list[str]:
    orders = fault_orders(rig.geometry)
    if not orders:
        own = any(example.orders for example in rig.examples)
        text = "Each recording has its own." if own else "Unknown: the rig has no `geometry`."
        return ["<h2>Fault orders</h2>", f"<p>{text}</p>"]
    origin = rig.geometry.origin if rig.geometry is not None else ""
    rows = [
        (name, f"{MEANINGS[name]}, {order:.4g} a turn of the shaft")
        for name, order in orders.items()
    ]
    guess = rig.geometry is not None and rig.geometry.assumed
    words = "assumed; " * guess + (origin or "not stated")
    told = f'<p class="small">Source: {escape(words)}.</p>' if origin or guess else ""
    return ["<h2>Fault orders</h2>", _table(rows), told]


# ------------------------------------------------------------------------------- classes


def _classes(rig: RigView) -> list[str]:
    """One figure a class, and how they are read."""
    scales = shared_scales(rig.examples)
    parts = ["<h2>One recording a class</h2>", _reading(rig), _unmarked(rig.examples)]
    for example in rig.examples:
        with house_style():
            drawn = svg(class_figure(example, scales, rig.manifest.unit))
        parts += [
            f"<h3>{escape(example.title)}</h3>",
            _figure(drawn, _alternative(example), _caption(example)),
        ]
    return parts


def _reading(rig: RigView) -> str:
    unit = rig.manifest.unit
    amplitude = "Amplitudes are peak values" + ("." if unit == "unknown" else f" in {unit}.")
    return (
        f"<p>All classes share each scale. {escape(amplitude)} Spectra are averaged in power over "
        "Hann windows (Welch 1967). The yellow band is the one whose complex envelope has the "
        "greatest kurtosis, of 2 to 16 equal bands that hold at least "
        f"{100 * LEAST_POWER:g} % of the power (kurtogram, Antoni 2007, binary levels; no narrower "
        "than the marks need). The spectrum of the squared envelope in it is over the envelope's "
        "mean, so that gain drops out (Ho and Randall 2000). Each order is marked "
        f"{HARMONICS} times, at the recording's nominal speed (Randall and Antoni 2011): slip "
        "moves lines by one or two per cent.</p>"
    )


def _unmarked(examples: list[Example]) -> str:
    """Why no order is marked, where none is."""
    if any(example.shaft_hz is not None for example in examples):
        return ""
    why = "sampling rate" if all(e.rate_hz is None for e in examples) else "shaft's speed"
    return f"<p>The {why} is unknown: no order is marked.</p>"


def _caption(example: Example) -> str:
    turning = "speed unknown"
    if example.shaft_hz is not None:
        turning = f"shaft {60 * example.shaft_hz:g} rpm ({example.shaft_hz:.4g} Hz)"
    rate = "rate unknown" if example.rate_hz is None else f"{example.rate_hz:g} Hz"
    return (
        f"{example.recording_id}, condition {example.condition}, channel {example.channel}, "
        f"{rate}, {turning}; {len(example.signal)} samples from the start."
    )


def _alternative(example: Example) -> str:
    """What a reader who does not see the figure is told."""
    strongest = example.envelope.frequency[1:][example.envelope.amplitude[1:].argmax()]
    unit = "Hz" if example.rate_hz else "cycles a sample"
    return (
        f"{example.title}: waveform with RMS {example.rms:.3g}, amplitude spectrum, and spectrum "
        f"of the squared envelope from {example.band.low:g} to {example.band.high:g} {unit}, whose "
        f"strongest line is at {strongest:.4g} {unit}."
    )


def _figure(drawn: bytes, alternative: str, caption: str) -> str:
    data = base64.b64encode(drawn).decode("ascii")
    return (
        f'<figure><img alt="{escape(alternative)}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


# ------------------------------------------------------------------------------- lives, notes


def _lives(rig: RigView) -> list[str]:
    if not rig.runs:
        return []
    with house_style():
        drawn = svg(life_figure(rig.runs, rig.manifest.unit))
    ratios = [f"{run.run_id} {run.rms[-1, 0] / run.rms[0, 0]:.3g}" for run in rig.runs]
    alternative = "RMS over share of life; last over first, first channel: " + ", ".join(ratios)
    left_out = f" The first {MOST_RUNS} runs; {rig.runs_left_out} more are not drawn."
    caption = (
        f"RMS about the mean of each snapshot, at most {SNAPSHOTS} a run, evenly spaced; the life "
        "stands above each panel." + (left_out if rig.runs_left_out else "")
    )
    return ["<h2>RMS over life</h2>", _figure(drawn, alternative, caption)]


def _notes(manifest: StoreManifest) -> list[str]:
    notes = manifest.notes
    if not notes:
        return ["<h2>Notes of the source</h2>", "<p>None: no disagreement, nothing left out.</p>"]
    return [
        "<h2>Notes of the source</h2>",
        "<ul>",
        *(f"<li>{escape(n)}</li>" for n in notes),
        "</ul>",
    ]
