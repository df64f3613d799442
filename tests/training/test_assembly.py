"""The network that a cell's configuration makes."""

from __future__ import annotations

from workflow_src.configuration.task_set import TaskSet
from workflow_src.models.network import build_trunk
from workflow_src.tasks.objective import HeadShape
from workflow_src.tasks.objectives import ObjectiveFacts, build_objectives
from workflow_src.training.assembly import MultiTaskNetwork

SIZES = {
    "backbone": "dlinear",
    "embedding": "patch",
    "normalisation": "window",
    "width": 256,
    "depth": 1,
    "patch_length": 64,
    "patch_count": 64,
    "dropout": 0.0,
    "kernel": 9,
    "individual": False,
}
TASKS = ("classification", "anomaly_detection", "signal_prediction", "rul_prediction")


def test_dlinear_of_the_failed_experiment_has_under_two_million_parameters() -> None:
    """Window 4096 x 2, D 256, 64 patches, four tasks, horizon 96: it was 33.8 million."""
    facts = ObjectiveFacts(("normal", "inner", "outer", "ball"), 10, 10)
    objectives = build_objectives(TaskSet.model_validate({task: {} for task in TASKS}), facts=facts)
    shape = HeadShape(tokens=64, width=256, horizon=96, channels=2, classes=4)
    network = MultiTaskNetwork(build_trunk(SIZES, 4096, 2), objectives, shape)
    assert set(network.heads) == set(TASKS)
    assert sum(p.numel() for p in network.parameters()) < 2_000_000
