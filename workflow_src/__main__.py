"""The verbs that rules and users call; alone turns an error or a Cause into an exit code."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_src.errors import Stopped, UserError, first_line
from workflow_src.files import disk_full, is_disk_full, only_while

try:
    from workflow_src.scheduling.attempt_request import AttemptRequest
    from workflow_src.scheduling.cause import Cause, cause_of
except ModuleNotFoundError as missing:
    sys.exit(
        f"{missing}: {sys.executable} is not the Python of the environment.\n"
        "  remedy:   . .venv/bin/activate   # `make` installs it where it is not there"
    )

if TYPE_CHECKING:
    from pydantic import JsonValue

    from workflow_src.cells import Cell
    from workflow_src.configuration import Configuration


def _recordings(options: argparse.Namespace) -> Cause:
    from workflow_src.cells import rig_folder
    from workflow_src.data.prepare import prepare_rig
    from workflow_src.scheduling.holding import held

    kept = _kept()  # Words are not part of --rig: others must not make the store anew.
    with held(rig_folder(options.name)) as require_held:
        prepare_rig(
            options.name,
            json.loads(options.rig),
            description=kept.rigs[options.name].description if kept else "",
            data_root=options.data_root,
            config_folder=options.config_folder / "rigs",
            before_landing=require_held,
        )
    return Cause.DONE


def _built(options: argparse.Namespace) -> Cause:
    from workflow_src.data.prepare import prepare_built

    prepare_built(
        options.name,
        json.loads(options.rig),
        data_root=options.data_root,
        config_folder=options.config_folder / "rigs",
    )
    return Cause.DONE


def _split(options: argparse.Namespace) -> Cause:
    from workflow_src.cells import split_folder
    from workflow_src.data.prepare import prepare_split
    from workflow_src.scheduling.holding import held

    folder, part = options.config_folder / "datasets", json.loads(options.dataset)
    with held(split_folder(options.name)) as require_held:
        prepare_split(options.name, part, config_folder=folder, before_landing=require_held)
    return Cause.DONE


def _features(options: argparse.Namespace) -> Cause:
    from workflow_src.cells import split_folder
    from workflow_src.data.span_features import prepare_features
    from workflow_src.scheduling.holding import held

    with held(split_folder(options.name)) as require_held:
        prepare_features(options.name, json.loads(options.features), require_held)
    return Cause.DONE


def _audit(options: argparse.Namespace) -> Cause:
    from workflow_src.data.audit.report import as_text, audit, leak

    errors = []
    reports = []
    for name in options.dataset or _datasets_to_audit(options.configfile):
        reports.append(audit(name))
        errors += [error] if (error := leak(reports[-1])) is not None else []
        if not options.json:
            print(as_text(reports[-1]), flush=True)
    if options.json:
        print(json.dumps([report.content() for report in reports], indent=1))
    for error in errors:
        print(error, file=sys.stderr)
    return Cause.BAD_DATA if errors else Cause.DONE


def _datasets_to_audit(file: Path | None) -> list[str]:
    """Those of `file` over config/config.yaml, else of the last run; rotations each by itself."""
    from workflow_src.scheduling.status import last_run

    if file is None:
        return list(dict.fromkeys(one.cell.dataset for one in last_run()[1]))
    return list(_configured(file).datasets)


def _configured(file: Path | None) -> Configuration:
    """What `file` over config/config.yaml says, on this machine."""
    from workflow_src.configuration import load
    from workflow_src.configuration.reading import merged, read

    folder = Path(__file__).parents[1] / "config"
    files = ([] if file is None else [file]) + [folder / "config.yaml"]
    values: dict[str, JsonValue] = {"hardware": "local"}
    for path in reversed(files):
        values = merged(values, read(path))
    return load(values, folder, files)


def _rig(options: argparse.Namespace) -> Cause:
    from workflow_src.configuration.loading import load_rig, page_part
    from workflow_src.drawing.rig_page import write_page

    if options.page:
        part = json.loads(options.page)
    else:
        part = page_part(load_rig(options.config_folder, options.name))
    print(write_page(options.name, part))
    return Cause.DONE


def _kept() -> Configuration | None:
    """The configuration of the run that called this verb; None where a user did."""
    from workflow_src.configuration import snapshot

    return snapshot.kept() if snapshot.VARIABLE in os.environ else None


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


def _status(options: argparse.Namespace) -> Cause:
    from workflow_src.scheduling import status, status_page
    from workflow_src.scheduling.other_code import reports

    def looked() -> tuple[str, list[status.Status]]:
        study, wanted = status.last_run(options.study)
        return study, status.survey(study, wanted)

    if options.other_code:
        study, grid = looked()
        files = reports(study, (one.cell for one in grid if one.other_code))
        print("\n".join(files))
    elif options.json:
        print(json.dumps([one.to_json() for one in looked()[1]], indent=1))
    elif options.watch:
        status_page.watch(lambda: status_page.table(*looked()))
    else:
        print(status_page.table(*looked()))
    return Cause.DONE


def _forecast(options: argparse.Namespace) -> Cause:
    if options.score is not None or options.csv:
        return _score(options)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's notices; before torch

    from workflow_src.forecasting.survey import survey, table

    configuration = _configured(options.configfile)
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
            "`--score` holds whole runs against their forecasts, and `--csv` is a form of it.",
            expected="no pattern, `--configfile` or `--hardware` beside them",
            remedy="python -m workflow_src forecast --score [STUDY ...] [--csv]",
        )
    root = Path(__file__).parents[1]
    studies = [Targets(last_configuration(study), root) for study in options.score or [None]]
    rows = scored(row for study in studies for row in study.requests.observed)
    print(to_csv(rows) if options.csv else page(rows), end="" if options.csv else "\n")
    return Cause.DONE


def _plan(options: argparse.Namespace) -> Cause:
    from workflow_src.configuration import snapshot
    from workflow_src.scheduling.plan import page, to_csv
    from workflow_src.scheduling.status import last_configuration
    from workflow_src.targets import Targets

    kept = _kept()
    learned = None if kept is None else snapshot.corrections()
    configuration = kept or last_configuration(options.study)
    targets = Targets(configuration, Path(__file__).parents[1], learned)
    cells = targets.planned()
    if options.json:
        print(json.dumps([one.to_json() for one in cells], indent=1))
    elif options.csv:
        print(to_csv(cells), end="")
    else:
        shown = page(cells, targets.configuration.hardware, options.jobs)
        print("\n".join([shown, *targets.requests.learned_in_words()]))
    return Cause.DONE


def _forecasts(options: argparse.Namespace) -> Cause:
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's notices; before torch

    from workflow_src.configuration import snapshot
    from workflow_src.forecasting.dataset_forecast import write_forecast

    write_forecast(snapshot.kept(), options.dataset)
    return Cause.DONE


def _watch(options: argparse.Namespace) -> Cause:
    from workflow_src.training.watch import show

    show(options.pid, options.every)
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


def _results(options: argparse.Namespace) -> Cause:
    from workflow_src.tables.results import write_results

    write_results(options.plan)
    return Cause.DONE


def _tables(options: argparse.Namespace) -> Cause:
    from workflow_src.tables.paper import write_tables
    from workflow_src.tables.show import show

    plan = options.plan
    if options.partial:
        from workflow_src.tables.results import write_results

        present = _present_identities()
        write_results(plan, True, present)
        write_tables(plan, True, present)
        print(show(plan, True, styled=sys.stdout.isatty(), identity_of=present))
    else:
        write_tables(plan)
    return Cause.DONE


def _present_identities() -> Callable[[Cell], str] | None:
    """What a cell's scores must bear to be those of the present configuration."""
    kept = _kept()
    if kept is None:
        return None

    def identity_of(cell: Cell) -> str:
        return kept.resolve(*cell.key).identity

    return identity_of


