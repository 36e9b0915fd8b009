"""Teachers' signals: hidden states and logits of a model with demonstrations in its context."""


rule teacher_part:
    input:
        source=source_of("teachers.teacher_part"),
        model=layout.model(),
        demonstrations=layout.task("demonstrations.parquet"),
        examples=layout.task("train.parquet"),
    output:
        part=layout.signal("part-{part}.safetensors"),
    log:
        layout.log("teacher_part", "model", "task", "teacher", "signal", "part"),
    benchmark:
        layout.benchmark("teacher_part", "model", "task", "teacher", "signal", "part")
    conda:
        ENVIRONMENT
    threads: threads_of("teachers")
    resources:
        **asks("teachers", gpu=True),
    params:
        settings=slices.teacher,
    message:
        "read {wildcards.signal} of the {wildcards.teacher} teacher, part {wildcards.part}"
        " ({wildcards.model}, {wildcards.task})"
    shell:
        gpu_command_of("teachers.teacher_part")
        + " --settings {params.settings:q} --model {input.model:q}"
        " --demonstrations {input.demonstrations:q} --examples {input.examples:q}"
        " --part {wildcards.part:q} --output {output.part:q} > {log:q} 2>&1"


rule teacher_manifest:
    input:
        source=source_of("teachers.teacher_manifest"),
        model=layout.model(),
        parts=inputs.parts_of_signal,
    output:
        manifest=layout.signal("manifest.json"),
    log:
        layout.log("teacher_manifest", "model", "task", "teacher", "signal"),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **asks("teachers"),
    params:
        settings=slices.teacher,
    message:
        "describe {wildcards.signal} of the {wildcards.teacher} teacher"
        " ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("teachers.teacher_manifest")
        + " --settings {params.settings:q} --model {input.model:q} --parts {input.parts:q}"
        " --output {output.manifest:q} > {log:q} 2>&1"
