"""Every key that a user may set, how the files combine, and what is said when one is wrong."""

from workflow_src.configuration.configuration import Configuration
from workflow_src.configuration.digests import digest
from workflow_src.configuration.loading import load
from workflow_src.configuration.resolved_cell import NetworkCell, ResolvedCell, identity
from workflow_src.configuration.revisions import REVISIONS
from workflow_src.configuration.schema import (
    CardRates,
    Dataset,
    Hardware,
    Model,
    Request,
    Rig,
    Run,
    Split,
    Training,
)

__all__ = [
    "REVISIONS",
    "CardRates",
    "Configuration",
    "Dataset",
    "Hardware",
    "Model",
    "NetworkCell",
    "Request",
    "ResolvedCell",
    "Rig",
    "Run",
    "Split",
    "Training",
    "digest",
    "identity",
    "load",
]
