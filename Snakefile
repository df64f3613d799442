"""Trains every cell (dataset, model, task set, seed) as a target of its own; tables follow.

    <study>/results/<dataset>/<model>/<task_set>/seed<N>/   what a cell declares
    <study>/runs/<the same>/                                what survives its failures
    <study>/tables/                                         what goes into the paper
    data/<rig>/, data/<dataset>/                            recordings and splits, for all studies

Rules are in rules/; workflow_src/start.py answers with the targets of a run (targets.py).
"""

import sys

from snakemake.utils import min_version

min_version("9.27")
sys.path.insert(0, workflow.basedir)

from workflow_src import closing, rule_shell, start

if workflow.is_main_process:

    configfile: f"{workflow.basedir}/config/config.yaml"


T = start.of_workflow(workflow, config)


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


shell.prefix(rule_shell.prefix(T.configuration, T.basedir))  # defines `verb`


include: "rules/targets.smk"
include: "rules/data.smk"
include: "rules/training.smk"
include: "rules/tables.smk"


onstart:
    T.keep()


onsuccess:
    closing.show_tables(T)


onerror:
    closing.sum_up(T, log)
