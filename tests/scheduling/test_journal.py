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
from workflow_src.scheduling.journal import Cause, Journal, cause_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "runs" / "attempts.jsonl")


def test_no_file_is_no_event(journal: Journal) -> None:
    assert journal.events() == []
    assert journal.attempts("a") == 0


def test_events_come_back_in_order_with_their_facts(journal: Journal) -> None:
    journal.append("started", host="näher", micro=16, identity="one")
    journal.append("ended", cause="gpu_oom", message='two\nlines and "quotes"')
    journal.append("started", host="b", micro=8, identity="two")
    first, second, third = journal.events()
    assert (first["event"], first["host"], first["micro"]) == ("started", "näher", 16)
    assert second["message"] == 'two\nlines and "quotes"'
    assert third["micro"] == 8
    assert first["time"] <= second["time"] <= third["time"]
    assert journal.attempts("one") == journal.attempts("two") == 1
    assert len(journal.path.read_text(encoding="utf-8").splitlines()) == 3


def test_nothing_written_is_ever_changed(journal: Journal) -> None:
    written = b""
    for number in range(5):
        journal.append("beat", number=number)
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
    journal.append("started")
    journal.append("ended")
    assert calls == ["write", "fsync"] * 2  # one write a line: no other process gets in between


def test_a_line_torn_anywhere_costs_itself_only(journal: Journal) -> None:
    journal.append("started", number=1)
    before = journal.path.read_bytes()
    journal.append("ended", cause="done", message="µ")
    whole = journal.path.read_bytes()
    for length in range(len(before), len(whole)):
        journal.path.write_bytes(whole[:length])
        kept = journal.events()
        journal.append("started", number=2)
        events = journal.events()
        assert events[0]["number"] == 1
        assert events[:-1] == kept  # nothing lost, nothing come back to life
        assert events[-1]["number"] == 2
        assert len(events) == (3 if length == len(whole) - 1 else 2)  # only its newline is missing


@given(junk=st.binary(max_size=200))
def test_any_junk_is_passed_over(junk: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    journal = Journal(tmp_path_factory.mktemp("junk") / "attempts.jsonl")
    journal.path.write_bytes(junk)
    journal.append("started", host="a")
    assert journal.events()[-1]["host"] == "a"


@pytest.mark.parametrize("line", ["[]", "3", "null", '{"no": "event"}', "{", ""])
def test_lines_that_are_no_events_are_passed_over(journal: Journal, line: str) -> None:
    journal.append("started")
    with journal.path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    journal.append("ended")
    assert [event["event"] for event in journal.events()] == ["started", "ended"]


WRITER = """
import sys
from pathlib import Path
from workflow_src.scheduling.journal import Journal
journal = Journal(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    journal.append("beat", writer=sys.argv[2], number=number, padding="x" * (number * 37 % 400))
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
    lines = [line for line in journal.path.read_text(encoding="utf-8").splitlines() if line]
    assert all(json.loads(line)["event"] == "beat" for line in lines)
    for name in "ab":
        numbers = [event["number"] for event in journal.events() if event["writer"] == name]
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
