"""One cell: its resolved configuration, its training or baseline, its scores."""


localrules:
    cell,
    evaluate,


# The whole of what decides a cell's numbers is this one param: training reads the file it is
# written to and nothing else, so that an edit of the config cannot reach a job that waits. The
# scores of settings that are no more go with them: no table may show them if training fails.
rule cell:
    output:
        T.result("cell.json"),
    log:
        T.log("cell"),
    benchmark:
        T.benchmark("cell")
    threads: 1
    resources:
        mem_mb=100,
    params:
        resolved=T.cell_json,
    shell:
        "{{ rm -f $(dirname {output})/metrics.json"
        " && printf '%s\\n' {params.resolved:q} > {output}.writing"
        " && mv {output}.writing {output}; }} 2> {log}"


# Forecasts memory by tracing one step of each network; trains nothing.
rule forecast:
    input:
        store=T.store_of,
        split="data/{dataset}/split.csv",
    output:
        f"{T.study}/forecasts/{{dataset}}.json",
    log:
        f"{T.study}/logs/forecast/{{dataset}}.log",
    benchmark:
        f"{T.study}/benchmarks/forecast/{{dataset}}.tsv"
    threads: 1
    resources:
        **T.light_resources(memory_mb=2000, minutes=60),
    params:
        forecast=T.forecast_keys,
    shell:
        "verb forecasts {wildcards.dataset} > {log} 2>&1"


rule train:
    input:
        cell=T.result("cell.json"),
        store=T.store_of,
        split="data/{dataset}/split.csv",
        forecast=T.forecast_of,
    output:
        weights=T.result("model.safetensors"),
        predictions=T.result("predictions.h5"),
        report=T.result("training.json"),
    log:
        T.log("train"),
    benchmark:
        T.benchmark("train")
    wildcard_constraints:
        model=T.one_of(T.models("network")),
    threads: T.training_threads
    resources:
        **T.training_resources(),
    params:
        revision=T.prediction_revision(),
    shell:
        T.training_shell()


rule classic:
    input:
        cell=T.result("cell.json"),
        store=T.store_of,
        split="data/{dataset}/split.csv",
        features=T.features_of,
    output:
        predictions=T.result("predictions.h5"),
        report=T.result("training.json"),
    log:
        T.log("classic"),
    benchmark:
        T.benchmark("classic")
    wildcard_constraints:
        model=T.one_of(T.models("classic")),
    threads: 1
    resources:
        **T.light_resources(memory_mb=2000, minutes=60),
    params:
        revision=T.prediction_revision(),
    shell:
        "verb classic {input.cell} > {log} 2>&1"


rule evaluate:
    input:
        cell=T.result("cell.json"),
        predictions=T.result("predictions.h5"),
        features=T.reference_of,
    output:
        T.result("metrics.json"),
    log:
        T.log("evaluate"),
    benchmark:
        T.benchmark("evaluate")
    threads: 1
    resources:
        mem_mb=1000,
    params:
        revision=T.score_revision(),
    shell:
        "verb evaluate {input.cell} --features {input.features:q} > {log} 2>&1"
