"""Text files: decoding, and the separator of a file's columns."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from workflow_src.errors import BadData

_SNIFFED_LINES = 20


def decode(path: Path, encoding: str) -> str:
    """The text of a file, unpacked if it is ``.gz``, without a byte-order mark.

    Raises ``BadData`` for an empty file, a gzip file that was cut short and for bytes that the
    encoding does not allow.
    """
    raw = path.read_bytes()
    if path.suffix == ".gz" and raw:
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
    try:
        return raw.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise BadData(
            f"A text file is not {encoding}.",
            where=f"{path}, byte {error.start}",
            found=f"byte 0x{raw[error.start]:02x}: {error.reason}",
            remedy="name the encoding of the file under `folder:` of the rig, e.g.\n"
            + ("encoding: gbk" if encoding.lower() != "gbk" else "encoding: latin-1"),
        ) from error
    except LookupError as error:
        raise BadData(
            "There is no such encoding.",
            where="`encoding:` under `folder:` of the rig",
            found=encoding,
            expected="a name that Python knows, e.g. utf-8, gbk, latin-1",
        ) from error


def separator(text: str) -> str:
    """The separator of a text's columns: ``;``, tab, comma, ``\\s+`` or, for one column, comma.

    It is the first that splits the first lines into one and the same number of two or more
    parts. Semicolon and tab come first, for neither stands within a number.
    """
    lines = [line.strip(" \r") for line in text[:100_000].split("\n")[: _SNIFFED_LINES + 1]]
    lines = [line for line in lines[:_SNIFFED_LINES] if line]
    for candidate in (";", "\t", ","):
        if len({line.count(candidate) for line in lines}) == 1 and candidate in lines[0]:
            return candidate
    widths = {len(line.split()) for line in lines}
    return r"\s+" if widths != {1} and len(widths) == 1 else ","
