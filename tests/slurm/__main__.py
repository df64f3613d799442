"""A rehearsal on a real Slurm, as a user sees it: commands and what they print, in Markdown.

    python -m tests.slurm          (root; slurmctld, slurmd, slurm-client and munge installed)

Six cells under `profiles/slurm-a100`: DLinear, seed 2, has a bug; FNO, seed 1, takes more memory
than it was given until the kernel kills it. Then the bug is mended and the same command is given.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from ..workflow.conftest import Outcome
from .cluster import missing, running
from .conftest import written
from .study import Study

COLUMNS = ("JobId", "JobState", "Partition", "MinMemoryNode", "TimeLimit", "NumCPUs", "TresPerJob")
COMMAND = "snakemake --profile profiles/slurm-a100 --retries 2"


def main() -> None:
    reason = missing()
    if reason:
        raise SystemExit(reason)
    with (
        tempfile.TemporaryDirectory(prefix="slurm-") as place,
        tempfile.TemporaryDirectory() as folder,
        running(Path(place)) as cluster,
    ):
        rehearse(written(Path(folder, "project"), cluster))


def rehearse(study: Study) -> None:
    assert study.snakemake("data", profile="local").code == 0
    bug, hungry = study.cell("dlinear", 2), study.cell("fno", 1)
    others = {cell.name: {"seconds_a_step": 2.0} for cell in study.trained}
    study.rehearse(
        others | {bug.name: {"at_step": 4, "do": "bug"}, hungry.name: {"at_step": 6, "do": "eat"}}
    )
    with study.begun("--retries", "2", profile="slurm-a100") as master:
        study.wait(lambda: bug.of("ended") and len(study.cell("fno", 2).epochs) > 1, "a failure")
        said("python -m workflow_src status", study.status())
        failed = study.finish(master, 600)
    said(COMMAND, shown(failed), failed.code)
    said("python -m workflow_src status", study.status())
    partial = study.snakemake("partial_tables", profile="local")
    said("snakemake --profile profiles/local partial_tables", shown(partial), partial.code)
    print("What Slurm was asked for trainings:\n")
    jobs(study)
    study.rehearse({})
    mended = study.snakemake("--retries", "2", profile="slurm-a100")
    said(COMMAND + "    # the bug is mended", shown(mended), mended.code)
    print("The jobs of both commands:\n")
    jobs(study)


def shown(outcome: Outcome) -> str:
    """What a command says for its user: the jobs, the tables, the digest; not its log of jobs."""
    counts = re.search(r"^job +count\n.*?(?=\n\n)", outcome.text, re.MULTILINE | re.DOTALL)
    last = outcome.text.find("\n  [")  # the first line of the tables
    kept = [counts[0] if counts else "", outcome.text[last:] if last >= 0 else ""]
    return "\n...\n".join(part.strip("\n") for part in kept if part)


def said(command: str, text: str, code: int = 0) -> None:
    print(
        f"```\n$ {command}\n{text.rstrip()}\n```\n" + (f"exit {code}\n" if code else ""), flush=True
    )


def jobs(study: Study) -> None:
    print("| cell | " + " | ".join(COLUMNS) + " |\n|" + "---|" * (1 + len(COLUMNS)))
    for cell in study.trained:
        for job in study.asked("train", cell):
            print(f"| {cell.name} | " + " | ".join(job.get(key, "") for key in COLUMNS) + " |")
    print(flush=True)


if __name__ == "__main__":
    main()
