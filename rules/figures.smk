"""What a person reads: figures, and a summary for the terminal. The report shows both."""


rule draw:
    input:
        source=source_of("figures.draw"),
        summary=of_pair("summary.csv"),
        comparisons=of_pair("comparisons.csv"),
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
        caption=figure_caption,
    message:
        "draw {wildcards.figure} ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("figures.draw")
        + " --figure {wildcards.figure:q} --model {wildcards.model:q} --task {wildcards.task:q}"
        " --summary {input.summary:q} --comparisons {input.comparisons:q}"
        " --icl-gap {input.icl_gap:q} --index {params.index:q}"
        " --png {output.png:q} --svg {output.svg:q} > {log:q} 2>&1"


rule summary_markdown:
    input:
        source=source_of("figures.summary_markdown"),
        summary=result("summary.csv"),
        comparisons=result("comparisons.csv"),
        crossover=result("crossover.csv"),
        cost=result("cost.csv"),
        icl_gap=result("icl_gap.csv"),
        signals=result("signals.csv"),
    output:
        summary=result("summary.md"),
        page=report(result("summary.html"), caption=SUMMARY_CAPTION, category="Summary"),
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
    message:
        "write summary.md"
    shell:
        command_of("figures.summary_markdown")
        + " --settings {params.settings:q} --summary {input.summary:q}"
        " --comparisons {input.comparisons:q} --crossover {input.crossover:q}"
        " --cost {input.cost:q} --icl-gap {input.icl_gap:q} --signals {input.signals:q}"
        " --output {output.summary:q} --page {output.page:q} > {log:q} 2>&1"
