"""What each model gains from demonstrations in its context, before any training."""


rule icl_complete:
    input:
        source=source_of("icl_gap.icl_complete"),
        model=MODEL,
        demonstrations=of_task("demonstrations.parquet"),
        validation=of_task("validation.parquet"),
        test=of_task("test.parquet"),
    output:
        completions=of_base("completions.parquet"),
        cost=of_base("inference.json"),
    log:
        log_of("icl_complete", "model", "task", "shots"),
    benchmark:
        benchmark_of("icl_complete", "model", "task", "shots")
    conda:
        ENVIRONMENT
    threads: threads_of("icl_gap")
    resources:
        gpu=gpus_of("icl_gap"),
        mem_mb=memory_of("icl_gap"),
        runtime=minutes_of("icl_gap"),
    params:
        settings=icl_slice,
    message:
        "answer {wildcards.task} with {wildcards.model} after {wildcards.shots} demonstrations"
    shell:
        gpu_command_of("icl_gap.icl_complete")
        + " --settings {params.settings:q} --model {input.model:q}"
        " --demonstrations {input.demonstrations:q} --validation {input.validation:q}"
        " --test {input.test:q} --output {output.completions:q} --cost {output.cost:q}"
        " > {log:q} 2>&1"


rule icl_gap:
    input:
        source=source_of("icl_gap.icl_gap"),
        model=MODEL,
        predictions=base_answers,
    output:
        table=of_pair("icl_gap.csv"),
    log:
        log_of("icl_gap", "model", "task"),
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        mem_mb=memory_of("analysis"),
        runtime=minutes_of("analysis"),
    params:
        settings=analysis_slice,
        index=base_index,
    message:
        "in-context gap of {wildcards.model} on {wildcards.task}"
    shell:
        command_of("icl_gap.icl_gap")
        + " --settings {params.settings:q} --model {input.model:q} --index {params.index:q}"
        " --output {output.table:q} > {log:q} 2>&1"


rule qualify:
    input:
        source=source_of("icl_gap.qualify"),
        tables=tables_of_pairs("icl_gap"),
    output:
        table=report(
            result("icl_gap.csv"), caption=CAPTION, category="Tables", labels={"table": "icl_gap"}
        ),
    log:
        log_of("qualify"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("analysis")
    resources:
        mem_mb=memory_of("analysis"),
        runtime=minutes_of("analysis"),
    params:
        caption=icl_gap_caption,
    message:
        "find the smallest model with an in-context gap"
    shell:
        command_of("icl_gap.qualify")
        + " --tables {input.tables:q} --output {output.table:q} > {log:q} 2>&1"
