"""For people: figures, a summary for the terminal, and a page that shows everything."""


rule draw:
    input:
        source=source_files_of_figure,
        tables=catalog.figure_tables,
        logs=inputs.logged_runs.files("training_log"),
    output:
        png=report(
            layout.figure("png"),
            caption=CAPTION,
            category="{model} on {task}",
            subcategory=catalog.figure_group,
            labels=catalog.figure_labels,
        ),
        svg=layout.figure("svg"),
        csv=layout.figure("csv"),
    log:
        layout.log("draw", "model", "task", "figure"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("figures")
    resources:
        **asks("figures"),
    params:
        settings=slices.figure,
        results=inputs.results.names,
        logs=inputs.logged_runs.index("training_log"),
        caption=catalog.figure_caption,
    message:
        "draw {wildcards.figure} ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("figures.draw")
        + " --settings {params.settings:q} --results {params.results:q} --logs {params.logs:q}"
        " --tables {input.tables:q}"
        " --png {output.png:q} --svg {output.svg:q} --csv {output.csv:q} > {log:q} 2>&1"


rule summary_markdown:
    input:
        source=source_of("report.report"),
        template=files_of_package([PACKAGE / "report/templates/summary.md"]),
        models=study.inputs.models(),
        tables=study.catalog.summary_tables,
    output:
        summary=layout.result("summary.md"),
    log:
        layout.log("summary_markdown"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("figures")
    resources:
        **asks("figures"),
    params:
        settings=slices.summary,
    message:
        "write summary.md"
    shell:
        command_of("report.report")
        + " --settings {params.settings:q} --models {input.models:q} --tables {input.tables:q}"
        " --output {output.summary:q} > {log:q} 2>&1"


rule report:
    input:
        source=source_of("report.report"),
        template=files_of_package([PACKAGE / "report/templates/report.html"]),
        models=study.inputs.models(),
        tables=study.catalog.tables,
        table_captions=files_of_package(study.catalog.table_captions),
        figures=study.catalog.figures_as("svg"),
        data=study.catalog.figures_as("csv"),
        figure_captions=files_of_package(study.catalog.figure_captions),
    output:
        report=report(layout.result("report.html"), caption=REPORT_CAPTION, category="Report"),
    log:
        layout.log("report"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("figures")
    resources:
        **asks("figures"),
    params:
        settings=slices.report,
    message:
        "write report.html"
    shell:
        command_of("report.report")
        + " --settings {params.settings:q} --models {input.models:q} --tables {input.tables:q}"
        " --table-captions {input.table_captions:q} --figures {input.figures:q}"
        " --figure-captions {input.figure_captions:q}"
        " --output {output.report:q} > {log:q} 2>&1"
