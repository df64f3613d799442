"""What can be asked for beside `all`; `partial_tables` is in tables.smk."""


localrules:
    all,
    data,
    audit,
    rigs,
    forecasts,
    plan,
    tables,


rule data:
    input:
        T.stores(),
        T.splits(),
        T.pages(),


rule rigs:
    input:
        T.pages(),


rule audit:
    input:
        T.audits(),


rule forecasts:
    input:
        T.forecasts(),


# No output: a plan is of the moment.
rule plan:
    input:
        T.forecasts(),
    log:
        f"{T.study}/logs/plan.log",
    benchmark:
        f"{T.study}/benchmarks/plan.tsv"
    threads: 1
    resources:
        mem_mb=500,
    shell:
        "verb plan 2>&1 | tee {log}"


rule tables:
    input:
        T.table_files(),
