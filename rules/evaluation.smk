"""Every checkpoint of every run on the same items; chosen ones on other tasks, one twice."""


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
        cost=of_run("inference.json"),
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
        " --output {output.completions:q} --cost {output.cost:q} > {log:q} 2>&1"


rule transfer:
    input:
        source=source_of("evaluation.transfer"),
        model=MODEL,
        checkpoints=trained_on_source("checkpoints/manifest.json"),
        chosen_on=trained_on_source("predictions.parquet"),
        demonstrations=of_task("demonstrations.parquet"),
        untouched=of_base("completions.parquet"),
        validation=of_task("validation.parquet"),
        test=of_task("test.parquet"),
    output:
        completions=of_transfer("completions.parquet"),
    log:
        log_of("transfer", "model", "task", "source", "condition", "seed", "shots"),
    benchmark:
        benchmark_of("transfer", "model", "task", "source", "condition", "seed", "shots")
    conda:
        ENVIRONMENT
    threads: threads_of("evaluation")
    resources:
        gpu=gpus_of("evaluation"),
        mem_mb=memory_of("evaluation"),
        runtime=minutes_of("evaluation"),
    params:
        settings=icl_slice,
    message:
        "evaluate {wildcards.condition}, seed {wildcards.seed}, trained on {wildcards.source},"
        " after {wildcards.shots} demonstrations ({wildcards.model}, {wildcards.task})"
    shell:
        gpu_command_of("evaluation.transfer")
        + " --settings {params.settings:q} --model {input.model:q}"
        " --checkpoints {input.checkpoints:q} --chosen-on {input.chosen_on:q}"
        " --demonstrations {input.demonstrations:q} --untouched {input.untouched:q}"
        " --validation {input.validation:q} --test {input.test:q}"
        " --output {output.completions:q} > {log:q} 2>&1"


rule repeat:
    input:
        source=source_of("evaluation.repeat"),
        model=MODEL,
        checkpoints=of_run("checkpoints/manifest.json"),
        chosen_on=of_run("predictions.parquet"),
        test=of_task("test.parquet"),
    output:
        completions=of_repeat("completions.parquet"),
    log:
        log_of("repeat", "model", "task", "condition", "seed"),
    benchmark:
        benchmark_of("repeat", "model", "task", "condition", "seed")
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
        "evaluate {wildcards.condition}, seed {wildcards.seed}, a second time"
        " ({wildcards.model}, {wildcards.task})"
    shell:
        gpu_command_of("evaluation.repeat")
        + " --settings {params.settings:q} --model {input.model:q}"
        " --checkpoints {input.checkpoints:q} --chosen-on {input.chosen_on:q}"
        " --test {input.test:q} --output {output.completions:q} > {log:q} 2>&1"


rule represent:
    input:
        source=source_of("evaluation.represent"),
        model=MODEL,
        checkpoints=of_run("checkpoints/manifest.json"),
        demonstrations=of_task("demonstrations.parquet"),
        examples=represented_items,
    output:
        representations=of_run("representations.parquet"),
        similarity=of_run("similarity.csv"),
    log:
        log_of("represent", "model", "task", "condition", "seed"),
    benchmark:
        benchmark_of("represent", "model", "task", "condition", "seed")
    conda:
        ENVIRONMENT
    threads: threads_of("evaluation")
    resources:
        gpu=gpus_of("evaluation"),
        mem_mb=memory_of("evaluation"),
        runtime=minutes_of("evaluation"),
    params:
        settings=representation_slice,
        steps=steps_of_run,
    message:
        "read the hidden states of {wildcards.condition}, seed {wildcards.seed}"
        " ({wildcards.model}, {wildcards.task})"
    shell:
        gpu_command_of("evaluation.represent")
        + " --settings {params.settings:q} --model {input.model:q}"
        " --checkpoints {input.checkpoints:q} --steps {params.steps}"
        " --demonstrations {input.demonstrations:q} --examples {input.examples:q}"
        " --output {output.representations:q} --similarity {output.similarity:q}"
        " > {log:q} 2>&1"
