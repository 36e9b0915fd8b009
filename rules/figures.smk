"""For people: figures, a summary for the terminal, and a page that shows everything."""


rule draw:
    input:
        source=source_of_figure,
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
        program(
            "figures.draw",
            params="settings results logs",
            input="tables",
            output="png svg csv",
        )


rule summary_markdown:
    input:
        source=source_of("report.report"),
        template=files_of_package([PACKAGE / "report/templates/summary.md"]),
        models=study.inputs.models(),
        tables=study.tables.summarised,
    output:
        page=layout.result("summary.md"),
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
        wordings=slices.wordings,
    message:
        "write summary.md"
    shell:
        program("report.report", params="settings wordings", input="models tables", output="page")


rule report:
    input:
        source=source_of("report.report"),
        template=files_of_package(
            [PACKAGE / f"report/templates/report.{kind}" for kind in ("html", "css", "js")]
        ),
        models=study.inputs.models(),
        tables=study.tables.gathered,
        figures=study.catalog.figures_as("svg"),
        images=study.catalog.figures_as("png"),
        data=study.catalog.figures_as("csv"),
        figure_captions=files_of_package(study.catalog.figure_captions),
    output:
        page=report(layout.result("report.html"), caption=REPORT_CAPTION, category="Report"),
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
        wordings=slices.wordings,
        table_captions=study.tables.captions,
    message:
        "write report.html"
    shell:
        program(
            "report.report",
            params="settings wordings table_captions",
            input="models tables figures figure_captions",
            output="page",
        )
