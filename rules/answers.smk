"""Answers that students train on and that no label is needed for: a teacher's or their own."""


rule teacher_answers:
    input:
        source=source_of("answers.teacher_answers"),
        model=layout.model(),
        demonstrations=layout.task("demonstrations.parquet"),
        examples=inputs.answered_split,
    output:
        answers=layout.teacher_answers("answers.parquet"),
        cost=layout.teacher_answers("inference.json"),
    log:
        layout.log("teacher_answers", "model", "task", "{teacher}{draw}", "generated", "split"),
    benchmark:
        layout.benchmark(
            "teacher_answers", "model", "task", "{teacher}{draw}", "generated", "split"
        )
    conda:
        ENVIRONMENT
    threads: threads_of("icl_gap")
    resources:
        **asks("icl_gap", gpu=True),
    params:
        settings=slices.teacher_answers,
    message:
        "answer {wildcards.task} ({wildcards.split}) as the {wildcards.teacher} teacher"
        " ({wildcards.model})"
    shell:
        program(
            "answers.teacher_answers",
            gpu=True,
            params="settings",
            input="model demonstrations examples",
            output="answers cost",
        )


rule student_answers:
    input:
        source=source_of("answers.student_answers"),
        model=layout.model(),
        examples=layout.task("train.parquet"),
        checkpoints=runs.earlier,
    output:
        answers=layout.round("answers.parquet"),
        cost=layout.round("inference.json"),
    log:
        layout.log("student_answers", "model", "task", "condition", "{seed}{draw}", "round"),
    benchmark:
        layout.benchmark("student_answers", "model", "task", "condition", "{seed}{draw}", "round")
    conda:
        ENVIRONMENT
    threads: threads_of("evaluation")
    resources:
        **asks("evaluation", gpu=True),
    params:
        settings=slices.student_answers,
        round=lambda wildcards: wildcards.round,
        number=slices.items_of_round,
        step=slices.step_of_round,
        train_items=slices.items_of_student,
        seed=lambda wildcards: wildcards.seed,
    message:
        "answer as the student of {wildcards.condition}, seed {wildcards.seed}{wildcards.draw},"
        " before round {wildcards.round} ({wildcards.model}, {wildcards.task})"
    shell:
        program(
            "answers.student_answers",
            gpu=True,
            params="settings round number seed step train_items",
            input="model examples checkpoints",
            output="answers cost",
        )


rule choose_answers:
    input:
        source=source_of("answers.choose_answers"),
        answers=layout.answered("answers.parquet"),
    output:
        examples=layout.answered("{kept}/examples.parquet"),
        counts=layout.answered("{kept}/counts.json"),
    log:
        layout.log("choose_answers", "model", "task", "answered", "kept"),
    localrule: True
    conda:
        ENVIRONMENT
    threads: threads_of("tasks")
    resources:
        **asks("tasks"),
    params:
        settings=slices.kept,
    message:
        "choose answers of {wildcards.answered} ({wildcards.model}, {wildcards.task})"
    shell:
        program(
            "answers.choose_answers",
            params="settings",
            input="answers",
            output="examples counts",
        )
