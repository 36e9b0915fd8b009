"""A model answers questions: a teacher in its context, or a student without one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from workflow_scripts.answers.agreement import reading, with_agreement
from workflow_scripts.answers.records import Answer
from workflow_scripts.config.slices import AnswersSlice
from workflow_scripts.engines.classifier import Classifier, are_classifiers
from workflow_scripts.engines.journal import request_key
from workflow_scripts.engines.protocol import Engine, Sampling, in_order
from workflow_scripts.engines.select import open_engine
from workflow_scripts.evaluation.completions import inference_of, render_choices
from workflow_scripts.modeling.loading import LocalModel, load_tokenizer
from workflow_scripts.prompts.formats import Demonstration
from workflow_scripts.prompts.rendering import (
    PLACEHOLDER,
    RENDERERS,
    Renderer,
    Rendering,
    refuse_too_long,
)
from workflow_scripts.results.scorers import SCORERS
from workflow_scripts.runtime.cost import CostMeter
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.examples import Example, read_examples

# name of the checkpoint for the engine
_CHECKPOINT = "student"


@dataclass(frozen=True)
class Answered:
    """Answers, and the content of `inference.json`."""

    answers: list[Answer]
    inference: dict[str, float | str]


@dataclass(frozen=True)
class Asked:
    """A question that is asked for one of its samples.

    renderings: its prompt with each label, in a task that ranks labels; else with a placeholder.
    seed: of the sample.
    """

    question: Example
    sample: int
    seed: int
    renderings: tuple[Rendering, ...]


def read_questions(path: Path) -> list[Example]:
    """The examples of a file without gold: who answers them must not know answers or references."""
    return [replace(example, answer=None, references=()) for example in read_examples(path)]


def answer_questions(
    model: LocalModel,
    settings: AnswersSlice,
    questions: Sequence[Example],
    scratch: Path,
    *,
    seeds: Sequence[int],
    demonstrations: Sequence[Demonstration] = (),
    checkpoint: Path | None = None,
) -> Answered:
    """Each question answered `samples` times by the base model, or by a checkpoint of it.

    In a task with labels an answer is a label: the likeliest or, sampled, one with its probability
    among the labels where the scorer compares their losses; else the label that it reads in the
    text.

    seeds: whatever tells this set of answers from others of the same questions.
    scratch: a folder from which a killed job resumes.
    Raises InputError, before any weights are loaded, when a question does not fit the context, or
    the labels cannot be told apart.
    """
    with CostMeter(model.dtype) as meter:
        renderer = RENDERERS[model.architecture](
            load_tokenizer(model), settings.prompt, demonstrations
        )
        folders = {} if checkpoint is None else {_CHECKPOINT: checkpoint}
        name = None if checkpoint is None else _CHECKPOINT
        has_head = are_classifiers(folders.values())
        ranks = has_head or SCORERS[settings.scorer].ranks_labels
        labels = settings.labels if ranks else None
        asked = ask_each(renderer, settings, questions, labels, seeds)
        refuse_too_long(
            [max(one.renderings, key=lambda rendering: len(rendering.ids)) for one in asked],
            [one.question.item for one in asked],
            model.context_length,
            0 if ranks else settings.generation.max_new_tokens,
        )
        asked_anew = 1.0
        if has_head:
            assert labels is not None
            classifier = Classifier(model, labels, settings.engine.batch_size, folders)
            answers = chosen_by_head(classifier, asked, labels, settings.temperature)
        else:
            with open_engine(model, settings.engine, folders, scratch) as engine:
                if labels is not None:
                    answers = chosen_labels(engine, asked, labels, settings.temperature, name)
                else:
                    answers = written(engine, renderer, asked, settings, name)
                asked_anew = engine.asked_anew
        return Answered(
            with_agreement(answers, settings.scorer, settings.labels),
            inference_of(meter.cost(), round(len(answers) * asked_anew)),
        )


def ask_each(
    renderer: Renderer,
    settings: AnswersSlice,
    questions: Sequence[Example],
    labels: tuple[str, ...] | None,
    seeds: Sequence[int],
) -> list[Asked]:
    """Every sample of every question, with a seed that depends on nothing but its names.

    Raises InputError, naming the item, when it cannot be rendered, or as `render_choices`.
    """
    return [
        Asked(question, sample, seed_of(*seeds, question.item, sample), renderings)
        for question in questions
        for renderings in [
            render_choices(
                renderer,
                f"item {question.item}",
                question,
                labels or (PLACEHOLDER,),
                settings.context.item,
            )
        ]
        for sample in range(1, settings.samples + 1)
    ]


def seed_of(*parts: int | str) -> int:
    """A seed of 32 bits, which every engine takes."""
    return int(request_key(*parts)[:8], 16)


# --- answers that are written -------------------------------------------------------------


def written(
    engine: Engine,
    renderer: Renderer,
    asked: Sequence[Asked],
    settings: AnswersSlice,
    checkpoint: str | None,
) -> list[Answer]:
    """The generated texts, or the labels that the scorer reads in them, with log-probabilities.

    A label that is read is a whole answer, wherever the text around it ends.
    """
    sampling = (
        Sampling(settings.temperature, tuple(one.seed for one in asked))
        if settings.temperature
        else None
    )
    completions = in_order(
        engine.generate(
            [one.renderings[0].prompt_ids for one in asked],
            settings.generation,
            [checkpoint] * len(asked),
            sampling,
        )
    )
    said = []
    for one, completion in zip(asked, completions, strict=True):
        text, finished = completion.text.strip(), completion.finished
        if settings.labels is not None:
            text = reading("choice", text, settings.labels)
            finished = finished or bool(text)
        rendering = _rendered(renderer, one.question, text, settings.context.item)
        tokens = len(rendering.answer_ids) if rendering else 0
        said.append((Answer(one.question, one.sample, text, finished, tokens), rendering))
    shown = [rendering for _, rendering in said if rendering]
    losses = iter(in_order(engine.token_losses(shown, [checkpoint] * len(shown))))
    return [
        replace(answer, logprob=-sum(next(losses))) if rendering else answer
        for answer, rendering in said
    ]


def _rendered(
    renderer: Renderer, question: Example, text: str, column: str | None
) -> Rendering | None:
    """The question with this answer; None if a conversation cannot show it.

    What a model writes may hold markup of the chat template.
    """
    if not text:
        return None
    try:
        (rendering,) = renderer.render([question.question], [text], [question.text_before(column)])
    except InputError:
        return None
    return rendering


# --- answers that are chosen among labels -------------------------------------------------


def chosen_labels(
    engine: Engine,
    asked: Sequence[Asked],
    labels: Sequence[str],
    temperature: float,
    checkpoint: str | None,
) -> list[Answer]:
    """The likeliest label of each question, or one drawn with softmax(−loss / temperature).

    A label's loss is the sum over its tokens without the end token, as the scorer compares them.
    """
    # the samples of a question have the same losses
    distinct = {one.renderings: None for one in asked}
    renderings = [rendering for group in distinct for rendering in group]
    found = iter(in_order(engine.token_losses(renderings, [checkpoint] * len(renderings))))
    losses = {group: [next(found) for _ in group] for group in distinct}
    answers = []
    for one in asked:
        nats = losses[one.renderings]
        choice = choose([sum(label[:-1]) for label in nats], temperature, one.seed)
        answers.append(_label(one, labels[choice], len(nats[choice]), -sum(nats[choice])))
    return answers


def chosen_by_head(
    classifier: Classifier, asked: Sequence[Asked], labels: Sequence[str], temperature: float
) -> list[Answer]:
    """As `chosen_labels`, by a classification head; a label counts as one token."""
    prompts = [one.renderings[0].prompt_ids for one in asked]
    answers = []
    for one, nats in zip(
        asked, classifier.label_losses(prompts, _CHECKPOINT).tolist(), strict=True
    ):
        choice = choose(nats, temperature, one.seed)
        answers.append(_label(one, labels[choice], 1, -nats[choice]))
    return answers


def choose(losses: Sequence[float], temperature: float, seed: int) -> int:
    """The index of the least loss, or one drawn with softmax(−losses / temperature)."""
    scores = -np.array(losses)
    if temperature:
        scores = scores / temperature + np.random.default_rng(seed).gumbel(size=len(scores))
    return int(scores.argmax())


def _label(one: Asked, label: str, tokens: int, logprob: float) -> Answer:
    return Answer(one.question, one.sample, label, True, tokens, logprob)
