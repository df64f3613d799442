"""One real Slurm for all tests of this folder, and copies of a prepared study for each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from ..workflow.conftest import _write_project
from .cluster import Cluster, missing, running
from .study import SITE, STUDY_RUN, Study


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A Slurm that runs as long as the tests do."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # short: sockets lie in it
    with running(folder) as cluster:
        yield cluster
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def unprepared(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of which nothing has run; not to be changed."""
    return written(tmp_path_factory.mktemp("unprepared") / "project", cluster)


@pytest.fixture(scope="session")
def prepared(unprepared: Study, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study whose recordings and split are there; not to be changed."""
    study = _copy(unprepared, tmp_path_factory.mktemp("prepared"))
    outcome = study.snakemake("data", profile="local")
    assert outcome.code == 0, outcome.text
    return study


@pytest.fixture(scope="session")
def undisturbed(prepared: Study, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The same study, run on this machine without a scheduler and without a fault."""
    study = _copy(prepared, tmp_path_factory.mktemp("undisturbed"))
    outcome = study.snakemake(profile="local")
    assert outcome.code == 0, outcome.text
    assert all(cell.causes == ["done"] for cell in study.trained)
    return study


@pytest.fixture
def copied(tmp_path: Path) -> Callable[..., Study]:
    """Copies a study (modification times included), as often as asked."""
    return lambda study, name="copy": _copy(study, tmp_path / name)


def written(folder: Path, cluster: Cluster) -> Study:
    """A study of six cells whose commands reach the cluster."""
    _write_project(folder)
    study = Study(folder, cluster=cluster)
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(STUDY_RUN), encoding="utf-8")
    (folder / "config" / "site.yaml").write_text(yaml.safe_dump(SITE), encoding="utf-8")
    study.rehearse({})
    study.offer_modules()
    return study


def _copy(study: Study, folder: Path) -> Study:
    """A copy whose file times still tell Snakemake that it is up to date; with its own modules."""
    target = Path(shutil.copytree(study.folder, folder / "project"))
    copy = Study(target, cluster=study.cluster)
    copy.offer_modules()
    return copy
