"""Small models that are trained from scratch, with tokenizers of their own."""


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
        program(
            "pretraining.pretrain",
            gpu=True,
            params="settings",
            input="examples",
            output="manifest",
        )
