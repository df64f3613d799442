"""JSON files of one frozen type each: read with an error for users, written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from workflow_src.errors import BadData
from workflow_src.files import write_text


class JsonFile(BaseModel):
    """What one file holds; the keys that it does not hold have their defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read `path`.

        Raises:
            FileNotFoundError: it is not there.
            BadData: it is no JSON, or a key is unknown, missing or of another type.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise _damaged(path, error, cls.remedy(path)) from error

    @classmethod
    def remedy(cls, path: Path) -> str:
        """The command that makes `path` anew."""
        return f"rm {path}   # the next run writes it again"

    def write(self, path: Path) -> None:
        """Write `path`; the folders above are made."""
        write_text(path, self.to_json() + "\n")

    def content(self) -> dict[str, JsonValue]:
        """The keys that were given, as plain values."""
        return self.model_dump(exclude_unset=True)

    def to_json(self) -> str:
        """The text of the file: equal contents are equal bytes."""
        return json.dumps(self.content(), indent=1, sort_keys=True)


def _damaged(path: Path, error: ValidationError, remedy: str) -> BadData:
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    given = "" if first["type"] in ("missing", "json_invalid") else f": {first['input']!r:.80}"
    return BadData(
        f"{path.name} cannot be read.",
        where=str(path) + (f", key `{key}`" if key else ""),
        found=first["msg"] + given,
        remedy=remedy,
    )
