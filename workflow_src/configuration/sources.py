"""Options of the sources of recordings."""

from __future__ import annotations

from workflow_src.data.sources.folder.options import FolderOptions
from workflow_src.data.sources.simulated import SimulatedOptions

__all__ = ["FolderOptions", "SimulatedOptions"]
