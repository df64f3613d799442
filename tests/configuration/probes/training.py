"""Keys of training, models and tasks, seen in the optimizer, the network and the losses."""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from workflow_src.configuration import NetworkCell
from workflow_src.configuration.schema import (
    Architecture,
    ArchitectureOverrides,
    Training,
    TrainingOverrides,
)
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.journal import Journal
from workflow_src.tables.plan import TablePlan
from workflow_src.tasks.batch import Batch
from workflow_src.training.assembly import build_network
from workflow_src.training.batches import tensors
from workflow_src.training.run import attempt
from workflow_src.training.step import StepOptions, loss_sums, means, valid_labels, weighted_loss

OTHER_TRAINING: dict[str, Any] = {
    "batch_size": 7,
    "epochs": 3,
    "learning_rate": 0.5,
    "weight_decay": 0.3,
    "schedule": "constant",
    "warmup_share": 0.5,
    "gradient_clip": 0.25,
    "early_stopping_patience": 4,
    "torch_threads": 2,
    "precision": "bf16",
    "fused_optimizer": False,
    "sampling": "class",
    "augmentation": {"noise_db": 20.0, "polarity": True, "shift": 3, "scale": None},
}


class Run(NamedTuple):
    """What a whole attempt at a cell did at each optimizer step, and in the end."""

    rates: list[float]
    decays: list[float]
    norms: list[float]
    fused: list[bool]
    report: dict[str, Any]
    threads: int


def trained(world: Any, **training: Any) -> Run:
    """Train a cell as the rule does, and watch every optimizer step."""
    rates, decays, norms, fused = [], [], [], []

    def watch(optimizer: Any, *_: Any) -> None:
        group = optimizer.param_groups[0]
        grads = [p.grad.norm() for p in group["params"] if p.grad is not None]
        if not any(grads):  # the optimizer takes its memory by a step along nothing
            return
        fused.append(group["fused"])
        rates.append(group["lr"])
        decays.append(group["weight_decay"])
        norms.append(float(torch.stack(grads).norm()))

    before = torch.get_num_threads()
    cell = world.cell({"training": training})
    path = world.lay_out(cell)
    handle = register_optimizer_step_pre_hook(watch)
    try:
        attempt(path, AttemptRequest(), Journal(path.with_name("attempts.jsonl")))
        threads = torch.get_num_threads()
    finally:
        handle.remove()
        torch.set_num_threads(before)
    report = json.loads((path.parent / "training.json").read_text())
    return Run(rates, decays, norms, fused, report, threads)


def batch_size(world: Any) -> None:
    spans = len(world.reader().rows("train"))
    for size in (16, 50):
        assert len(trained(world, batch_size=size).rates) == math.ceil(spans / size)


def epochs(world: Any) -> None:
    one, two = trained(world, epochs=1), trained(world, epochs=2)
    assert len(two.rates) == 2 * len(one.rates)


def learning_rate(world: Any) -> None:
    for rate in (1e-3, 2e-4):
        assert math.isclose(max(trained(world, learning_rate=rate).rates), rate)


def weight_decay(world: Any) -> None:
    for decay in (0.0, 0.2):
        assert set(trained(world, weight_decay=decay).decays) == {decay}


def schedule(world: Any) -> None:
    constant = trained(world, schedule="constant", warmup_share=0).rates
    cosine = trained(world, schedule="cosine", warmup_share=0).rates
    assert len(set(constant)) == 1
    assert cosine == sorted(cosine, reverse=True)
    assert cosine[-1] < 0.1 * cosine[0]


def warmup_share(world: Any) -> None:
    def rising(share: float) -> int:
        return int(np.argmax(trained(world, warmup_share=share, schedule="constant").rates))

    assert rising(0.0) == 0
    steps = len(trained(world).rates)
    assert rising(0.5) == math.ceil(0.5 * steps) - 1


def gradient_clip(world: Any) -> None:
    free, clipped = trained(world, gradient_clip=0), trained(world, gradient_clip=0.01)
    assert max(free.norms) > 0.1
    assert max(clipped.norms) <= 0.01 * 1.001


def early_stopping_patience(world: Any) -> None:
    still = {"epochs": 6, "learning_rate": 1e-30, "weight_decay": 0}  # no epoch is ever better
    assert trained(world, **still).report["epochs"] == 6
    assert trained(world, **still, early_stopping_patience=2).report["epochs"] == 3


def precision(world: Any) -> None:
    full = trained(world)
    for half in ("bf16", "fp16"):
        norms = trained(world, precision=half).norms
        assert norms != full.norms
        assert math.isclose(norms[0], full.norms[0], rel_tol=0.05)


def fused_optimizer(world: Any) -> None:
    for fused in (True, False):
        assert set(trained(world, fused_optimizer=fused).fused) == {fused}


