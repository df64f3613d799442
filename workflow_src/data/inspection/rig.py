"""The keys of a rig as a guess, and for each why it is one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from workflow_src.configuration.drafts import Values
from workflow_src.configuration.scalars import Yaml
from workflow_src.data.inspection.columns import step_of_snapshots, usual
from workflow_src.data.inspection.contents import is_stacked
from workflow_src.data.inspection.names import Names, Slot
from workflow_src.data.inspection.roles import Roles
from workflow_src.data.inspection.sample import ReadSample
from workflow_src.data.inspection.words import kind_of, rate_in
from workflow_src.data.sources.plausible import plausible

Questions = dict[tuple[str, ...], str]
_KEYS = {  # why a file is read so
    "encoding": "the first that fits; what do its names say?",
    "decimal": "numbers have a comma: of decimals?",
    "thousands": "numbers have a sign before three digits: of thousands?",
    "skip_lines": "lines before the names or the samples; is no sample among them?",
    "header": "the first line is not written as those below; is it no sample?",
}
Guess = dict[str, tuple[Yaml, str]]  # key -> its value, and why it is a guess ("" for a fact)


def guess_rig(
    path: str, files: Sequence[str], names: Names, roles: Roles, sample: ReadSample
) -> tuple[Values, Questions]:
    """The keys of a rig of these files below ``path``, and the questions that they leave."""
    folder: Guess = {"path": (path, "")}
    folder["files"] = (names.pattern(roles.name_of), f"files that match: {len(files)}")
    folder |= _rate(path, files, roles, sample)
    folder |= _reading(sample)
    fields = _fields(roles)
    values = {key: value for key, (value, _) in folder.items()}
    values["fields"] = {key: value for key, (value, _) in fields.items()}
    questions: Questions = {("folder", key): why for key, (_, why) in folder.items() if why}
    questions |= {("folder", "fields", key): why for key, (_, why) in fields.items() if why}
    if roles.fault is None:
        questions["folder", "fields"] = "no name tells a fault: recordings have no class"
    for key, (value, why) in _life(roles, files, sample).items():
        values[key], questions["folder", key] = value, why
    rig: dict[str, Yaml] = {"source": "folder", "unit": "unknown", "amplitude_comparable": False}
    rig["folder"] = values
    questions["unit",] = "no file says it"
    questions["amplitude_comparable",] = "true if one sensor, gain and unit serve all files"
    return rig, questions


def _rate(path: str, files: Sequence[str], roles: Roles, sample: ReadSample) -> Guess:
    rates = [c.rate_hz if c.rate_hz is None else usual(c.rate_hz) for c in sample.columns]
    stated = sorted({rate for rate in rates if rate is not None})
    if len(stated) == 1 and None not in rates:
        doubt = "" if plausible(stated[0]) else ", but no rate of vibration; `ignore_stated_rate`?"
        return {"rate_hz": (_plain(stated[0]), f"by {sample.columns[0].rate_place}{doubt}")}
    if stated:
        listed = ", ".join(f"{rate:g}" for rate in stated)
        lacking = "" if None not in rates else ", and some files state none"
        return {"rate_hz": ("unknown", f"mixed: files state {listed} Hz{lacking}")}
    if roles.rate is not None:
        return {}  # a field of each recording
    named = {rate_in(file) for file in files}
    if named == {None}:
        named = {rate_in(path.rstrip("/").rpartition("/")[2])}
    if len(named) == 1 and None not in named:
        return {"rate_hz": (_plain(named.pop() or 0.0), "by the names")}
    if named != {None}:
        return {"rate_hz": ("unknown", "mixed: names state several, or not all state one")}
    turns = sorted({hit for file in files for hit in re.findall(r"[0-9.]+ ?[hH]z", file)})
    if roles.speed is not None:
        turns = []  # which is what they are
    hint = f"; what is {', '.join(turns[:3])} in the names?" if turns else ""
    return {"rate_hz": ("unknown", f"neither files nor names state it{hint}")}


def _reading(sample: ReadSample) -> Guess:
    """How a file is read: array, header, channels, time column, encoding."""
    first = sample.looks[0]
    guess: Guess = {}
    if sample.array is not None:
        guess["array"] = (sample.array, sample.array_question or "")
    if any(is_stacked(seen.shape) for seen in sample.looks):
        why = f"the array is {first.shape}: each row a window, or `column_count: {first.shape[-1]}`"
        guess["stacked"] = ({"along": "rows"}, f"{why} channels?")
    elif any(len(s.shape) > 1 and s.shape[-1] > s.shape[0] > 1 for s in sample.looks):
        guess["samples_along"] = ("columns", f"the array is {first.shape}")
    keys = {key: value for seen in reversed(sample.looks) for key, value in seen.keys.items()}
    guess |= {key: (value, _KEYS[key]) for key, value in keys.items()}
    label: dict[int, int | str] = {i: i for i in range(first.frame.shape[1])}
    names = first.names or []
    if all(seen.names == first.names for seen in sample.looks):
        label |= {i: name for i, name in enumerate(names) if name and names.count(name) == 1}
    if sample.others:
        said = "; ".join(_spans(sample.others, label))
        guess["channels"] = ([label[i] for i in sample.channels], f"without {said}")
    clocks = {columns.time_column for columns in sample.columns}
    if len(clocks) == 1 and (clock := clocks.pop()) is not None:
        guess["time_column"] = (label[clock], "read as seconds")
    kinds = [kind_of(names[i]) if names else None for i in sample.channels]
    why = "by the columns' names; vibration where they say nothing"
    if not any(kinds):
        why = "no column says it"
    if len({seen.frame.shape[1] for seen in sample.looks}) > 1:
        why += "; files differ in their number of channels: `channels:` must name what all have"
    guess["channel_kinds"] = ([kind or "vibration" for kind in kinds], why)
    return guess


def _spans(others: Mapping[int, str], label: Mapping[int, int | str]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for column, reason in sorted(others.items()):
        by_reason.setdefault(reason, []).append(str(label[column]))
    return [f"{', '.join(columns)} ({reason})" for reason, columns in by_reason.items()]


def _fields(roles: Roles) -> Guess:
    name = roles.name_of
    unit = "_".join(_text(slot, name) for slot in roles.unit)
    conditions = [_condition(slot, roles) for slot in roles.conditions]
    of_rate = [] if roles.rate is None or roles.rate in roles.unit else [_text(roles.rate, name)]
    fields: Guess = {
        "unit_id": (unit or "all", "what names one physical specimen?"),
        "condition": (
            "_".join(conditions) or "all",
            "by what names say" if conditions else "no name tells a speed or a load",
        ),
        "run_id": (
            "_".join([unit or "all", *conditions, *of_rate]),
            "one acquisition; files that share it are never torn apart by a split",
        ),
    }
    if roles.fault is not None:
        looked_up: Yaml = {"from": name[roles.fault], "values": roles.faults}
        fields["fault"] = (looked_up, "by the words in the names")
    if roles.speed is not None:
        plain = all(value == f"{rpm:g}" for value, rpm in roles.speeds_rpm.items())
        rpm = {value: f"{rpm:g}" for value, rpm in roles.speeds_rpm.items()}
        text = "{" + name[roles.speed] + "}"
        why = "by its unit" if roles.speed_is_named else "are these numbers turns a minute?"
        fields["speed_rpm"] = (text if plain else {"from": name[roles.speed], "values": rpm}, why)
    if roles.load is not None:
        fields["load"] = ({"from": name[roles.load], "values": roles.loads}, "by its unit")
    if roles.rate is not None:
        rates = {v: "unknown" if r is None else f"{r:g}" for v, r in roles.rates_hz.items()}
        mixed = "mixed: by the names; what is `unknown` must be told, or left out"
        fields["rate_hz"] = ({"from": name[roles.rate], "values": rates}, mixed)
    if roles.number is not None and not roles.is_life:
        why = "parts of one acquisition, repetitions, or a speed or load?"
        fields[name[roles.number]] = ("{" + name[roles.number] + "}", why)
    for slot in roles.redundant:
        fields[name[slot]] = ("{" + name[slot] + "}", "what does it say?")
    return fields


def _plain(number: float) -> float:
    """A number that is printed without its .0 where it is whole."""
    return int(number) if number == int(number) else number


def _text(slot: Slot, name: Mapping[Slot, str]) -> str:
    return (slot.before if slot.digits else "") + "{" + name[slot] + "}"


def _condition(slot: Slot, roles: Roles) -> str:
    text = "{" + roles.name_of[slot] + "}"
    if not slot.digits:
        return text
    return text + (slot.after or ("rpm" if slot is roles.speed else "load"))


def _life(roles: Roles, files: Sequence[str], sample: ReadSample) -> Guess:
    """The keys of runs to failure, where files are snapshots of a run."""
    if roles.number is None or not roles.is_life:
        return {}
    of_file = dict(zip(files, roles.number.values, strict=True))
    units = dict(zip(files, zip(*(slot.values for slot in roles.unit), strict=True), strict=False))
    seen = [
        (int(of_file[file]), columns.start_s)
        for file, columns in zip(sample.files, sample.columns, strict=True)
        if columns.start_s is not None and units.get(file) == units.get(sample.files[0])
    ]
    step = step_of_snapshots([n for n, _ in seen], [s for _, s in seen])
    first = min(int(number) for number in roles.number.values)
    time: Yaml = {
        "from": roles.name_of[roles.number],
        "first": first,
        "step_s": _plain(step or 1.0),
    }
    why = "step_s by the times of day in the files" if step else "step_s is not told: how long?"
    return {
        "time": (time, why),
        "ends_in_failure": (True, "many files a run and no fault in names; did every run fail?"),
    }
