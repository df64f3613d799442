"""Checksums of what a rig or a split names beside its YAML."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from workflow_src.configuration.lines import shown
from workflow_src.errors import UserError


def digest(table: Path) -> str:
    """SHA-256 of what a rig or a split names, so that an edit of it is one of the key.

    That of a folder is of the names and contents of the files in it and below, also behind links.
    """
    try:
        if table.is_dir():
            walked = os.walk(table, followlinks=True, onerror=_raise)
            files = sorted(Path(folder, name) for folder, _, names in walked for name in names)
            kept = [path.relative_to(table) for path in files if path.parent.name != "__pycache__"]
            content = json.dumps({name.as_posix(): digest(table / name) for name in kept})
            return hashlib.sha256(content.encode()).hexdigest()
        return hashlib.sha256(table.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(
            "A table that the configuration names cannot be read.",
            where=shown(table),
            found=str(error),
            remedy="write it there, or correct `table:` or `definition:` of the rig, or `file:` of "
            "the split",
        ) from error


def _raise(error: OSError) -> None:
    raise error
