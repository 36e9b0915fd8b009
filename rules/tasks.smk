"""Examples of each task, in four disjoint splits, and how answers to them are scored."""


rule find_overflow:
    input:
        source=source_of("tasks.find_overflow"),
        data=data_files,
        models=study.inputs.models(),
    output:
        overflow=layout.task("overflow.json"),
    log:
        layout.log("find_overflow", "task"),
    benchmark:
        layout.benchmark("find_overflow", "task")
    wildcard_constraints:
        task=one_of(matrix.plain_tasks),
    conda:
        ENVIRONMENT
    threads: threads_of("tasks")
    resources:
        **asks("tasks"),
    params:
        settings=slices.overflow,
    message:
        "find items of {wildcards.task} that fit no context"
    shell:
        program("tasks.find_overflow", params="settings", input="models", output="overflow")


rule make_task:
    input:
        source=source_of("tasks.make_task"),
        data=data_files,
        overflow=inputs.overflow,
    output:
        splits=layout.splits(),
        manifest=layout.task("manifest.json"),
    log:
        layout.log("make_task", "task"),
    benchmark:
        layout.benchmark("make_task", "task")
    wildcard_constraints:
        task=one_of(matrix.plain_tasks),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("tasks")
    resources:
        **asks("tasks"),
    params:
        settings=slices.data,
        scoring=without_rerun(slices.scoring),
        folder=subpath(output.manifest, parent=True),
    message:
        "make task {wildcards.task}"
    shell:
        # the check is no source: whether answers can be matched changes none of them, and what
        # scores them later checks them again
        in_turn(
            program("tasks.make_task", params="settings folder", input="overflow"),
            program("scoring.check_answers", params="scoring", output="splits"),
        )


rule mix_tasks:
    input:
        source=source_of("tasks.mix_tasks"),
        examples=inputs.examples_of_mixture,
    output:
        splits=layout.splits(),
        manifest=layout.task("manifest.json"),
    log:
        layout.log("mix_tasks", "task"),
    benchmark:
        layout.benchmark("mix_tasks", "task")
    wildcard_constraints:
        task=one_of(matrix.mixtures),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("tasks")
    resources:
        **asks("tasks"),
    params:
        settings=slices.data,
        folder=subpath(output.manifest, parent=True),
    message:
        "mix task {wildcards.task}"
    shell:
        program("tasks.mix_tasks", params="settings folder", input="examples")


rule score:
    input:
        source=source_of("scoring.score"),
        completions=layout.answers("completions.parquet"),
        validation=inputs.validation,
        test=inputs.test,
        reference=inputs.agreed,
    output:
        predictions=layout.answers("predictions.parquet"),
    log:
        layout.log("score", "model", "task", "result"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("tasks")
    resources:
        **asks("tasks"),
    params:
        settings=slices.predictions,
    message:
        "score {wildcards.result} ({wildcards.model}, {wildcards.task})"
    shell:
        program(
            "scoring.score",
            params="settings",
            input="completions validation test reference",
            output="predictions",
        )


rule import_results:
    input:
        source=source_of("scoring.import_results"),
        file=foreign_file,
        test=layout.task("test.parquet"),
    output:
        predictions=layout.foreign("predictions.parquet"),
        origin=layout.foreign("origin.json"),
    log:
        layout.log("import_results", "model", "task", "foreign", "number"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("tasks")
    resources:
        **asks("tasks"),
    params:
        settings=slices.foreign,
    message:
        "read {wildcards.foreign}, file {wildcards.number} ({wildcards.model}, {wildcards.task})"
    shell:
        program(
            "scoring.import_results",
            params="settings",
            input="file test",
            output="predictions origin",
        )


use rule score as score_transfers with:
    input:
        source=source_of("scoring.score"),
        completions=layout.transfer("completions.parquet"),
        validation=inputs.validation_elsewhere,
        test=inputs.test_elsewhere,
        reference=inputs.agreed_elsewhere,
    output:
        predictions=layout.transfer("predictions.parquet"),
    log:
        layout.log("score_transfers", "model", "task", "condition", "{seed}{draw}"),
    params:
        settings=slices.predictions_elsewhere,
    message:
        "score {wildcards.condition}, seed {wildcards.seed}{wildcards.draw}, on other tasks"
        " ({wildcards.model}, {wildcards.task})"
