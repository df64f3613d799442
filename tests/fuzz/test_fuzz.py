"""The fuzzer sees faults that are planted in the product, and finds none that are not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from workflow_src.configuration import checking, loading, reading
from workflow_src.data.recordings import Recording
from workflow_src.data.sources.folder import FolderSource
from workflow_src.errors import BadData

from . import configurations, execute, shipped, valid
from .campaign import Child, results
from .execute import Executor
from .loaded import Loader
from .plan import FAMILIES, MUTANTS, RECORDINGS, Plan, plan_of, plans
from .report import failed, refused_share, report
from .typed import means
from .verdict import FAILING, Case, Got, Held, Reading, Result, Verdict, judged, refused
from .yaml_mutants import Mutant

# -- planted in the product ------------------------------------------------------------------------

VALID = [plan_of(0), plan_of(4)]
Change = Callable[[Recording], Recording | None]


@pytest.fixture
def executor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Executor:
    monkeypatch.delenv("PHM_DATA_ROOT", raising=False)
    return Executor(tmp_path)


def plant(monkeypatch: pytest.MonkeyPatch, change: Change) -> None:
    """Have the folder source give other recordings than it read."""
    own = FolderSource.recordings

    def changed(source: FolderSource) -> Iterator[Recording]:
        for recording in own(source):
            other = change(recording)
            if other is not None:
                yield other

    monkeypatch.setattr(FolderSource, "recordings", changed)


def off_by_one_part(recording: Recording) -> Recording:
    """One sample of one channel is a thousandth too large."""
    signal = recording.signal.copy()
    place = int(np.abs(signal[:, -1]).argmax())
    signal[place, -1] *= 1.001
    return replace(recording, signal=signal)


def failing(_: Recording) -> Recording:
    raise KeyError("planted")


def refusing(_: Recording) -> Recording:
    raise BadData("Planted.")


PLANTED: dict[str, tuple[Change, Verdict]] = {
    "a row is cut": (lambda r: replace(r, signal=r.signal[:-1]), Verdict.SILENT),
    "a row appears": (lambda r: replace(r, signal=np.r_[r.signal, r.signal[:1]]), Verdict.WRONG),
    "decimals are cut": (off_by_one_part, Verdict.WRONG),
    "samples are turned": (lambda r: replace(r, signal=r.signal[::-1].copy()), Verdict.WRONG),
    "the rate is off": (lambda r: replace(r, rate_hz=(r.rate_hz or 1.0) * 1.01), Verdict.WRONG),
    "the rate is lost": (lambda r: replace(r, rate_hz=None), Verdict.WRONG),
    "the unit is another": (lambda r: replace(r, unit_id=r.unit_id + "0"), Verdict.WRONG),
    "it is refused": (refusing, Verdict.INVALID),
    "another error": (failing, Verdict.TRACEBACK),
}


@pytest.mark.fast_cases(*list(valid.KINDS)[:3])
@pytest.mark.parametrize("kind", valid.KINDS)
def test_an_honest_reader_is_not_blamed(executor: Executor, kind: str) -> None:
    result = executor.run(seed_of(kind))
    assert result.verdict is Verdict.EQUAL, result.detail


@pytest.mark.fast_cases("a row is cut", "the rate is off", "another error")
@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_reader_is_seen(
    executor: Executor, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    change, verdict = PLANTED[fault]
    plant(monkeypatch, change)
    found = [executor.run(seed_of(kind)) for kind in ("text", "npy")]
    assert [result.verdict for result in found] == [verdict] * 2
    assert failed(found) == (verdict in FAILING)


def test_a_recording_that_is_lost_is_seen(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, lambda r: None if r.attributes["file"].startswith("b2/") else r)
    seed = seed_of("linked folder")
    assert executor.run(seed).verdict is Verdict.SILENT


@pytest.mark.slow
def test_memory_is_measured(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = VALID[0].seed
    held = executor.run(seed).peak_mb
    monkeypatch.setattr(execute, "LIMIT_MB", held + 100.0)
    assert executor.run(seed).verdict is Verdict.EQUAL
    plant(monkeypatch, lambda r: r if np.ones(300 << 17).all() else None)  # 300 MB of float64
    result = executor.run(seed)
    assert result.verdict is Verdict.MEMORY
    assert result.peak_mb > held + 250.0


def seed_of(kind: str) -> int:
    """The first seed of a kind."""
    return next(plan.seed for plan in map(plan_of, range(10**6)) if plan.kind == kind)


def parsed_by_yaml(file: Path) -> Any:
    """A loader that asks nothing: YAML 1.1 as it comes."""
    return yaml.safe_load(file.read_text())


MISREAD = {
    "010": "test: {unit_id: [010, b]}",
    "0x1F": "test: {unit_id: [0x1F, b]}",
    "12:30": "test: {unit_id: [12:30, b]}",
    "1_1": "test: {unit_id: [1_1, b]}",
    "1.10": "test: {unit_id: [1.10, b]}",
    "025600": "test: {unit_id: [b]}, gap: 025600",
    "typed twice": "test: {unit_id: [a]}, test: {unit_id: [b]}",
}


@pytest.mark.parametrize("typed", MISREAD)
def test_a_planted_loader_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    for module in (loading, reading):
        monkeypatch.setattr(module, "read", parsed_by_yaml)
    monkeypatch.setattr(checking, "words_at", lambda files, path: [])
    text = "rig: bearing_sim\nspan: {window: 64, horizon: 8}\nsplit: {strategy: unit, %s}\n"
    source = shipped.Source("dataset", "fuzz_set", text % MISREAD[typed], "planted")
    run = configurations.Typed(source, Mutant(source.text, "planted"))
    verdict, detail = configurations.judged(run, Loader(tmp_path))
    assert verdict in FAILING
    assert typed in detail


def test_an_honest_loader_is_not_blamed(tmp_path: Path) -> None:
    loader = Loader(tmp_path)
    for place, source in enumerate(configurations.shipped()):
        if source.whence.startswith(("README", "a ", "config/config")):
            verdict, detail = configurations.judged(configurations.as_shipped(place), loader)
            assert verdict is Verdict.EQUAL, detail


# -- the rule of what is typed ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text", "same"),
    [
        (25600.0, "25600", True),
        (25600, "025600", True),
        (11136, "025600", False),
        (11136.0, "025600", False),
        (8, "010", False),
        (10, "010", True),
        ("010", "010", True),
        ("8", "010", False),
        (1200, "20:00", False),
        (11, "1_1", True),
        ("11", "1_1", False),
        ("1.1", "1.10", False),
        (1.1, "1.10", True),
        (16, "0x10", True),
        (0.0005, "5.0e-4", True),
        (True, "yes", True),
        ("yes", "yes", True),
        ("True", "yes", False),
        (False, "yes", False),
        (None, "~", True),
        ("None", "~", False),
        (float("nan"), ".nan", False),
        (float("inf"), "1e400", False),
        (25.6, "25,6", False),
        (1, "true", False),
    ],
)
def test_what_is_typed_is_what_is_meant(value: Any, text: str, same: bool) -> None:
    assert means(value, text, quoted=False) == same


def test_every_block_of_the_documents_is_found() -> None:
    pages = [path.read_text(encoding="utf-8") for path in shipped.pages()]
    count = sum(len(re.findall("^```yaml", page, re.MULTILINE)) for page in pages)
    assert len({source.whence for source in shipped.blocks()}) == count > 0
    assert {source.kind for source in shipped.files()} == {
        *("config", "dataset", "experiment", "hardware", "model", "rig", "site", "task_sets")
    }


# -- verdicts --------------------------------------------------------------------------------------


def got(signal: Any, said: str = "", *sums: str) -> Got:
    return Got({"a": Held(np.asarray(signal, np.float32), 1000.0)}, said, frozenset(sums))


SIGNAL = np.arange(6.0).reshape(3, 2)


@pytest.mark.parametrize(
    ("found", "reading_of_it", "verdict"),
    [
        (got(SIGNAL), Reading({"a": Held(SIGNAL, 1000.0)}), Verdict.EQUAL),
        (got(SIGNAL[:2]), Reading({"a": Held(SIGNAL, 1000.0)}), Verdict.SILENT),
        (got(SIGNAL[:, :1]), Reading({"a": Held(SIGNAL, 1000.0)}), Verdict.WRONG),
        (got(SIGNAL), Reading({"a": Held(SIGNAL, None)}), Verdict.WRONG),
        (got(SIGNAL), Reading({}), Verdict.WRONG),
        (got(SIGNAL), Reading({"a": Held(SIGNAL, 1000.0)}, said="dead"), Verdict.SILENT),
        (got(SIGNAL, "dead"), Reading({"a": Held(SIGNAL, 1000.0)}, said="dead"), Verdict.EQUAL),
        (got(SIGNAL), Reading({"a": Held(SIGNAL, 1000.0)}, sums=("b",)), Verdict.SILENT),
        (got(SIGNAL, "", "x/b"), Reading({"a": Held(SIGNAL, 1000.0)}, sums=("b",)), Verdict.EQUAL),
    ],
)
def test_verdicts_of_what_was_accepted(
    found: Got, reading_of_it: Reading, verdict: Verdict
) -> None:
    assert judged(Case({}, (reading_of_it,)), found)[0] is verdict


def test_verdicts_of_refusals() -> None:
    case = Case({}, (), names=("k07-1", r"\b(8|9)\b"))
    assert refused(case, "where: k07-1.csv, line 9")[0] is Verdict.REFUSED
    assert refused(case, "where: k07-1.csv, line 90")[0] is Verdict.UNNAMED
    assert refused(case, "where: fuzz.yaml, line 3")[0] is Verdict.REFUSED  # a key is named
    assert refused(replace(case, refusable=False), "no")[0] is Verdict.INVALID
    assert judged(case, got(SIGNAL))[0] is Verdict.WRONG
    assert judged(replace(case, otherwise=Verdict.SILENT), got(SIGNAL))[0] is Verdict.SILENT


# -- campaigns -------------------------------------------------------------------------------------


def test_a_seed_makes_the_same_run(tmp_path: Path) -> None:
    for kind in ("row extended", "clock with a gap", "units in quotes"):
        plan = plan_of(seed_of(kind))
        cases = [RECORDINGS[kind](plan.draw(), tmp_path / f"{kind} {n}") for n in range(2)]
        assert cases[0].options == cases[1].options
        assert cases[0].about == cases[1].about
        files = [
            {path.name: path.read_bytes() for path in (tmp_path / f"{kind} {n}").rglob("*.*")}
            for n in range(2)
        ]
        assert files[0] == files[1] != {}


def test_kinds_are_dealt_evenly() -> None:
    planned = list(plans(3, 1600))
    assert len({plan.seed for plan in planned}) == len(planned)
    assert planned == [plan_of(plan.seed) for plan in planned]  # `--only` makes each again
    for family in ("valid", *MUTANTS):
        counts = Counter(plan.kind for plan in planned if plan.family == family)
        assert set(counts) == set(FAMILIES[family])
        assert max(counts.values()) - min(counts.values()) <= 1
    assert planned != list(plans(4, 1600))


def test_a_report_names_each_fault_with_its_seed() -> None:
    found = [
        Result(7, "recordings", "row cut", Verdict.SILENT, "k07-1.csv: shape"),
        Result(8, "recordings", "row cut", Verdict.REFUSED, "A row of 3 cells.\n  where: x"),
        Result(9, "recordings", "row cut", Verdict.REFUSED, "A row of 4 cells.\n  where: y"),
        Result(12, "configuration", "yaml: tag", Verdict.TRACEBACK, "KeyError"),
    ]
    text = report(found)
    assert failed(found)
    assert not failed(found[1:])  # a traceback is counted, and does not fail
    assert "--only=7  loss in silence  [row cut]" in text
    assert "--only=12  traceback" in text
    assert "2  A row of * cells." in text
    assert refused_share(found) == 0.5


@pytest.mark.slow
def test_a_run_that_hangs_is_ended_and_the_next_one_is_made() -> None:
    child = Child()
    try:
        assert child.run(VALID[0], seconds=0.0) is None
        assert child.ended_by is None
    finally:
        child.close()
    found = list(results(VALID[:2], seconds=60.0))
    assert [result.verdict for result in found] == [Verdict.EQUAL] * 2


@pytest.mark.slow
def test_a_process_that_ends_is_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = Plan(-(10**5), "shipped", "no such text")  # its number leads to nothing
    found = list(results([unknown, VALID[0]], seconds=60.0))
    assert [result.verdict for result in found] == [Verdict.TRACEBACK, Verdict.EQUAL]