def torch_threads(world: Any) -> None:
    for threads in (1, 2):
        assert trained(world, torch_threads=threads).threads == threads
    wildcards = type("W", (), {"dataset": "d", "model": "net", "task_set": "all", "seed": "1"})
    assert world.targets({"training": {"torch_threads": 3}}).training_threads(wildcards, 1) == 3


def run_training(world: Any) -> None:
    assert set(OTHER_TRAINING) == set(Training.model_fields)
    for key, value in OTHER_TRAINING.items():
        assert world.cell({"training": {key: value}})["training"][key] == value


def _overridden(world: Any, given: dict[str, Any]) -> dict[str, Any]:
    section: dict[str, Any] = world.cell(**given)["training"]
    return section


def model_training(world: Any) -> None:
    assert set(OTHER_TRAINING) == set(TrainingOverrides.model_fields)
    for key, value in OTHER_TRAINING.items():
        assert _overridden(world, {"models__net": {"training": {key: value}}})[key] == value


def dataset_training(world: Any) -> None:
    for key, value in OTHER_TRAINING.items():
        assert _overridden(world, {"datasets__d": {"training": {key: value}}})[key] == value


def override_training(world: Any) -> None:
    for key, value in OTHER_TRAINING.items():
        run = {"overrides": [{"cells": "*/net/*", "training": {key: value}}]}
        assert _overridden(world, {"run": run})[key] == value


# ------------------------------------------------------------------------------- networks

OTHER_SIZES: dict[str, tuple[str, Any]] = {  # a model that has the key, and another value
    "embedding": ("net", "hse"),
    "normalisation": ("net", "none"),
    "width": ("net", 12),
    "depth": ("net", 3),
    "patch_length": ("net", 10),
    "patch_count": ("net", 6),
    "dropout": ("net", 0.5),
    "heads": ("pt", 4),
    "feed_forward": ("tn", 24),
    "kernel": ("net", 5),
    "individual": ("net", True),
    "modes": ("fno", 1),
    "top_k": ("tn", 2),
    "kernels": ("tn", 3),
}


def network(world: Any, model: str = "net", task_set: str = "all", **files: Any) -> Any:
    """The network of a cell, as training builds it."""
    name = f"d/{model}/{task_set}/1"
    run = {"models": [model], "task_sets": [task_set]}
    summary = world.split(files.get("datasets__d")).summary
    cell = NetworkCell.model_validate_json(json.dumps(world.cell(run, name, **files)))
    return build_network(cell, cell.task_names, summary)


def batch(world: Any) -> Batch:
    reader = world.reader()
    return tensors(reader.read(reader.rows("train")[::5]))


def behaviour(net: Any, world: Any, *, training: bool = False) -> tuple[Any, ...]:
    """The shapes of the weights and the tokens of some windows."""
    net.train(training)
    windows = batch(world).window
    with torch.no_grad():
        tokens = net.trunk(windows, torch.arange(len(windows))).tokens
    return tuple(tuple(p.shape) for p in net.trunk.parameters()), tokens


def size(key: str) -> Any:
    model, value = OTHER_SIZES[key]

    def probe(world: Any) -> None:
        shapes, tokens = behaviour(network(world, model), world, training=key == "dropout")
        changed = network(world, model, **{f"models__{model}": {key: value}})
        others, moved = behaviour(changed, world, training=key == "dropout")
        same_tokens = tokens.shape == moved.shape and torch.equal(tokens, moved)
        assert shapes != others or not same_tokens
        if key in ("width", "patch_count"):
            assert moved.shape[{"width": 2, "patch_count": 1}[key]] == value
        if key in ("depth", "feed_forward", "individual", "modes", "kernels", "patch_length"):
            assert shapes != others
        if key in ("heads", "kernel", "top_k", "normalisation", "dropout"):
            assert shapes == others

    return probe


def backbone(world: Any) -> None:
    blocks = {
        m: type(network(world, m).trunk.backbone.layers[0]) for m in ("net", "pt", "fno", "tn")
    }
    assert len(set(blocks.values())) == 4


def override_model(world: Any) -> None:
    assert set(OTHER_SIZES) == set(ArchitectureOverrides.model_fields)
    for key, (model, value) in OTHER_SIZES.items():
        run = {
            "models": [model],
            "overrides": [{"cells": f"*/{model}/*", "model": {key: value}}],
        }
        assert world.cell(run, f"d/{model}/all/1")["model"][key] == value


def extends(world: Any) -> None:
    child = {"extends": "net", "depth": 3}
    cell = world.cell({"models": ["child"]}, "d/child/all/1", models__child=child)
    assert cell["model"] == world.cell()["model"] | {"depth": 3}


def kind(world: Any) -> None:
    targets = world.targets()
    assert targets.models("classic") == ["tr"]
    assert targets.models("network") == ["net"]


