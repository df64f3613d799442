"""The journal keeps every event, whatever else is killed or writes at the same time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.errors import BadData, Diverged, OutOfMemory, Stopped, UserError
from workflow_src.scheduling.attempt_history import FinishedAttempt, attempt_history
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.cause import Cause, cause_of
from workflow_src.scheduling.events import (
    Ended,
    Event,
    Levers,
    MemorySample,
    NearLimit,
    Other,
    Resumed,
    Shrank,
    Started,
    read_event,
)
from workflow_src.scheduling.journal import Journal

from ..journal_lines import lines

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "runs" / "attempts.jsonl")


def test_no_file_is_no_event(journal: Journal) -> None:
    assert journal.events() == []
    assert journal.attempts("a") == 0


def test_events_come_back_in_order_with_their_facts(journal: Journal) -> None:
    journal.append(Started(host="näher", pid=16, identity="one"))
    journal.append(Ended(cause="gpu_oom", message='two\nlines and "quotes"'))
    journal.append(Started(host="b", pid=8, identity="two"))
    first, second, third = journal.events()
    assert isinstance(first, Started)
    assert isinstance(second, Ended)
    assert isinstance(third, Started)
    assert (first.host, first.pid, third.pid) == ("näher", 16, 8)
    assert second.message == 'two\nlines and "quotes"'
    assert second.how is Cause.GPU_OOM
    assert 0 < first.time <= second.time <= third.time
    assert journal.attempts("one") == journal.attempts("two") == 1
    assert len(journal.path.read_text(encoding="utf-8").splitlines()) == 3


EVERY_KIND: list[Event] = [
    Started(
        host="a",
        pid=1,
        job="7",
        request=AttemptRequest(micro_batch_size=4, memory_mb=4000, cache_mb=0, anew="x"),
        identity="i",
        limit_mb=8000,
        until=1e9,
        versions={"python": "3"},
    ),
    Started(host="a", job=None, until=None, request=AttemptRequest()),
    Resumed(checkpoint="step7"),
    Shrank(
        of="gpu",
        during="training",
        before=Levers(micro_batch=8, activation_checkpointing=False),
        after=Levers(micro_batch=4, activation_checkpointing=False),
        message="no room",
    ),
    Shrank(of="host", during="data", before=Levers(workers=2, cache=True), after=Levers(workers=1)),
    NearLimit(of="host", crossed="warning", used_mb=1.5, limit_mb=2.0, source="a file"),
    Ended(cause="done", message="", steps=3, peaks_mb={"host_mb": 1.5}, seconds=2.5),
    Ended(
        cause="terminated", found_later=True, sample=MemorySample(time=1.0, used_mb=1, limit_mb=2)
    ),
]


@pytest.mark.parametrize("event", EVERY_KIND, ids=lambda event: event.event)
def test_each_kind_of_event_comes_back_as_it_was(journal: Journal, event: Event) -> None:
    journal.append(event)
    (found,) = journal.events()
    assert found.model_copy(update={"time": 0.0}) == event
    (line,) = lines(journal.path)
    assert read_event(line) == found
    assert set(line) >= {"event", "time"}
    assert "request" not in line  # its name in the file is an older one


OLDER = """\
{"event": "started", "time": 1.5, "host": "a", "pid": 3, "job": null, "told": {"attempt": 2, \
"hardware": "big", "accelerator": "cpu", "micro_batch_size": 0, "checkpoint_minutes": 10.0, \
"memory_mb": 0, "runtime_minutes": 0, "activation_checkpointing": false, "devices": 1, \
"workers": 1, "cache_mb": 0, "anew": ""}, "identity": "i", "limit_mb": 9, "until": null}
{"event": "out_of_memory", "time": 2.0, "of": "gpu", "during": "training", "before": \
{"micro_batch": 8, "activation_checkpointing": false}, "after": {"micro_batch": 4, \
"activation_checkpointing": true}, "message": "m"}
{"event": "ended", "time": 3.0, "cause": "gpu_oom", "message": "no room", "steps": 5}
"""


def test_a_journal_of_the_version_before_is_read(journal: Journal) -> None:
    """Its 0 for a whole share, too; a cache of 0 is none."""
    journal.path.parent.mkdir(parents=True)
    journal.path.write_text(OLDER, encoding="utf-8")
    started = journal.events()[0]
    assert isinstance(started, Started)
    request = AttemptRequest(attempt=2, hardware="big", workers=1, cache_mb=0)
    assert started.request == request
    assert (request.micro_batch_size, request.memory_mb, request.runtime_minutes) == (None,) * 3
    shrunk = request.model_copy(update={"micro_batch_size": 4, "activation_checkpointing": True})
    assert attempt_history(journal.events(), "i") == [
        FinishedAttempt(Cause.GPU_OOM, shrunk, "no room", 5, shrank=True, time=3.0)
    ]


def test_of_a_later_version_what_is_understood_counts(journal: Journal) -> None:
    """An event, a key and a cause that are not known here; and a key of another type."""
    journal.path.parent.mkdir(parents=True)
    later = [
        {"event": "started", "identity": "i", "pid": "none", "told": {"memory_mb": [], "new": 1}},
        {"event": "moved", "to": "b"},
        {"event": "ended", "cause": "swapped", "message": "m"},
    ]
    journal.path.write_text("".join(json.dumps(line) + "\n" for line in later), encoding="utf-8")
    started, moved, ended = journal.events()
    assert started == Started(identity="i", request=AttemptRequest())
    assert moved == Other(event="moved")
    assert isinstance(ended, Ended)
    assert (ended.cause, ended.how, ended.message) == ("swapped", None, "m")


def test_nothing_written_is_ever_changed(journal: Journal) -> None:
    written = b""
    for number in range(5):
        journal.append(Resumed(checkpoint=str(number)))
        now = journal.path.read_bytes()
        assert now.startswith(written)
        assert len(now) > len(written)
        written = now


def test_each_line_is_on_the_disk_before_append_returns(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    write, sync = os.write, os.fsync

    def writing(descriptor: int, data: bytes) -> int:
        calls.append("write")
        return write(descriptor, data)

    def syncing(descriptor: int) -> None:
        calls.append("fsync")
        sync(descriptor)

    monkeypatch.setattr(os, "write", writing)
    monkeypatch.setattr(os, "fsync", syncing)
    journal.append(Started())
    journal.append(Ended())
    assert calls == ["write", "fsync"] * 2  # one write a line: no other process gets in between


def test_a_line_torn_anywhere_costs_itself_only(journal: Journal) -> None:
    journal.append(Started(pid=1))
    before = journal.path.read_bytes()
    journal.append(Ended(cause="done", message="µ"))
    whole = journal.path.read_bytes()
    for length in range(len(before), len(whole)):
        journal.path.write_bytes(whole[:length])
        kept = journal.events()
        journal.append(Started(pid=2))
        events = journal.events()
        assert isinstance(events[0], Started)
        assert events[0].pid == 1
        assert events[:-1] == kept  # nothing lost, nothing come back to life
        assert isinstance(events[-1], Started)
        assert events[-1].pid == 2
        assert len(events) == (3 if length == len(whole) - 1 else 2)  # only its newline is missing


@given(junk=st.binary(max_size=200))
def test_any_junk_is_passed_over(junk: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    journal = Journal(tmp_path_factory.mktemp("junk") / "attempts.jsonl")
    journal.path.write_bytes(junk)
    journal.append(Started(host="a"))
    last = journal.events()[-1]
    assert isinstance(last, Started)
    assert last.host == "a"


@pytest.mark.parametrize("line", ["[]", "3", "null", '{"no": "event"}', "{", ""])
def test_lines_that_are_no_events_are_passed_over(journal: Journal, line: str) -> None:
    journal.append(Started())
    with journal.path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    journal.append(Ended())
    assert [event.event for event in journal.events()] == ["started", "ended"]


WRITER = """
import sys
from pathlib import Path
from workflow_src.scheduling.events import Started
from workflow_src.scheduling.journal import Journal
journal = Journal(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    journal.append(Started(host=sys.argv[2], pid=number, identity="x" * (number * 37 % 400)))
"""


def test_two_processes_lose_nothing_of_each_other(journal: Journal) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    count = 60
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(journal.path), name, str(count)], env=environment
        )
        for name in "ab"
    ]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    written = [line for line in journal.path.read_text(encoding="utf-8").splitlines() if line]
    assert all(json.loads(line)["event"] == "started" for line in written)
    for name in "ab":
        numbers = [line["pid"] for line in lines(journal.path) if line["host"] == name]
        assert numbers == list(range(count))


EXIT_CODES: dict[str, int] = {
    "done": 0,
    "gpu_oom": 75,
    "host_oom": 75,
    "deadline": 75,
    "terminated": 75,
    "node_lost": 75,
    "diverged": 1,
    "bad_data": 1,
    "error": 1,
}


def test_each_cause_has_its_name_and_exit_code() -> None:
    assert {cause.text: cause.exit_code for cause in Cause} == EXIT_CODES
    assert len(Cause) == len(EXIT_CODES)  # no two are one by having equal values


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OutOfMemory("no room", of="gpu"), Cause.GPU_OOM),
        (OutOfMemory("no room", of="host"), Cause.HOST_OOM),
        (MemoryError(), Cause.HOST_OOM),
        (Stopped("terminated", "by a signal"), Cause.TERMINATED),
        (Stopped("deadline", "in time"), Cause.DEADLINE),
        (KeyboardInterrupt(), Cause.TERMINATED),
        (SystemExit(1), Cause.TERMINATED),
        (Diverged("NaN"), Cause.DIVERGED),
        (BadData("no file"), Cause.BAD_DATA),
        (UserError("a wrong key"), Cause.ERROR),
        (OSError(28, "No space left on device"), Cause.ERROR),
        (RuntimeError("a bug"), Cause.ERROR),
    ],
    ids=repr,
)
def test_an_exception_stands_for_a_cause(error: BaseException, cause: Cause) -> None:
    assert cause_of(error) is cause
