"""What a person reads: figures, a summary for the terminal, and a page that shows everything."""


rule draw:
    input:
        source=source_of("figures.draw"),
        summary=of_pair("summary.csv"),
        icl_gap=of_pair("icl_gap.csv"),
        logs=logs_of_pair,
    output:
        png=report(
            of_figure("png"),
            caption=CAPTION,
            category="{model} on {task}",
            labels=figure_labels,
        ),
        svg=of_figure("svg"),
        csv=of_figure("csv"),
    log:
        log_of("draw", "model", "task", "figure"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("figures")
    resources:
        mem_mb=memory_of("figures"),
        runtime=minutes_of("figures"),
    params:
        results=result_names,
        index=log_index,
        scorer=scorer_of_task,
        caption=figure_caption,
    message:
        "draw {wildcards.figure} ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("figures.draw")
        + " --figure {wildcards.figure:q} --model {wildcards.model:q} --task {wildcards.task:q}"
        " --scorer {params.scorer:q} --summary {input.summary:q} --icl-gap {input.icl_gap:q}"
        " --index {params.index:q}"
        " --png {output.png:q} --svg {output.svg:q} --csv {output.csv:q} > {log:q} 2>&1"


rule draw_family:
    input:
        source=source_of("figures.draw_family"),
        summary=of_pair("summary.csv"),
        comparisons=of_pair("comparisons.csv"),
        drift=drift_of_figure,
        cost=cost_of_figure,
    output:
        png=report(
            of_family_figure("png"),
            caption=CAPTION,
            category="{model} on {task}",
            subcategory="{family}",
            labels=figure_labels,
        ),
        svg=of_family_figure("svg"),
        csv=of_family_figure("csv"),
    log:
        log_of("draw_family", "model", "task", "family", "figure"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("figures")
    resources:
        mem_mb=memory_of("figures"),
        runtime=minutes_of("figures"),
    params:
        results=result_names,
        scorer=scorer_of_task,
        family=family_slice,
        texts=family_texts,
        values=family_values,
        baseline=experiment.analysis.baseline,
        caption=figure_caption,
    message:
        "draw {wildcards.figure} of {wildcards.family} ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("figures.draw_family")
        + " --figure {wildcards.figure:q} --model {wildcards.model:q} --task {wildcards.task:q}"
        " --scorer {params.scorer:q} --family {params.family:q} --texts {params.texts:q}"
        " --values {params.values:q} --baseline {params.baseline:q}"
        " --summary {input.summary:q} --comparisons {input.comparisons:q}"
        " --drift {input.drift:q} --cost {input.cost:q} --index {params.results:q}"
        " --png {output.png:q} --svg {output.svg:q} --csv {output.csv:q} > {log:q} 2>&1"


rule summary_markdown:
    input:
        source=source_of("figures.summary_markdown"),
        summary=result("summary.csv"),
        comparisons=result("comparisons.csv"),
        crossover=result("crossover.csv"),
        cost=result("cost.csv"),
        icl_gap=result("icl_gap.csv"),
        noise=result("noise.csv"),
        domains=tables(domain_table_names()),
    output:
        summary=result("summary.md"),
    log:
        log_of("summary_markdown"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("figures")
    resources:
        mem_mb=memory_of("figures"),
        runtime=minutes_of("figures"),
    params:
        settings=analysis_slice,
        families=all_family_slices,
        scorers=scorers_of_tasks,
    message:
        "write summary.md"
    shell:
        command_of("figures.summary_markdown")
        + " --settings {params.settings:q} --families {params.families:q}"
        " --scorers {params.scorers:q}"
        " --summary {input.summary:q} --comparisons {input.comparisons:q}"
        " --crossover {input.crossover:q} --cost {input.cost:q} --icl-gap {input.icl_gap:q}"
        " --noise {input.noise:q} --domains {input.domains:q}"
        " --output {output.summary:q} > {log:q} 2>&1"


rule report:
    input:
        source=source_of("figures.report"),
        template=package_file("figures/templates/report.html"),
        models=[MODEL.format(model=model) for model in experiment.models],
        tables=tables(table_names()),
        table_captions=captions_of("analysis", table_names()),
        figures=figures_of_kind("svg"),
        data=figures_of_kind("csv"),
        figure_captions=captions_of("figures", sorted(CAPTIONS)),
    output:
        report=report(result("report.html"), caption=REPORT_CAPTION, category="Report"),
    log:
        log_of("report"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("figures")
    resources:
        mem_mb=memory_of("figures"),
        runtime=minutes_of("figures"),
    params:
        settings=report_settings,
    message:
        "write report.html"
    shell:
        command_of("figures.report")
        + " --settings {params.settings:q} --models {input.models:q} --tables {input.tables:q}"
        " --table-captions {input.table_captions:q} --figures {input.figures:q}"
        " --figure-captions {input.figure_captions:q}"
        " --output {output.report:q} > {log:q} 2>&1"
