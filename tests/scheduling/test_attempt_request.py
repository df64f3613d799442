"""What is asked for reaches the attempt by every way as it was asked."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_src.__main__ import main
from workflow_src.configuration.schema import RequestKeys, SiteClass
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.next_request import JobRequest
from workflow_src.scheduling.rank_share import largest_share, rank_share

requests = st.builds(
    JobRequest,
    memory_mb=st.integers(1, 10**6),
    runtime_minutes=st.integers(1, 10**5),
    micro_batch_size=st.none() | st.integers(1, 4096),
    checkpoint_minutes=st.sampled_from([0.5, 2.5, 10.0, 1e6]),
    activation_checkpointing=st.booleans(),
    devices=st.integers(1, 8),
    workers=st.integers(0, 8),
    cache_mb=st.integers(0, 10**4),
    device_mb=st.none() | st.integers(1, 10**5),
    attempt=st.integers(1, 13),
    hardware=st.sampled_from(["local", "a100-80g", "007"]),
    accelerator=st.sampled_from(["cpu", "cuda"]),
    refused=st.booleans(),
    cores=st.integers(1, 64),
    gpu_model=st.none() | st.just("a100"),
    gpus=st.integers(0, 8),
    site=st.just(SiteClass()),
)


def parsed(words: list[str]) -> AttemptRequest:
    """What the verb `train` reads of its words."""
    parser = argparse.ArgumentParser()
    AttemptRequest.add_flags(parser)
    return AttemptRequest.of_flags(parser.parse_args(words))


@given(requests)
def test_the_rule_tells_the_verb_what_was_decided(request: JobRequest) -> None:
    told = {name: getattr(request, name) for name in AttemptRequest.model_fields}
    resources = SimpleNamespace(**request.resources())
    text = AttemptRequest.flags().format(resources=resources)
    found = parsed(shlex.split(text))
    assert found == AttemptRequest(**told)
    assert AttemptRequest.model_validate_json(found.model_dump_json()) == found
    assert AttemptRequest.read(json.loads(found.model_dump_json())) == found


def test_each_configured_key_is_a_flag_and_a_resource() -> None:
    flags = AttemptRequest.flags()
    for name in RequestKeys.model_fields:
        assert f"--{name.replace('_', '-')} {{resources.{name}}}" in flags


def test_what_is_not_said_has_its_default_and_nothing_is_the_whole_share() -> None:
    assert parsed([]) == AttemptRequest()
    nothing = parsed(["--micro-batch-size", "0", "--memory-mb", "0", "--runtime-minutes", "0"])
    assert nothing == AttemptRequest()
    assert nothing.micro_batch_size is None
    assert parsed(["--cache-mb", "0"]).cache_mb == 0  # none, and not all there is


def test_the_shorter_name_of_the_micro_batch_is_read() -> None:
    assert parsed(["--micro-batch", "3"]).micro_batch_size == 3


@pytest.mark.parametrize(
    "words",
    [["--attempt", "0"], ["--devices", "0"], ["--workers", "x"], ["--accelerator", "tpu"]],
    ids=" ".join,
)
def test_what_cannot_be_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(words)
    said = capsys.readouterr().err
    assert f"argument {words[0]}: {words[1]}" in said


@given(st.integers(0, 200), st.integers(1, 9))
def test_ranks_share_a_batch_whole_and_as_evenly_as_can_be(size: int, ranks: int) -> None:
    batch = list(range(size))
    parts = [batch[rank_share(size, rank, ranks)] for rank in range(ranks)]
    assert [span for part in parts for span in part] == batch
    assert max(map(len, parts)) == largest_share(size, ranks)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert AttemptRequest().spans_at_once(size, ranks) == largest_share(size, ranks)
    assert AttemptRequest(micro_batch_size=3).spans_at_once(9, ranks) <= 3


@pytest.mark.parametrize("verb", ["reset", "forget"])
def test_a_cell_is_reset_by_the_older_word_too(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folders = [Path(f"demo/{kind}/d/net/all/seed1") for kind in ("runs", "results")]
    for folder in folders:
        folder.mkdir(parents=True)
    assert main([verb, "demo/d/net/all/1"]) == 0
    assert not any(folder.exists() for folder in folders)
    assert capsys.readouterr().out.splitlines() == [f"removed {folder}" for folder in folders]
    assert main([verb, "demo/d/net/all/1"]) == 1
    said = capsys.readouterr().err
    assert "Nothing is kept" in said
    assert "status demo" in said  # the study is there, the cell is not
    assert main([verb, "demo2/d/net/all/1"]) == 1
    assert "from the folder that holds the study" in capsys.readouterr().err
