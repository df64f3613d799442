"""One attempt at a cell: from cell.json and its request, to its declared outputs."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from pathlib import Path

import torch

from workflow_src.artifacts.split_summary import SplitSummary
from workflow_src.artifacts.store_manifest import StoreManifest
from workflow_src.artifacts.training_report import TrainingReport
from workflow_src.cells import rig_folder, runs_beside, split_folder
from workflow_src.code_digest import UNKNOWN, code_digest, joined, require_planned_code
from workflow_src.configuration import NetworkCell, identity
from workflow_src.data.label_support import require
from workflow_src.data.split_files import read_split
from workflow_src.data.windows import SpanReader
from workflow_src.errors import OutOfMemory, first_line
from workflow_src.files import move, remove, write_text, write_whole
from workflow_src.limits import CUDA_CONTEXT_MB, MB, Host, resident
from workflow_src.predictions import is_current, write_predictions
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.events import Measured, Shrank
from workflow_src.scheduling.journal import Journal
from workflow_src.scheduling.stop import Stop
from workflow_src.training.assembly import build_network
from workflow_src.training.checkpoints import load_weights, remove_checkpoints
from workflow_src.training.fit import REPORT, WEIGHTS, Attempt, fit
from workflow_src.training.independence import require_independent
from workflow_src.training.no_task import write_nothing_learned
from workflow_src.training.out_of_memory import exhausted, limit_host_memory, trim
from workflow_src.training.precision import turn_tf32_off
from workflow_src.training.predict import predict
from workflow_src.training.ranks import Ranks
from workflow_src.training.recovery import Recovery
from workflow_src.training.watch import Watch

PREDICTIONS = "predictions.h5"
OUTPUTS = (WEIGHTS, PREDICTIONS, REPORT)


def attempt(
    cell_file: Path,
    request: AttemptRequest,
    journal: Journal,
    stop: Stop | None = None,
    measured: Measured | None = None,
) -> None:
    """Train the cell of `cell_file` (or finish it again) and lay its declared outputs beside it.

    Args:
        cell_file: <study>/results/.../cell.json.
        request: what the attempt is told.
        journal: of the cell.
        stop: whether to leave early.
        measured: what is to be known of the attempt, however it ends.

    Raises:
        Stopped: it was told to leave, and has saved; OutOfMemory: nothing could be made smaller;
        Diverged, BadData, UserError.
    """
    try:
        _attempt(cell_file, request, journal, stop or Stop(), measured or Measured())
    except Exception as error:
        said = in_words(error)
        if said is None:
            raise
        raise said from error


def _attempt(
    cell_file: Path, request: AttemptRequest, journal: Journal, stop: Stop, measured: Measured
) -> None:
    folder = runs_beside(cell_file)
    folder.mkdir(parents=True, exist_ok=True)
    cell = NetworkCell.read(cell_file)
    require_planned_code(cell.code, "network")
    ranks = Ranks.join(request.accelerator)
    whole = full_identity(cell)
    if ranks.first:
        remove_half_written(folder, cell_file.parent)
        move_aside_foreign(folder, whole, request.anew)
        remove_outdated(folder / PREDICTIONS)
    ranks.wait()
    if not all((folder / name).exists() for name in OUTPUTS):
        with Watch(journal.append, accelerator=request.accelerator, index=ranks.rank) as watch:
            try:
                _finish(cell, whole, folder, request, journal, stop, watch, ranks, measured)
            finally:
                measured.peaks_mb = watch.peaks()
    if ranks.first:
        # Only the finished cell loses what a resumed one would need.
        remove_checkpoints(folder)
        for name in OUTPUTS:
            link_or_copy(folder / name, cell_file.parent / name)


def limit_memory(request: AttemptRequest) -> None:
    """Let running out of host memory raise in this process, before the kernel kills it.

    Only where tensors live in host memory: CUDA maps more than it uses. What the request or the
    cgroup allows is shared by all processes of the attempt.
    """
    if request.accelerator != "cpu":
        return
    host = Host()
    others = max(0, host.used() - resident())
    allowed = host.limit - others
    if request.memory_mb is not None:
        allowed = min(allowed, request.memory_mb * MB)
    limit_host_memory(allowed, request.devices * (1 + request.workers))


def in_words(error: Exception) -> OutOfMemory | None:
    """What is said of an exhausted memory that nothing could recover from; None of other errors."""
    of = None if isinstance(error, OutOfMemory) else exhausted(error)
    if of is None:
        return None
    return OutOfMemory(
        f"Out of {'GPU' if of == 'gpu' else 'host'} memory outside a step, where nothing can be "
        "made smaller.",
        of=of,
        found=first_line(error),
        remedy="request:\n  memory_mb: <more>" if of == "host" else "a larger hardware class",
    )


def remove_half_written(*folders: Path) -> None:
    """Remove temporary files that a kill left; who waits for the lock is at work on its own."""
    for folder in folders:
        for left in folder.glob(".[0-9]*"):
            if ".lock." not in left.name:
                remove(left)


def _finish(
    cell: NetworkCell,
    whole: str,
    folder: Path,
    request: AttemptRequest,
    journal: Journal,
    stop: Stop,
    watch: Watch,
    ranks: Ranks,
    measured: Measured,
) -> None:
    """Write what is missing in `folder` of weights, report and predictions."""
    torch.set_num_threads(cell.training.torch_threads)
    turn_tf32_off()
    # Only the summary is kept of the split: its table is the reader's, in few bytes a span.
    split, reader = _reader(cell, request.cache_mb)
    kept, dropped = require(split, cell.task_names, cell.dataset.unsupported_tasks)
    with contextlib.closing(reader):
        if not kept:
            if ranks.first:
                places = (folder / WEIGHTS, folder / PREDICTIONS, folder / REPORT)
                write_nothing_learned(cell, whole, dropped, reader, places)
            return
        network = build_network(cell, kept, split)
        recovery = Recovery(
            network,
            request.spans_at_once(cell.training.batch_size, ranks.count),
            checkpointing=request.activation_checkpointing,
            ranks=ranks,
            tell=journal.append if ranks.first else _silent,
        )
        # Weights are final once their report is there; it is written before them.
        if not ((folder / WEIGHTS).exists() and (folder / REPORT).exists()):
            _begin_beside_others(recovery, request, watch)
            require_independent(network, cell.dataset.span.window, reader.channels)
            with stop.at_step_ends():
                fit(
                    Attempt(cell, whole, folder, request, journal, stop, watch, recovery, measured),
                    reader,
                )
        elif ranks.first:
            _add_code(folder / REPORT)
        if ranks.first:
            _predict(cell, recovery, reader, split, folder, request, watch)


def _begin_beside_others(recovery: Recovery, request: AttemptRequest, watch: Watch) -> None:
    """Begin smaller where another process holds memory of the GPU. Unproven on a GPU."""
    if request.device_mb is None or request.accelerator != "cuda":
        return
    device = recovery.ranks.device(request.accelerator)
    torch.zeros(1, device=device)  # makes the context, so that it counts as used
    memory = watch.now()
    others_mb = memory["device_used_mb"] - CUDA_CONTEXT_MB
    # Without NVML nothing is known (0); less than a context is what the driver keeps.
    if not memory["device_limit_mb"] or others_mb <= CUDA_CONTEXT_MB:
        others_mb = 0.0
    recovery.begin_beside(others_mb, request.device_mb, memory["device_limit_mb"], device)


def _add_code(report: Path) -> None:
    """The code of now predicts with weights that are there already."""
    content = TrainingReport.read(report)
    code = joined(content.code or UNKNOWN, code_digest("network"))
    if content.code != code:
        content.model_copy(update={"code": code}).write(report)


def _reader(cell: NetworkCell, cache_mb: int) -> tuple[SplitSummary, SpanReader]:
    split = read_split(split_folder(cell.cell.dataset))
    store, summary = rig_folder(cell.dataset.rig), split.summary
    reader = SpanReader(store, split, cell.dataset, cache_mb)
    del split
    trim()  # what reading a table of millions of spans took would stay beside what follows
    return summary, reader


def _silent(event: Shrank) -> None:
    """The first rank writes to the journal; what all have agreed on is written once."""


def _predict(
    cell: NetworkCell,
    recovery: Recovery,
    reader: SpanReader,
    split: SplitSummary,
    folder: Path,
    request: AttemptRequest,
    watch: Watch,
) -> None:
    load_weights(recovery.network, folder / WEIGHTS)
    life_s = {"mean_training_life_s": split.mean_training_life_s}
    facts = split.score_facts().model_copy(update=life_s)
    alone = Recovery(recovery.network, recovery.size, tell=recovery.tell)
    device, size = Ranks().device(request.accelerator), cell.training.batch_size
    predictions = predict(alone, reader, facts, size, device, watch.mark)
    write_predictions(folder / PREDICTIONS, predictions)


def full_identity(cell: NetworkCell) -> str:
    """What decides the numbers: the resolved configuration, the recordings and the split."""
    store = rig_folder(cell.dataset.rig)
    manifest = StoreManifest.read(store / "manifest.json")
    with (split_folder(cell.cell.dataset) / "split.csv").open("rb") as table:
        spans = hashlib.file_digest(table, "sha256").hexdigest()
    return identity([cell.identity, manifest.sha256, spans])


def move_aside_foreign(folder: Path, whole: str, anew: str = "") -> None:
    """Move what another configuration, rig or split left in runs/ aside; never go on from it.

    So with all that there is, where the cell is to be trained `anew` and no attempt before has
    been told so by the same name. The journal and the lock stay: they tell what was tried, and who
    is at it.
    """
    stamp, named = folder / "identity", folder / "anew"
    before = stamp.read_text(encoding="utf-8") if stamp.exists() else whole
    is_told = bool(anew) and (not named.exists() or named.read_text(encoding="utf-8") != anew)
    if before != whole or is_told:
        remove_checkpoints(folder)  # never continued, and large
        staying = {"aside", "attempts.jsonl", stamp.name, named.name}
        found = [p for p in folder.iterdir() if p.name not in staying and not _is_lock(p)]
        # Last: a kill in between must not leave foreign files without the stamp that tells.
        found += [stamp] if stamp.exists() else []
        aside = folder / "aside" / f"{before}-{time.strftime('%Y%m%dT%H%M%S')}"
        for path in found:
            aside.mkdir(parents=True, exist_ok=True)
            move(path, aside / path.name)
    if not stamp.exists():
        write_text(stamp, whole)
    if is_told:
        write_text(named, anew)


def remove_outdated(predictions: Path) -> None:
    """Remove a file of another revision: the weights predict anew."""
    if predictions.exists() and not is_current(predictions):
        remove(predictions)


def _is_lock(path: Path) -> bool:
    return path.name.startswith((".", "lock."))


def link_or_copy(source: Path, target: Path) -> None:
    """Lay `source` at `target` without a second copy of its bytes where the file system can."""

    def lay(temporary: Path) -> None:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)

    write_whole(target, lay)
