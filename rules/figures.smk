"""What a person reads: figures, a summary for the terminal, and a page that shows everything."""


rule draw:
    input:
        source=source_of("figures.draw"),
        summary=layout.pair("summary.csv"),
        icl_gap=layout.pair("icl_gap.csv"),
        logs=inputs.results.files("training_log"),
    output:
        png=report(
            layout.figure("png"),
            caption=CAPTION,
            category="{model} on {task}",
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
        results=inputs.results.names,
        index=inputs.results.index("training_log"),
        scorer=slices.scorer,
        caption=catalog.figure_caption,
    message:
        "draw {wildcards.figure} ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("figures.draw")
        + " --figure {wildcards.figure:q} --model {wildcards.model:q} --task {wildcards.task:q}"
        " --scorer {params.scorer:q} --summary {input.summary:q} --icl-gap {input.icl_gap:q}"
        " --index {params.index:q}"
        " --png {output.png:q} --svg {output.svg:q} --csv {output.csv:q} > {log:q} 2>&1"


rule draw_group:
    input:
        source=source_of("figures.draw_group"),
        summary=layout.pair("summary.csv"),
        comparisons=layout.pair("comparisons.csv"),
        drift=catalog.drift,
        cost=catalog.cost,
    output:
        png=report(
            layout.group_figure("png"),
            caption=CAPTION,
            category="{model} on {task}",
            subcategory="{group}",
            labels=catalog.figure_labels,
        ),
        svg=layout.group_figure("svg"),
        csv=layout.group_figure("csv"),
    log:
        layout.log("draw_group", "model", "task", "group", "figure"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("figures")
    resources:
        **asks("figures"),
    params:
        results=inputs.results.names,
        scorer=slices.scorer,
        group=slices.group,
        texts=slices.texts,
        values=slices.values,
        baseline=study.experiment.analysis.baseline,
        caption=catalog.figure_caption,
    message:
        "draw {wildcards.figure} of {wildcards.group} ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("figures.draw_group")
        + " --figure {wildcards.figure:q} --model {wildcards.model:q} --task {wildcards.task:q}"
        " --scorer {params.scorer:q} --group {params.group:q} --texts {params.texts:q}"
        " --values {params.values:q} --baseline {params.baseline:q}"
        " --summary {input.summary:q} --comparisons {input.comparisons:q}"
        " --drift {input.drift:q} --cost {input.cost:q} --index {params.results:q}"
        " --png {output.png:q} --svg {output.svg:q} --csv {output.csv:q} > {log:q} 2>&1"


rule summary_markdown:
    input:
        source=source_of("report.summary_markdown"),
        summary=layout.result("summary.csv"),
        comparisons=layout.result("comparisons.csv"),
        crossover=layout.result("crossover.csv"),
        cost=layout.result("cost.csv"),
        icl_gap=layout.result("icl_gap.csv"),
        noise=layout.result("noise.csv"),
        domains=study.tables.of("domains"),
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
        settings=slices.analysis,
        groups=slices.all_groups,
        scorers=slices.scorers,
    message:
        "write summary.md"
    shell:
        command_of("report.summary_markdown")
        + " --settings {params.settings:q} --groups {params.groups:q}"
        " --scorers {params.scorers:q}"
        " --summary {input.summary:q} --comparisons {input.comparisons:q}"
        " --crossover {input.crossover:q} --cost {input.cost:q} --icl-gap {input.icl_gap:q}"
        " --noise {input.noise:q} --domains {input.domains:q}"
        " --output {output.summary:q} > {log:q} 2>&1"


rule report:
    input:
        source=source_of("report.report"),
        template=files_of_package([PACKAGE / "report/templates/report.html"]),
        models=study.inputs.models(),
        tables=study.tables.gathered,
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
        table_captions=study.tables.captions,
    message:
        "write report.html"
    shell:
        command_of("report.report")
        + " --settings {params.settings:q} --models {input.models:q} --tables {input.tables:q}"
        " --table-captions {params.table_captions:q} --figures {input.figures:q}"
        " --figure-captions {input.figure_captions:q}"
        " --output {output.report:q} > {log:q} 2>&1"
