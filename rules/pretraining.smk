"""Small models that are trained from nothing, with tokenizers of their own."""


rule pretrain:
    input:
        source=source_of("pretraining.pretrain"),
        examples=examples_of_scratch,
    output:
        manifest=MODEL,
    log:
        log_of("pretrain", "model"),
    benchmark:
        benchmark_of("pretrain", "model")
    wildcard_constraints:
        model=one_of(experiment.scratch_models),
    conda:
        ENVIRONMENT
    threads: threads_of("pretraining")
    resources:
        gpu=gpus_of("pretraining"),
        mem_mb=memory_of("pretraining"),
        runtime=minutes_of("pretraining"),
    params:
        settings=pretraining_slice,
    message:
        "train {wildcards.model} from scratch"
    shell:
        gpu_command_of("pretraining.pretrain")
        + " --settings {params.settings:q} --examples {input.examples:q}"
        " --manifest {output.manifest:q} > {log:q} 2>&1"
