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


# A plan is of the moment: no output, and no benchmark, whose file would say that it is made.
rule plan:
    input:
        T.forecasts(),
    log:
        f"{T.study}/logs/plan.log",
    threads: 1
    resources:
        mem_mb=500,
    shell:
        f"verb plan --jobs {T.side_by_side} 2>&1 | tee {{log}}"


rule tables:
    input:
        T.table_files(),
