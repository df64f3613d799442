"""Valid recordings, which the product must accept and give back equal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from workflow_src.data.recordings import NORMAL, Recording

from .. import phm_vibench_files
from .column_forms import FORMS
from .draw import Draw
from .forms import Text
from .verdict import Case, Held, Reading

FAULTS = {"N": NORMAL, "IR": "inner", "OR": "outer"}


def of_form(name: str, draw: Draw, root: Path) -> Case:
    """One to three recordings of one form, labelled by their names."""
    form = FORMS[name](draw)
    held = {}
    for place, unit in enumerate(draw.units(draw.randint(1, 3))):
        code = draw.choice(list(FAULTS))
        file = f"{unit}-{code}-{place:02d}{form.ending}"
        labels = {"unit_id": unit, "run_id": f"{unit}_{place:02d}", "fault": FAULTS[code]}
        held[file] = replace(form.write(root / "data_root/rig" / file), labels=labels)
    keys = form.keys(
        files="{unit}-{code}-{run:d}" + form.ending,
        fields={
            "unit_id": "{unit}",
            "condition": "c",
            "run_id": "{unit}_{run}",
            "fault": {"from": "code", "values": FAULTS},
        },
    )
    return Case(keys, (Reading(held),), refusable=False, about=name)


def of_some_columns(draw: Draw, root: Path) -> Case:
    """Text of which some columns are channels; others are text, or other channels."""
    form = Text(draw, draw.randint(2, 5), clock=False, header=True)
    rows = form.cells(draw.signal(draw.length(), form.channels))
    chosen = sorted(draw.sample(range(form.channels), draw.randint(1, form.channels - 1)))
    held = form.held(rows)
    names = [form.names[n] for n in chosen]
    if draw.random() < 0.5:
        rows = [["S1", *row] for row in rows]
        form.names.insert(0, "sensor")
        chosen = [n + 1 for n in chosen]
    form.write_lines(root / "data_root/rig" / f"u-1{form.ending}", form.lines(rows))
    signal = held.signal[:, [form.names.index(n) - ("sensor" in form.names) for n in names]]
    by_name = draw.random() < 0.5
    keys = form.keys(channels=names if by_name else chosen)
    reading = Reading({f"u-1{form.ending}": Held(signal, form.rate_hz)})
    return Case(keys, (reading,), refusable=False, about="some columns of a text")


def of_phm_vibench(draw: Draw, root: Path) -> Case:
    """A file of PHM-Vibench beside its table."""
    channels, rate = draw.choice([1, 2, 3]), draw.rate()
    recordings = [_vibench(draw, unit, channels, rate) for unit in draw.units(draw.randint(2, 4))]
    shape = draw.choice(phm_vibench_files.SHAPES[: 3 if channels == 1 else 2])
    table = draw.one("metadata.xlsx", "metadata.csv")
    kind = draw.one("float64", "float32")
    written = phm_vibench_files.write_files(
        root / "data_root/pv", recordings, table=table, shape=shape, dtype=kind
    )
    options = {
        "path": f"pv/{written.path.name}",
        "metadata": f"pv/{table}",
        "dataset_ids": [99],
        "copy": draw.random() < 0.5,
    }
    held = {
        f"{recording.unit_id}/{recording.recording_id}": Held(
            recording.signal, rate, labels={"fault": recording.fault or ""}
        )
        for recording in recordings
    }
    reading = Reading(held)
    return Case(options, (reading,), refusable=False, about="PHM-Vibench", source="phm_vibench")


def _vibench(draw: Draw, unit: str, channels: int, rate: float) -> Recording:
    signal = draw.signal(draw.length(), channels).astype(np.float32)
    kinds = ("vibration",) * channels
    fault = draw.choice(list(FAULTS.values()))
    return Recording(f"{unit}_0", unit, "slow", f"{unit}_0", signal, kinds, rate, fault)


KINDS: dict[str, Callable[[Draw, Path], Case]] = {
    **{name: partial(of_form, name) for name in FORMS},
    "text, twice as often": partial(of_form, "text"),
    "some columns of a text": of_some_columns,
    "PHM-Vibench": of_phm_vibench,
}
