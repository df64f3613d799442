"""Text files: decoding, and the separator of a file's columns."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from workflow_src.data.sources.folder.cells import NumberForm, has_comma, most_common_width
from workflow_src.errors import BadData

SPACES = r"\s+"
ONE_COLUMN = "\x1f"  # a sign that no text holds: each line is one cell
_MOST = 0.8  # of the lines that are looked at; one of them may hold a stray cell


def decode(path: Path, encoding: str) -> str:
    """The text of a file, as `utf8` gives it."""
    return utf8(path, encoding).decode()


def utf8(path: Path, encoding: str) -> bytes:
    """The text of a file as UTF-8, unpacked if it is gzip, each line ended by ``\\n`` alone.

    Without a byte-order mark. Raises ``BadData`` for an empty file, a gzip file that was cut
    short, bytes that the encoding does not allow and those of no text.
    """
    raw = path.read_bytes()
    if raw.startswith(b"\x1f\x8b") or (path.suffix == ".gz" and raw):
        try:
            raw = gzip.decompress(raw)
        except (EOFError, OSError, zlib.error) as error:
            raise BadData(
                "A gzip file is damaged or was cut short.",
                where=str(path),
                found=str(error),
                remedy="fetch the file again",
            ) from error
    if not raw.strip():
        raise BadData("A file is empty.", where=str(path), remedy="fetch the file again")
    # Bytes that are ASCII are those of UTF-8, and need no copy.
    same = encoding.lower() in ("utf-8", "ascii", "latin-1") and raw.isascii()
    text = raw if same else _decoded(path, raw, encoding).removeprefix("\ufeff").encode()
    if b"\0" in text:
        raise BadData(
            "A text file holds bytes of value 0.",
            where=f"{path}, line {text.count(b'%c' % 10, 0, text.index(0)) + 1}",
            remedy="under `folder:` of the rig: `encoding: utf-16-le` if it is text of two bytes a "
            "character, else `format:` with the kind of file that it is",
        )
    # Some programs write \r\r\n, which is one line's end and no blank line.
    for ending in (b"\r\r\n", b"\r\n", b"\r") if b"\r" in text else ():
        text = text.replace(ending, b"\n")
    return text


def _decoded(path: Path, raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        other = "gbk" if encoding.lower() != "gbk" else "latin-1"
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            other = "utf-16"
        raise BadData(
            f"A text file is not {encoding}.",
            where=f"{path}, byte {error.start}",
            found=f"byte 0x{raw[error.start]:02x}: {error.reason}",
            remedy=f"name the encoding of the file under `folder:` of the rig, e.g.\n"
            f"encoding: {other}",
        ) from error
    except LookupError as error:
        raise BadData(
            "There is no such encoding.",
            where="`encoding:` under `folder:` of the rig",
            found=encoding,
            expected="a name that Python knows, e.g. utf-8, gbk, latin-1",
        ) from error


def separator(lines: Sequence[str], form: NumberForm) -> str:
    """The separator of the columns of lines: ``;``, tab, comma, ``\\s+`` or ``ONE_COLUMN``.

    Of those that split most lines into the same number of two or more parts it is the one by
    which the largest share of these are numbers. Semicolon and tab come first, for neither
    stands within a number.
    """
    quoted = all('"' in line for line in lines)
    within = {form.decimal, form.thousands, SPACES if form.thousands == " " else None}
    best, most = ONE_COLUMN, 0.0
    for candidate in (";", "\t", ",", SPACES):
        if candidate in within and not quoted:
            continue
        rows = [split(line, candidate) for line in lines]
        width = most_common_width(rows)
        fitting = [row for row in rows if len(row) == width]
        cells = [cell for row in fitting for cell in row if cell]
        if width == 1 or len(fitting) < _MOST * len(rows) or not cells:
            continue
        share = sum(form.kind(c) == "number" or has_comma(c) for c in cells) / len(cells)
        if share > most:
            best, most = candidate, share
        if most == 1:
            break
    return best


def split(line: str, sep: str) -> list[str]:
    """The cells of a line, without quotation marks and spaces around them."""
    if '"' in line:
        plain = sep if sep != SPACES else " "
        line = line if sep != SPACES else line.strip().replace("\t", " ")
        reader = csv.reader(StringIO(line, newline=""), delimiter=plain, skipinitialspace=True)
        return [cell.strip() for cell in next(reader, [])]
    return line.split() if sep == SPACES else [cell.strip() for cell in line.split(sep)]
