"""Weights, tokenizer and chat template of each model."""


rule fetch_model:
    input:
        source=source_of("models.fetch_model"),
    output:
        manifest=MODEL,
    log:
        log_of("fetch_model", "model"),
    benchmark:
        benchmark_of("fetch_model", "model")
    wildcard_constraints:
        model=one_of(FETCHED_MODELS),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("models")
    resources:
        mem_mb=memory_of("models"),
        runtime=minutes_of("models"),
    params:
        settings=model_slice,
        asked=features_asked,
    message:
        "fetch model {wildcards.model}"
    shell:
        command_of("models.fetch_model")
        + " --settings {params.settings:q} --asked {params.asked:q} --manifest {output.manifest:q} > {log:q} 2>&1"
