"""YAML of a rig and a dataset as a draft, from what a definition of bearing-datasets says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from workflow_src.configuration.drafts import draft
from workflow_src.configuration.tasks import tasks_on
from workflow_src.data.sources.bearing_datasets.definitions import (
    KIND_OF,
    VIBRATION,
    Definition,
    Facts,
    Keys,
)

# What a model is best given, the most usual first; the rest are what a rig is controlled by.
_QUANTITIES = (*VIBRATION, "unknown", "sound_pressure", "current", "force", "torque")
_STATED = ("speed_rpm", "speed_profile", "load")  # of which a condition is made
_ELSE = ("supply_hz", "speed_setting", "speed_pct", "section", "load_level", "lp_rpm", "setup")
_PARTS = ("segment", "chunk")  # numbers of consecutive parts of one acquisition
_NOTES = {
    "unit": "bearings held out",
    "run": "runs held out",
    "condition": "conditions held out",
    "time_block": "blocks of the same recordings; a sanity column",
}
_WINDOW, _HORIZON = 2048, 96
_TURNS = 2  # that a window should hold at the slowest speed

Questions = dict[tuple[str, ...], str]


class DraftedFiles(NamedTuple):
    """The texts of two files."""

    rig: str
    dataset: str


class DraftedSplit(NamedTuple):
    """What tells recordings apart, by the columns that there are."""

    unit_id: str | None  # None: the package says it
    condition: str | None
    strategy: str


def drafts(
    definition: Definition,
    source: Keys,
    name: str,
    metadata: pd.DataFrame | None = None,
) -> DraftedFiles:
    """A rig and a dataset that are called `name`.

    `source` holds the keys that name the definition; `metadata` is the package's table of what is
    built, where it is: its channels, units and lengths then take the place of what the definition
    says. What is guessed bears a mark (`drafts.MARK`).
    """
    facts = _channels(definition, metadata)
    columns = definition.columns if metadata is None else frozenset(map(str, metadata.columns))
    chosen = _chosen(facts)
    split = how_to_split(columns)
    head = [
        f"Draft from the package bearing-datasets: {definition.said('title')}",
        f"Licence: {definition.said('license')}",
        *([] if metadata is not None else ["Not built: lengths and speeds are not looked at."]),
        *_on_life(columns),
    ]
    rig, asked = _rig(definition, source, facts, chosen, columns, split)
    dataset, asked_of_span = _dataset(name, definition, facts, chosen, split, metadata)
    return DraftedFiles(
        draft("rig", rig, asked, head), draft("dataset", dataset, asked_of_span, head[:2])
    )


def how_to_split(columns: frozenset[str]) -> DraftedSplit:
    """Units where the package names bearings, runs where it names them, else conditions."""
    condition = None if "operating_condition" in columns else _condition(columns)
    if "bearing_id" in columns:
        return DraftedSplit(None, condition, "unit")
    if "run_id" in columns:
        return DraftedSplit(None, condition, "run")
    unit = "{rig}_{native_label}" if "rig" in columns else "{native_label}"
    return DraftedSplit(unit, condition, "time_block" if condition == "all" else "condition")


def _condition(columns: frozenset[str]) -> str:
    """A text for `fields:`; `all` where nothing says under which conditions was measured."""
    units = {"speed_rpm": "rpm", "load": "{load_unit}"}
    stated = ["{" + name + "}" + units.get(name, "") for name in _STATED if name in columns]
    other = ["{" + name + "}" for name in _ELSE if name in columns]
    return "_".join(stated or other) or "all"


def _on_life(columns: frozenset[str]) -> list[str]:
    if "run_id" in columns and "rul_s" not in columns:
        without = " and no ".join(tasks_on("rul"))
        return [f"The package gives no remaining life in seconds: there is no {without}."]
    return []


# ------------------------------------------------------------------------------- channels


def _channels(definition: Definition, metadata: pd.DataFrame | None) -> Mapping[str, Facts]:
    """Facts of each channel; of what is built, those that most recordings have."""
    if metadata is None:
        return definition.channels
    found = {}
    for name, rows in metadata.groupby("channel", sort=False):
        found[str(name)] = {str(k): v for k, v in rows.iloc[0].items()} | {"count": len(rows)}
    return found


def _chosen(facts: Mapping[str, Facts]) -> list[str]:
    """The channels of the first quantity that there is, of one rate and in most recordings."""
    for quantity in _QUANTITIES:
        of_it = [name for name, f in facts.items() if f.get("quantity", "unknown") == quantity]
        if not of_it:
            continue
        forms = [(facts[name].get("fs"), facts[name].get("count")) for name in of_it]
        most = max(forms, key=lambda form: (form[1] or 0, forms.count(form)))
        return [name for name, form in zip(of_it, forms, strict=True) if form == most]
    return list(facts)


def _kind(facts: Facts) -> str:
    return KIND_OF.get(str(facts.get("quantity")), "vibration")


def _unit(facts: Mapping[str, Facts], chosen: list[str]) -> tuple[str, str | None]:
    """The unit of the chosen channels, and why it is asked for."""
    units = {str(facts[name].get("unit", "unknown")) for name in chosen}
    if len(units) > 1:
        return "unknown", f"the channels are in {', '.join(sorted(units))}"
    (unit,) = units
    sensitivity = str(facts[chosen[0]].get("sensitivity", "none"))
    if sensitivity not in ("none", "unknown"):
        return unit, f"the package can convert: {sensitivity}"
    if unit in ("unknown", "counts", "normalized", "V", "mV"):
        return unit, "the package knows no calibration"
    return unit, None


# ------------------------------------------------------------------------------- files


def _rig(
    definition: Definition,
    source: Keys,
    facts: Mapping[str, Facts],
    chosen: list[str],
    columns: frozenset[str],
    split: DraftedSplit,
) -> tuple[Keys, Questions]:
    unit, why = _unit(facts, chosen)
    fields, asked = _fields(columns, split)
    options = {**source, "channels": {name: _kind(facts[name]) for name in chosen}}
    rig = {
        "source": "bearing_datasets",
        "unit": unit,
        "amplitude_comparable": False,
        "description": f"{definition.said('title')}. {definition.said('citation')}",
        "bearing_datasets": options | ({"fields": fields} if fields else {}),
    }
    questions: Questions = {("amplitude_comparable",): "true for one sensor, gain and unit"}
    if why is not None:
        questions[("unit",)] = why
    others = [name for name in facts if name not in chosen]
    if others:
        questions[("bearing_datasets", "channels")] = f"there are also {', '.join(others)}"
    questions |= {("bearing_datasets", "fields", name): text for name, text in asked.items()}
    return rig, questions


def _fields(columns: frozenset[str], split: DraftedSplit) -> tuple[dict[str, str], dict[str, str]]:
    """What the package does not say of a recording, and why each is a guess."""
    fields, asked = {}, {}
    if split.unit_id is not None:
        fields["unit_id"] = split.unit_id
        asked["unit_id"] = "the package names no bearing: one a label is assumed"
    if split.condition is not None:
        fields["condition"] = split.condition
        asked["condition"] = (
            "the package names no condition; speeds that were measured differ a little"
            if "{speed_rpm}" in split.condition
            else "the package names no condition"
        )
    parts = [name for name in _PARTS if name in columns]
    if parts and "run_id" not in columns:
        unit, condition = (
            split.unit_id or "{bearing_id}",
            split.condition or "{operating_condition}",
        )
        fields["run_id"] = f"{unit}_{condition}"
        asked["run_id"] = f"`{parts[0]}` numbers consecutive parts of one acquisition"
    return fields, asked


def _dataset(
    name: str,
    definition: Definition,
    facts: Mapping[str, Facts],
    chosen: list[str],
    split: DraftedSplit,
    metadata: pd.DataFrame | None,
) -> tuple[Keys, Questions]:
    window, why = _window(chosen, metadata)
    validation = split.strategy if split.strategy in ("unit", "run") else "time_block"
    kinds = list(dict.fromkeys(_kind(facts[channel]) for channel in chosen))
    dataset: Keys = {
        "rig": name,
        "label": definition.name,
        "note": _NOTES[split.strategy],
        "span": {"window": window, "horizon": _HORIZON},
        **({} if kinds == ["vibration"] else {"channel_kinds": kinds}),
        "split": {"strategy": split.strategy, "validation": {"strategy": validation}},
        "unsupported_tasks": "drop",
    }
    return dataset, {("span", "window"): why}


def _window(chosen: list[str], metadata: pd.DataFrame | None) -> tuple[int, str]:
    """Samples of a window: some turns of the shaft, where speeds are known, within a recording."""
    if metadata is None:
        return _WINDOW, "at least a turn of the shaft, and window + horizon within a recording"
    rows = metadata[metadata["channel"].isin(chosen)]
    window = _WINDOW
    if "speed_rpm" in rows and (rows["speed_rpm"] > 0).all():
        turn = float((rows["fs"] * 60 / rows["speed_rpm"]).max())  # samples
        window = max(window, 1 << int(_TURNS * turn).bit_length())
    shortest = int(rows["n_samples"].min())
    while window > 2 and window + _HORIZON > shortest:
        window //= 2
    return window, f"the shortest recording holds {shortest} samples"
