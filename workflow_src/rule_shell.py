"""What every rule's shell text begins with."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from workflow_src.configuration import Configuration
from workflow_src.configuration.schema import SiteClass


def prefix(configuration: Configuration, basedir: Path) -> str:
    """What every rule's shell text may use: `verb`, and `sources` (where files are found).

    Not params: a moved environment or folder changes no number. A prefix takes the place of
    Snakemake's own, which makes the shell end at the first failure, inside a pipe too.
    """
    root = configuration.data_root()
    options = ["--config-folder", str(configuration.folder)]
    sources = shlex.join(options + (["--data-root", str(root)] if root else []))
    text = f"set -euo pipefail; {_modules(configuration.sites)}"
    text += f'verb() {{ modules "$@"; {command(basedir)} "$@"; }}; sources=({sources}); '
    return text.replace("{", "{{").replace("}", "}}")  # Snakemake formats it


def _modules(sites: Mapping[str, SiteClass]) -> str:
    """`modules`: in a job it loads those of the class that a verb is told, else of the first.

    The rules that run beside Snakemake need none.
    `module` is a function of the user's shell: /bin/sh, through which Slurm starts jobs, may
    have dropped it, but not the place where it is defined.
    """
    begin = 'type module > /dev/null 2>&1 || source "$MODULESHOME/init/bash"'

    def load(site: SiteClass) -> str:
        # Such functions read variables that may not be set.
        return f"set +u; {begin}; module load {shlex.join(site.modules)}; set -u"

    loads = {name: load(site) if site.modules else ":" for name, site in sites.items()}
    cases = [f'*" --hardware {name} "*) {each};;' for name, each in loads.items()]
    cases.append(f"*) {next(iter(loads.values()))};;")
    told = f'case " $* " in {" ".join(cases)} esac'
    return f'modules() {{ if [ -n "${{SLURM_JOB_ID:-}}" ]; then {told}; fi; }}; '


def command(basedir: Path) -> str:
    """The interpreter that runs Snakemake, with the package beside the Snakefile."""
    return f"PYTHONPATH={shlex.quote(str(basedir))}:${{PYTHONPATH:-}} " + shlex.join(
        [sys.executable, "-m", "workflow_src"]
    )
