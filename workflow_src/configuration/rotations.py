"""Rotations and draws of a dataset: known from its keys alone, before any recording is read."""

from __future__ import annotations

from collections.abc import Iterator

from workflow_src.configuration.data import Dataset, Split


def rotations(name: str, dataset: Dataset) -> dict[str, Dataset]:
    """The datasets `name.fold0`, `name.fold1`, ... that `dataset` stands for, or itself alone.

    Of a split with rotations and draws of shots, the draws of one rotation stand together.
    """
    splits = [drawn for fold in _folds(dataset.split) for drawn in _draws(fold)]
    if len(splits) == 1 and splits[0] is dataset.split:
        return {name: dataset}
    return {
        f"{name}.fold{i}": dataset.model_copy(update={"split": split})
        for i, split in enumerate(splits)
    }


def _folds(split: Split) -> Iterator[Split]:
    if split.rotation is not None and split.rotation.fold is None:
        for i in range(split.rotation.folds):
            rotation = split.rotation.model_copy(update={"fold": i})
            yield split.model_copy(update={"rotation": rotation})
    elif split.folds:
        for fold in split.folds:
            train = fold.train or split.train
            yield split.model_copy(update={"test": fold.test, "train": train, "folds": []})
    else:
        yield split


def _draws(split: Split) -> Iterator[Split]:
    if split.shots is None or split.shots.draw is not None:
        yield split
        return
    for i in range(split.shots.draws):
        yield split.model_copy(update={"shots": split.shots.model_copy(update={"draw": i})})
