"""A run's chosen checkpoint as a folder for the hub; made when it is asked for by name."""


rule export:
    input:
        source=source_of("export.export"),
        template=files_of_package([PACKAGE / "export/card.md"]),
        model=layout.model(),
        checkpoints=layout.run("checkpoints/manifest.json"),
        predictions=layout.run("predictions.parquet"),
        test=inputs.test,
        demonstrations=layout.task("demonstrations.parquet"),
        summary=layout.pair("summary.csv"),
        comparisons=layout.pair("comparisons.csv"),
    output:
        card=layout.export("README.md"),
    log:
        layout.log("export", "model", "task", "condition", "{seed}{draw}"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("export")
    resources:
        **asks("export"),
    params:
        settings=export_slice,
    message:
        "export {wildcards.condition}, seed {wildcards.seed}{wildcards.draw} ({wildcards.model}, {wildcards.task})"
    shell:
        program(
            "export.export",
            params="settings",
            input="template model checkpoints predictions test demonstrations summary comparisons",
            output="card",
        )
