"""What can be asked for beside `all`: `data` and `tables` (`partial_tables` is in tables.smk)."""


localrules:
    all,
    data,
    tables,


rule data:
    input:
        T.stores(),
        T.splits(),


rule tables:
    input:
        T.table_files(),