def _show(options: argparse.Namespace) -> Cause:
    from workflow_src.tables.show import show

    print(show(options.plan, styled=sys.stdout.isatty()))
    return Cause.DONE


def _reset(options: argparse.Namespace) -> Cause:
    from workflow_src.reset import reset

    for path in reset(options.cell):
        print(f"removed {path}")
    return Cause.DONE


def _draft(options: argparse.Namespace) -> Cause:
    from workflow_src.draft import write_drafts

    write_drafts(options.name, options.called, options.root, options.config, options.only_print)
    return Cause.DONE


def _inspect(options: argparse.Namespace) -> Cause:
    from workflow_src.data.inspection import inspect

    root = options.data_root or os.environ.get("PHM_DATA_ROOT")
    print(inspect(options.folder, options.name, None if root is None else Path(root)), end="")
    return Cause.DONE


def _schema(options: argparse.Namespace) -> Cause:
    from workflow_src.configuration.documentation import document
    from workflow_src.configuration.json_schema import schemas
    from workflow_src.files import write_text

    texts = {Path("config", "schemas", name): text for name, text in schemas().items()}
    texts[Path("docs", "configuration.md")] = document()
    for path, text in texts.items():
        (options.folder / path).parent.mkdir(parents=True, exist_ok=True)
        write_text(options.folder / path, text)
        print(options.folder / path)
    return Cause.DONE


