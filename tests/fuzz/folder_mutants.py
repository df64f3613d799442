"""Files that are not seen, and files that are no recordings."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .column_forms import FORMS
from .draw import Draw
from .forms import Form
from .verdict import Case, Held, Reading, Verdict

FIELDS = {"unit_id": "{unit}", "condition": "c", "run_id": "{unit}_{run}"}


class Tree:
    """Folders `b0`, `b1`, ... of recordings `1`, `2`, ..., some of which may lie elsewhere."""

    def __init__(self, draw: Draw, root: Path, linked: int = 0) -> None:
        self.draw, self.root = draw, root
        self.form: Form = FORMS[draw.one("text", "npy", "h5", "mat 5", "wav")](draw)
        self.rig = root / "data_root/rig"
        self.rig.mkdir(parents=True)
        self.held: dict[str, Held] = {}
        for place in range(2 + linked):
            away = root / "elsewhere" / f"b{place}"
            folder = away if place >= 2 else self.rig / f"b{place}"
            for run in range(1, draw.randint(2, 3)):
                name = f"{run}{self.form.ending}"
                self.held[f"b{place}/{name}"] = self.form.write(folder / name)
            if place >= 2:
                (self.rig / f"b{place}").symlink_to(away)

    def case(self, about: str, *readings: Reading, **more: Any) -> Case:
        """A case whose right reading is all that was written, unless told otherwise."""
        files = more.pop("files", "{unit}/{run:d}" + self.form.ending)
        keys = self.form.keys(files=files, fields=FIELDS)
        given = {"otherwise": Verdict.SILENT, "about": about, **more}
        return Case(keys, readings or (Reading(self.held),), **given)


def linked_folder(draw: Draw, root: Path) -> Case:
    """A unit's folder is a link to another disk."""
    return Tree(draw, root, draw.randint(1, 2)).case("a folder that is a link", names=("b2",))


def linked_file(draw: Draw, root: Path) -> Case:
    it = Tree(draw, root)
    name = f"7{it.form.ending}"
    it.held[f"b0/{name}"] = it.form.write(root / "elsewhere" / name)
    (it.rig / "b0" / name).symlink_to(root / "elsewhere" / name)
    return it.case("a file that is a link", names=(name,))


def dangling_file(draw: Draw, root: Path) -> Case:
    it = Tree(draw, root)
    name = f"7{it.form.ending}"
    (it.rig / "b0" / name).symlink_to(root / "nowhere" / name)
    about = "a link that leads to nothing"
    return it.case(about, Reading(it.held, said=rf"7\{it.form.ending}"), names=(name,))


def dangling_folder(draw: Draw, root: Path) -> Case:
    it = Tree(draw, root)
    (it.rig / "b7").symlink_to(root / "nowhere/b7")
    about = "a folder that is a link to nothing"
    return it.case(about, Reading(it.held, said="b7"), names=("b7",))


def loop(draw: Draw, root: Path) -> Case:
    """A link to a folder above: each recording once, or a refusal."""
    it = Tree(draw, root)
    (it.rig / "b0" / "again").symlink_to(draw.one(it.rig, it.rig / "b0"))
    return it.case("a link to a folder above", names=("again",))


