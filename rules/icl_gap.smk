"""What each model gains from demonstrations in its context, before any training."""


rule complete_base:
    input:
        source=source_of("evaluation.complete_base"),
        model=layout.model(),
        demonstrations=layout.task("demonstrations.parquet"),
        validation=inputs.validation,
        test=inputs.test,
    output:
        completions=layout.base("completions.parquet"),
        cost=layout.base("inference.json"),
    log:
        layout.log("complete_base", "model", "task", "{shots}-shot{draw}"),
    benchmark:
        layout.benchmark("complete_base", "model", "task", "{shots}-shot{draw}")
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


use rule complete_base as complete_teacher with:
    output:
        completions=layout.teacher("completions.parquet"),
        cost=layout.teacher("inference.json"),
    log:
        layout.log("complete_teacher", "model", "task", "{teacher}{draw}"),
    benchmark:
        layout.benchmark("complete_teacher", "model", "task", "{teacher}{draw}")
    params:
        settings=slices.teacher_completion,
    message:
        "answer {wildcards.task} as the {wildcards.teacher} teacher ({wildcards.model})"
