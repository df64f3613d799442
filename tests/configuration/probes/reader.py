"""Keys of the reader, seen in the batches that a whole attempt trains on and in what a job asks."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from workflow_src.__main__ import _parser
from workflow_src.data.windows import SpanReader
from workflow_src.errors import UserError
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.journal import Journal
from workflow_src.tasks.batch import Batch
from workflow_src.training.module import TrainingModule
from workflow_src.training.run import attempt


class Seen(NamedTuple):
    """A batch that was trained on, its reader, and the bytes of recordings that this then kept."""

    batch: Batch
    reader: SpanReader
    kept: int


NO_AMPLITUDE = {"datasets__d": {"amplitude": "none"}, "models__net": {"normalisation": "none"}}


def seen(
    world: Any, told: AttemptRequest | None = None, files: Any = None, **training: Any
) -> list[Seen]:
    """Every batch of an attempt at a cell."""
    found: list[Seen] = []
    step = TrainingModule.training_step

    def watched(self: TrainingModule, batch: Batch, index: int) -> None:
        found.append(Seen(batch, self.batches.reader, self.batches.reader.kept_bytes))
        step(self, batch, index)

    path = world.lay_out(world.cell({"training": training}, **(files or {})))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingModule, "training_step", watched)
        attempt(path, told or AttemptRequest(), Journal(path.with_name("attempts.jsonl")))
    return found


def pairs(world: Any, files: Any = None, **augmentation: Any) -> list[tuple[Any, ...]]:
    """Window and horizon of each training span: as it is, and as it was trained on."""
    found = []
    for batch, reader, _ in seen(world, files=files, augmentation=augmentation):
        plain = reader.read(batch.index.numpy())
        changed = batch.window.numpy(), batch.horizon.numpy()
        found += list(zip(plain.window, plain.horizon, *changed, strict=True))
    return found


def sampling(world: Any) -> None:
    """Eight recordings with a class, four of a run to failure without one."""
    files = {"datasets__d": {"split": {"validation": {"select": {"unit_id": ["b1"]}}}}}
    shares = []
    for value in ("uniform", "task"):
        batches = [one.batch for one in seen(world, files=files, sampling=value)]
        shares.append(np.concatenate([~batch.rul.isnan().numpy() for batch in batches]).mean())
    assert shares == [1 / 3, 1 / 2]
    with pytest.raises(UserError, match="from each class"):
        seen(world, sampling="class")
    with pytest.raises(UserError, match="from each rig"):
        seen(world, sampling="rig")


def augmentation(world: Any) -> None:
    plain, changed = seen(world), seen(world, augmentation={"polarity": True, "noise_db": 3})
    assert not plain[0].batch.window.equal(changed[0].batch.window)


def noise_db(world: Any) -> None:
    for ratio in (20.0, 0.0):
        found = pairs(world, noise_db=ratio)
        assert all(np.array_equal(horizon, same) for _, horizon, _, same in found)
        noise = np.array([np.mean((new - old) ** 2) for old, _, new, _ in found])
        signal = np.array([old.var(0).mean() for old, *_ in found])
        assert abs(10 * np.log10(np.mean(signal / noise)) - ratio) < 1


def polarity(world: Any) -> None:
    signs = {
        1 if np.array_equal(new, old) else -1
        for old, horizon, new, other in pairs(world, polarity=True)
        if np.array_equal(abs(new), abs(old)) and np.array_equal(abs(other), abs(horizon))
    }
    assert signs == {1, -1}


def shift(world: Any) -> None:
    found = pairs(world, shift=3)
    moved = [(old, new) for old, _, new, _ in found if not np.array_equal(old, new)]
    assert len(moved) > len(found) / 2
    for old, new in moved:
        assert any(
            np.array_equal(old[by:], new[:-by]) or np.array_equal(old[:-by], new[by:])
            for by in (1, 2, 3)
        )


def scale(world: Any) -> None:
    for largest in (1.2, 3.0):
        found = pairs(world, NO_AMPLITUDE, scale=largest)
        factors = [float(np.median(new / old)) for old, _, new, _ in found]
        assert max(factors) > 1 + 0.6 * (largest - 1)
        assert 1 / largest <= min(factors) <= max(factors) <= largest * (1 + 1e-6)
    scaled = {"training": {"augmentation": {"scale": 1.5}}}
    with pytest.raises(UserError, match="input of rul_prediction"):
        world.cell(scaled)
    with pytest.raises(UserError, match="takes every factor away"):
        world.cell(scaled, datasets__d={"amplitude": "none"})


def cache_mb(world: Any) -> None:
    """How much is kept, asked as a resource, told to the attempt; and no number of it."""
    targets, wildcards = world.targets, {"dataset": "d", "model": "net", "task_set": "all"}
    cell = type("Wildcards", (), wildcards | {"seed": "1"})
    for value in (256, 40):
        resources = targets({"request": {"cache_mb": value}}).training_resources()
        assert resources["cache_mb"](cell, 1) == value
    assert "--cache-mb {resources.cache_mb}" in targets().training_shell()
    assert _parser().parse_args(["train", "cell.json", "--cache-mb", "40"]).cache_mb == 40
    without, kept = (seen(world, AttemptRequest(cache_mb=megabytes)) for megabytes in (0, 1))
    assert {one.kept for one in without} == {0}
    assert all(0 < one.kept <= 2**20 for one in kept)
    assert all(a.batch.window.equal(b.batch.window) for a, b in zip(without, kept, strict=True))


PROBES = {
    "Training.sampling": sampling,
    "Training.augmentation": augmentation,
    "Augmentation.noise_db": noise_db,
    "Augmentation.polarity": polarity,
    "Augmentation.shift": shift,
    "Augmentation.scale": scale,
    "Request.cache_mb": cache_mb,
}
