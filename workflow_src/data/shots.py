"""Few-shot: a few labelled recordings of the held-out group, or blocks of them, in training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from workflow_src.artifacts.split_summary import ShotSummary
from workflow_src.configuration.patterns import natural_key
from workflow_src.configuration.scalars import Yaml
from workflow_src.configuration.schema import Dataset, Shots
from workflow_src.configuration.validation_errors import as_yaml
from workflow_src.data.draws import SHOTS_DRAW
from workflow_src.errors import UserError

Block = tuple[int, int, str]  # begin, end (samples, the end not included) and part


class DrawnShots(NamedTuple):
    """What a draw of shots changes: parts of recordings, the blocks of those that it lays out."""

    parts: dict[str, str]
    laid: dict[str, list[Block]]
    summary: ShotSummary
    left_out: int  # recordings of the runs that shots come from: neither shot nor test


def draw_shots(
    used: pd.DataFrame, parts: Mapping[str, str], dataset: Dataset, gap: int, where: str
) -> DrawnShots:
    """Draw ``shots.per_class`` of each class that the test part holds.

    Of ``recordings``, runs are taken in drawn order until there are enough, so that as few runs
    as possible leave the test part; what a run has more than is needed is left out, since
    recordings of one run may be pieces of one acquisition. Of ``blocks``, each stands in a slot
    with `gap` samples before and after it. Each class keeps a recording or a slot in test. Raises
    ``UserError`` with the largest number that there is where that is not possible.
    """
    shots = dataset.split.shots
    assert shots is not None
    test = used[used["recording_id"].map(dict(parts)) == "test"]
    classes = sorted(set(test["fault"]) - {""})
    if not classes:
        raise UserError(
            "Shots are labelled recordings, and no recording of the test part has a class.",
            where=f"{where}, key `split.shots`",
            remedy="remove the key `shots:`",
        )
    rng = np.random.default_rng([dataset.split.seed, SHOTS_DRAW, shots.draw or 0])
    if shots.of == "recordings":
        return _recordings(test, parts, shots, classes, rng, where)
    return _blocks(test, parts, dataset, classes, rng, gap, where)


def _summary(shots: Shots, drawn: dict[str, tuple[str, ...]]) -> ShotSummary:
    return ShotSummary(per_class=shots.per_class, of=shots.of, draw=shots.draw or 0, drawn=drawn)


def _too_few(shots: Shots, label: str, most: int, what: str, where: str) -> UserError:
    """`most` are there beside what the test part must keep."""
    of: dict[str, Yaml] = {} if shots.of == "recordings" else {"of": "blocks"}
    mended = as_yaml(("split", "shots"), {"per_class": most, **of}) if most else ""
    blocks = as_yaml(("split", "shots"), {"per_class": shots.per_class, "of": "blocks"})
    remedies = [mended] * bool(mended) + [blocks] * (shots.of == "recordings")
    return UserError(
        f"The test part has too few {what} of class {label} for the shots.",
        where=f"{where}, key `split.shots`",
        found=f"per_class: {shots.per_class}, at most {most} beside the least that stays in test",
        remedy="\nor\n".join(remedies) or "a shorter window under `span:`, or no shots",
    )


def _recordings(
    test: pd.DataFrame,
    parts: Mapping[str, str],
    shots: Shots,
    classes: list[str],
    rng: np.random.Generator,
    where: str,
) -> DrawnShots:
    drawn: dict[str, tuple[str, ...]] = {}
    taken: set[str] = set()  # runs
    for label in classes:
        own = test[(test["fault"] == label) & ~test["run_id"].isin(list(taken))]
        by_run = {
            str(run): sorted(group["recording_id"], key=natural_key)
            for run, group in own.groupby("run_id")
        }
        runs = [sorted(by_run)[i] for i in rng.permutation(len(by_run))]
        chosen: list[str] = []
        for run in runs[:-1]:  # the last one stays in test
            if len(chosen) < shots.per_class:
                taken.add(run)
                chosen += by_run[run][: shots.per_class - len(chosen)]
        if len(chosen) < shots.per_class:
            raise _too_few(shots, label, len(chosen), "recordings in other runs", where)
        drawn[label] = tuple(sorted(chosen, key=natural_key))
    names = {name for chosen in drawn.values() for name in chosen}
    gone = set(test["recording_id"][test["run_id"].isin(list(taken))]) - names
    left = test[~test["recording_id"].isin(list(names | gone))]
    for label in classes:  # a run of several classes may have taken another's last one
        if label not in set(left["fault"]):
            raise _too_few(shots, label, 0, "recordings in other runs", where)
    new = {n: "train" if n in names else part for n, part in parts.items() if n not in gone}
    lengths = dict(zip(test["recording_id"], test["length"], strict=True))
    laid = {name: [(0, int(lengths[name]), "train")] for name in sorted(names)}
    return DrawnShots(new, laid, _summary(shots, drawn), len(gone))


def _blocks(
    test: pd.DataFrame,
    parts: Mapping[str, str],
    dataset: Dataset,
    classes: list[str],
    rng: np.random.Generator,
    gap: int,
    where: str,
) -> DrawnShots:
    shots = dataset.split.shots
    assert shots is not None
    span = dataset.span.window + dataset.span.horizon
    block = span + (shots.spans - 1) * (dataset.span.stride or span)
    slot = block + 2 * gap
    lengths = dict(zip(test["recording_id"], test["length"], strict=True))
    drawn: dict[str, tuple[str, ...]] = {}
    chosen: dict[str, list[int]] = {}
    for label in classes:
        own = sorted(test["recording_id"][test["fault"] == label], key=natural_key)
        slots = [(name, i * slot) for name in own for i in range(int(lengths[name]) // slot)]
        if len(slots) <= shots.per_class:  # one slot, which holds a span, stays in test
            raise _too_few(shots, label, max(len(slots) - 1, 0), "blocks", where)
        picked = sorted(rng.permutation(len(slots))[: shots.per_class].tolist())
        drawn[label] = tuple(f"{slots[i][0]} from sample {slots[i][1] + gap}" for i in picked)
        for i in picked:
            chosen.setdefault(slots[i][0], []).append(slots[i][1])
    laid = {
        name: _around(int(lengths[name]), sorted(begins), block, gap, span)
        for name, begins in chosen.items()
    }
    return DrawnShots(dict(parts), laid, _summary(shots, drawn), 0)


def _around(length: int, slots: list[int], block: int, gap: int, span: int) -> list[Block]:
    """The blocks of a recording: train within the slots that begin at `slots`, test around them."""
    blocks: list[Block] = []
    free = 0
    for begin in slots:
        blocks += [(free, begin, "test"), (begin + gap, begin + gap + block, "train")]
        free = begin + 2 * gap + block
    blocks.append((free, length, "test"))
    return [(begin, end, part) for begin, end, part in blocks if end - begin >= span]
