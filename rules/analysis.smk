"""What the predictions show: tables of each model on each task, then of the experiment."""


rule summarise:
    input:
        source=source_of("tables.summarise"),
        predictions=inputs.results.files("predictions"),
    output:
        summary=layout.pair("summary.csv"),
    log:
        layout.log("summarise", "model", "task"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        **asks("analysis"),
    params:
        settings=slices.analysis,
        results=inputs.results.names,
        index=inputs.results.index("predictions"),
    message:
        "summarise {wildcards.model} on {wildcards.task}"
    shell:
        command_of("tables.summarise") + " --settings {params.settings:q} --index {params.index:q}"
        " --output {output.summary:q} > {log:q} 2>&1"


# apart from the summary: what a repeated job costs differs, what it answers does not
rule measure_cost:
    input:
        source=source_of("tables.measure_cost"),
        costs=inputs.runs.files("cost"),
        inferences=inputs.own_results.files("inference"),
    output:
        cost=layout.pair("cost.csv"),
    log:
        layout.log("measure_cost", "model", "task"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        **asks("analysis"),
    params:
        results=inputs.own_results.names,
        index=inputs.own_results.index("cost", "inference"),
    message:
        "measure the cost ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("tables.measure_cost")
        + " --index {params.index:q} --output {output.cost:q} > {log:q} 2>&1"


rule compare:
    input:
        source=source_of("tables.compare"),
        predictions=inputs.results.files("predictions"),
    output:
        comparisons=layout.pair("comparisons.csv"),
    log:
        layout.log("compare", "model", "task"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        **asks("analysis"),
    params:
        settings=slices.analysis,
        groups=slices.comparisons,
        results=inputs.results.names,
        index=inputs.results.index("predictions"),
    message:
        "compare the results ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("tables.compare") + " --settings {params.settings:q} --groups {params.groups:q}"
        " --index {params.index:q} --output {output.comparisons:q} > {log:q} 2>&1"


rule cross:
    input:
        source=source_of("tables.cross"),
        predictions=inputs.results.files("predictions"),
    output:
        crossover=layout.pair("crossover.csv"),
    log:
        layout.log("cross", "model", "task"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        **asks("analysis"),
    params:
        settings=slices.analysis,
        results=inputs.results.names,
        index=inputs.results.index("predictions"),
    message:
        "find when training overtakes context ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("tables.cross") + " --settings {params.settings:q} --index {params.index:q}"
        " --output {output.crossover:q} > {log:q} 2>&1"


rule measure_labels:
    input:
        source=source_of("tables.measure_labels"),
        predictions=inputs.results.files("predictions"),
        examples=layout.task("test.parquet"),
    output:
        labels=layout.pair("labels.csv"),
    log:
        layout.log("measure_labels", "model", "task"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        **asks("analysis"),
    params:
        settings=slices.analysis,
        labels=slices.labels,
        results=inputs.results.names,
        index=inputs.results.index("predictions"),
    message:
        "measure the accuracy of each label ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("tables.measure_labels")
        + " --settings {params.settings:q} --labels {params.labels:q} --index {params.index:q}"
        " --examples {input.examples:q} --output {output.labels:q} > {log:q} 2>&1"


rule measure_domains:
    input:
        source=source_of("tables.measure_domains"),
        predictions=inputs.domain_results.files("predictions"),
    output:
        domains=layout.of_model("domains.csv"),
    log:
        layout.log("measure_domains", "model"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        **asks("analysis"),
    params:
        settings=slices.analysis,
        domains=slices.domains,
        results=inputs.domain_results.names,
        index=inputs.domain_results.index("predictions"),
    message:
        "measure runs on mixtures in and out of domain ({wildcards.model})"
    shell:
        command_of("tables.measure_domains")
        + " --settings {params.settings:q} --domains {params.domains:q}"
        " --index {params.index:q} --output {output.domains:q} > {log:q} 2>&1"


rule measure_training:
    input:
        source=source_of("tables.measure_training"),
        predictions=inputs.results.files("predictions"),
        logs=inputs.results.files("training_log"),
    output:
        optimisation=layout.pair("optimisation.csv"),
    log:
        layout.log("measure_training", "model", "task"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        **asks("analysis"),
    params:
        settings=slices.analysis,
        results=inputs.results.names,
        index=inputs.results.index("training_log", "predictions"),
    message:
        "measure what training gave, and how steadily ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("tables.measure_training")
        + " --settings {params.settings:q} --index {params.index:q}"
        " --output {output.optimisation:q} > {log:q} 2>&1"


rule measure_noise:
    input:
        source=source_of("tables.measure_noise"),
        predictions=inputs.repeated_runs.files("predictions"),
        repeated=inputs.repeats.files("predictions"),
    output:
        noise=layout.pair("noise.csv"),
    log:
        layout.log("measure_noise", "model", "task"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        **asks("analysis"),
    params:
        index=inputs.repeated_runs.index("predictions"),
        repeated_index=inputs.repeats.index("predictions"),
    message:
        "measure the noise of evaluation ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("tables.measure_noise")
        + " --index {params.index:q} --repeated-index {params.repeated_index:q}"
        " --output {output.noise:q} > {log:q} 2>&1"


rule measure_drift:
    input:
        source=source_of("tables.measure_drift"),
        representations=inputs.states.files("representations"),
        similarities=inputs.states.files("similarity"),
    output:
        drift=layout.pair("drift.csv"),
        comparisons=layout.pair("drift_comparisons.csv"),
    log:
        layout.log("measure_drift", "model", "task"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        **asks("analysis"),
    params:
        settings=slices.analysis,
        results=inputs.states.names,
        index=inputs.states.index("representations", "similarity"),
    message:
        "measure how far training moved the hidden states ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("tables.measure_drift")
        + " --settings {params.settings:q} --index {params.index:q}"
        " --output {output.drift:q} --comparisons {output.comparisons:q} > {log:q} 2>&1"


rule describe_targets:
    input:
        source=source_of("tables.describe_targets"),
        manifests=inputs.targets.files("manifest"),
    output:
        targets=layout.pair("targets.csv"),
    log:
        layout.log("describe_targets", "model", "task"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        **asks("analysis"),
    params:
        targets=inputs.targets.names,
        index=inputs.targets.index("manifest"),
    message:
        "describe the targets ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("tables.describe_targets")
        + " --index {params.index:q} --output {output.targets:q} > {log:q} 2>&1"


rule gather:
    input:
        source=source_of("tables.gather"),
        tables=catalog.tables_gathered,
    output:
        table=report(
            layout.result("{table}.csv"),
            caption=CAPTION,
            category="Tables",
            labels={"table": "{table}"},
        ),
    log:
        layout.log("gather", "table"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        **asks("analysis"),
    params:
        caption=catalog.table_caption,
    message:
        "gather {wildcards.table}.csv"
    shell:
        command_of("tables.gather")
        + " --tables {input.tables:q} --output {output.table:q} > {log:q} 2>&1"


rule record_settings:
    input:
        source=source_of("tables.record_settings"),
    output:
        settings=layout.result("settings.json"),
    log:
        layout.log("record_settings"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        **asks("analysis"),
    params:
        name=study.experiment.experiment,
        settings=slices.identity,
    message:
        "record the settings of {params.name}"
    shell:
        command_of("tables.record_settings")
        + " --settings {params.settings:q} --output {output.settings:q} > {log:q} 2>&1"
