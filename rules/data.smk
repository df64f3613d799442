"""Recordings of a rig and splits of a dataset, shared by all studies."""


localrules:
    built,  # it fetches files: nodes often have no network


rule built:
    output:
        "data/{rig}/built.json",
    log:
        "data/logs/{rig}.built.log",
    benchmark:
        "data/benchmarks/{rig}.built.tsv"
    retries: 0  # the package has tried each address again; missing files stay missing
    threads: 1
    resources:
        **T.light_resources(memory_mb=2000, minutes=720),
    params:
        rig=T.rig_json,
    shell:
        'verb built --name {wildcards.rig} --rig {params.rig:q} "${{sources[@]}}" > {log} 2>&1'


rule recordings:
    input:
        T.parts_of,
        T.built_of,
    output:
        store="data/{rig}/recordings.h5",
        table="data/{rig}/recordings.csv",
        manifest="data/{rig}/manifest.json",
    log:
        "data/logs/{rig}.recordings.log",
    benchmark:
        "data/benchmarks/{rig}.recordings.tsv"
    threads: 1
    resources:
        **T.light_resources(memory_mb=2000, minutes=60),
    params:
        rig=T.rig_json,
    shell:
        'verb recordings --name {wildcards.rig} --rig {params.rig:q} "${{sources[@]}}" > {log} 2>&1'


rule rig_page:
    input:
        "data/{rig}/recordings.h5",
        "data/{rig}/recordings.csv",
        "data/{rig}/manifest.json",
    output:
        "data/{rig}/rig.html",
    log:
        "data/logs/{rig}.page.log",
    benchmark:
        "data/benchmarks/{rig}.page.tsv"
    threads: 1
    resources:
        **T.light_resources(memory_mb=2000, minutes=60),
    params:
        page=T.page_json,
    shell:
        "verb rig {wildcards.rig} --page {params.page:q} > {log} 2>&1"


# An error where parts share content, so that nothing is trained on such a split.
rule split:
    input:
        store=T.store_of,
        table=T.table_of,
    output:
        table="data/{dataset}/split.csv",
        facts="data/{dataset}/split.json",
        audit="data/{dataset}/audit.json",
    log:
        "data/logs/{dataset}.split.log",
    benchmark:
        "data/benchmarks/{dataset}.split.tsv"
    threads: 1
    resources:
        **T.light_resources(memory_mb=2000, minutes=60),
    params:
        split=T.split_json,
    shell:
        'verb split --name {wildcards.dataset} --dataset {params.split:q} "${{sources[@]}}"'
        " > {log} 2>&1"


# As models see the spans: those of the test part with their noise, which no seed decides.
rule features:
    input:
        store=T.store_of,
        split="data/{dataset}/split.csv",
    output:
        "data/{dataset}/features.h5",
    log:
        "data/logs/{dataset}.features.log",
    benchmark:
        "data/benchmarks/{dataset}.features.tsv"
    threads: 1
    resources:
        **T.light_resources(memory_mb=2000, minutes=60),
    params:
        features=T.features_json,
    shell:
        "verb features {wildcards.dataset} --features {params.features:q} > {log} 2>&1"
