"""What a network is expected to need on one hardware class."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.conftest import WriteCell, small_rig, write_cell
from workflow_src.artifacts.forecast_file import CellForecast
from workflow_src.artifacts.split_summary import SplitSummary
from workflow_src.cells import split_folder
from workflow_src.configuration import CardRates, Hardware, NetworkCell
from workflow_src.configuration.schema import Request
from workflow_src.forecasting.dataset_forecast import CUDA_PROCESS_MB, forecast_cell
from workflow_src.forecasting.step_memory import PROCESS_MB
from workflow_src.limits import CUDA_CONTEXT_MB, MB
from workflow_src.scheduling.next_request import INNER_SNAKEMAKE_MB

__all__ = ["small_rig", "write_cell"]
CPU = Hardware(accelerator="cpu", host_memory_mb=64_000)


def gpu(memory_mb: int | None) -> Hardware:
    return Hardware(accelerator="cuda", gpu_model="v100", device_memory_mb=memory_mb)


@pytest.fixture
def cell(write_cell: WriteCell) -> NetworkCell:
    """Batches whose activations are much larger than the weights."""
    return NetworkCell.read(
        write_cell(
            "study",
            batch_size=4096,
            model={"backbone": "patchtst", "width": 64, "heads": 2, "feed_forward": 4},
        )
    )


@pytest.fixture
def small(write_cell: WriteCell) -> NetworkCell:
    """Whose forecast takes a second."""
    return NetworkCell.read(write_cell("study", batch_size=32))


def forecast(cell: NetworkCell, hardware: Hardware, **request: int | bool) -> CellForecast:
    split = SplitSummary.read(split_folder(cell.cell.dataset) / "split.json")
    return forecast_cell(cell, split, Request.model_validate(request), hardware)


def test_where_all_fits_the_whole_batch_is_taken(small: NetworkCell) -> None:
    found = forecast(small, CPU)
    assert (found.micro_batch, found.share) == (32, 32)
    assert not found.activation_checkpointing
    assert found.device_mb is None
    assert found.host_mb > PROCESS_MB
    parts = dict(found.parts_mb)
    assert parts["process"] == PROCESS_MB
    kept = 16 * found.parameters / MB
    assert parts["weights, gradients, moments"] == pytest.approx(kept, abs=0.1)
    assert parts["activations"] > 0
    assert parts["margin"] > 0
    assert found.refusal == ""


@pytest.mark.slow
def test_a_smaller_gpu_gets_the_largest_micro_batch_that_fits(cell: NetworkCell) -> None:
    whole = forecast(cell, gpu(None))
    assert whole.device_mb is not None
    assert whole.host_mb >= CUDA_PROCESS_MB
    limit = (CUDA_CONTEXT_MB + whole.device_mb) // 2
    half = forecast(cell, gpu(limit))
    assert 1 <= half.micro_batch <= 2048
    assert half.device_mb is not None
    assert half.device_mb <= limit
    assert forecast(cell, gpu(limit), micro_batch_size=2 * half.micro_batch).device_mb > limit


@pytest.mark.slow
def test_activations_are_recomputed_before_a_class_is_refused(cell: NetworkCell) -> None:
    one = forecast(cell, gpu(None), micro_batch_size=1).device_mb
    assert one is not None
    tight = forecast(cell, gpu(one - 1))
    assert (tight.micro_batch, tight.activation_checkpointing) == (1, True)
    nowhere = forecast(cell, gpu(CUDA_CONTEXT_MB))
    assert nowhere.refusal.startswith("one span with activations recomputed takes 6")
    assert "of GPU memory, and there are 600 MB" in nowhere.refusal


def test_a_stated_micro_batch_is_not_searched_for(cell: NetworkCell) -> None:
    assert forecast(cell, gpu(16_000), micro_batch_size=7).micro_batch == 7


@pytest.mark.slow
def test_processes_share_a_batch_and_each_gets_an_equal_part(cell: NetworkCell) -> None:
    alone = forecast(cell, CPU, devices=2)
    assert alone.share == 2048
    assert forecast(cell, CPU, devices=2, workers=1).host_mb in (
        2 * alone.host_mb - 1,
        2 * alone.host_mb,
    )


@pytest.mark.slow
def test_recordings_that_are_kept_count_up_to_all_there_are(cell: NetworkCell) -> None:
    none, all_there_are = forecast(cell, CPU, cache_mb=0), forecast(cell, CPU, cache_mb=50_000)
    store = Path("data", cell.dataset.rig, "recordings.h5").stat().st_size
    assert all_there_are.host_mb - none.host_mb == pytest.approx(store / 2**20, abs=1)


@pytest.mark.slow
def test_host_memory_too_small_for_one_span_is_refused(cell: NetworkCell) -> None:
    small = CPU.model_copy(update={"host_memory_mb": INNER_SNAKEMAKE_MB + PROCESS_MB})
    assert "of host memory, and there are 5" in forecast(cell, small).refusal


def test_a_gpu_whose_rates_are_stated_has_a_time(small: NetworkCell) -> None:
    def seconds(tflops: float, **request: int) -> float:
        rates = CardRates(tflops={"fp32": tflops}, copy_gb_s=1000.0 * tflops)
        found = forecast(small, gpu(16_000).model_copy(update={"rates": rates}), **request)
        assert found.epoch_s is not None
        return found.epoch_s

    assert forecast(small, gpu(16_000)).epoch_s is None
    assert seconds(1e-5) > seconds(1e-4) > 0
    assert seconds(1e-5, devices=2) < 0.8 * seconds(1e-5)  # each computes half of a batch
