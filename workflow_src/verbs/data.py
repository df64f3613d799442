"""What is made of recordings, and said of them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from workflow_src.scheduling.cause import Cause
from workflow_src.verbs.verb import Verb, configured, kept_configuration


def _recordings(options: argparse.Namespace) -> Cause:
    from workflow_src.cells import rig_folder
    from workflow_src.data.prepare import prepare_rig
    from workflow_src.scheduling.holding import held

    kept = kept_configuration()  # Words are not part of --rig: others must not make the store anew.
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
    return list(configured(file).datasets)


def _rig(options: argparse.Namespace) -> Cause:
    from workflow_src.configuration.loading import load_rig, page_part
    from workflow_src.drawing.rig_page import write_page

    if options.page:
        part = json.loads(options.page)
    else:
        part = page_part(load_rig(options.config_folder, options.name))
    print(write_page(options.name, part))
    return Cause.DONE


def add(verb: Verb) -> None:
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
