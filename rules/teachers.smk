"""Teachers' signals: hidden states and logits of a model with demonstrations in its context."""


rule teacher_part:
    input:
        source=source_of("teachers.teacher_part"),
        model=MODEL,
        demonstrations=of_task("demonstrations.parquet"),
        examples=of_task("train.parquet"),
    output:
        part=of_signal("part-{part}.safetensors"),
    log:
        log_of("teacher_part", "model", "task", "teacher", "signal", "part"),
    benchmark:
        benchmark_of("teacher_part", "model", "task", "teacher", "signal", "part")
    conda:
        ENVIRONMENT
    threads: threads_of("teachers")
    resources:
        gpu=gpus_of("teachers"),
        mem_mb=memory_of("teachers"),
        runtime=minutes_of("teachers"),
    params:
        settings=teacher_slice,
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
        model=MODEL,
        parts=parts_of_signal,
    output:
        manifest=of_signal("manifest.json"),
    log:
        log_of("teacher_manifest", "model", "task", "teacher", "signal"),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory_of("teachers"),
        runtime=minutes_of("teachers"),
    params:
        settings=teacher_slice,
    message:
        "describe {wildcards.signal} of the {wildcards.teacher} teacher"
        " ({wildcards.model}, {wildcards.task})"
    shell:
        command_of("teachers.teacher_manifest")
        + " --settings {params.settings:q} --model {input.model:q} --parts {input.parts:q}"
        " --output {output.manifest:q} > {log:q} 2>&1"
