"""What the predictions show: tables of each model on each task, then of the experiment."""


rule table:
    input:
        source=source_of_table,
        files=study.tables.files_read,
    output:
        table=layout.pair("{table}.csv"),
    log:
        layout.log("table", "table", "model", "task"),
    wildcard_constraints:
        table=one_of(study.tables.of_pair),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        **asks("analysis"),
    params:
        settings=study.tables.settings,
        results=study.tables.results,
        arguments=study.tables.arguments,
        does=without_rerun(tables.does),
    message:
        "{params.does} ({wildcards.model}, {wildcards.task})"
    shell:
        program("tables.{wildcards.table}", words="settings arguments")


use rule table as table_with_comparisons with:
    output:
        table=layout.pair("{table}.csv"),
        comparisons=layout.pair("{table}_comparisons.csv"),
    log:
        layout.log("table_with_comparisons", "table", "model", "task"),
    wildcard_constraints:
        table=one_of(study.tables.with_comparisons),


use rule table as table_of_model with:
    output:
        table=layout.of_model("{table}.csv"),
    log:
        layout.log("table_of_model", "table", "model"),
    wildcard_constraints:
        table=one_of(study.tables.of_model),
    message:
        "{params.does} ({wildcards.model})"


use rule table as choose_variants with:
    log:
        layout.log("choose_variants", "table", "model", "task"),
    wildcard_constraints:
        table=one_of(study.tables.choosing),


rule copy_chosen:
    input:
        source=source_of("tables.copy_chosen"),
        tuning=layout.choices(),
        predictions=inputs.candidate_runs.files("predictions"),
        training_logs=inputs.candidate_runs.files("training_log"),
        costs=inputs.candidate_runs.files("cost"),
        inferences=inputs.candidate_runs.files("inference"),
    output:
        predictions=layout.tuned("predictions.parquet"),
        training_log=layout.tuned("training_log.csv"),
        cost=layout.tuned("cost.json"),
        inference=layout.tuned("inference.json"),
    log:
        layout.log("copy_chosen", "model", "task", "tuned", "{seed}{draw}"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        **asks("analysis"),
    params:
        index=inputs.candidate_runs.index("predictions", "training_log", "cost", "inference"),
    message:
        "copy the chosen variant of {wildcards.tuned}, seed {wildcards.seed}{wildcards.draw}"
        " ({wildcards.model}, {wildcards.task})"
    shell:
        program(
            "tables.copy_chosen",
            params="index",
            input="tuning",
            output="predictions training_log cost inference",
            wildcards="tuned",
        )


rule gather:
    input:
        source=source_of_gathered,
        tables=tables.parts,
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
        caption=tables.caption,
        program=tables.gathered_by,
    message:
        "gather {wildcards.table}.csv"
    shell:
        program("tables.{params.program}", input="tables", output="table")


rule record_settings:
    input:
        source=source_of("tables.record_settings"),
    output:
        record=layout.result("settings.json"),
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
        program("tables.record_settings", params="settings", output="record")
