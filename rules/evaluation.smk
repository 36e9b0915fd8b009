"""Every checkpoint of every run on the same items; chosen ones on other tasks, one twice."""


rule complete_run:
    input:
        source=source_of("evaluation.complete_run"),
        model=layout.model(),
        checkpoints=layout.run("checkpoints/manifest.json"),
        base=layout.base("completions.parquet", shots=0, draw=0),
        validation=inputs.validation,
        test=inputs.test,
    output:
        completions=layout.run("completions.parquet"),
        cost=layout.run("inference.json"),
    log:
        layout.log("complete_run", "model", "task", "condition", "{seed}{draw}"),
    benchmark:
        layout.benchmark("complete_run", "model", "task", "condition", "{seed}{draw}")
    conda:
        ENVIRONMENT
    threads: threads_of("evaluation")
    resources:
        **asks("evaluation", gpu=True),
    params:
        settings=slices.completion,
        steps=slices.steps,
    message:
        "evaluate the checkpoints of {wildcards.condition}, seed {wildcards.seed}{wildcards.draw}"
        " ({wildcards.model}, {wildcards.task})"
    shell:
        program(
            "evaluation.complete_run",
            gpu=True,
            params="settings steps",
            input="model checkpoints base validation test",
            output="completions cost",
        )


rule complete_transfers:
    input:
        source=source_of("evaluation.complete_transfers"),
        model=layout.model(),
        checkpoints=layout.run("checkpoints/manifest.json"),
        chosen_on=layout.run("predictions.parquet"),
        demonstrations=inputs.demonstrations_elsewhere,
        validation=inputs.validation_elsewhere,
        test=inputs.test_elsewhere,
        base=inputs.base_elsewhere,
    output:
        completions=layout.transfer("completions.parquet"),
    log:
        layout.log("complete_transfers", "model", "task", "condition", "{seed}{draw}"),
    benchmark:
        layout.benchmark("complete_transfers", "model", "task", "condition", "{seed}{draw}")
    conda:
        ENVIRONMENT
    threads: threads_of("evaluation")
    resources:
        **asks("evaluation", gpu=True, times=slices.evaluations_elsewhere),
    params:
        settings=slices.completions_elsewhere,
    message:
        "evaluate {wildcards.condition}, seed {wildcards.seed}{wildcards.draw}, on other tasks"
        " ({wildcards.model}, {wildcards.task})"
    shell:
        program(
            "evaluation.complete_transfers",
            gpu=True,
            params="settings",
            input="model checkpoints chosen_on demonstrations validation test base",
            output="completions",
        )


rule complete_again:
    input:
        source=source_of("evaluation.complete_again"),
        model=layout.model(),
        checkpoints=layout.run("checkpoints/manifest.json"),
        chosen_on=layout.run("predictions.parquet"),
        test=inputs.test,
    output:
        completions=layout.repeat("completions.parquet"),
    log:
        layout.log("complete_again", "model", "task", "condition", "{seed}{draw}"),
    benchmark:
        layout.benchmark("complete_again", "model", "task", "condition", "{seed}{draw}")
    conda:
        ENVIRONMENT
    threads: threads_of("evaluation")
    resources:
        **asks("evaluation", gpu=True),
    params:
        settings=slices.completion,
    message:
        "evaluate {wildcards.condition}, seed {wildcards.seed}{wildcards.draw}, a second time"
        " ({wildcards.model}, {wildcards.task})"
    shell:
        program(
            "evaluation.complete_again",
            gpu=True,
            params="settings",
            input="model checkpoints chosen_on test",
            output="completions",
        )


rule hidden_states:
    input:
        source=source_of("evaluation.hidden_states"),
        model=layout.model(),
        checkpoints=layout.run("checkpoints/manifest.json"),
        demonstrations=layout.task("demonstrations.parquet"),
        examples=inputs.represented_split,
    output:
        representations=layout.run("representations.parquet"),
        similarity=layout.run("similarity.csv"),
    log:
        layout.log("hidden_states", "model", "task", "condition", "{seed}{draw}"),
    benchmark:
        layout.benchmark("hidden_states", "model", "task", "condition", "{seed}{draw}")
    conda:
        ENVIRONMENT
    threads: threads_of("evaluation")
    resources:
        **asks("evaluation", gpu=True),
    params:
        settings=slices.representation,
        steps=slices.steps,
    message:
        "read the hidden states of {wildcards.condition}, seed {wildcards.seed}{wildcards.draw}"
        " ({wildcards.model}, {wildcards.task})"
    shell:
        program(
            "evaluation.hidden_states",
            gpu=True,
            params="settings steps",
            input="model checkpoints demonstrations examples",
            output="representations similarity",
        )
