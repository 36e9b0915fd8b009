"""What the predictions show: tables of each model on each task, then of the experiment."""


rule summarise:
    input:
        source=source_of("analysis.summarise"),
        predictions=answers_of_pair,
        costs=costs_of_pair,
    output:
        summary=of_pair("summary.csv"),
        cost=of_pair("cost.csv"),
    log:
        log_of("summarise", "model", "task"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        mem_mb=memory_of("analysis"),
        runtime=minutes_of("analysis"),
    params:
        settings=analysis_slice,
        results=result_names,
        index=answer_and_cost_index,
    message:
        "summarise {wildcards.model} on {wildcards.task}"
    shell:
        command_of("analysis.summarise")
        + " --settings {params.settings:q} --index {params.index:q}"
        " --output {output.summary:q} --cost {output.cost:q} > {log:q} 2>&1"


rule compare:
    input:
        source=source_of("analysis.compare"),
        predictions=answers_of_pair,
    output:
        comparisons=of_pair("comparisons.csv"),
    log:
        log_of("compare", "model", "task"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        mem_mb=memory_of("analysis"),
        runtime=minutes_of("analysis"),
    params:
        settings=analysis_slice,
        results=result_names,
        index=answer_index,
    message:
        "compare the conditions ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("analysis.compare") + " --settings {params.settings:q} --index {params.index:q}"
        " --output {output.comparisons:q} > {log:q} 2>&1"


rule cross:
    input:
        source=source_of("analysis.cross"),
        predictions=answers_of_pair,
    output:
        crossover=of_pair("crossover.csv"),
    log:
        log_of("cross", "model", "task"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        mem_mb=memory_of("analysis"),
        runtime=minutes_of("analysis"),
    params:
        results=result_names,
        index=answer_index,
    message:
        "find when training overtakes context ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("analysis.cross")
        + " --index {params.index:q} --output {output.crossover:q} > {log:q} 2>&1"


rule describe_signals:
    input:
        source=source_of("analysis.describe_signals"),
        manifests=signals_of_pair,
    output:
        signals=of_pair("signals.csv"),
    log:
        log_of("describe_signals", "model", "task"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        mem_mb=memory_of("analysis"),
        runtime=minutes_of("analysis"),
    params:
        signals=signal_names,
        index=signal_index,
    message:
        "describe the signals ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("analysis.describe_signals")
        + " --index {params.index:q} --output {output.signals:q} > {log:q} 2>&1"


rule gather:
    input:
        source=source_of("analysis.gather"),
        tables=pair_tables,
    output:
        table=report(
            result("{table}.csv"),
            caption=CAPTION,
            category="Tables",
            labels={"table": "{table}"},
        ),
    log:
        log_of("gather", "table"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        mem_mb=memory_of("analysis"),
        runtime=minutes_of("analysis"),
    params:
        caption=table_caption,
    message:
        "gather {wildcards.table}.csv"
    shell:
        command_of("analysis.gather")
        + " --tables {input.tables:q} --output {output.table:q} > {log:q} 2>&1"


rule record_settings:
    input:
        source=source_of("analysis.record_settings"),
    output:
        settings=result("settings.json"),
    log:
        log_of("record_settings"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        mem_mb=memory_of("analysis"),
        runtime=minutes_of("analysis"),
    params:
        name=experiment.experiment,
        settings=experiment_identity,
    message:
        "record the settings of {params.name}"
    shell:
        command_of("analysis.record_settings")
        + " --settings {params.settings:q} --output {output.settings:q} > {log:q} 2>&1"
