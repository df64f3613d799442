"""How real processes end, and what is written of it: by their supervisor, or by the next one."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from workflow_src.errors import UserError
from workflow_src.scheduling import lock as lock_module
from workflow_src.scheduling import supervisor as module
from workflow_src.scheduling.attempt_history import cause_of_silence
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.cause import Cause
from workflow_src.scheduling.events import MemorySample, Started
from workflow_src.scheduling.journal import Journal
from workflow_src.scheduling.lock import Lock, newest
from workflow_src.scheduling.supervisor import supervise

from ..journal_lines import lines
from ..waiting import eventually, gone

ROOT = Path(__file__).resolve().parents[2]
PYTHON = [sys.executable, "-S", "-c"]  # without site-packages: starts in 20 ms

# What a child of a test can do with `--report FD` at the end of its words.
PROLOGUE = """if True:
    import json, os, signal, sys, time
    report = int(sys.argv[sys.argv.index("--report") + 1])
    rank = int(os.environ.get("RANK", 0))
    def say(cause, message="", /, **facts):
        end = {"event": "ended", "cause": cause, "message": message, **facts}
        text = json.dumps(end).encode()
        while text:
            text = text[os.write(report, text):]
"""


def child(*lines: str) -> list[str]:
    return [*PYTHON, PROLOGUE + "".join(f"    {line}\n" for line in lines)]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Signals are set back, and Slurm, if any, is not asked of the test's own job."""
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setattr(lock_module, "_POLL_S", 0.02)
    before = {number: signal.getsignal(number) for number in module._FORWARDED}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "cell"


def events(runs: Path) -> list[dict[str, Any]]:
    return lines(runs / "attempts.jsonl")


def attempt(runs: Path, command: Sequence[str], **told: Any) -> tuple[Cause, dict[str, Any]]:
    """Supervise within this process; the cause and the last line of the journal."""
    cause = supervise(runs, "an identity", AttemptRequest(**told), command)
    last = events(runs)[-1]
    assert last["event"] == "ended"
    assert last["cause"] == cause.text
    assert newest(runs)[1]["released"]  # type: ignore[index]
    return cause, last


ENDS = [  # what the child does, the cause, what the message tells
    (["say('done', steps=3)"], "done", ""),
    (["say('gpu_oom', 'no room')", "sys.exit(75)"], "gpu_oom", "no room"),
    (["say('deadline', 'saved')", "sys.exit(75)"], "deadline", "saved"),
    (["say('diverged', 'NaN')", "sys.exit(1)"], "diverged", "NaN"),
    (["say('done')", "os.kill(os.getpid(), signal.SIGSEGV)"], "done", ""),  # taken down badly
    (["sys.exit(3)"], "error", "ended with 3 and said nothing"),
    (["pass"], "error", "ended with 0 and said nothing"),
    (['os.write(report, b\'{"cause": "do\')', "sys.exit(1)"], "error", "ended with 1"),
    (["os.kill(os.getpid(), signal.SIGKILL)"], "terminated", "killed by SIGKILL"),
    (["os.kill(os.getpid(), signal.SIGTERM)"], "terminated", "killed by SIGTERM"),
    (["os.kill(os.getpid(), signal.SIGSEGV)"], "error", "killed by SIGSEGV"),
    (["os.kill(os.getpid(), signal.SIGBUS)"], "error", "killed by SIGBUS"),
    (["os.kill(os.getpid(), 40)"], "error", "killed by signal 40"),
]


@pytest.mark.parametrize(("lines", "cause", "message"), ENDS, ids=[str(end[0]) for end in ENDS])
def test_each_end_has_its_cause(runs: Path, lines: list[str], cause: str, message: str) -> None:
    found, ended = attempt(runs, child(*lines))
    assert found.text == cause
    assert message in ended["message"]
    assert ended["seconds"] >= 0


