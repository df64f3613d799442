"""What a definition of the package bearing-datasets says of a rig before anything is built."""

from __future__ import annotations

import ast
import csv
import difflib
import importlib.util
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

from workflow_src.configuration.folder import ChannelKind
from workflow_src.errors import BadData, UserError

LOCK = "files.lock.json"
VIBRATION = ("acceleration", "velocity", "displacement")  # quantities, the most usual first
KIND_OF: Mapping[str, ChannelKind] = {
    **dict.fromkeys(VIBRATION, "vibration"),
    "current": "current",
    "force": "load",
    "torque": "load",
    "sound_pressure": "acoustic",
    "temperature": "temperature",
    "angle": "encoder",
    "encoder": "encoder",
    "speed": "tacho",
    "tachometer": "tacho",
}  # no kind of ours: voltage, time, unknown


Keys = Mapping[str, Any]  # of a file of the package, whose versions have others
Facts = Keys  # a row of the package's metadata: what it says of one channel


class RawFile(TypedDict):
    """A raw file as it was listed; its size is in bytes."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Definition:
    """The folder of a definition: `dataset.yaml`, `builder.py`, perhaps the locked raw files."""

    folder: Path
    keys: Keys  # of dataset.yaml
    of_package: bool

    @property
    def name(self) -> str:
        """The name that its author gave it."""
        return str(self.keys["name"])

    def said(self, key: str) -> str:
        """A text of dataset.yaml, such as `title` or `license`, on one line."""
        return " ".join(str(self.keys.get(key, "")).split())

    @cached_property
    def lock(self) -> list[RawFile] | None:
        """Name, size (bytes) and sha256 of each raw file; None where nobody listed them yet."""
        path = self.folder / LOCK
        if not path.is_file():
            return None
        listed: list[RawFile] = json.loads(path.read_text(encoding="utf-8"))
        return listed

    @property
    def download_bytes(self) -> int | None:
        """Size of all raw files."""
        return None if self.lock is None else sum(entry["size"] for entry in self.lock)

    @cached_property
    def channels(self) -> Mapping[str, Facts]:
        """Facts of each channel that do not change between recordings: quantity, unit, fs ...

        The builder, which is Python, is run up to its functions.
        """
        spec = importlib.util.spec_from_file_location(f"builder_of_{self.name}", self._builder)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
            channels: Mapping[str, Facts] = module.CHANNELS
        except Exception as error:
            raise BadData(
                f"The builder of `{self.name}` cannot be read.",
                where=str(self._builder),
                found=f"{type(error).__name__}: {error}",
            ) from error
        return channels

    @cached_property
    def columns(self) -> frozenset[str]:
        """Names of the columns of its metadata, as far as the builder's text tells them."""
        from bearing_datasets.schema import OPTIONAL

        noted = set(self.keys.get("columns") or {})
        found = noted | ({*_keys_written(self._tree)} & {*OPTIONAL})
        found |= {key for facts in self.channels.values() for key in facts} - {"fs"}
        for name, needed in (("load", "load_unit"), ("time_s", "run_id")):
            if name in found - noted and needed not in found:
                found.remove(name)  # a channel or a variable of that name
        return frozenset(found)

    @cached_property
    def faults(self) -> tuple[str, ...]:
        """Words of the package for the faults that its recordings bear, `normal` among them.

        Empty where every recording is `unknown`, as in most runs to failure.
        """
        from bearing_datasets.schema import FAULT_TYPES

        values = list(_values_of(self._tree, "fault_type"))
        if values and all(isinstance(v, ast.Constant) and v.value == "unknown" for v in values):
            return ()
        words = {word for text in _texts(self._tree) for word in _words(text)}
        for table in self.folder.glob("*.csv"):
            with table.open(encoding="utf-8", newline="") as file:
                words |= {word for row in csv.reader(file) for cell in row for word in _words(cell)}
        return tuple(fault for fault in FAULT_TYPES if fault in words and fault != "unknown")

    @property
    def _builder(self) -> Path:
        return self.folder / "builder.py"

    @cached_property
    def _tree(self) -> ast.Module:
        return ast.parse(self._builder.read_text(encoding="utf-8"))


def of_package(name: str) -> Definition:
    """A definition that the package holds; a UserError names the nearest if there is none."""
    from bearing_datasets.build import DATASETS_DIR

    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1, cutoff=0.4)
        nearest = f"; the nearest is `{near[0]}`" if near else ""
        raise UserError(
            f"The package bearing-datasets has no dataset `{name}`{nearest}.",
            expected=f"one of its {len(names())} (docs/datasets.md)",
            remedy="bearing-datasets list",
        )
    return _read(DATASETS_DIR / name, of_package=True)


def private(folder: Path) -> Definition:
    """A definition of one's own in `folder`."""
    for name in ("dataset.yaml", "builder.py"):
        if not (folder / name).is_file():
            raise UserError(
                "A private definition lacks a file.",
                where=str(folder),
                found=f"no {name}",
                remedy="write it there, or mend `definition:` under `bearing_datasets:` of the rig",
            )
    return _read(folder, of_package=False)


def names() -> list[str]:
    """The datasets of the package."""
    import bearing_datasets

    return list(bearing_datasets.list_datasets())


def _read(folder: Path, *, of_package: bool) -> Definition:
    from bearing_datasets.build import load_spec

    try:
        return Definition(folder, load_spec(folder), of_package)
    except Exception as error:  # YAML's, or of missing keys
        raise BadData(
            "The definition of a dataset cannot be read.",
            where=str(folder / "dataset.yaml"),
            found=str(error),
        ) from error


# ------------------------------------------------------------------------------- the builder's text


def _keys_written(tree: ast.Module) -> Iterator[str]:
    """Keys of dictionaries, of assignments to them, and of calls, anywhere in the code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            yield from (str(k.value) for k in node.keys if isinstance(k, ast.Constant))
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            yield str(node.slice.value)
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg
        elif isinstance(node, ast.Name) and node.id == "fault_orders":
            yield from ("bpfo", "bpfi", "bsf", "ftf")


def _values_of(tree: ast.Module, key: str) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for name, value in zip(node.keys, node.values, strict=True):
                if isinstance(name, ast.Constant) and name.value == key:
                    yield value


def _texts(tree: ast.Module) -> Iterator[str]:
    """Texts of the code that are values, and do not describe channels."""
    passed: set[int] = set()
    for node in ast.walk(tree):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.Dict):
            parts = list(node.keys)
        elif isinstance(node, ast.Subscript):
            parts = list(ast.walk(node.slice))
        elif isinstance(node, ast.Expr):  # docstrings
            parts = [node.value]
        elif _describes_channels(node):
            parts = list(ast.walk(node))
        passed |= {id(part) for part in parts}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in passed:
            yield str(node.value)


def _describes_channels(node: ast.AST) -> bool:
    if isinstance(node, ast.FunctionDef):
        return node.name in ("_ch", "_channel")
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(
        isinstance(t, ast.Name) and t.id in ("CHANNELS", "SENSORS", "VIBRATION", "ELECTRIC")
        for t in targets
    )


def _words(text: str) -> list[str]:
    """Parts of a fault, or the alternatives of a regular expression that reads it from a name."""
    if "(?P<" in text:
        return [word.strip("()") for word in text.replace(">", "|").replace(")", "|").split("|")]
    return text.split("+")
