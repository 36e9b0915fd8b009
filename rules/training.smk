"""Students: a model trained without context, under each condition and seed."""


rule train:
    input:
        source=source_of("training.train"),
        model=layout.model(),
        examples=layout.task("train.parquet"),
        targets=inputs.targets_read,
        teacher_models=inputs.teaching_models,
        shards=ancient(inputs.shards_read),
    output:
        checkpoints=layout.run("checkpoints/manifest.json"),
        log_table=layout.run("training_log.csv"),
        cost=layout.run("cost.json"),
    log:
        layout.log("train", "model", "task", "condition", "seed"),
    benchmark:
        layout.benchmark("train", "model", "task", "condition", "seed")
    conda:
        ENVIRONMENT
    threads: threads_of("training")
    resources:
        **asks("training", gpu=True),
    params:
        settings=run_slice,
        run=subpath(output.cost, parent=True),
    message:
        "train {wildcards.condition}, seed {wildcards.seed} ({wildcards.model}, {wildcards.task})"
    shell:
        program(
            "training.train",
            process_per_gpu=True,
            params="settings run",
            input="model examples targets teacher_models",
        )
