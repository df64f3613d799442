"""What can be asked for beside `all`; `partial_tables` is in tables.smk."""


localrules:
    all,
    data,
    audit,
    rigs,
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


rule tables:
    input:
        T.table_files(),