def test_the_journal_tells_what_was_asked_and_what_came_of_it(runs: Path) -> None:
    lines = ["say('done', peaks_mb={'host': 12}, seconds=1e6)"]
    attempt(runs, child(*lines), micro_batch_size=4, workers=2)
    started, ended = events(runs)
    assert started["event"] == "started"
    assert (started["host"], started["pid"]) == (platform.node(), os.getpid())
    assert started["identity"] == "an identity"
    assert AttemptRequest(**started["told"]) == AttemptRequest(micro_batch_size=4, workers=2)
    assert started["job"] is None
    assert started["until"] is None
    assert started["limit_mb"] > 0
    assert started["versions"]["python"] == platform.python_version()
    assert ended["peaks_mb"] == {"host": 12}
    assert (ended["cause"], ended["message"]) == ("done", "")
    assert ended["seconds"] < 1000  # by the clock of who watches


def test_a_report_larger_than_a_pipe_holds_nobody_up(runs: Path) -> None:
    cause, ended = attempt(runs, child("say('done', text='x' * 300_000)"))
    assert cause is Cause.DONE
    assert len(ended["text"]) == 300_000


def test_the_end_of_the_job_is_passed_on(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "squeue"
    script.write_text("#!/bin/sh\necho 2131-05-06T07:08:09\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    lines = ["say('done', text=sys.argv[sys.argv.index('--until') + 1])"]
    _, ended = attempt(runs, child(*lines))
    assert float(ended["text"]) == events(runs)[0]["until"] > time.time()
    assert events(runs)[0]["job"] == "4711"


def test_a_process_that_hangs_after_its_report_is_not_waited_for(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LEAVING_S", 0.2)
    monkeypatch.setattr(module, "_GRACE_S", 0.2)
    hang = ["signal.signal(signal.SIGTERM, signal.SIG_IGN)", "say('done')", "time.sleep(60)"]
    assert attempt(runs, child(*hang))[0] is Cause.DONE


def test_a_command_that_cannot_be_started_is_written_down(runs: Path) -> None:
    with pytest.raises(FileNotFoundError):
        supervise(runs, "i", AttemptRequest(), ["/no/such/program"])
    assert events(runs)[-1]["cause"] == "error"
    assert "/no/such/program" in events(runs)[-1]["message"]
    Lock(runs).take()  # it was released


RANKS = "open(os.environ['WITNESS'] + str(rank), 'w').write('done')"


def test_when_one_rank_is_killed_the_other_is_ended(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WITNESS", str(tmp_path / "rank"))
    lines = [
        "signal.signal(signal.SIGTERM, lambda *_: (say('error', 'lost'), sys.exit(1)))",
        "open(os.environ['WITNESS'] + str(rank), 'w').write(str(os.getpid()))",
        "while not all(os.path.exists(os.environ['WITNESS'] + r) for r in '01'): time.sleep(0.01)",
        "rank and os.kill(os.getpid(), signal.SIGKILL)",
        "time.sleep(60)",
    ]
    cause, ended = attempt(runs, child(*lines), devices=2)
    assert cause is Cause.TERMINATED
    assert ended["signal"] == "SIGKILL"  # not what the other said of its loss
    for rank in (0, 1):
        pid = int((tmp_path / f"rank{rank}").read_text())
        assert not Path(f"/proc/{pid}").exists()


def test_the_first_report_counts_though_its_process_leaves_last(runs: Path) -> None:
    """Rank 1 ran out of memory, is long in leaving, and rank 0 fails for want of it."""
    lines = [
        "if rank: say('gpu_oom', 'no room'); time.sleep(0.4); sys.exit(75)",
        "time.sleep(0.2); say('error', 'connection closed'); sys.exit(1)",
    ]
    cause, ended = attempt(runs, child(*lines), devices=2)
    assert (cause, ended["message"]) == (Cause.GPU_OOM, "no room")


def test_a_rank_that_ignores_its_end_is_killed(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GRACE_S", 0.2)
    lines = [
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "rank or time.sleep(60)",
        "say('error', 'a bug'); sys.exit(1)",
    ]
    assert attempt(runs, child(*lines), devices=2)[1]["message"] == "a bug"


def test_who_leaves_first_leaves_the_other_time_to_save(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WITNESS", str(tmp_path / "saved"))
    monkeypatch.setattr(module, "_GRACE_S", 0.1)
    lines = ["rank or time.sleep(0.5)", RANKS, "say('deadline', 'saved')", "sys.exit(75)"]
    assert attempt(runs, child(*lines), devices=2)[0] is Cause.DEADLINE
    assert (tmp_path / "saved0").read_text() == "done"


def test_the_lock_lives_on_while_one_rank_still_works(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BEAT_S", 0.05)
    beats = []
    beat = Lock.beat

    def counted(self: Lock, **sample: Any) -> bool:
        beats.append(sample)
        return beat(self, **sample)

    monkeypatch.setattr(Lock, "beat", counted)
    lines = ["rank or time.sleep(0.6)", "say('done')"]
    assert attempt(runs, child(*lines), devices=2)[0] is Cause.DONE
    assert len(beats) >= 4
    assert newest(runs)[1]["sample"] == beats[-1]  # type: ignore[index]
    assert 0 < beats[-1]["used_mb"] <= beats[-1]["limit_mb"]
    assert abs(beats[-1]["time"] - time.time()) < 60


def test_ranks_know_each_other(runs: Path) -> None:
    names = ["MASTER_ADDR", "WORLD_SIZE", "NODE_RANK", "RANK", "LOCAL_RANK"]
    own = f"{{n: os.environ[n] for n in {names}}}"
    ended = attempt(runs, child(f"say('done', text=json.dumps({own}))"), devices=2)[1]
    said = json.loads(ended["text"])
    assert (said["RANK"], said["LOCAL_RANK"], said["WORLD_SIZE"]) == ("0", "0", "2")
    assert said["MASTER_ADDR"] == "127.0.0.1"


def test_who_lost_the_lock_ends_at_once_and_leaves_the_journal_to_the_next(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BEAT_S", 0.05)
    monkeypatch.setenv("WITNESS", str(tmp_path / "pid"))
    beat, beats = Lock.beat, []

    def overtaken(self: Lock, **sample: Any) -> bool:
        beats.append(sample)
        if len(beats) == 8:
            (runs / "lock.2").write_text("{}")
        return beat(self, **sample)

    monkeypatch.setattr(Lock, "beat", overtaken)
    lines = [
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",  # nothing is saved over the next one's
        "open(os.environ['WITNESS'], 'w').write(str(os.getpid()))",
        "time.sleep(60)",
    ]
    assert supervise(runs, "i", AttemptRequest(), child(*lines)) is Cause.TERMINATED
    assert not Path("/proc", (tmp_path / "pid").read_text()).exists()
    assert [event["event"] for event in events(runs)] == ["started"]
    assert (runs / "lock.2").read_text() == "{}"


# Real supervisors, as processes of their own. -----------------------------------------------

DRIVER = """if True:
    import json, sys
    from pathlib import Path
    from workflow_src.scheduling import lock, stop, supervisor
    from workflow_src.scheduling.attempt_request import AttemptRequest
    lock._POLL_S = 0.02
    supervisor._GRACE_S, supervisor.SAME_S = 0.3, 0.3
    cause = supervisor.supervise(Path(sys.argv[1]), "i", AttemptRequest(), json.loads(sys.argv[2]))
    sys.exit(cause.exit_code)
    """


@pytest.fixture
def supervisor(runs: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts supervisors of one folder; none outlives the test."""
    started: list[subprocess.Popen[str]] = []
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WITNESS": str(tmp_path / "pid")}

    def start(*lines: str, driver: str = DRIVER) -> subprocess.Popen[str]:
        words = [sys.executable, "-c", driver, str(runs), json.dumps(child(*lines))]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        started.append(
            subprocess.Popen(words, env=environment, text=True, **pipes)  # type: ignore[call-overload]
        )
        return started[-1]

    yield start
    for each in started:
        each.terminate()  # its child, too
        with contextlib.suppress(subprocess.TimeoutExpired):
            each.wait(5)
        each.kill()
        each.communicate()


WITNESS = "open(os.environ['WITNESS'] + '.new', 'w').write(str(os.getpid()))"
SHOWN = "os.rename(os.environ['WITNESS'] + '.new', os.environ['WITNESS'])"
READY = [WITNESS, SHOWN]


def pid_of_child(tmp_path: Path) -> int:
    eventually((tmp_path / "pid").exists)
    return int((tmp_path / "pid").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_passed_on_and_waited_for(
    supervisor: Callable[..., subprocess.Popen[str]],
    runs: Path,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    handler = "say('terminated', f'saved after {n}'), sys.exit(75)"
    lines = [f"signal.signal({int(number)}, lambda n, f: ({handler}))", *READY, "time.sleep(60)"]
    running = supervisor(*lines)
    pid_of_child(tmp_path)
    running.send_signal(number)
    log, _ = running.communicate(timeout=30)
    assert running.returncode == 75, log
    assert events(runs)[-1]["message"] == f"saved after {int(number)}"
    assert log == ""


@pytest.mark.slow
def test_who_is_told_and_says_nothing_is_tried_again(
    supervisor: Callable[..., subprocess.Popen[str]], runs: Path, tmp_path: Path
) -> None:
    running = supervisor("signal.signal(15, lambda *_: sys.exit(1))", *READY, "time.sleep(60)")
    pid_of_child(tmp_path)
    running.terminate()
    assert running.wait(timeout=30) == 75
    assert events(runs)[-1]["cause"] == "terminated"


@pytest.mark.slow
def test_a_child_that_ignores_the_first_signal_is_killed_after_the_second(
    supervisor: Callable[..., subprocess.Popen[str]], runs: Path, tmp_path: Path
) -> None:
    running = supervisor("signal.signal(15, signal.SIG_IGN)", *READY, "time.sleep(60)")
    pid = pid_of_child(tmp_path)
    running.terminate()
    running.terminate()  # at once: the same
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(timeout=1.0)
    assert not gone(pid)
    running.terminate()
    assert running.wait(timeout=30) == 75
    assert gone(pid)
    assert events(runs)[-1]["cause"] == "terminated"
    assert "told twice" in events(runs)[-1]["message"]


DIE_WITH = f"""if True:
    sys.path[:0] = [{str(ROOT)!r}, *{[p for p in sys.path if "site-packages" in p]!r}]
    from workflow_src.scheduling.supervisor import die_with_parent
"""
PARENTED = [*DIE_WITH.splitlines(), "die_with_parent()", *READY, "time.sleep(60)"]


def test_a_killed_supervisor_takes_its_child_along_and_the_next_writes_the_end(
    supervisor: Callable[..., subprocess.Popen[str]], runs: Path, tmp_path: Path
) -> None:
    running = supervisor(*PARENTED)
    pid = pid_of_child(tmp_path)
    eventually(lambda: "sample" in (newest(runs)[1] or {}))
    running.kill()
    running.wait()
    eventually(lambda: gone(pid))
    assert [event["event"] for event in events(runs)] == ["started"]

    attempt(runs, child("say('done')"))
    _, found, *own = events(runs)
    assert (found["event"], found["cause"], found["found_later"]) == ("ended", "terminated", True)
    assert found["sample"]["limit_mb"] == events(runs)[0]["limit_mb"]
    assert [event["event"] for event in own] == ["started", "ended"]
    attempt(runs, child("say('done')"))
    assert len(events(runs)) == 6  # it is written once


@pytest.mark.slow
def test_a_child_whose_supervisor_died_before_its_first_line_dies(tmp_path: Path) -> None:
    done = subprocess.run(
        [*child(*PARENTED), "--report", "1"],
        env={**os.environ, module._SUPERVISOR: "1", "WITNESS": str(tmp_path / "pid")},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "pid").exists()


@pytest.mark.parametrize(
    ("until", "sample", "cause"),
    [
        (1000.0, {"time": 990.0, "used_mb": 10, "limit_mb": 100}, "deadline"),
        (1000.0, {"time": 940.0, "used_mb": 99, "limit_mb": 100}, "deadline"),
        (1000.0, {"time": 939.0, "used_mb": 80, "limit_mb": 100}, "host_oom"),
        (1000.0, {"time": 939.0, "used_mb": 79, "limit_mb": 100}, "terminated"),
        (None, {"time": 939.0, "used_mb": 95, "limit_mb": 100}, "host_oom"),
        (None, {"time": 939.0, "used_mb": 10, "limit_mb": 100}, "terminated"),
        (1000.0, {}, "terminated"),
        (None, {}, "terminated"),
    ],
)
def test_silence_is_classified_by_what_was_seen_last(
    runs: Path, until: float | None, sample: dict[str, float], cause: str
) -> None:
    assert cause_of_silence(Started(until=until), MemorySample.read(sample)).text == cause
    # The same, from what a dead supervisor left.
    runs.mkdir(parents=True)
    Journal(runs / "attempts.jsonl").append(Started(until=until))
    Lock(runs).take()
    left = json.loads((runs / "lock.1").read_text()) | {"began": "0", "sample": sample}
    (runs / "lock.1").write_text(json.dumps(left))
    attempt(runs, child("say('done')"))
    found = events(runs)[1]
    assert (found["cause"], found["sample"], found["found_later"]) == (cause, sample, True)


@pytest.mark.slow
def test_a_second_supervisor_says_for_whom_it_waits_and_then_runs(
    supervisor: Callable[..., subprocess.Popen[str]], runs: Path, tmp_path: Path
) -> None:
    release = tmp_path / "release"
    line = f"while not os.path.exists({str(release)!r}): time.sleep(0.01)"
    first = supervisor(*READY, line, "say('done')")
    pid_of_child(tmp_path)
    second = supervisor("say('done')")
    assert second.stdout is not None
    said = second.stdout.readline()
    assert f"waiting: process {first.pid} on {platform.node()}" in said
    assert len(events(runs)) == 1
    release.touch()
    assert first.wait(timeout=30) == second.wait(timeout=30) == 0
    assert second.stdout.read() == ""
    started = [event["pid"] for event in events(runs) if event["event"] == "started"]
    assert [event["event"] for event in events(runs)] == ["started", "ended"] * 2
    assert started == [first.pid, second.pid]


@pytest.mark.slow
def test_who_waits_and_is_told_to_end_leaves_no_trace(
    supervisor: Callable[..., subprocess.Popen[str]], runs: Path, tmp_path: Path
) -> None:
    first = supervisor(*READY, "time.sleep(60)")
    pid_of_child(tmp_path)
    second = supervisor("say('done')")
    assert second.stdout is not None
    assert "waiting" in second.stdout.readline()
    second.terminate()
    assert second.wait(timeout=30) == 75
    assert f"process {first.pid} on {platform.node()}" in second.stdout.read()
    assert [event["event"] for event in events(runs)] == ["started"]


def fill(folder: Path) -> None:
    with (folder / "filler").open("ab", buffering=0) as file:
        for size in (4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size) == size:
                    pass


def test_a_journal_that_cannot_be_written_is_told_and_the_lock_let_go(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Lock.take

    def then_fill(self: Lock, **how: Any) -> None:
        take(self, **how)
        fill(small_disk)

    runs = small_disk / "cell"
    with monkeypatch.context() as patch:
        patch.setattr(Lock, "take", then_fill)
        with pytest.raises(UserError, match="The disk is full") as error:
            supervise(runs, "i", AttemptRequest(), child("say('done')"))
    assert str(runs) in str(error.value)
    (small_disk / "filler").unlink()


@pytest.mark.slow
def test_an_end_that_does_not_fit_is_written_by_the_next(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = small_disk / "cell"
    filler = f"open({str(small_disk / 'filler')!r}, 'wb', buffering=0)"
    lines = [  # the journal's own page is filled, too: a line longer than what is left of it
        f"file = {filler}",
        "try:",
        "    while file.write(bytes(4096)) == 4096: pass",
        "except OSError: pass",
        "say('error', 'x' * 9000)",
    ]
    driver = DRIVER.replace("sys.exit(cause.exit_code)", "print(cause.text)")
    words = [sys.executable, "-c", driver, str(runs), json.dumps(child(*lines))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "error\n", done.stderr
    assert [event["event"] for event in events(runs)] == ["started"]
    (small_disk / "filler").unlink()
    attempt(runs, child("say('done')"))
    assert [event["event"] for event in events(runs)] == ["started", "ended"] * 2
    assert events(runs)[1]["found_later"]


# A kernel that runs out of memory. -----------------------------------------------------------


@pytest.fixture
def limited_group() -> Iterator[Path]:
    """A real control group (v1) of 150 MB."""
    mount = Path("/sys/fs/cgroup/memory")
    if not (os.access(mount, os.W_OK) and (mount / "memory.limit_in_bytes").exists()):
        pytest.skip("control groups of memory (v1) cannot be made here: root and cgroup v1 only")
    group = mount / f"supervisor-{uuid.uuid4().hex[:8]}"
    group.mkdir()
    (group / "memory.limit_in_bytes").write_text(str(150 << 20))
    yield group
    eventually(lambda: not (group / "cgroup.procs").read_text())
    group.rmdir()


# Slowly: how much it holds is looked at 20 times a second, on a loaded machine less often.
EAT = "held = []; "
EAT += "[(held.append(bytearray(b'x') * (1 << 20)), time.sleep(0.01)) for _ in range(400)]"


def in_group(group: Path) -> str:
    return DRIVER.replace(
        "import json, sys\n",
        f"import json, os, sys\n    open({str(group / 'cgroup.procs')!r}, 'w')"
        ".write(str(os.getpid()))\n",
    )


@pytest.mark.faults
def test_a_kill_by_the_kernel_is_told_from_any_other(
    supervisor: Callable[..., subprocess.Popen[str]], runs: Path, limited_group: Path
) -> None:
    running = supervisor(EAT, driver=in_group(limited_group))
    log, _ = running.communicate(timeout=60)
    assert running.returncode == 75, log
    ended = events(runs)[-1]
    assert (ended["cause"], ended["signal"]) == ("host_oom", "SIGKILL")
    assert "limit 150 MB" in ended["message"]
    assert ended["limit_mb"] == events(runs)[0]["limit_mb"] == 150
    assert 75 < ended["peak_host_mb"] <= 150

    running = supervisor("os.kill(os.getpid(), 9)", driver=in_group(limited_group))
    assert running.wait(timeout=60) == 75
    assert events(runs)[-1]["cause"] == "terminated"  # the counter stood where it was


@pytest.mark.faults
def test_a_kill_of_what_the_child_had_started_counts(
    supervisor: Callable[..., subprocess.Popen[str]], runs: Path, limited_group: Path
) -> None:
    lines = [
        "worker = os.fork()",
        f"if not worker: {EAT}",
        "os.waitpid(worker, 0)",
        "say('error', 'a worker is gone'); sys.exit(1)",
    ]
    running = supervisor(*lines, driver=in_group(limited_group))
    log, _ = running.communicate(timeout=60)
    assert running.returncode == 75, log
    ended = events(runs)[-1]
    assert ended["cause"] == "host_oom"
    assert ended["message"].startswith("a worker is gone (killed by the kernel")
