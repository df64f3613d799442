"""Every text of YAML that is shipped: files of config/, blocks of README and docs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
# Of the package bearing-datasets; and what a cluster's user has written.
_FOREIGN = ("dataset.yaml", "site.yaml")
_KINDS = {"models": "model", "datasets": "dataset", "rigs": "rig", "experiments": "experiment"}
_STUDY_KEYS = ("requests", "training", "overrides", "request", "tables")


@dataclass(frozen=True)
class Source:
    """A text of YAML, of which kind of file it is, under which name, and whence it comes.

    `around` is what stands above it where the text is a part of a file.
    """

    kind: str
    name: str
    text: str
    whence: str
    around: str = ""


def files() -> list[Source]:
    """The files of config/ that have a schema."""
    found = []
    for path in sorted(CONFIG.rglob("*.yaml")):
        if path.name in _FOREIGN:
            continue
        kind = _KINDS.get(path.parent.name, path.parent.name)
        if path.parent == CONFIG:
            kind = {"task_sets": "task_sets", "site.example": "site"}.get(path.stem, "config")
        whence = str(path.relative_to(ROOT))
        name = "site" if kind == "site" else path.stem
        found.append(Source(kind, name, path.read_text("utf-8"), whence))
    return found


def pages() -> list[Path]:
    """README and docs, but for the page whose files need each other."""
    docs = (ROOT / "docs").glob("*.md")
    return [ROOT / "README.md", *sorted(page for page in docs if page.stem != "extending")]


def blocks() -> list[Source]:
    """The blocks of README and docs, alternatives apart; tests/docs runs those of extending.md."""
    found = []
    for path in pages():
        text = path.read_text("utf-8")
        for match in re.finditer(r"^ *```yaml\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
            line = text.count("\n", 0, match.start()) + 1
            for part in _alternatives(match[1]):
                found.append(_source(part, f"{path.relative_to(ROOT)}, line {line}"))
    return found


def _alternatives(block: str) -> Iterator[str]:
    """Parts of a block: a file each, or one each of lines that begin with the same key."""
    part, keys = "", set[str]()
    for line in block.splitlines(keepends=True):
        key = re.match(r"[A-Za-z0-9_.-]+(?=:)", line)
        if (line.startswith("# ----") or (key and key[0] in keys)) and keys:
            yield part
            part, keys = "", set()
        part += line
        keys |= {key[0]} if key else set()
    yield part


def _source(text: str, whence: str) -> Source:
    """A block as the file that it is a part of: by the keys at its top."""
    keys = set(yaml.load(text, yaml.BaseLoader))
    if {"source", "unit"} <= keys:
        return Source("rig", "mine", text, whence)
    if keys & {"split", "span", "rig"}:
        above = "" if "rig" in keys else "rig: bearing_sim\n"
        if "span" not in keys:
            above += "span: {window: 1024, horizon: 64}\n"
        return Source("dataset", "mine", text, whence, above)
    if "files" in keys and "fields" in keys:
        indented = "".join(f"  {line}" for line in text.splitlines(keepends=True))
        above = _RIG + "folder:\n  path: x\n  rate_hz: 1000\n"
        return Source("rig", "mine", indented, whence, above)
    if keys == {"stacked"}:
        indented = "".join(f"  {line}" for line in text.splitlines(keepends=True))
        return Source("rig", "mine", indented, whence, _RIG + _FOLDER)
    if keys <= set(_STUDY_KEYS):
        return Source("experiment", "mine", text, whence)
    if keys & {"geometry", "common_rate_hz"}:
        return Source("rig", "mine", text, whence, _RIG + _FOLDER)
    return Source("site", "site", text, whence)


_RIG = "source: folder\nunit: g\namplitude_comparable: false\n"
_FOLDER = (
    "folder:\n  path: x\n  rate_hz: 1000\n  files: '{u}.csv'\n"
    "  fields: {unit_id: '{u}', condition: c, run_id: '{u}'}\n"
)
