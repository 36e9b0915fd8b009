"""Teachers' targets: hidden states and logits of a model with demonstrations in its context."""


rule teacher_shard:
    input:
        source=source_of("teachers.teacher_shard"),
        model=inputs.teaching_model,
        demonstrations=layout.task("demonstrations.parquet"),
        examples=inputs.examples_of_targets,
    output:
        manifest=layout.shard("manifest.json"),
    log:
        layout.log(
            "teacher_shard", "model", "task", "{data}{teacher}{draw}", "pass-{number}", "shard"
        ),
    benchmark:
        layout.benchmark(
            "teacher_shard", "model", "task", "{data}{teacher}{draw}", "pass-{number}", "shard"
        )
    conda:
        ENVIRONMENT
    threads: threads_of("teachers")
    resources:
        **asks("teachers", gpu=True),
    params:
        settings=slices.teacher,
        targets=without_rerun(passes.targets_of_pass),
    message:
        "read the {wildcards.teacher} teacher, pass {wildcards.number}, shard {wildcards.shard}"
        " ({wildcards.model}, {wildcards.task})"
    shell:
        program(
            "teachers.teacher_shard",
            gpu=True,
            params="settings targets",
            input="model demonstrations examples",
            output="manifest",
            wildcards="shard",
        )


study.passes.look_below(
    rules.teacher_shard.output.manifest.removesuffix(layout.shard("manifest.json"))
)
