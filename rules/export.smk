"""A run's chosen checkpoint as a folder for the hub; made when it is asked for by name."""


rule export:
    input:
        source=source_of("export.export"),
        template=package_file("export/card.md"),
        model=MODEL,
        checkpoints=of_run("checkpoints/manifest.json"),
        predictions=of_run("predictions.parquet"),
        test=of_task("test.parquet"),
        summary=of_pair("summary.csv"),
        comparisons=of_pair("comparisons.csv"),
    output:
        card=of_export("README.md"),
    log:
        log_of("export", "model", "task", "condition", "seed"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("export")
    resources:
        mem_mb=memory_of("export"),
        runtime=minutes_of("export"),
    params:
        settings=export_slice,
    message:
        "export {wildcards.condition}, seed {wildcards.seed} ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("export.export")
        + " --settings {params.settings:q} --template {input.template:q} --model {input.model:q}"
        " --checkpoints {input.checkpoints:q} --predictions {input.predictions:q}"
        " --test {input.test:q} --summary {input.summary:q} --comparisons {input.comparisons:q}"
        " --output {output.card:q} > {log:q} 2>&1"
