"""What each model gains from demonstrations in its context, before any training."""


rule complete_base:
    input:
        source=source_of("evaluation.complete_base"),
        model=layout.model(),
        demonstrations=layout.task("demonstrations.parquet"),
        validation=layout.task("validation.parquet"),
        test=layout.task("test.parquet"),
    output:
        completions=layout.base("completions.parquet"),
        cost=layout.base("inference.json"),
    log:
        layout.log("complete_base", "model", "task", "shots"),
    benchmark:
        layout.benchmark("complete_base", "model", "task", "shots")
    conda:
        ENVIRONMENT
    threads: threads_of("icl_gap")
    resources:
        **asks("icl_gap", gpu=True),
    params:
        settings=slices.completion,
    message:
        "answer {wildcards.task} with {wildcards.model} after {wildcards.shots} demonstrations"
    shell:
        program(
            "evaluation.complete_base",
            gpu=True,
            params="settings",
            input="model demonstrations validation test",
            output="completions cost",
        )
