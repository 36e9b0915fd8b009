"""Small models that are trained from nothing, with tokenizers of their own."""


rule pretrain:
    input:
        source=source_of("pretraining.pretrain"),
        examples=inputs.examples_of_scratch,
    output:
        manifest=layout.model(),
    log:
        layout.log("pretrain", "model"),
    benchmark:
        layout.benchmark("pretrain", "model")
    wildcard_constraints:
        model=one_of(matrix.scratch_models),
    conda:
        ENVIRONMENT
    threads: threads_of("pretraining")
    resources:
        **asks("pretraining", gpu=True),
    params:
        settings=slices.pretraining,
    message:
        "train {wildcards.model} from scratch"
    shell:
        gpu_command_of("pretraining.pretrain")
        + " --settings {params.settings:q} --examples {input.examples:q}"
        " --manifest {output.manifest:q} > {log:q} 2>&1"
