"""What the predictions show: tables of each model on each task, then of the experiment."""


rule summarise:
    message:
        "summarise {wildcards.model} on {wildcards.task}"
    input:
        source=source_of("analysis.summarise"),
        predictions=[*base_files("predictions.parquet"), *run_files("predictions.parquet")],
        costs=run_files("cost.json"),
    output:
        summary=of_pair("summary.csv"),
        cost=of_pair("cost.csv"),
    params:
        settings=analysis_slice,
        index=result_index,
    threads: threads_of("analysis")
    resources:
        mem_mb=memory_of("analysis"),
        runtime=minutes_of("analysis"),
    log:
        log_of("summarise", "model", "task"),
    conda:
        ENVIRONMENT
    shell:
        launch("analysis.summarise")
        + " --settings {params.settings:q} --index {params.index:q}"
        " --output {output.summary:q} --cost {output.cost:q} > {log:q} 2>&1"


rule compare:
    message:
        "compare the conditions ({wildcards.model}, {wildcards.task})"
    input:
        source=source_of("analysis.compare"),
        predictions=[*base_files("predictions.parquet"), *run_files("predictions.parquet")],
    output:
        comparisons=of_pair("comparisons.csv"),
    params:
        settings=analysis_slice,
        index=result_index,
    threads: threads_of("analysis")
    resources:
        mem_mb=memory_of("analysis"),
        runtime=minutes_of("analysis"),
    log:
        log_of("compare", "model", "task"),
    conda:
        ENVIRONMENT
    shell:
        launch("analysis.compare")
        + " --settings {params.settings:q} --index {params.index:q}"
        " --output {output.comparisons:q} > {log:q} 2>&1"


rule cross:
    message:
        "find when training overtakes context ({wildcards.model}, {wildcards.task})"
    input:
        source=source_of("analysis.cross"),
        predictions=[*base_files("predictions.parquet"), *run_files("predictions.parquet")],
    output:
        crossover=of_pair("crossover.csv"),
    params:
        index=result_index,
    threads: threads_of("analysis")
    resources:
        mem_mb=memory_of("analysis"),
        runtime=minutes_of("analysis"),
    log:
        log_of("cross", "model", "task"),
    conda:
        ENVIRONMENT
    shell:
        launch("analysis.cross")
        + " --index {params.index:q} --output {output.crossover:q} > {log:q} 2>&1"


rule gather:
    message:
        "gather {wildcards.table}.csv"
    input:
        source=source_of("analysis.gather"),
        tables=pair_tables,
    output:
        table=report(
            result("{table}.csv"),
            caption=TABLE_CAPTION,
            category="Tables",
            labels={"table": "{table}"},
        ),
    threads: threads_of("analysis")
    resources:
        mem_mb=memory_of("analysis"),
        runtime=minutes_of("analysis"),
    log:
        log_of("gather", "table"),
    conda:
        ENVIRONMENT
    shell:
        launch("analysis.gather")
        + " --tables {input.tables:q} --output {output.table:q} > {log:q} 2>&1"


rule record_settings:
    message:
        "record the settings of {params.name}"
    input:
        source=source_of("analysis.record_settings"),
    output:
        settings=result("settings.json"),
    params:
        name=experiment.experiment,
        settings=experiment.identity_json(),
    threads: threads_of("analysis")
    resources:
        mem_mb=memory_of("analysis"),
        runtime=minutes_of("analysis"),
    log:
        log_of("record_settings"),
    conda:
        ENVIRONMENT
    shell:
        launch("analysis.record_settings")
        + " --settings {params.settings:q} --output {output.settings:q} > {log:q} 2>&1"
