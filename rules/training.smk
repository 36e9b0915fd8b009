"""Students: a model trained without context, under each condition and seed."""


rule train:
    input:
        source=source_of("training.train"),
        model=MODEL,
        examples=of_task("train.parquet"),
        signals=signals_of_condition,
        teacher_models=teacher_models_of_condition,
        parts=ancient(parts_of_condition),
    output:
        checkpoints=of_run("checkpoints/manifest.json"),
        log_table=of_run("training_log.csv"),
        cost=of_run("cost.json"),
    log:
        log_of("train", "model", "task", "condition", "seed"),
    benchmark:
        benchmark_of("train", "model", "task", "condition", "seed")
    conda:
        ENVIRONMENT
    threads: threads_of("training")
    resources:
        gpu=gpus_of("training"),
        mem_mb=memory_of("training"),
        runtime=minutes_of("training"),
    params:
        settings=run_slice,
        run=subpath(output.cost, parent=True),
    message:
        "train {wildcards.condition}, seed {wildcards.seed} ({wildcards.model}, {wildcards.task})"
    shell:
        distributed_command_of("training.train")
        + " --settings {params.settings:q} --model {input.model:q} --examples {input.examples:q}"
        " --signals {input.signals:q} --teacher-models {input.teacher_models:q}"
        " --run {params.run:q} > {log:q} 2>&1"
