"""What each model gains from demonstrations in its context, before any training."""


rule icl_complete:
    input:
        source=source_of("evaluation.complete_base"),
        model=layout.model(),
        demonstrations=layout.task("demonstrations.parquet"),
        validation=layout.task("validation.parquet"),
        test=layout.task("test.parquet"),
    output:
        completions=layout.base("completions.parquet"),
        cost=layout.base("inference.json"),
    log:
        layout.log("icl_complete", "model", "task", "shots"),
    benchmark:
        layout.benchmark("icl_complete", "model", "task", "shots")
    conda:
        ENVIRONMENT
    threads: threads_of("icl_gap")
    resources:
        **asks("icl_gap", gpu=True),
    params:
        settings=slices.completion,
    message:
        "answer {wildcards.task} with {wildcards.model} after {wildcards.shots} demonstrations"
    shell:
        gpu_command_of("evaluation.complete_base")
        + " --settings {params.settings:q} --model {input.model:q}"
        " --demonstrations {input.demonstrations:q} --validation {input.validation:q}"
        " --test {input.test:q} --output {output.completions:q} --cost {output.cost:q}"
        " > {log:q} 2>&1"


rule icl_gap:
    input:
        source=source_of("tables.make_icl_gap"),
        model=layout.model(),
        predictions=inputs.base_results.files("predictions"),
    output:
        table=layout.pair("icl_gap.csv"),
    log:
        layout.log("icl_gap", "model", "task"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        **asks("analysis"),
    params:
        settings=slices.analysis,
        index=inputs.base_results.index("predictions"),
    message:
        "in-context gap of {wildcards.model} on {wildcards.task}"
    shell:
        command_of("tables.make_icl_gap")
        + " --settings {params.settings:q} --model {input.model:q} --index {params.index:q}"
        " --output {output.table:q} > {log:q} 2>&1"


rule qualify:
    input:
        source=source_of("tables.qualify"),
        tables=study.catalog.tables_gathered("icl_gap"),
    output:
        table=report(
            layout.result("icl_gap.csv"),
            caption=CAPTION,
            category="Tables",
            labels={"table": "icl_gap"},
        ),
    log:
        layout.log("qualify"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        **asks("analysis"),
    params:
        caption=study.catalog.table_caption("icl_gap"),
    message:
        "find the smallest model with an in-context gap"
    shell:
        command_of("tables.qualify")
        + " --tables {input.tables:q} --output {output.table:q} > {log:q} 2>&1"
