"""From the package's metadata to the fields of a recording."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workflow_src.configuration.folder import OWN_FIELDS, Lookup
from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.data.sources.bearing_datasets.definitions import Facts
from workflow_src.data.sources.folder.table import field_text
from workflow_src.errors import BadData

# Columns that describe the storage, or that a recording holds in another form.
_NOT_ATTRIBUTES = {
    *("dataset", "signal_id", "recording_id", "channel", "fs", "n_samples", "sensor_at_fault"),
    *("signal_file", "signal_row_group", "signal_row", "quantity", "sensitivity", "unit"),
    *("fault_type", "run_id", "time_s", "rul_s", "load_unit"),
}
_MACHINE = "rig"  # names one of several machines of a dataset; to us a rig is the whole dataset
_NOT_SAID = ("", "none", "unknown")
# What makes a condition of the rigs whose condition the package does not name.
_CONDITION = ("speed_rpm", "speed_profile", "load")


@dataclass(frozen=True)
class Fields:
    """The fields of a recording, as in `Recording`."""

    recording_id: str
    unit_id: str
    condition: str
    run_id: str
    fault: str | None
    time_s: float | None
    life_s: float | None
    onset_s: float | None
    attributes: dict[str, str]


def fields_of(channels: Sequence[Facts], rules: Mapping[str, str | Lookup], where: str) -> Fields:
    """The fields of a recording from the package's facts of its channels.

    ``bearing_id`` is the unit, else ``run_id``; ``operating_condition`` is the condition, else
    speed and load; ``fault_type`` is the fault, with `ball` for `rolling_element`; the life is
    ``time_s + rul_s``. The column ``rig`` is the attribute `machine`. `rules` win. Raises
    ``UserError`` or ``BadData``, naming `where`.
    """
    columns = _columns(channels)
    given = {name: field_text(name, rule, columns, where) for name, rule in rules.items()}
    run = _said(columns, "run_id")
    found = {
        "recording_id": columns["recording_id"].replace("/", "."),
        "unit_id": _said(columns, "bearing_id") or run,
        "condition": _said(columns, "operating_condition") or _condition(columns),
        "run_id": run or columns["recording_id"].replace("/", "."),
        "fault": _fault(columns["fault_type"]),
    } | {name: text for name, text in given.items() if name in OWN_FIELDS}
    for name in ("unit_id", "condition"):
        if not found[name]:
            raise BadData(
                f"The package does not say the {name} of a recording.",
                where=where,
                found=", ".join(f"{column}: {text}" for column, text in columns.items()),
                remedy="give it under `bearing_datasets:` of the rig, for example\n"
                + as_yaml(("fields",), {name: "{native_label}"}),
            )
    times = columns | given  # a rule wins over the column of its name
    time_s, left = _number(times, "time_s", where), _number(columns, "rul_s", where)
    life = None if time_s is None or left is None else time_s + left
    attributes = {name: text for name, text in columns.items() if name not in _NOT_ATTRIBUTES}
    if _MACHINE in attributes:
        attributes["machine"] = attributes.pop(_MACHINE)
    if "load_unit" in columns and "load" in columns:
        attributes["load"] = f"{columns['load']} {columns['load_unit']}"
    return Fields(
        recording_id=str(found["recording_id"]),
        unit_id=str(found["unit_id"]),
        condition=str(found["condition"]),
        run_id=str(found["run_id"]),
        fault=found["fault"] or None,
        time_s=time_s,
        life_s=_number(given, "life_s", where) or life,
        onset_s=_number(given, "onset_s", where),
        attributes={
            **attributes,
            "channel_names": "|".join(facts["channel"] for facts in channels),
            **{name: text for name, text in given.items() if name not in OWN_FIELDS},
        },
    )


def _columns(channels: Sequence[Facts]) -> dict[str, str]:
    """Each column as one text; what differs between the channels is joined by ``|``."""
    found = {}
    for name in channels[0]:
        texts = [_text(facts[name]) for facts in channels]
        found[name] = texts[0] if len(set(texts)) == 1 else "|".join(texts)
    return found


def _text(value: str | float | None) -> str:
    """600.0 as 600, True as true; text as it is."""
    if isinstance(value, float):
        return format(value, ".12g")
    return str(value).lower() if str(value) in ("True", "False") else str(value)


def _said(columns: Mapping[str, str], name: str) -> str | None:
    text = columns.get(name, "")
    return None if text in _NOT_SAID else text


def _condition(columns: Mapping[str, str]) -> str | None:
    units = {"speed_rpm": "rpm", "load": columns.get("load_unit", "")}
    parts = [text + units.get(name, "") for name in _CONDITION if (text := _said(columns, name))]
    return "_".join(parts) or None


def _fault(text: str) -> str | None:
    """The class in our words; None where it is unknown, wholly or in part."""
    parts = text.split("+")
    if "unknown" in parts:
        return None
    return "+".join("ball" if part == "rolling_element" else part for part in parts)


def _number(texts: Mapping[str, str], name: str, where: str) -> float | None:
    text = texts.get(name)
    if text is None or text in _NOT_SAID:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise BadData(f"{name} is not a number.", where=where, found=f"{name} = {text!r}")
    return number
