"""docs/configuration.md, written from the keys: file by file, key by key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from workflow_src.configuration.introspection import (
    Annotation,
    KeyType,
    bounds,
    in_words,
    keys_of,
    members,
    sections,
)
from workflow_src.configuration.json_schema import FILES
from workflow_src.configuration.validation_errors import as_flow

_BEGINNING = """# Configuration

Every key of every file, written from their declarations in `workflow_src/configuration/` by
`python -m workflow_src schema`; an editor that knows the YAML language server completes and checks
keys by the schemas in `config/schemas/`.

A key that nothing reads is an error, as is a key that contradicts another one; the message shows
the line and the YAML that mends it. Where a training key is set twice, `overrides` win over the
dataset, the dataset over the model, the model over `training:` of the run; a later override wins
over an earlier one. Labels, notes, requests, hardware and the site's names never retrain a cell.

A word without quotes that programs read in different ways is an error, in a file and in a value
of `--config`: `010`, `0x10`, `1_000`, `20:00`, `1e3`, `2024-05-01`, `yes`, `no`, `on`, `off`, `y`,
`n`. So is a key that stands twice, and, where text is meant, a number in other digits than its own
(`1.10`). The message shows the quoted text and the plain number. A selector takes the recordings
that bear its value as text; a number that none bears takes the one text that is the same number
(`10` takes `010`).

In the tables, `[]` stands for each entry of a list and `<name>` for a name of your own.
"""

_WHERE = {
    "config": ("The run", "`config/config.yaml`, a file of `--configfile` above it, `--config`"),
    "model": ("A model", "`config/models/<name>.yaml`"),
    "task_sets": ("Task sets", "`config/task_sets.yaml`"),
    "dataset": ("A dataset", "`config/datasets/<name>.yaml`"),
    "rig": ("A rig", "`config/rigs/<name>.yaml`"),
    "hardware": ("A hardware class", "`config/hardware/<name>.yaml`, named by a profile"),
    "site": ("The site", "`config/site.yaml`, one entry a hardware class"),
}


class KeyRow(NamedTuple):
    """One key: how it is reached from its file, and its declaration."""

    path: str
    section: type[BaseModel]
    name: str
    field: FieldInfo


def rows(section: type[BaseModel], prefix: str = "") -> Iterator[KeyRow]:
    """Every key of a section and of the sections in it, each before those that it holds."""
    for name, field in keys_of(section).items():
        path = f"{prefix}{name}"
        yield KeyRow(path, section, name, field)
        for member in members(field.annotation):
            for inner in sections(member):
                yield from rows(inner, f"{path}{_entry(member)}.")


def _entry(member: Annotation) -> str:
    """What stands between a key and the keys below it."""
    origin = get_origin(member)
    return {list: "[]", tuple: "[]", dict: ".<name>"}.get(origin, "") if origin else ""


def document() -> str:
    """The text of docs/configuration.md."""
    return "\n".join([_BEGINNING, *(_file(kind) for kind in _WHERE)])


def _file(kind: str) -> str:
    model, prefix = FILES[kind], ""
    if get_origin(model) is dict:
        model, prefix = get_args(model)[1], "<name>."
    title, where = _WHERE[kind]
    lines = [f"## {title}", "", f"{where}.", ""]
    lines += ["| key | value | default | meaning | example |", "| --- | --- | --- | --- | --- |"]
    lines += [_line(row) for row in rows(model, prefix)]
    return "\n".join([*lines, ""])


def _line(row: KeyRow) -> str:
    field = row.field
    here = KeyType(field.annotation, field, ())
    value = " ".join(filter(None, [_kind(field.annotation), bounds(here)]))
    meaning = _cell(field.description or "")
    example = f"`{as_flow(field.examples[0])}`" if field.examples else ""
    return f"| `{row.path}` | {_cell(value)} | {_default(field)} | {meaning} | {_cell(example)} |"


def _kind(annotation: Annotation) -> str:
    """The type in words; the keys of a section have lines of their own."""
    parts = []
    for member in members(annotation):
        if sections(member):
            listed = get_origin(member) in (list, tuple)
            parts.append("a list of the keys below" if listed else "the keys below")
        else:
            parts.append(in_words(member))
    return " or ".join(dict.fromkeys(parts))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    default = field.get_default(call_default_factory=True)
    if default is None or default == "" or isinstance(default, BaseModel):
        return ""
    return f"`{as_flow(list(default) if isinstance(default, tuple) else default)}`"


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", text)
