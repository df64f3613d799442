"""The sources: a line each."""

from __future__ import annotations

from pkgutil import resolve_name

from workflow_src.configuration.source_options import SourceOptions

# Name under `source:` of a rig -> its options. What they import is imported with the Snakefile.
_OPTIONS = {
    "simulated": "workflow_src.configuration.simulated:SimulatedOptions",
    "folder": "workflow_src.configuration.folder:FolderOptions",
    "phm_vibench": "workflow_src.configuration.phm_vibench:PhmVibenchOptions",
    "bearing_datasets": "workflow_src.configuration.bearing_datasets:BearingDatasetsOptions",
    "union": "workflow_src.configuration.union:UnionOptions",
}


def _options(path: str) -> type[SourceOptions]:
    found = resolve_name(path)
    if not (isinstance(found, type) and issubclass(found, SourceOptions)):
        raise TypeError(f"{path} is no class of SourceOptions")
    return found


SOURCES: dict[str, type[SourceOptions]] = {name: _options(at) for name, at in _OPTIONS.items()}
