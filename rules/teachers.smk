"""Teachers' targets: hidden states and logits of a model with demonstrations in its context."""


rule teacher_shard:
    input:
        source=source_of("teachers.teacher_shard"),
        model=inputs.teaching_model,
        demonstrations=layout.task("demonstrations.parquet"),
        examples=inputs.examples_of_target,
    output:
        tensors=layout.target("shard-{shard}.safetensors"),
    log:
        layout.log("teacher_shard", "model", "task", "{data}{teacher}{draw}", "target", "shard"),
    benchmark:
        layout.benchmark(
            "teacher_shard", "model", "task", "{data}{teacher}{draw}", "target", "shard"
        )
    conda:
        ENVIRONMENT
    threads: threads_of("teachers")
    resources:
        **asks("teachers", gpu=True),
    params:
        settings=slices.teacher,
    message:
        "read {wildcards.target} of the {wildcards.teacher} teacher, shard {wildcards.shard}"
        " ({wildcards.model}, {wildcards.task})"
    shell:
        program(
            "teachers.teacher_shard",
            gpu=True,
            params="settings",
            input="model demonstrations examples",
            output="tensors",
            wildcards="shard",
        )


rule teacher_manifest:
    input:
        source=source_of("teachers.teacher_manifest"),
        model=inputs.teaching_model,
        shards=inputs.shards_of_target,
    output:
        manifest=layout.target("manifest.json"),
    log:
        layout.log("teacher_manifest", "model", "task", "{data}{teacher}{draw}", "target"),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **asks("teachers"),
    params:
        settings=slices.teacher,
    message:
        "describe {wildcards.target} of the {wildcards.teacher} teacher"
        " ({wildcards.model}, {wildcards.task})"
    shell:
        program(
            "teachers.teacher_manifest",
            params="settings",
            input="model shards",
            output="manifest",
        )
