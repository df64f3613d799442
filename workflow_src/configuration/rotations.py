"""Rotations and draws of a dataset: known from its keys alone, before any recording is read."""

from __future__ import annotations

from collections.abc import Iterator

from workflow_src.configuration.data import Dataset, Split
from workflow_src.configuration.protocols import UNIT_DRAWS


def rotations(name: str, dataset: Dataset) -> dict[str, Dataset]:
    """The datasets `name.fold0`, `name.fold1`, ... that `dataset` stands for, or itself alone.

    Of a split with rotations and draws of shots or of training units, the draws of one rotation
    stand together, and of those the draws of one number of units.
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
    if split.shots is not None and split.shots.draw is None:
        for i in range(split.shots.draws):
            yield split.model_copy(update={"shots": split.shots.model_copy(update={"draw": i})})
    elif split.train_units is not None and split.draw is None:
        for number in split.train_units:
            draws = 1 if number == "all" else split.draws or UNIT_DRAWS
            for i in range(draws):  # the number of draws is no fact of one of them
                one = {"train_units": [number], "draws": None, "draw": i}
                yield split.model_copy(update=one)
    else:
        yield split
