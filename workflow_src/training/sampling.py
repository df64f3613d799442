"""Which spans an epoch draws, and in which order: (seed, epoch) alone decides."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workflow_src.configuration import augmentation as configuration
from workflow_src.data.augmentation import Augmenter
from workflow_src.data.provenance import RIG
from workflow_src.data.windows import SpanReader
from workflow_src.errors import UserError

Rows = NDArray[np.int32 | np.int64]
Sampling = Literal["uniform", "class", "rig", "task"]
_SHUFFLE, _WITHIN = 1, 2  # what a draw is for


class Drawn(NamedTuple):
    """Spans in the order in which they are drawn, and how often each was drawn before."""

    rows: Rows  # (n,)
    times: Rows  # (n,)


def order(rows: Rows, seed: int, epoch: int) -> Rows:
    """`rows` shuffled for one epoch; the same on every machine and at every worker count."""
    generator = np.random.default_rng(np.random.SeedSequence([seed, epoch]))
    return generator.permutation(rows)


def drawn(rows: Rows, seed: int, epoch: int, groups: Rows | None = None) -> Drawn:
    """As many spans as `rows` (n,) are: each once or, with `groups`, each group equally often.

    Groups (n,) are numbered from 0. Each is shuffled anew when all of it has been drawn, and the
    next epoch goes on where this one ends: no span comes a second time before every other one of
    its group has come once. Where n is not a multiple of the number of groups, some are drawn once
    more in an epoch than others, in turns.
    """
    if groups is None:
        return Drawn(order(rows, seed, epoch), np.broadcast_to(np.int64(epoch), len(rows)))
    count = int(groups.max(initial=-1)) + 1
    parts = []
    for group in range(count):
        members = rows[groups == group]
        # Floors of (x + group) / count, summed over the groups, are x: so an epoch is n draws.
        first, last = ((e * len(rows) + group) // count for e in (epoch, epoch + 1))
        parts.append(_next_of(members, first, last, seed, group))
    all_rows, times = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    generator = np.random.default_rng([seed, epoch, 0, _SHUFFLE])
    shuffled = generator.permutation(len(all_rows))
    return Drawn(all_rows[shuffled], times[shuffled])


def _next_of(members: Rows, first: int, last: int, seed: int, group: int) -> tuple[Rows, Rows]:
    """Draws first..last-1 of one group's endless sequence, each pass of which is a shuffle."""
    size = len(members)
    rows, times = [members[:0]], [members[:0]]
    for turn in range(first // size, -(-last // size)):
        shuffled = np.random.default_rng([seed, turn, group, _WITHIN]).permutation(members)
        start, stop = max(first - turn * size, 0), min(last - turn * size, size)
        rows.append(shuffled[start:stop])
        times.append(np.full(stop - start, turn, np.int64))
    return np.concatenate(rows), np.concatenate(times)


def augmentation_of(
    reader: SpanReader, rows: Rows, keys: configuration.Augmentation | None, seed: int
) -> Augmenter | None:
    """What the keys of `training.augmentation` say.

    Raises ``UserError`` where spans are to be shifted and none can.
    """
    if keys is None:
        return None
    augmentation = Augmenter(
        seed,
        noise_db=keys.noise_db,
        polarity=keys.polarity,
        shift=keys.shift,
        scale=keys.scale,
    )
    if augmentation.shift and not any(side.any() for side in reader.room(rows)):
        raise UserError(
            "Spans cannot be shifted: no recording has two spans in the training part.",
            where="key `training.augmentation.shift`",
            found=f"shift: {augmentation.shift}",
            expected="room between the first and the last span of a recording",
            remedy="more spans a recording (`span: {per_recording: ..}` of the dataset), or\n"
            "training:\n  augmentation: {shift: 0}",
        )
    return augmentation


def groups_of(reader: SpanReader, rows: Rows, sampling: Sampling) -> Rows | None:
    """The group of each span of `rows` (n,), from 0; None for ``uniform``.

    ``class`` is the fault, ``rig`` the column ``rig`` of a union's recordings, ``task``
    the labels that a recording has, beside its signal. Raises ``UserError`` where a span belongs to
    no group, or all to one.
    """
    if sampling == "uniform":
        return None
    which, table = reader.recordings_of(rows)
    if sampling == "rig" and RIG not in table:
        raise _no_groups(sampling, "the recordings have no column `rig`: they are of one")
    if sampling == "class":
        names = table["fault"].astype(str).to_numpy(dtype=object)
    elif sampling == "rig":
        names = table[RIG].astype(str).to_numpy(dtype=object)
    else:
        fault, life = (
            table["fault"].astype(str) != "",
            table[["time_s", "life_s"]].notna().all(axis=1),
        )
        names = (fault + 2 * life).to_numpy()
    nameless = [i for i in np.unique(which) if names[i] == ""]
    if nameless:
        first = table["recording_id"].iloc[nameless[0]]
        raise _no_groups(sampling, f"{len(nameless)} recordings name none, among them {first!r}")
    present, groups = np.unique(names[which], return_inverse=True)
    if len(present) < 2:
        raise _no_groups(sampling, "all training spans are of one")
    return groups.astype(np.int64)


def _no_groups(sampling: Sampling, found: str) -> UserError:
    return UserError(
        f"Training spans cannot be drawn equally often from each {sampling}.",
        where="key `training.sampling`",
        found=found,
        expected=f"two groups or more, and a {sampling} for each recording of the training part",
        remedy="training:\n  sampling: uniform",
    )
