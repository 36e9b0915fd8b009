"""Examples of each task, in four disjoint splits, and how answers to them are scored."""


rule find_overflow:
    input:
        source=source_of("tasks.find_overflow"),
        data=local_task_files,
        models=expand(MODEL, model=experiment.models),
    output:
        overflow=of_task("overflow.json"),
    log:
        log_of("find_overflow", "task"),
    benchmark:
        benchmark_of("find_overflow", "task")
    wildcard_constraints:
        task=one_of(PLAIN_TASKS),
    conda:
        ENVIRONMENT
    threads: threads_of("tasks")
    resources:
        mem_mb=memory_of("tasks"),
        runtime=minutes_of("tasks"),
    params:
        settings=overflow_slice,
    message:
        "find items of {wildcards.task} that fit no context"
    shell:
        command_of("tasks.find_overflow")
        + " --settings {params.settings:q} --models {input.models:q}"
        " --output {output.overflow:q} > {log:q} 2>&1"


rule make_task:
    input:
        source=source_of("tasks.make_task"),
        data=local_task_files,
        overflow=overflow_of_task,
    output:
        splits=[of_task(f"{split}.parquet") for split in SPLITS],
        manifest=of_task("manifest.json"),
    log:
        log_of("make_task", "task"),
    benchmark:
        benchmark_of("make_task", "task")
    wildcard_constraints:
        task=one_of(PLAIN_TASKS),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("tasks")
    resources:
        mem_mb=memory_of("tasks"),
        runtime=minutes_of("tasks"),
    params:
        settings=data_slice,
        scoring=scoring_without_rerun,
        folder=subpath(output.manifest, parent=True),
    message:
        "make task {wildcards.task}"
    shell:
        # the check is no source: whether answers can be matched changes none of them, and what
        # scores them later checks them again
        "python -m workflow_scripts.tasks.make_task"
        " --settings {params.settings:q} --overflow {input.overflow:q}"
        " --output-dir {params.folder:q} > {log:q} 2>&1 && "
        + command_of("tasks.check_answers")
        + " --settings {params.scoring:q} --examples {output.splits:q} >> {log:q} 2>&1"


rule mix_tasks:
    input:
        source=source_of("tasks.mix_tasks"),
        examples=examples_of_mixture,
    output:
        splits=[of_task(f"{split}.parquet") for split in SPLITS],
        manifest=of_task("manifest.json"),
    log:
        log_of("mix_tasks", "task"),
    benchmark:
        benchmark_of("mix_tasks", "task")
    wildcard_constraints:
        task=one_of(experiment.mixtures),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("tasks")
    resources:
        mem_mb=memory_of("tasks"),
        runtime=minutes_of("tasks"),
    params:
        settings=data_slice,
        folder=subpath(output.manifest, parent=True),
    message:
        "mix task {wildcards.task}"
    shell:
        command_of("tasks.mix_tasks")
        + " --settings {params.settings:q} --examples {input.examples:q}"
        " --output-dir {params.folder:q} > {log:q} 2>&1"


rule score:
    input:
        source=source_of("tasks.score"),
        completions=of_answerer("completions.parquet"),
        examples=[of_task("validation.parquet"), of_task("test.parquet")],
    output:
        predictions=of_answerer("predictions.parquet"),
    log:
        log_of("score", "model", "task", "answerer"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("tasks")
    resources:
        mem_mb=memory_of("tasks"),
        runtime=minutes_of("tasks"),
    params:
        settings=scoring_slice,
    message:
        "score {wildcards.answerer} ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("tasks.score")
        + " --settings {params.settings:q} --completions {input.completions:q}"
        " --examples {input.examples:q} --output {output.predictions:q} > {log:q} 2>&1"
