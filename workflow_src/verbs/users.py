"""What users ask beside a run."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from workflow_src.scheduling.cause import Cause
from workflow_src.verbs.verb import Verb


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


def _watch(options: argparse.Namespace) -> Cause:
    from workflow_src.training.watch import show

    show(options.pid, options.every)
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


def add(verb: Verb) -> None:
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
