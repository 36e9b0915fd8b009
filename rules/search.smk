"""Values for fields of a condition, found on validation items; made when asked for by name."""


rule search:
    input:
        source=source_of("search.search"),
        model=of_searched_run(inputs.model),
        examples=of_searched_run(runs.examples),
        validation=of_searched_run(inputs.validation),
        reference=of_searched_run(inputs.agreed),
        targets=of_searched_run(runs.targets),
        teacher_models=of_searched_run(runs.teaching_models),
    output:
        trials=layout.search("trials.csv"),
        best=layout.search("best.yaml"),
    log:
        layout.log("search", "search"),
    benchmark:
        layout.benchmark("search", "search")
    conda:
        ENVIRONMENT
    threads: threads_of("training")
    resources:
        **asks("training", gpu=True),
    params:
        settings=slices.search,
        tracking=tracking,
    message:
        "search {wildcards.search}"
    shell:
        program(
            "search.search",
            gpu=True,
            params="settings tracking",
            input="model examples validation targets teacher_models reference",
            output="trials best",
        )
