"""Every checkpoint of every run on the same items."""


rule complete:
    input:
        source=source_of("evaluation.complete"),
        model=MODEL,
        checkpoints=of_run("checkpoints/manifest.json"),
        untouched=of_pair("icl/0-shot/completions.parquet"),
        validation=of_task("validation.parquet"),
        test=of_task("test.parquet"),
    output:
        completions=of_run("completions.parquet"),
    log:
        log_of("complete", "model", "task", "condition", "seed"),
    benchmark:
        benchmark_of("complete", "model", "task", "condition", "seed")
    conda:
        ENVIRONMENT
    threads: threads_of("evaluation")
    resources:
        gpu=gpus_of("evaluation"),
        mem_mb=memory_of("evaluation"),
        runtime=minutes_of("evaluation"),
    params:
        settings=completion_slice,
    message:
        "evaluate the checkpoints of {wildcards.condition}, seed {wildcards.seed}"
        " ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("evaluation.complete")
        + " --settings {params.settings:q} --model {input.model:q}"
        " --checkpoints {input.checkpoints:q} --untouched {input.untouched:q}"
        " --validation {input.validation:q} --test {input.test:q}"
        " --output {output.completions:q} > {log:q} 2>&1"