_Verb = Callable[..., argparse.ArgumentParser]  # of its name, function, text and older names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workflow_src", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="verb")

    def verb(
        name: str, run: Callable[[argparse.Namespace], Cause], text: str, *aliases: str
    ) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=text, description=text, aliases=aliases)
        made.set_defaults(run=run)
        return made

    for add in (_add_data, _add_cells, _add_tables, _add_needs, _add_rest):
        add(verb)
    return parser


def _add_data(verb: _Verb) -> None:
    """What is made of recordings, and said of them."""
    recordings = verb("recordings", _recordings, "Write a rig's recordings to data/<name>/.")
    built = verb("built", _built, "Fetch and build a rig of the package bearing-datasets.")
    for made in (recordings, built):
        made.add_argument("--rig", required=True, help="the rig's configuration, as JSON")
    split = verb("split", _split, "Write a dataset's split to data/<name>/.")
    split.add_argument("--dataset", required=True, help="what decides the split, as JSON")
    for made in (recordings, built, split):
        made.add_argument("--name", required=True)
        made.add_argument("--data-root", type=Path, help="folder of the real rigs")
        made.add_argument("--config-folder", type=Path, required=True)

    features = verb("features", _features, "Write the features of a dataset's spans to its folder.")
    features.add_argument("name", help="the dataset, whose split is in data/<name>/")
    features.add_argument("--features", required=True, help="what decides them, as JSON")

    audit = verb("audit", _audit, "Say what parts of a split share, and what gives the class away.")
    audit.add_argument("dataset", nargs="*", help="default: those of the last run")
    audit.add_argument("--configfile", type=Path, help="its datasets in place of the last run's")
    audit.add_argument("--json", action="store_true", help="a list for programs")

    rig = verb("rig", _rig, "Draw a rig's page, data/<name>/rig.html, from its recordings.")
    rig.add_argument("name", help="a file of config/rigs/, whose recordings are in data/<name>/")
    rig.add_argument("--page", help="what the page tells beside them, as JSON; default: the file's")
    rig.add_argument("--config-folder", type=Path, default=Path("config"))


def _add_cells(verb: _Verb) -> None:
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


def _add_tables(verb: _Verb) -> None:
    """What is gathered of all cells."""
    results = verb("results", _results, "Gather all scores in <study>/results.csv.")
    tables = verb("tables", _tables, "Write the tables of a study.")
    tables.add_argument("--partial", action="store_true", help="of what exists")
    show = verb("show", _show, "Print the tables of a study.")
    for made in (results, tables, show):
        made.add_argument("--plan", required=True, help="what decides the tables, as JSON")


