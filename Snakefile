"""Trains every cell (dataset, model, task set, seed) as a target of its own; tables follow.

    <study>/results/<dataset>/<model>/<task_set>/seed<N>/   what a cell declares
    <study>/runs/<the same>/                                what survives its failures
    <study>/tables/                                         what goes into the paper
    data/<rig>/, data/<dataset>/                            recordings and splits, for all studies

Rules are in rules/, a file a stage; what they ask is answered by workflow_src/targets.py.
"""

import subprocess
import sys

from snakemake.utils import min_version

min_version("9.27")
sys.path.insert(0, workflow.basedir)

from workflow_src import targets
from workflow_src.errors import UserError


configfile: f"{workflow.basedir}/config/config.yaml"


try:
    T = targets.build(config, workflow.basedir, workflow.overwrite_configfiles)
except UserError as error:
    raise WorkflowError(str(error))


wildcard_constraints:
    dataset=T.one_of(T.configuration.datasets),
    model=T.one_of(T.configuration.models),
    task_set=T.one_of(T.configuration.task_sets),
    rig=T.one_of(T.configuration.rigs),
    seed=r"\d+",


rule all:
    input:
        T.table_files(),
        T.cell_files(),


shell.prefix(T.shell_prefix())  # `verb NAME` is `python -m workflow_src NAME`


include: "rules/targets.smk"
include: "rules/data.smk"
include: "rules/training.smk"
include: "rules/tables.smk"


onsuccess:
    subprocess.run(T.after_success(), shell=True, check=False)


onerror:
    subprocess.run(T.after_error(), shell=True, check=False)
