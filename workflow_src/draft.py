"""Writes config/rigs/<name>.yaml and config/datasets/<name>.yaml as drafts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from workflow_src.configuration.drafts import MARK
from workflow_src.data.sources.bearing_datasets.definitions import Definition, of_package, private
from workflow_src.data.sources.bearing_datasets.drafting import drafts
from workflow_src.errors import UserError
from workflow_src.files import write_text


def write_drafts(
    name: str, called: str | None, root: Path | None, config: Path, only_print: bool
) -> None:
    """Write the drafts of a dataset of bearing-datasets, or print them.

    Args:
        name: a dataset of the package, or the folder of a private definition below config/rigs/.
        called: name of both files; default: that of the dataset.
        root: folder of the package's built data, which are looked at where they are there;
            default: `bearing_datasets` below PHM_DATA_ROOT.
        config: the folder config/.
        only_print: print them, write nothing.

    Raises ``UserError`` for an unknown name, and where a file is already there.
    """
    rigs = config / "rigs"
    definition, source = _found(name, rigs)
    made = drafts(definition, source, called or definition.name, _metadata(definition, root))
    paths = [config / kind / f"{called or definition.name}.yaml" for kind in ("rigs", "datasets")]
    if only_print:
        for path, text in zip(paths, made, strict=True):
            print(f"# ----- {path}\n{text}")
        return
    for path in paths:
        if path.exists():
            raise UserError(
                "A draft overwrites nothing.",
                where=str(path),
                found="a file",
                remedy=f"python -m workflow_src draft {name} --as ANOTHER_NAME, or --print",
            )
    for path, text in zip(paths, made, strict=True):
        write_text(path, text)
        print(f"{path}: {text.count(MARK)} guesses are marked `{MARK}`")


def _found(name: str, rigs: Path) -> tuple[Definition, dict[str, Any]]:
    """The definition, and the keys that name it in the rig's YAML."""
    if not Path(name).is_dir() or "/" not in name:
        return of_package(name), {"name": name}
    return private(Path(name)), {"definition": os.path.relpath(name, rigs)}


def _metadata(definition: Definition, root: Path | None) -> Any:
    """The package's table of what is built; None where it is not."""
    import bearing_datasets

    above = os.environ.get("PHM_DATA_ROOT")
    root = root or (Path(above) / "bearing_datasets" if above else None)
    if root is None or not (root / definition.name / "manifest.json").is_file():
        return None
    return bearing_datasets.open(definition.name, root=root).metadata()
