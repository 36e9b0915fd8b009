"""Values for fields of a condition, found on validation items; made when asked for by name."""


rule search:
    input:
        source=source_of("search.search"),
        model=searched_path(MODEL),
        examples=searched_path(of_task("train.parquet")),
        validation=searched_path(of_task("validation.parquet")),
        signals=searched(signals_of_condition),
        teacher_models=searched(teacher_models_of_condition),
        parts=ancient(searched(parts_of_condition)),
    output:
        trials=of_search("trials.csv"),
        best=of_search("best.yaml"),
    log:
        log_of("search", "search"),
    benchmark:
        benchmark_of("search", "search")
    conda:
        ENVIRONMENT
    threads: searched(threads_of("training"))
    resources:
        gpu=devices_of_search,
        mem_mb=searched(memory_of("training")),
        runtime=minutes_of_search,
    params:
        settings=search_slice,
    message:
        "search {wildcards.search}"
    shell:
        gpu_command_of("search.search")
        + " --settings {params.settings:q} --model {input.model:q} --examples {input.examples:q}"
        " --validation {input.validation:q} --signals {input.signals:q}"
        " --teacher-models {input.teacher_models:q} --trials {output.trials:q}"
        " --best {output.best:q} > {log:q} 2>&1"
