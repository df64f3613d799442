"""Writes docs/datasets.md: the rigs of the package bearing-datasets, and those of PHM-Vibench.

    .venv/bin/python docs/datasets.py > docs/datasets.md

The first table is made from the package's definitions, without any data; the second from the facts
below.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import NamedTuple

from workflow_src.data.sources.bearing_datasets.definitions import Definition, names, of_package
from workflow_src.data.sources.bearing_datasets.drafting import how_to_split

BEGINNING = """# Public rigs

Written by `python docs/datasets.py > docs/datasets.md`.

Tasks: **C** classification (two or more kinds of state), **A** anomaly detection (healthy and
faulty recordings), **S** signal prediction, **R** remaining useful life (runs whose end is known).
The split is the strongest that the labels name: by *unit* (the publisher, or the package, names the
bearings), by *run* (to failure), by *condition* (speed, load), by *time block*. What a split is
worth is proven on the recordings each time, and may be less: one healthy bearing in all leaves no
unit for one of the sides. A licence is a summary, not advice: the publisher's own page holds, and
no data come with this project.
"""
PACKAGE = """## The {count} rigs of bearing-datasets {version}

`python -m workflow_src draft NAME` writes the YAML of a rig and a dataset, its guesses marked with
`# ?`: read them, then put the dataset's name under `datasets:` of the run. Snakemake fetches and
builds what is not there (`source: bearing_datasets`, see [configuration](configuration.md#a-rig)),
by a local rule, since nodes of a cluster often have no network. Without one the error lists the raw
files and where to put them. Kinds of state, licence and size of the download are those of the
package's definitions; the kinds of state are read from the text of the code that reads the files,
so that a word may stand there that no recording bears.
"""
VIBENCH = """## The rigs of PHM-Vibench

Flat files `<Name>.h5` with one table of metadata, in part other cuts of the rigs above. Size:
recordings x L x C x 8 bytes, float64, with the middle where L or C differ. Tasks and splits are
those that the kind of rig allows; the flags of the table, and its labels, decide. The files carry
no licence.
"""


class Vibench(NamedTuple):
    """One file of PHM-Vibench: what its table and its arrays say."""

    ids: str
    name: str
    recordings: int
    samples: str  # of a recording, in words
    mean_samples: float  # for the size
    channels: str
    mean_channels: float
    rate: str
    tasks: str
    split: str


_K, _M = 1e3, 1e6
FAULTS, LIFE = "C A S", "S R"
VIBENCH_RIGS = (
    Vibench("1", "CWRU", 155, "64k-491k", 278 * _K, "2", 2, "12k, 48k", FAULTS, "condition"),
    Vibench("2", "XJTU", 9215, "32,768", 32768, "2", 2, "25.6k", LIFE, "run"),
    Vibench("3", "FEMTO", 27146, "2,560", 2560, "2", 2, "25.6k", LIFE, "run"),
    Vibench("4", "IMS", 9463, "20,480", 20480, "8, 4", 6, "20k", LIFE, "run"),
    Vibench("5", "Ottawa23", 60, "420k", 420 * _K, "3", 3, "42k", FAULTS, "condition"),
    Vibench("6", "THU", 12, "1.23M", 1.23 * _M, "2", 2, "20.48k", FAULTS, "condition"),
    Vibench("7", "MFPT", 23, "146k-586k", 366 * _K, "1", 1, "97.7k, 48.8k", FAULTS, "condition"),
    Vibench("8", "UNSW", 628, "614k", 614 * _K, "6", 6, "51.2k", LIFE, "run"),
    Vibench("9, 15", "SEU", 20, "1.05M", 1.05 * _M, "8", 8, "5,120", FAULTS, "condition"),
    Vibench("11", "SUSU", 10, "600k", 600 * _K, "3", 3, "31k", FAULTS, "condition"),
    Vibench("12", "JNU", 12, "500k", 500 * _K, "1", 1, "50k", FAULTS, "condition"),
    Vibench("13", "Ottawa19", 36, "2M", 2 * _M, "2", 2, "200k", FAULTS, "condition"),
    Vibench("14", "THU24", 15, "1.25M", 1.25 * _M, "2", 2, "3,125", FAULTS, "condition"),
    Vibench(
        "16", "DIRG", 180, "512k, 819k", 665 * _K, "6", 6, "51.2k, 102.4k", FAULTS, "condition"
    ),
    Vibench("17", "HIT23", 42, "262k", 262 * _K, "1", 1, "51.2k", FAULTS, "condition"),
    Vibench("18", "JUST", 180, "3.05M", 3.05 * _M, "7", 7, "50k", FAULTS, "condition"),
    Vibench("19", "HUST24", 99, "262k", 262 * _K, "3", 3, "25.6k", FAULTS, "condition"),
    Vibench("20", "PU", 2559, "256k", 256 * _K, "3", 3, "64k", FAULTS, "condition"),
)


def tasks_of(rig: Definition) -> str:
    """The tasks that the labels of a rig allow: C, A, S, R."""
    faults = set(rig.faults)
    possible = {
        "C": len(faults) > 1,
        "A": "normal" in faults and len(faults) > 1,
        "S": True,
        "R": "rul_s" in rig.columns,
    }
    return " ".join(task for task, can in possible.items() if can)


def _size(count: float) -> str:
    """Bytes in GB."""
    giga = count / 1e9
    return f"{giga:.2f}" if giga < 10 else f"{giga:.0f}"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _table(head: str, ruler: str, rows: Iterable[Iterable[str]]) -> str:
    return "\n".join([head, ruler, *(_row(cells) for cells in rows)]) + "\n"


def _of_package() -> str:
    def cells(rig: Definition) -> list[str]:
        faults = ", ".join("ball" if f == "rolling_element" else f for f in rig.faults) or "–"
        strength = how_to_split(rig.columns).strategy.replace("_", " ")
        url = rig.said("homepage")
        size = _size(rig.download_bytes or 0)
        return [
            f"[{rig.name}]({url})",
            rig.said("title"),
            tasks_of(rig),
            strength,
            faults,
            rig.said("license"),
            size,
        ]

    rigs = [of_package(name) for name in names()]
    return _table(
        "| name | rig | tasks | split | kinds of state | licence | GB |",
        "|:---|:---|:---|:---|:---|:---|---:|",
        map(cells, rigs),
    )


def _of_vibench() -> str:
    def cells(rig: Vibench) -> list[str]:
        size = _size(rig.recordings * rig.mean_samples * rig.mean_channels * 8)
        form = f"{rig.samples} x {rig.channels}"
        licence = "as the publishers state"
        return [
            *(rig.ids, rig.name, f"{rig.recordings:,}", form, rig.rate),
            *(rig.tasks, rig.split, licence, size),
        ]

    return _table(
        "| Dataset_id | rig | recordings | L x C | Hz | tasks | split | licence | GB |",
        "|:---|:---|---:|:---|:---|:---|:---|:---|---:|",
        map(cells, VIBENCH_RIGS),
    )


def page() -> str:
    """The whole page."""
    count = len(names())
    package = PACKAGE.format(count=count, version=version("bearing-datasets"))
    return "\n".join([BEGINNING, package, _of_package(), VIBENCH, _of_vibench()])


if __name__ == "__main__":
    print(page(), end="")
