"""What is done for one cell, or for the cells of a dataset."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import traceback
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from workflow_src.errors import Stopped, UserError, first_line
from workflow_src.files import only_while
from workflow_src.scheduling.attempt_request import AttemptRequest
from workflow_src.scheduling.cause import Cause, cause_of
from workflow_src.verbs.verb import Verb


def _train(options: argparse.Namespace) -> Cause:
    from workflow_src.cells import runs_beside
    from workflow_src.configuration import NetworkCell
    from workflow_src.configuration.snapshot import run_name
    from workflow_src.scheduling.devices import own_gpus
    from workflow_src.scheduling.supervisor import supervise

    request = AttemptRequest.of_flags(options, run_name(), _anew(options.cell))
    if request.refused:
        return _refuse(options.cell)
    identity = NetworkCell.read(options.cell).identity
    command = [sys.executable, "-m", "workflow_src", "attempt", str(options.cell)]
    command += ["--request", request.model_dump_json()]
    with own_gpus(request.devices) if request.accelerator == "cuda" else nullcontext():
        return supervise(runs_beside(options.cell), identity, request, command)


def _anew(cell: Path) -> str:
    """Name of the run that called this verb, where it is to train this cell from its first step."""
    from workflow_src.configuration import snapshot

    return snapshot.anew(str(cell.parent)) if snapshot.VARIABLE in os.environ else ""


def _refuse(cell: Path) -> Cause:
    """Say again why there is no use in training this cell now."""
    from workflow_src.cells import runs_beside
    from workflow_src.configuration import NetworkCell
    from workflow_src.scheduling.attempt_history import attempt_history
    from workflow_src.scheduling.journal import Journal

    events = Journal(runs_beside(cell) / "attempts.jsonl").events()
    history = attempt_history(events, NetworkCell.read(cell).identity)
    again = "again in this run of Snakemake" if history else "at all"
    print(f"Not tried {again}; the end of Snakemake's output says why and what to do.")
    for attempt in history[-1:]:
        # This log takes the place of the one that told all.
        print(f"The last attempt ended: {attempt.cause.words}")
        print(attempt.text or attempt.message)
    return Cause.ERROR


def _attempt(options: argparse.Namespace) -> Cause:
    from workflow_src.cells import runs_beside
    from workflow_src.scheduling.events import Measured
    from workflow_src.scheduling.journal import Journal
    from workflow_src.scheduling.lock import require_held
    from workflow_src.scheduling.stop import Stop
    from workflow_src.scheduling.supervisor import die_with_parent

    die_with_parent()
    folder = runs_beside(options.cell)
    look = partial(require_held, folder, os.environ)
    stop = Stop(options.until, look)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop.ask)
    request, measured = AttemptRequest.model_validate_json(options.request), Measured()
    end = {"cause": Cause.DONE.text, "message": ""}
    try:
        from workflow_src.training.run import attempt, limit_memory

        limit_memory(request)
        with only_while(look):
            attempt(options.cell, request, Journal(folder / "attempts.jsonl"), stop, measured)
    except BaseException as error:
        end = {"cause": cause_of(error).text, "message": first_line(error), "text": _text(error)}
        raise
    finally:
        os.write(options.report, json.dumps(measured.ended(**end).to_json()).encode())
    return Cause.DONE


def _text(error: BaseException) -> str:
    """What this process's log ends with, for the journal: the end of it, as it is to be short."""
    whole = str(error) if isinstance(error, UserError | Stopped) else traceback.format_exc()
    return whole if len(whole) <= 4000 else whole[-4000:].partition("\n")[2]


def _forecasts(options: argparse.Namespace) -> Cause:
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's notices; before torch

    from workflow_src.configuration import snapshot
    from workflow_src.forecasting.dataset_forecast import write_forecast

    write_forecast(snapshot.kept(), options.dataset)
    return Cause.DONE


def _classic(options: argparse.Namespace) -> Cause:
    from workflow_src.classic.run import run_classic

    run_classic(options.cell)
    return Cause.DONE


def _evaluate(options: argparse.Namespace) -> Cause:
    from workflow_src.configuration import ResolvedCell
    from workflow_src.evaluation import write_metrics
    from workflow_src.features.table import FeatureTable

    kept, folder = ResolvedCell.read(options.cell), options.cell.parent
    predictions, metrics = folder / "predictions.h5", folder / "metrics.json"
    features = FeatureTable(options.features) if options.features else None
    write_metrics(predictions, metrics, kept.cell, kept.identity, features)
    return Cause.DONE


def add(verb: Verb) -> None:
    """What is done for one cell."""
    forecasts = verb("forecasts", _forecasts, "Called by a rule; see `snakemake forecasts`.")
    forecasts.add_argument("dataset", help="whose split is in data/<name>/")
    train = verb("train", _train, "Train the cell of a cell.json, or finish it again.")
    AttemptRequest.add_flags(train)
    attempt = verb("attempt", _attempt, "What `train` starts and watches; not to be called.")
    attempt.add_argument("--request", required=True, help="what it is told, as JSON")
    attempt.add_argument("--report", type=int, required=True, help="file descriptor of its end")
    attempt.add_argument("--until", type=float, help="end of the job, s since the epoch")
    classic = verb("classic", _classic, "Run the baseline of a cell.json.")
    evaluate = verb("evaluate", _evaluate, "Score the predictions beside a cell.json.")
    features = "features.h5 of the dataset, where forecasts are compared with the one in there"
    evaluate.add_argument("--features", type=Path, nargs="?", help=features)
    for made in (train, attempt, classic, evaluate):
        made.add_argument("cell", type=Path, help="<study>/results/.../cell.json")
