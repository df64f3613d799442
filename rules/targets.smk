"""What can be asked for beside `all`; `partial_tables` is in tables.smk."""


localrules:
    all,
    data,
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


rule tables:
    input:
        T.table_files(),
