"""From the scores of all cells to the tables of a paper."""


localrules:
    results,
    partial_tables,


rule results:
    input:
        T.every("metrics.json"),
        T.every("training.json"),
        T.splits(),
        T.audits(),
    output:
        f"{T.study}/results.csv",
    log:
        f"{T.study}/logs/results.log",
    benchmark:
        f"{T.study}/benchmarks/results.tsv"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        cells=T.plan_json(),
    shell:
        "verb results --plan {params.cells:q} > {log} 2>&1"


# A job of its own: intervals take up to half a minute and 800 MB per place of a million spans.
rule paper_tables:
    input:
        f"{T.study}/results.csv",
        T.every("predictions.h5"),
    output:
        T.table_files(),
    log:
        f"{T.study}/logs/paper_tables.log",
    benchmark:
        f"{T.study}/benchmarks/paper_tables.tsv"
    threads: 1
    resources:
        **T.light_resources(memory_mb=2000, minutes=60),
    params:
        cells=T.plan_json(),
        other_code=T.other_code,
    shell:
        "verb tables --plan {params.cells:q} > {log} 2>&1"


# No input and no output: tables of what exists, without pulling a retraining into the graph. No
# benchmark, whose file would say that they are made.
rule partial_tables:
    log:
        f"{T.study}/logs/partial_tables.log",
    threads: 1
    resources:
        mem_mb=1000,
    params:
        cells=T.plan_json(),
    shell:
        "verb tables --plan {params.cells:q} --partial 2>&1 | tee {log}"
