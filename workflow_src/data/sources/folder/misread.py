"""A table that reads only with other keys; the error bears them."""

from __future__ import annotations

from collections.abc import Mapping

from workflow_src.configuration.scalars import Yaml
from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.errors import BadData


class Misread(BadData):
    """``put`` holds the keys under `folder:` that read the file; a draft takes them from here."""

    def __init__(
        self,
        what: str,
        *,
        where: str,
        put: Mapping[str, Yaml],
        found: str | None = None,
        expected: str | None = None,
        other: str = "",
    ) -> None:
        remedy = f"{as_yaml((), {'folder': dict(put)})}{other and chr(10)}{other}"
        super().__init__(what, where=where, found=found, expected=expected, remedy=remedy)
        self.put = dict(put)
