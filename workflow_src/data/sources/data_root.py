"""Where the files of a rig lie: a path of its YAML, below the folder of the data or absolute."""

from __future__ import annotations

from pathlib import Path

from workflow_src.errors import UserError


def below_data_root(path: str, data_root: Path | None, said: str) -> Path:
    """`path` below `data_root` (None: none is set), or as it is where it is absolute.

    Raises ``UserError``, quoting `said`, the line of the YAML, where it lies below a folder that is
    not set.
    """
    if Path(path).is_absolute():
        return Path(path)
    if data_root is None:
        raise UserError(
            "The folder of the data is not set.",
            found=f"{said}, which lies below it",
            remedy="set `data_root: /path/to/data` in the config,\n"
            "or the environment variable: export PHM_DATA_ROOT=/path/to/data",
        )
    return data_root / path
