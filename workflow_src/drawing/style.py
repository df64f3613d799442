"""How figures look and how they become bytes: the same figure, the same bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

# Okabe and Ito, "Color universal design" (2008): told apart by colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
INK = "#222222"
BAND = "#F0E442"
# (colour, dashes) of what is marked: dashes differ too, for prints without colour.
MARKS: dict[str, tuple[str, tuple[float, ...]]] = {
    "shaft": ("#888888", (1, 1.5)),
    "FTF": ("#CC79A7", (6, 2, 1, 2)),
    "BPFO": ("#D55E00", (5, 2)),
    "BPFI": ("#0072B2", (8, 2)),
    "2 BSF": ("#009E73", (3, 2)),
    "wheel": ("#E69F00", (6, 2, 1, 2)),
    "mesh": ("#0072B2", (5, 2)),
}
_SETTINGS: dict[Any, Any] = {  # the stubs of matplotlib list all keys, each by its letters
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.linewidth": 0.7,
    "lines.linewidth": 0.8,
    "svg.fonttype": "path",  # the same letters where these fonts are not installed
    "svg.hashsalt": "rig",
    "path.simplify": True,
    "path.simplify_threshold": 0.3,
    "savefig.facecolor": "white",
}


@contextmanager
def house_style() -> Iterator[None]:
    """Matplotlib's own defaults with these settings on top, whatever a user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def svg(figure: Figure) -> bytes:
    """The figure as SVG without date or random names."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