def _add_rest(verb: _Verb) -> None:
    """What users ask beside a run."""
    status = verb("status", _status, "Print where each cell of a study's last run stands.")
    status.add_argument("study", nargs="?", help="default: that of the last run here")
    form = status.add_mutually_exclusive_group()
    form.add_argument("--watch", action="store_true", help="again and again, until Ctrl-C")
    form.add_argument("--json", action="store_true", help="a list for programs")
    form.add_argument(
        "--other-code", action="store_true", help="files of cells that other code has trained"
    )
    watch = verb("watch", _watch, "Print the memory that a process uses, against its limits.")
    watch.add_argument("pid", type=int)
    watch.add_argument("--every", type=float, default=1.0, help="seconds")
    # `forget` is what one version before called it.
    reset = verb("reset", _reset, "Remove all that is kept of a cell: it starts anew.", "forget")
    reset.add_argument("cell", help="<study>/<dataset>/<model>/<task_set>/<seed>")
    draft = verb(
        "draft", _draft, "Write YAML of a rig and a dataset of the package bearing-datasets."
    )
    draft.add_argument("name", help="of its list, or the folder of a private definition")
    draft.add_argument("--as", dest="called", help="what to call both; default: the name")
    draft.add_argument("--root", type=Path, help="where built data are; default: below the data")
    draft.add_argument("--config", type=Path, default=Path("config"), help="default: config/")
    draft.add_argument("--print", action="store_true", dest="only_print", help="write nothing")
    inspect = verb("inspect", _inspect, "Print a draft rig and dataset of a folder's recordings.")
    inspect.add_argument("folder", type=Path)
    inspect.add_argument("--name", help="of the rig and the dataset; default: the folder's")
    inspect.add_argument("--data-root", type=Path, help="default: $PHM_DATA_ROOT")
    schema = verb("schema", _schema, "Write docs/configuration.md and config/schemas/.")
    schema.add_argument("folder", type=Path, nargs="?", default=Path(), help="default: here")


def _add_needs(verb: _Verb) -> None:
    """What trainings will need, and needed."""
    forecast = verb("forecast", _forecast, "Print what a training step takes, and where it fits.")
    forecast.add_argument("cells", nargs="?", default="*", help="pattern of dataset/model/task_set")
    forecast.add_argument("--configfile", type=Path, help="default: config/config.yaml")
    forecast.add_argument("--hardware", nargs="+", help="classes of config/hardware; default: all")
    score = "hold forecasts against finished attempts of these studies; default: of the last run"
    forecast.add_argument("--score", nargs="*", metavar="STUDY", help=score)
    forecast.add_argument("--csv", action="store_true", help="the score as a table")
    planned = verb("plan", _plan, "Print what each training will ask for, and what is left to do.")
    planned.add_argument("study", nargs="?", help="default: that of the last run here")
    planned.add_argument("--jobs", type=int, default=1, help="trainings side by side; default: 1")
    shape = planned.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="a list for programs")
    shape.add_argument("--csv", action="store_true", help="the same as a table")


def _terminate(*_: object) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; 0 done, 75 worth another try, 1 not worth one."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        cause = _run(options)
    except (UserError, Stopped) as error:
        print(error, file=sys.stderr)
        return cause_of(error).exit_code
    except OSError as error:
        if not is_disk_full(error):
            raise
        print(disk_full(Path(error.filename or "."), str(error)), file=sys.stderr)
        return Cause.ERROR.exit_code
    except KeyboardInterrupt as error:
        print("Stopped before the end; the same command goes on from here.", file=sys.stderr)
        return cause_of(error).exit_code
    return cause.exit_code


def _run(options: argparse.Namespace) -> Cause:
    try:
        cause: Cause = options.run(options)
    finally:
        sys.stdout.flush()  # in a log, what was said before an error stands before it
    return cause


if __name__ == "__main__":
    sys.exit(main())