def other_systems(draw: Draw, root: Path) -> Case:
    """What desktops and editors leave beside recordings, under names that the pattern matches."""
    it = Tree(draw, root)
    ending = it.form.ending
    first = next(iter(it.held))
    raw = (it.rig / first).read_bytes()
    names = {
        f"b0/._1{ending}": draw.one(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X".ljust(120), raw),
        f"b0/~$1{ending}": draw.one(b"\x05owner".ljust(165), raw),
        f".ipynb_checkpoints/1-checkpoint{ending}": raw,
        f"__MACOSX/._1{ending}": b"\x00\x05\x16\x07".ljust(120),
        f".Trash-0/1{ending}": raw,
    }
    name = draw.choice(list(names))
    path = it.rig / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(names[name])
    return it.case(f"a file {name}", files="{unit}/{run}" + ending, names=(_escaped(name),))


def _escaped(name: str) -> str:
    part = name.rpartition("/")[2]
    return "".join(f"[{letter}]" if letter in ".$" else letter for letter in part)


def unmatched(draw: Draw, root: Path) -> Case:
    """A recording whose name is written in another way is left out: by a word about it."""
    it = Tree(draw, root)
    name = draw.one("b1/7 (copy){}", "b1/seven{}", "b1/deeper/7{}", "7{}", "b1/7{}.bak")
    it.form.write(it.rig / name.format(it.form.ending))
    told = Reading(it.held, said=r"1 files? match|left out")
    return it.case(f"a name {name!r} that does not match", told)


def capital_ending(draw: Draw, root: Path) -> Case:
    it = Tree(draw, root)
    name = f"7{it.form.ending.upper()}"
    one = it.form.write(it.rig / "b1" / name)
    told = Reading(it.held, said=r"match|left out")
    both = Reading({**it.held, f"b1/{name}": one})
    return it.case("an ending in capitals", both, told, names=("7",))


def empty_file(draw: Draw, root: Path) -> Case:
    it = Tree(draw, root)
    name = f"b1/7{it.form.ending}"
    (it.rig / name).write_bytes(draw.one(b"", b"\n", b"   \n\n", b"\xef\xbb\xbf", b"\x00" * 500))
    keys = it.form.keys(files="{unit}/{run:d}" + it.form.ending, fields=FIELDS)
    return Case(keys, names=("7",), otherwise=Verdict.SILENT, about="a file without contents")


def folder_as_file(draw: Draw, root: Path) -> Case:
    """A folder whose name the pattern matches holds no samples of its own."""
    it = Tree(draw, root)
    (it.rig / f"b1/7{it.form.ending}").mkdir()
    return it.case("a folder that is named like a file")


def fifo(draw: Draw, root: Path) -> Case:
    """A pipe under a recording's name: reading it waits for ever."""
    it = Tree(draw, root)
    os.mkfifo(it.rig / f"b1/7{it.form.ending}")
    return it.case("a pipe that is named like a file", names=("7",))


def odd_names(draw: Draw, root: Path) -> Case:
    """Spaces, signs of shells, letters of other scripts, in two ways to write an accent."""
    it = Tree(draw, root)
    unit = draw.one("b 1", "b;1", "ü", "u\u0308", "軸受", "b'1", "b&$1", "b\n1", "b\u00a01", '"b"')
    name = f"{unit}/7{it.form.ending}"
    written = it.form.write(it.rig / name)
    labels = {"unit_id": unit}
    it.held[name] = Held(written.signal, written.rate_hz, written.rate_rtol, labels)
    return it.case(f"a unit {unit!r}")


def not_utf8(draw: Draw, root: Path) -> Case:
    """A name in another encoding, as unpacking on another system leaves it."""
    it = Tree(draw, root)
    target = os.fsencode(it.rig / "b1") + b"/\xfc7" + os.fsencode(it.form.ending)
    os.rename(it.rig / next(iter(it.held)), target)
    keys = it.form.keys(files="{unit}/{run}" + it.form.ending, fields=FIELDS)
    return Case(keys, (), about="a name that is not UTF-8", otherwise=Verdict.EQUAL)


def same_samples(draw: Draw, root: Path) -> Case:
    """One recording under two names is not a matter of reading."""
    it = Tree(draw, root)
    first = next(iter(it.held))
    again = f"b1/8{it.form.ending}"
    (it.rig / again).write_bytes((it.rig / first).read_bytes())
    it.held[again] = it.held[first]
    return it.case("the same samples under two names")


def other_format(draw: Draw, root: Path) -> Case:
    """A recording of another format, which the pattern does not match, is left out by a word."""
    it = Tree(draw, root)
    ending = ".npy" if it.form.ending != ".npy" else ".wav"
    np.save(it.root / "other.npy", draw.signal(200, it.form.channels))
    (it.root / "other.npy").rename(it.rig / f"b1/9{ending}")
    return it.case("a recording of another format", Reading(it.held, said="match|left out"))


KINDS: dict[str, Callable[[Draw, Path], Case]] = {
    "linked folder": linked_folder,
    "linked file": linked_file,
    "dangling file": dangling_file,
    "dangling folder": dangling_folder,
    "loop of links": loop,
    "files of other systems": other_systems,
    "name that does not match": unmatched,
    "ending in capitals": capital_ending,
    "file without contents": empty_file,
    "folder named like a file": folder_as_file,
    "pipe named like a file": fifo,
    "odd names": odd_names,
    "name that is not UTF-8": not_utf8,
    "samples twice": same_samples,
    "another format beside": other_format,
}
