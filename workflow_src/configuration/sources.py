"""The sources: a line each."""

from __future__ import annotations

from workflow_src.configuration.base import section_at
from workflow_src.configuration.source_options import SourceOptions

# Name under `source:` of a rig -> its options. What they import is imported with the Snakefile.
_OPTIONS = {
    "simulated": "workflow_src.configuration.simulated:SimulatedOptions",
    "folder": "workflow_src.configuration.folder:FolderOptions",
    "phm_vibench": "workflow_src.configuration.phm_vibench:PhmVibenchOptions",
    "bearing_datasets": "workflow_src.configuration.bearing_datasets:BearingDatasetsOptions",
    "union": "workflow_src.configuration.union:UnionOptions",
}

SOURCES = {name: section_at(path, SourceOptions) for name, path in _OPTIONS.items()}
