"""Files that were cut short, changed, or bear the ending of another format."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from .column_forms import FORMS
from .draw import Draw
from .forms import Form, Text
from .single import UNIT, Single
from .verdict import Case, Reading


def _written(draw: Draw, root: Path, *names: str) -> tuple[Form, Path, Reading]:
    form = FORMS[draw.choice(names)](draw)
    path = root / f"data_root/rig/{UNIT}{form.ending}"
    return form, path, Reading({path.name: form.write(path)})


BINARY = tuple(name for name in FORMS if name != "text")


def cut_short(draw: Draw, root: Path) -> Case:
    """Equal is right too: the end of some formats is padding."""
    form, path, reading = _written(draw, root, *BINARY)
    raw = path.read_bytes()
    end = int(len(raw) * draw.one(0.02, 0.3, 0.5, 0.9, 0.99))
    end -= raw[end:].startswith(b"TDSm")  # what ends between two segments is whole, and shorter
    path.write_bytes(raw[:end])
    return Case(form.keys(), (reading,), names=(UNIT,), about=f"a {form.ending} cut short")


def cut_text(draw: Draw, root: Path) -> Case:
    """Cut within a row: where its last number is cut, nobody can tell."""
    it = Single(draw, root)
    it.write()
    text = it.path.read_text()
    ends = len(text) - draw.randint(2, 60)
    it.path.write_text(text[:ends])
    whole, last = text[:ends].split("\n")[int(it.form.has_header) : -1], text[:ends].split("\n")[-1]
    rows = [line.split() if it.form.sep == " " else line.split(it.form.sep) for line in whole]
    tail = last.split() if it.form.sep == " " else last.split(it.form.sep)
    if last == "":
        return it.is_read("text that ends after a row", rows)
    try:
        numbers = [float(cell) for cell in tail]
    except ValueError:
        numbers = []
    if len(numbers) < len(rows[0]):
        return it.must_be_refused("text that was cut within a row")
    return it.is_read("text that was cut within its last number", [*rows, tail])


def cut_packed(draw: Draw, root: Path) -> Case:
    form = Text(draw, plain=True)
    form.ending += ".gz"
    path = root / f"data_root/rig/{UNIT}{form.ending}"
    form.write(path)
    raw = path.read_bytes()
    path.write_bytes(
        raw[: int(len(raw) * draw.one(0.1, 0.5, 0.9)) or 1] if draw.random() < 0.7 else raw[:-3]
    )
    return Case(form.keys(), (), names=(UNIT,), about="packed text cut short")


def bits_changed(draw: Draw, root: Path) -> Case:
    """A byte of the first or last part, where formats keep what they need to be read.

    Samples have no checksum in most formats: where what is read differs only there, nobody can
    tell. So the byte lies in the header, and the samples must be as written.
    """
    form, path, reading = _written(draw, root, "npy", "wav", "npz", "xlsx")
    raw = bytearray(path.read_bytes())
    place = draw.randrange(min(len(raw), {".npy": 60, ".wav": 22}.get(form.ending, 30)))
    raw[place] ^= draw.one(1, 0x80, 0xFF)
    path.write_bytes(raw)
    held = next(iter(reading.recordings.values()))
    readings = [reading]
    if form.ending == ".wav" and held.rate_hz is not None:
        readings = [reading, Reading({path.name: replace(held, rate_rtol=1e9)})]
    return Case(
        form.keys(), tuple(readings), names=(UNIT,), about=f"byte {place} of a {form.ending}"
    )


def other_ending(draw: Draw, root: Path) -> Case:
    """One format under the ending of another: refused, or read for what it is."""
    form, path, reading = _written(draw, root, *FORMS)
    endings = (".csv", ".txt", ".npy", ".npz", ".mat", ".h5", ".parquet", ".xlsx", ".wav", ".tdms")
    ending = draw.choice([name for name in endings if name != form.ending])
    renamed = path.with_name(UNIT + ending)
    path.rename(renamed)
    keys = form.keys(files="{unit}-{run:d}" + ending)
    read = Reading({renamed.name: next(iter(reading.recordings.values()))})
    return Case(keys, (read,), names=(UNIT,), about=f"a {form.ending} named {ending}")


def unknown_ending(draw: Draw, root: Path) -> Case:
    form, path, reading = _written(draw, root, *FORMS)
    ending = draw.one(".dat", ".bin", ".asc", ".CSV.bak", "", ".csv.zip", ".npy.gz", ".xls")
    renamed = path.with_name(UNIT + ending)
    path.rename(renamed)
    keys = form.keys(files="{unit}-{run:d}" + ending)
    read = Reading({renamed.name: next(iter(reading.recordings.values()))})
    return Case(keys, (read,), names=(UNIT,), about=f"a {form.ending} named {ending!r}")


def packed_twice(draw: Draw, root: Path) -> Case:
    """Packed twice, packed without the ending, and the ending without packing."""
    it = Single(draw, root)
    text = (it.form.eol.join(it.form.lines(it.rows)) + it.form.eol).encode()
    once = gzip.compress(text, 1)
    kind = draw.one("twice", "without the ending", "ending alone", "two parts")
    half = len(text) // 2
    raws = {
        "twice": gzip.compress(once, 1),
        "without the ending": once,
        "ending alone": text,
        "two parts": gzip.compress(text[:half], 1) + gzip.compress(text[half:], 1),
    }
    if kind != "without the ending":
        it.form.ending += ".gz"
    it.file = UNIT + it.form.ending
    it.path.parent.mkdir(parents=True)
    (it.path.parent / it.file).write_bytes(raws[kind])
    return it.is_read(f"packed: {kind}")


def archive(draw: Draw, root: Path) -> Case:
    """An archive of recordings under the name of one."""
    it = Single(draw, root)
    it.path.parent.mkdir(parents=True)
    with zipfile.ZipFile(it.path, "w") as packed:
        packed.writestr("a.csv", "1,2\n" * 99)
    return it.must_be_refused("an archive named like text")


def web_page(draw: Draw, root: Path) -> Case:
    """What a server says in place of the file."""
    form, path, _ = _written(draw, root, *FORMS)
    page = "<!DOCTYPE html><html><body><h1>404</h1><p>Not Found</p></body></html>\n"
    path.write_text(
        draw.one(page, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    )
    return Case(form.keys(), (), names=(UNIT,), about="what a server says in place of the file")


KINDS: dict[str, Callable[[Draw, Path], Case]] = {
    "cut short": cut_short,
    "text cut short": cut_text,
    "packed text cut short": cut_packed,
    "header changed": bits_changed,
    "ending of another format": other_ending,
    "unknown ending": unknown_ending,
    "packing": packed_twice,
    "archive": archive,
    "web page": web_page,
}
