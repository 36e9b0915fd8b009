"""What the predictions show: tables of each model on each task, then of the experiment."""


rule summarise:
    input:
        source=source_of("analysis.summarise"),
        predictions=answers_of_pair,
    output:
        summary=of_pair("summary.csv"),
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
        index=answer_index,
    message:
        "summarise {wildcards.model} on {wildcards.task}"
    shell:
        command_of("analysis.summarise")
        + " --settings {params.settings:q} --index {params.index:q}"
        " --output {output.summary:q} > {log:q} 2>&1"


# apart from the summary: what a repeated job costs differs, what it answers does not
rule measure_cost:
    input:
        source=source_of("analysis.measure_cost"),
        costs=costs_of_pair,
        inferences=inferences_of_pair,
    output:
        cost=of_pair("cost.csv"),
    log:
        log_of("measure_cost", "model", "task"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        mem_mb=memory_of("analysis"),
        runtime=minutes_of("analysis"),
    params:
        results=own_names,
        index=cost_index,
    message:
        "measure the cost ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("analysis.measure_cost")
        + " --index {params.index:q} --output {output.cost:q} > {log:q} 2>&1"


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
        families=family_slices,
        results=result_names,
        index=answer_index,
    message:
        "compare the results ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("analysis.compare")
        + " --settings {params.settings:q} --families {params.families:q}"
        " --index {params.index:q} --output {output.comparisons:q} > {log:q} 2>&1"


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
        settings=analysis_slice,
        results=result_names,
        index=answer_index,
    message:
        "find when training overtakes context ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("analysis.cross") + " --settings {params.settings:q} --index {params.index:q}"
        " --output {output.crossover:q} > {log:q} 2>&1"


rule measure_labels:
    input:
        source=source_of("analysis.measure_labels"),
        predictions=answers_of_pair,
        examples=of_task("test.parquet"),
    output:
        labels=of_pair("labels.csv"),
    log:
        log_of("measure_labels", "model", "task"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        mem_mb=memory_of("analysis"),
        runtime=minutes_of("analysis"),
    params:
        settings=analysis_slice,
        labels=task_labels,
        results=result_names,
        index=answer_index,
    message:
        "measure the accuracy of each label ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("analysis.measure_labels")
        + " --settings {params.settings:q} --labels {params.labels:q} --index {params.index:q}"
        " --examples {input.examples:q} --output {output.labels:q} > {log:q} 2>&1"


rule measure_domains:
    input:
        source=source_of("analysis.measure_domains"),
        predictions=answers_of_domains,
    output:
        domains=of_model("domains.csv"),
    log:
        log_of("measure_domains", "model"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        mem_mb=memory_of("analysis"),
        runtime=minutes_of("analysis"),
    params:
        settings=analysis_slice,
        domains=domain_slices,
        results=domain_names,
        index=domain_index,
    message:
        "measure runs on mixtures in and out of domain ({wildcards.model})"
    shell:
        command_of("analysis.measure_domains")
        + " --settings {params.settings:q} --domains {params.domains:q}"
        " --index {params.index:q} --output {output.domains:q} > {log:q} 2>&1"


rule measure_training:
    input:
        source=source_of("analysis.measure_training"),
        predictions=answers_of_pair,
        logs=logs_of_pair,
    output:
        optimisation=of_pair("optimisation.csv"),
    log:
        log_of("measure_training", "model", "task"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        mem_mb=memory_of("analysis"),
        runtime=minutes_of("analysis"),
    params:
        settings=analysis_slice,
        results=result_names,
        index=answer_and_log_index,
    message:
        "measure what training gave, and how steadily ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("analysis.measure_training")
        + " --settings {params.settings:q} --index {params.index:q}"
        " --output {output.optimisation:q} > {log:q} 2>&1"


rule measure_noise:
    input:
        source=source_of("analysis.measure_noise"),
        predictions=answers_evaluated_twice,
        repeated=answers_repeated,
    output:
        noise=of_pair("noise.csv"),
    log:
        log_of("measure_noise", "model", "task"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        mem_mb=memory_of("analysis"),
        runtime=minutes_of("analysis"),
    params:
        index=twice_evaluated_index,
        repeated_index=repeated_index,
    message:
        "measure the noise of evaluation ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("analysis.measure_noise")
        + " --index {params.index:q} --repeated-index {params.repeated_index:q}"
        " --output {output.noise:q} > {log:q} 2>&1"


rule measure_drift:
    input:
        source=source_of("analysis.measure_drift"),
        representations=representations_of_pair,
        similarities=similarities_of_pair,
    output:
        drift=of_pair("drift.csv"),
        comparisons=of_pair("drift_comparisons.csv"),
    log:
        log_of("measure_drift", "model", "task"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        mem_mb=memory_of("analysis"),
        runtime=minutes_of("analysis"),
    params:
        settings=analysis_slice,
        results=represented_names,
        index=representation_index,
    message:
        "measure how far training moved the hidden states ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("analysis.measure_drift")
        + " --settings {params.settings:q} --index {params.index:q}"
        " --output {output.drift:q} --comparisons {output.comparisons:q} > {log:q} 2>&1"


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
        tables=gathered_tables,
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
