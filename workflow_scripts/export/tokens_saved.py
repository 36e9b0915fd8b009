"""What a student spares: the tokens that its teacher reads before each question."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.export.recipe import Taught
from workflow_scripts.prompts.rendering import Renderer, teacher_renderer
from workflow_scripts.tasks.examples import Example, draw_demonstrations


def tokens_saved(
    student: Renderer,
    prompt: PromptSettings,
    taught: Taught,
    examples: Sequence[Example],
    pool: Sequence[Example],
) -> float:
    """Mean number of tokens by which the teacher's prompts are longer than the student's.

    prompt: of the task. examples: whose prompts are compared.
    pool: of demonstrations.
    Raises InputError if the teacher's context cannot be rendered.
    """
    teacher = teacher_renderer(
        "causal",
        student.tokenizer,
        prompt,
        taught.system,
        draw_demonstrations(pool, taught.context),
    )
    questions = [example.question for example in examples]
    answers = [example.required_answer for example in examples]
    before = [example.text_before(taught.context.item) for example in examples]
    pairs = zip(
        teacher.render(questions, answers, before), student.render(questions, answers), strict=True
    )
    return fmean(len(full.prompt_ids) - len(own.prompt_ids) for full, own in pairs)
