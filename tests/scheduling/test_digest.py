"""The digest says of each failed cell why, what is kept and what to do; all files are real."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.settings.types import DAGSettings

from workflow_src import cells as paths
from workflow_src import closing
from workflow_src.cells import Cell
from workflow_src.errors import BadData, UserError
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.cause import Cause
from workflow_src.scheduling.digest import digest, failed_jobs, said
from workflow_src.scheduling.events import Ended, Started
from workflow_src.scheduling.journal import Journal
from workflow_src.scheduling.status import planned
from workflow_src.start import build
from workflow_src.targets import Targets

ROOT = Path(__file__).resolve().parents[2]
CELL = Cell("bearing_sim", "fno", "all", 42)
AGAIN = "run the same command again"


@dataclass(frozen=True)
class Run:
    """A run of two networks and a baseline that has ended."""

    targets: Targets

    @property
    def identities(self) -> dict[Cell, str]:
        return {one.cell: one.identity for one in planned(self.targets.configuration)}

    def score(self, *cells: Cell) -> None:
        for cell in cells:
            file = paths.results("demo", cell) / "metrics.json"
            file.parent.mkdir(parents=True)
            file.write_text(f'{{"identity": "{self.identities[cell]}"}}', encoding="utf-8")

    def attempt(
        self, cause: str, cell: Cell = CELL, message: str = "what it said", **told: Any
    ) -> None:
        journal = Journal(paths.runs("demo", cell) / "attempts.jsonl")
        facts = {"hardware": self.targets.configuration.run.hardware, **told}
        journal.append(Started(identity=self.identities[cell], request=AttemptRequest(**facts)))
        journal.append(Ended(cause=cause, message=message))

    def reach(self, epoch: int) -> None:
        path = paths.runs("demo", CELL) / "history.csv"
        path.write_text(f"epoch,seconds,val_loss\n{epoch},1.000,0.5\n", encoding="utf-8")

    def log(self, rule: str, text: str, cell: Cell = CELL) -> Path:
        path = self.log_of(rule, cell)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def log_of(self, rule: str, cell: Cell) -> Path:
        return Path(self.targets.log(rule).format(**vars(cell)))

    def digest(self, snakemake: str = "") -> str:
        path = Path("snakemake.log")
        path.write_text(snakemake, encoding="utf-8")
        return digest(self.targets.configuration, [path], self.log_of, self.targets.requests.of)


@pytest.fixture
def run_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """A run on a hardware class."""
    monkeypatch.chdir(tmp_path)

    def make(hardware: str = "v100-16g") -> Run:
        run = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
        run |= {"study": "demo", "hardware": hardware, "datasets": ["bearing_sim"]}
        run |= {"models": ["dlinear", "fno", "trivial"]}
        return Run(build(run, str(ROOT), []))

    return make


@pytest.fixture
def run(run_on: Callable[..., Run]) -> Run:
    made = run_on()
    made.score(*(cell for cell in made.targets.cells if cell != CELL))
    return made


def job(rule: str, output: Path, log: Path) -> str:
    """A failure as Snakemake 9 writes it."""
    return (
        f"[Mon Jan  1 00:00:00 2024]\nError in rule {rule}:\n    message: None\n    jobid: 5\n"
        f"    input: a, b\n    output: {output}, {output.parent / 'second'}\n"
        f"    log: {log} (check log file(s) for error details)\n"
        "    shell:\n        verb\n        (command exited with non-zero exit code)\n"
        f"Logfile {log}:\n    output: not/this\n"
    )


def test_what_failed_is_read_from_snakemakes_log(tmp_path: Path) -> None:
    once, never = tmp_path / "a" / "once", tmp_path / "b" / "never"
    text = job("split", never, Path("n.log")) + job("train", once, Path("o.log"))
    assert [(j.rule, j.outputs[0], j.log) for j in failed_jobs(text + text)] == [
        ("split", never, Path("n.log")),
        ("train", once, Path("o.log")),
    ]
    once.parent.mkdir()
    once.touch()
    (once.parent / "second").touch()  # tried again, and done
    assert [found.rule for found in failed_jobs(text)] == ["split"]
    assert failed_jobs("Building DAG of jobs...\n") == []


def test_a_log_tells_its_last_error_and_remedy(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert said(None) == said(log) == ("", "", "")
    log.write_text("", encoding="utf-8")
    assert said(log) == ("", "", "")
    log.write_text('Traceback:\n  File "x"\n    f()\nKeyError: 3\n', encoding="utf-8")
    assert said(log) == ("KeyError: 3", "", "")
    error = BadData("Bad.", where="here\nthere", found="x", remedy="a:\n  b: 1")
    log.write_text(f"epoch 1\n  remedy:   of before\n{error}\n", encoding="utf-8")
    assert said(log) == ("Bad.", "here", "a:\n  b: 1")
    log.write_text("x" * 100_000 + f"\n{UserError('Last.', remedy='this')}\n", encoding="utf-8")
    assert said(log) == ("Last.", "", "this")


def test_out_of_gpu_memory_with_nothing_smaller_names_larger_classes(run: Run) -> None:
    for size in (4, 2, 1):
        run.attempt("gpu_oom", micro_batch_size=size, activation_checkpointing=size == 1)
    run.reach(7)
    first, kept, *then = run.digest().splitlines()
    assert first == (
        "FAILED bearing_sim/fno/all/42: out of GPU memory at micro-batch 1 with activations "
        "recomputed (v100-16g), 3 attempts, stopped at epoch 7/10"
    )
    assert kept == (
        "  kept: demo/runs/bearing_sim/fno/all/seed42   the 2 other cells are done   "
        "log: demo/logs/train/bearing_sim/fno/all/seed42.log"
    )
    assert then[0] == (
        "  next: fits nowhere: out of GPU memory at micro-batch 1 with activations recomputed, "
        "class v100-16g; the next class is v100-32g with 32768 MB:"
    )
    assert then[1].startswith("        `hardware: v100-32g` or `hardware: a100-40g` or ")
    assert "v100-16g" not in "".join(then[1:])


def test_out_of_gpu_memory_with_rungs_left_says_what_comes_next(run: Run) -> None:
    run.attempt("gpu_oom", micro_batch_size=16)
    text = run.digest()
    assert "out of GPU memory at micro-batch 16 (v100-16g), stopped at epoch 0/10" in text
    assert f"next: {AGAIN}: it goes on from epoch 0, at micro-batch 8" in text


def test_out_of_host_memory_says_what_is_asked_next_or_where_there_is_more(run: Run) -> None:
    run.attempt("host_oom", memory_mb=4000)
    assert "with 6000 MB of host memory in place of 4000" in run.digest()
    run.attempt("host_oom", memory_mb=10**6)
    text = run.digest()
    assert "out of host memory with 1000000 MB (v100-16g), 2 attempts" in text
    assert "`hardware: a100-80g`" in text


def test_the_time_limit_is_raised_up_to_that_of_the_class(run: Run) -> None:
    run.attempt("deadline", runtime_minutes=60)
    run.reach(4)
    text = run.digest()
    assert "time limit reached (60 minutes), stopped at epoch 4/10" in text
    assert f"{AGAIN}: it goes on from epoch 4, with 120 minutes in place of 60" in text
    run.attempt("deadline", runtime_minutes=1440)
    assert "config/hardware/v100-16g.yaml, `max_runtime_minutes: 1440`" in run.digest()


@pytest.mark.parametrize("cause", [Cause.TERMINATED, Cause.NODE_LOST])
def test_what_came_from_outside_needs_the_same_command_alone(run: Run, cause: Cause) -> None:
    run.attempt(cause.text, message="the training process was killed by SIGKILL")
    run.reach(2)
    text = run.digest()
    assert f"{cause.words}: the training process was killed by SIGKILL" in text
    assert text.endswith(f"next: {AGAIN}: it goes on from epoch 2")


@pytest.mark.parametrize("cause", [Cause.BAD_DATA, Cause.DIVERGED, Cause.ERROR])
def test_what_has_to_be_mended_gets_the_remedy_of_its_log(run: Run, cause: Cause) -> None:
    run.attempt(cause.text, message="It is wrong.")
    error = UserError("It is wrong.", remedy="a:\n  b: 1")
    run.log("train", f"{error}\n")
    text = run.digest()
    assert f"{cause.words}: It is wrong, stopped at epoch 0/10" in text
    assert text.endswith(f"  next: a:\n          b: 1\n        then {AGAIN}")
    run.log("train", "Traceback (most recent call last):\nKeyError: 'x'\n")
    assert run.digest().endswith(f"  next: mend what the log says, then {AGAIN}")


def test_cells_without_input_are_counted_and_the_rule_that_failed_is_named(
    run_on: Callable[..., Run],
) -> None:
    run = run_on()
    log, store = Path("data/logs/b.recordings.log"), Path("data/bearing_sim/recordings.h5")
    log.parent.mkdir(parents=True)
    error = BadData("A file is cut.", where="b.mat", remedy="fetch b.mat again")
    log.write_text(f"{error}\n", encoding="utf-8")
    assert run.digest(job("recordings", store, log)).splitlines() == [
        "FAILED recordings of data/bearing_sim: A file is cut.",
        "  where: b.mat   log: data/logs/b.recordings.log",
        "  next: fetch b.mat again",
        f"        then {AGAIN}",
        "3 cells are not started, as what they read could not be made",
    ]


def test_a_rule_that_fails_outside_an_attempt_is_told_by_its_log(run: Run) -> None:
    run.attempt("done")
    log = run.log("evaluate", "Traceback (most recent call last):\n  x\nValueError: no span\n")
    output = paths.results("demo", CELL) / "metrics.json"
    text = run.digest(job("evaluate", output, log))
    assert text.startswith("FAILED bearing_sim/fno/all/42: evaluate: ValueError: no span\n")
    assert f"log: {log}" in text
    assert run.digest() == "1 cell is not scored yet"


def test_more_failures_than_anybody_reads_are_counted(
    run_on: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_on()
    monkeypatch.setattr("workflow_src.scheduling.digest._SHOWN", 1)
    for cell in run.targets.cells:
        run.attempt("error", cell)
    text = run.digest()
    assert text.count("FAILED") == 1
    assert text.endswith("and 2 more: python -m workflow_src status demo")


def test_a_failure_to_sum_up_hides_no_other_one(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(closing, "write_partial_tables", lambda targets: None)
    run.attempt("error")
    closing.sum_up(run.targets, ["there/is/no.log"])
    assert "could not be summed up" in capsys.readouterr().out
    closing.sum_up(run.targets, [])
    assert "FAILED bearing_sim/fno/all/42" in capsys.readouterr().out


def test_data_that_could_not_be_made_are_named_although_snakemake_is_quiet(run_on) -> None:
    """`--quiet host` leaves the jobs that failed out of Snakemake's log."""
    run = run_on()
    log = Path("data/logs/bearing_sim.recordings.log")
    log.parent.mkdir(parents=True)
    log.write_text(f"{BadData('The file is damaged.', where='a.csv', remedy='mend it')}\n")
    first, known, then, *rest = run.digest().splitlines()
    assert first == "FAILED recordings of data/bearing_sim: The file is damaged."
    assert known == f"  where: a.csv   log: {log}"
    assert then == "  next: mend it"
    assert rest[-1] == "3 cells are not started, as what they read could not be made"
    # Neither a log of success nor that of a store which is there says anything.
    log.write_text("36 recordings of 0 files\n")
    assert run.digest() == "3 cells are not started"
    log.write_text("Traceback (most recent call last):\nKeyError: 3\n")
    assert "KeyError: 3" in run.digest()
    store = Path("data/bearing_sim/recordings.h5")
    store.parent.mkdir()
    store.touch()
    assert run.digest() == "3 cells are not started"


@pytest.mark.parametrize(
    ("asked", "tells_of_cells"),
    [
        ({"data"}, False),
        ({"audit", "./data/bearing_sim/split.csv"}, False),
        ({"data", "tables"}, True),
        (set(), True),
    ],
)
def test_a_run_that_was_asked_for_no_cell_tells_of_none(
    run_on: Callable[..., Run],
    capsys: pytest.CaptureFixture[str],
    asked: set[str],
    tells_of_cells: bool,
) -> None:
    run = run_on()
    run.attempt("error")  # of an earlier run
    log = Path("data/logs/bearing_sim.recordings.log")
    log.parent.mkdir(parents=True)
    log.write_text(f"{BadData('The file is damaged.', where='a.csv')}\n", encoding="utf-8")
    run.targets.settings = lambda: DAGSettings(targets=asked)
    closing.sum_up(run.targets, [])
    text = capsys.readouterr().out
    assert "FAILED recordings of data/bearing_sim: The file is damaged." in text
    assert ("cells are not started" in text) == tells_of_cells
    assert ("FAILED bearing_sim/fno" in text) == tells_of_cells