def method(world: Any) -> None:
    cell = world.cell(None, "d/tr/all/1")
    assert cell["model"] == {"kind": "classic", "method": "trivial"}


def model_label(world: Any) -> None:
    plan = TablePlan.from_configuration(world.load(models__net={"label": "Linear"}))
    assert plan.models["net"].label == "Linear"
    assert plan.models["tr"].label == "tr"


# ------------------------------------------------------------------------------- tasks


def objective(world: Any, task: str, **options: Any) -> Any:
    changed = network(world, task_sets={"all": {task: options}})
    return next(made for made in changed.objectives if made.name == task)


def weight(task: str) -> Any:
    def probe(world: Any) -> None:
        rows = batch(world)
        objectives = []
        for value in (1.0, 3.0):
            net = network(world, task_sets={"all": {task: {"weight": value}}}).eval()
            losses = means(loss_sums(net, rows, len(rows), StepOptions()), valid_labels(net, rows))
            objectives.append((float(weighted_loss(net, losses)), float(losses[task])))
        (one, mean), (three, _) = objectives
        assert mean > 0
        assert math.isclose(three - one, 2.0 * mean, rel_tol=1e-4)

    return probe


def label_smoothing(world: Any) -> None:
    rows = batch(world)
    sure = torch.nn.functional.one_hot(rows.fault.clamp(min=0), 2) * 20.0
    plain = objective(world, "classification", label_smoothing=0.0).loss(sure, rows, None)
    smooth = objective(world, "classification", label_smoothing=0.2).loss(sure, rows, None)
    assert torch.allclose(smooth - plain, torch.full_like(plain, 0.1 * 20.0), atol=1e-3)


def amplitude(world: Any) -> None:
    rows = batch(world)
    assert objective(world, "anomaly_detection", amplitude=False).extra(rows) is None
    given = objective(world, "anomaly_detection", amplitude=True).extra(rows)
    assert torch.equal(given, rows.log_amplitude)


def rul_loss(world: Any) -> None:
    rows = batch(world)
    off = torch.where(rows.rul.isnan(), 0.5, rows.rul) + 0.4
    objectives = [objective(world, "rul_prediction", loss=name) for name in ("mse", "huber")]
    losses = [made.loss(off, rows, None) for made in objectives]
    known = ~rows.rul.isnan()
    assert torch.allclose(losses[0][known], torch.tensor(0.16), atol=1e-5)
    assert torch.allclose(losses[1][known], torch.tensor(0.1 * (0.4 - 0.05)), atol=1e-5)


def rul_inputs(world: Any) -> None:
    rows = batch(world)
    channels = rows.log_amplitude.shape[1]
    for inputs, columns in ((["amplitude"], channels), (["amplitude", "age"], channels + 1)):
        assert objective(world, "rul_prediction", inputs=inputs).extra(rows).shape[1] == columns
    assert objective(world, "rul_prediction", inputs=[]).extra(rows) is None


def task(name: str) -> Any:
    def probe(world: Any) -> None:
        learned = {made.name for made in network(world, task_set="one").objectives}
        assert learned == {"classification"}
        alone = {"one": {name: {}}}
        changed = network(world, task_set="one", task_sets=alone)
        assert {made.name for made in changed.objectives} == learned | {name}

    return probe


TASKS = {
    "classification": "ClassificationKeys",
    "anomaly_detection": "AnomalyKeys",
    "signal_prediction": "SignalKeys",
    "rul_prediction": "RulKeys",
}
PROBES = {
    "Training.batch_size": batch_size,
    "Training.epochs": epochs,
    "Training.learning_rate": learning_rate,
    "Training.weight_decay": weight_decay,
    "Training.schedule": schedule,
    "Training.warmup_share": warmup_share,
    "Training.gradient_clip": gradient_clip,
    "Training.early_stopping_patience": early_stopping_patience,
    "Training.torch_threads": torch_threads,
    "Training.precision": precision,
    "Training.fused_optimizer": fused_optimizer,
    "Run.training": run_training,
    "Model.training": model_training,
    "Dataset.training": dataset_training,
    "Override.training": override_training,
    "Override.model": override_model,
    **{
        f"{'Architecture' if key in Architecture.model_fields else 'Model'}.{key}": size(key)
        for key in OTHER_SIZES
    },
    "Architecture.backbone": backbone,
    "Model.extends": extends,
    "Model.kind": kind,
    "Model.method": method,
    "Model.label": model_label,
    **{f"{section}.weight": weight(name) for name, section in TASKS.items()},
    **{f"TaskSet.{name}": task(name) for name in TASKS},
    "ClassificationKeys.label_smoothing": label_smoothing,
    "AnomalyKeys.amplitude": amplitude,
    "RulKeys.loss": rul_loss,
    "RulKeys.inputs": rul_inputs,
}
