"""What trainings will need, and needed."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_src.errors import UserError
from workflow_src.scheduling.cause import Cause
from workflow_src.verbs.verb import ROOT, Verb, configured, kept_configuration

if TYPE_CHECKING:
    from workflow_src.artifacts.forecast_file import CellForecast
    from workflow_src.scheduling.observed import Observed
    from workflow_src.targets import Targets


def _forecast(options: argparse.Namespace) -> Cause:
    if options.score is not None or options.csv or options.figures:
        return _score(options)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's notices; before torch

    from workflow_src.forecasting.survey import survey, table

    configuration = configured(options.configfile)
    classes = options.hardware or sorted(configuration.classes)
    print(table(survey(configuration, classes, options.cells, options.configfile), classes))
    return Cause.DONE


def _score(options: argparse.Namespace) -> Cause:
    """Hold what finished attempts used against what was forecast."""
    from workflow_src.forecasting.score import page, scored, to_csv
    from workflow_src.scheduling.status import last_configuration
    from workflow_src.targets import Targets

    chosen = options.cells != "*" or options.configfile or options.hardware
    if options.score is None or chosen:
        raise UserError(
            "`--csv` and `--figures` are forms of `--score`, which takes whole runs.",
            expected="no pattern, `--configfile` or `--hardware` beside them",
            remedy="python -m workflow_src forecast --score [STUDY ...] [--csv] [--figures FOLDER]",
        )
    studies = [Targets(last_configuration(study), ROOT) for study in options.score or [None]]
    rows = scored(row for study in studies for row in study.requests.observed)
    print(to_csv(rows) if options.csv else page(rows), end="" if options.csv else "\n")
    if options.figures:
        _draw(options.figures, rows, studies)
    return Cause.DONE


def _draw(folder: Path, rows: Sequence[Observed], studies: Sequence[Targets]) -> None:
    """Figures of the scored cells, and of the largest forecast of each model."""
    from workflow_src.drawing.forecast_figures import write_figures
    from workflow_src.forecasting.score import replays

    known = {
        f"{forecast.name}, {hardware}": dict(forecast.parts_mb)
        for (hardware, _), forecast in _largest(studies).items()
    }
    lost = {one.policy: one.wasted_gb_h for one in replays(rows)}
    for path in write_figures(folder, rows, lost, known):
        print(path, file=sys.stderr)


def _largest(studies: Sequence[Targets]) -> dict[tuple[str, str], CellForecast]:
    found: dict[tuple[str, str], CellForecast] = {}
    for study in studies:
        for cell in study.trainings:
            for name in study.requests.classes_of(cell):
                forecast = study.requests.forecast(cell, name)
                before = found.get((name, cell.model))
                if forecast and (before is None or _held_mb(forecast) > _held_mb(before)):
                    found[name, cell.model] = forecast
    return {key: forecast for key, forecast in found.items() if forecast.parts_mb}


def _held_mb(forecast: CellForecast) -> float:
    """By one process, of the memory in which its tensors lie; 0: of an earlier version."""
    return sum(part for _, part in forecast.parts_mb)


def _plan(options: argparse.Namespace) -> Cause:
    from workflow_src.configuration import snapshot
    from workflow_src.scheduling.plan import page, to_csv
    from workflow_src.scheduling.status import last_configuration
    from workflow_src.targets import Targets

    kept = kept_configuration()
    learned = None if kept is None else snapshot.corrections()
    configuration = kept or last_configuration(options.study)
    targets = Targets(configuration, ROOT, learned)
    cells = targets.planned()
    if options.json:
        print(json.dumps([one.to_json() for one in cells], indent=1))
    elif options.csv:
        print(to_csv(cells), end="")
    else:
        shown = page(cells, targets.configuration.hardware, options.jobs)
        print("\n".join([shown, *targets.requests.learned_in_words()]))
    return Cause.DONE


def add(verb: Verb) -> None:
    """What trainings will need, and needed."""
    forecast = verb("forecast", _forecast, "Print what a training step takes, and where it fits.")
    forecast.add_argument("cells", nargs="?", default="*", help="pattern of dataset/model/task_set")
    forecast.add_argument("--configfile", type=Path, help="default: config/config.yaml")
    forecast.add_argument("--hardware", nargs="+", help="classes of config/hardware; default: all")
    score = "hold forecasts against finished attempts of these studies; default: of the last run"
    forecast.add_argument("--score", nargs="*", metavar="STUDY", help=score)
    forecast.add_argument("--csv", action="store_true", help="the score as a table")
    forecast.add_argument("--figures", type=Path, metavar="FOLDER", help="draw the score, as SVG")
    planned = verb("plan", _plan, "Print what each training will ask for, and what is left to do.")
    planned.add_argument("study", nargs="?", help="default: that of the last run here")
    planned.add_argument("--jobs", type=int, default=1, help="trainings side by side; default: 1")
    shape = planned.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="a list for programs")
    shape.add_argument("--csv", action="store_true", help="the same as a table")
