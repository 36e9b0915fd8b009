"""Weights, tokenizer and chat template of each model."""


rule fetch_model:
    input:
        source=source_of("models.fetch_model"),
        files=model_files,
    output:
        manifest=layout.model(),
    log:
        layout.log("fetch_model", "model"),
    benchmark:
        layout.benchmark("fetch_model", "model")
    wildcard_constraints:
        model=one_of(matrix.fetched_models),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("models")
    resources:
        **asks("models"),
    params:
        settings=slices.model,
        asked=without_rerun(slices.features_asked),
    message:
        "fetch model {wildcards.model}"
    shell:
        program("models.fetch_model", params="settings asked", output="manifest")
