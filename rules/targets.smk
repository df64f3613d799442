"""What can be asked for beside `all`: `data`, `audit` and `tables` (`partial_tables` is in tables.smk)."""


localrules:
    all,
    data,
    audit,
    tables,


rule data:
    input:
        T.stores(),
        T.splits(),


rule audit:
    input:
        T.audits(),


rule tables:
    input:
        T.table_files(),
