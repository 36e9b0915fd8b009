"""Every checkpoint of every run on the same items, and chosen ones on other tasks."""


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
        steps=steps_of_run,
    message:
        "evaluate the checkpoints of {wildcards.condition}, seed {wildcards.seed}"
        " ({wildcards.model}, {wildcards.task})"
    shell:
        gpu_command_of("evaluation.complete")
        + " --settings {params.settings:q} --model {input.model:q}"
        " --checkpoints {input.checkpoints:q} --steps {params.steps}"
        " --untouched {input.untouched:q}"
        " --validation {input.validation:q} --test {input.test:q}"
        " --output {output.completions:q} > {log:q} 2>&1"


rule transfer:
    input:
        source=source_of("evaluation.transfer"),
        model=MODEL,
        checkpoints=trained_on_source("checkpoints/manifest.json"),
        chosen_on=trained_on_source("predictions.parquet"),
        untouched=of_pair("icl/0-shot/completions.parquet"),
        validation=of_task("validation.parquet"),
        test=of_task("test.parquet"),
    output:
        completions=of_transfer("completions.parquet"),
    log:
        log_of("transfer", "model", "task", "source", "condition", "seed"),
    benchmark:
        benchmark_of("transfer", "model", "task", "source", "condition", "seed")
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
        "evaluate {wildcards.condition}, seed {wildcards.seed}, trained on {wildcards.source}"
        " ({wildcards.model}, {wildcards.task})"
    shell:
        gpu_command_of("evaluation.transfer")
        + " --settings {params.settings:q} --model {input.model:q}"
        " --checkpoints {input.checkpoints:q} --chosen-on {input.chosen_on:q}"
        " --untouched {input.untouched:q} --validation {input.validation:q}"
        " --test {input.test:q} --output {output.completions:q} > {log:q} 2>&1"
