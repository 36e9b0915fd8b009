"""Students: a model trained without context, under each condition and seed."""


rule train:
    input:
        source=source_of("training.train"),
        model=layout.model(),
        examples=runs.examples,
        targets=runs.targets,
        teacher_models=runs.teaching_models,
    output:
        checkpoints=layout.run("checkpoints/manifest.json"),
        log_table=layout.run("training_log.csv"),
        cost=layout.run("cost.json"),
    log:
        layout.log("train", "model", "task", "condition", "{seed}{draw}"),
    benchmark:
        layout.benchmark("train", "model", "task", "condition", "{seed}{draw}")
    wildcard_constraints:
        condition=one_of(study.supervision.at_once),
    conda:
        ENVIRONMENT
    threads: threads_of("training")
    resources:
        **asks("training", gpu=True),
    params:
        settings=run_slice,
        run=subpath(output.cost, parent=True),
        tracking=tracking,
    message:
        "train {wildcards.condition}, seed {wildcards.seed}{wildcards.draw}"
        " ({wildcards.model}, {wildcards.task})"
    shell:
        program(
            "training.train",
            process_per_gpu=True,
            params="settings run tracking",
            input="model examples targets teacher_models",
        )


rule train_round:
    input:
        source=source_of("training.train_round"),
        model=layout.model(),
        examples=runs.examples,
        targets=runs.targets,
        teacher_models=runs.teaching_models,
        earlier=runs.earlier,
    output:
        checkpoints=layout.round("checkpoints/manifest.json"),
        log_table=layout.round("training_log.csv"),
        cost=layout.round("cost.json"),
    log:
        layout.log("train_round", "model", "task", "condition", "{seed}{draw}", "round"),
    benchmark:
        layout.benchmark("train_round", "model", "task", "condition", "{seed}{draw}", "round")
    wildcard_constraints:
        condition=one_of(study.supervision.in_rounds),
    conda:
        ENVIRONMENT
    threads: threads_of("training")
    resources:
        **asks("training", gpu=True),
    params:
        settings=slices.run,
        run=subpath(output.cost, parent=True),
        tracking=tracking,
        round=lambda wildcards: wildcards.round,
    message:
        "train round {params.round} of {wildcards.condition}, seed {wildcards.seed}{wildcards.draw}"
        " ({wildcards.model}, {wildcards.task})"
    shell:
        program(
            "training.train_round",
            process_per_gpu=True,
            params="settings run round tracking",
            input="model examples targets teacher_models earlier",
        )


use rule train_round as train_last_round with:
    output:
        checkpoints=layout.run("checkpoints/manifest.json"),
        log_table=layout.run("training_log.csv"),
        cost=layout.run("cost.json"),
    log:
        layout.log("train_last_round", "model", "task", "condition", "{seed}{draw}"),
    benchmark:
        layout.benchmark("train_last_round", "model", "task", "condition", "{seed}{draw}")
    params:
        settings=run_slice,
        run=subpath(output.cost, parent=True),
        tracking=tracking,
        round=runs.last_round,
