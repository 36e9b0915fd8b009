from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch.nn.functional import cross_entropy

from tests.chat_templates import chat_tokenizer
from tests.tiny_models import tiny_model
from tests.unit.answers.conftest import QUESTIONS, SETTINGS
from workflow_scripts.answers import answering
from workflow_scripts.answers.answering import answer_questions, ask_each, choose, written
from workflow_scripts.answers.records import Answer
from workflow_scripts.config.slices import AnswersSlice
from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.engines.protocol import Completion, Sampling
from workflow_scripts.modeling.loading import open_model
from workflow_scripts.prompts.formats import Demonstration
from workflow_scripts.prompts.rendering import Renderer, Rendering
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.examples import Example

SHOWN = [Demonstration("dog", "dogs"), Demonstration("child", "children")]
LABELS = ("cats", "mice", "boxes")


def settings_with(**changes: object) -> AnswersSlice:
    return SETTINGS.model_copy(update=changes)


@pytest.fixture
def answered(files, tmp_path: Path):
    """Answers of the tiny model."""

    def ask(questions: Sequence[Example] = QUESTIONS, **changes: object) -> list[Answer]:
        return answer_questions(
            open_model(files["model"]),
            settings_with(**changes),
            questions,
            tmp_path / "state",
            seeds=[0],
            demonstrations=SHOWN,
        ).answers

    return ask


def losses_of(rendering: Rendering) -> list[float]:
    with torch.no_grad():
        logits = tiny_model("llama")(torch.tensor([rendering.ids])).logits[0, rendering.prompt : -1]
    return cross_entropy(logits, torch.tensor(rendering.answer_ids), reduction="none").tolist()


# --- what is written ----------------------------------------------------------------------


class SaidEngine:
    """Says given texts; a token's loss is 1."""

    def __init__(self, *said: str | Completion) -> None:
        self.said = [
            text if isinstance(text, Completion) else Completion(text, True) for text in said
        ]
        self.sampling: Sampling | None = None
        self.prompts: Sequence[Sequence[int]] = ()

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        generation: GenerationSettings,
        checkpoints: Sequence[str | None],
        sampling: Sampling | None = None,
    ) -> Iterator[tuple[int, Completion]]:
        self.sampling, self.prompts = sampling, prompts
        yield from enumerate(self.said)

    def token_losses(
        self, renderings: Sequence[Rendering], checkpoints: Sequence[str | None]
    ) -> Iterator[tuple[int, list[float]]]:
        for index, rendering in enumerate(renderings):
            yield index, [1.0] * len(rendering.answer_ids)


def said(tokenizer, engine: SaidEngine, **changes: object) -> list[Answer]:
    settings = settings_with(**changes)
    renderer = Renderer(tokenizer, settings.prompt, SHOWN)
    questions = QUESTIONS[: len(engine.said) // settings.samples]
    asked = ask_each(renderer, settings, questions, None, [0])
    return written(engine, renderer, asked, settings, None)


def test_an_answer_has_no_white_space_around_it_and_the_log_probability_of_its_tokens(
    smollm2_tokenizer,
):
    (answer,) = said(smollm2_tokenizer, SaidEngine("\n cats \n"))
    (rendering,) = Renderer(smollm2_tokenizer, SETTINGS.prompt, SHOWN).render(["cat"], ["cats"])
    assert answer.text == "cats"
    assert answer.tokens == len(rendering.answer_ids) == -answer.logprob


def test_an_answer_has_a_log_probability_unless_it_is_empty(smollm2_tokenizer):
    empty, cut = said(smollm2_tokenizer, SaidEngine("  ", Completion("cats and", False)))
    assert (empty.unusable, cut.unusable) == ("empty", "cut")
    assert math.isnan(empty.logprob)
    assert cut.logprob < 0


def test_an_answer_that_the_chat_template_changes_is_unusable_and_stops_nothing():
    tokenizer = chat_tokenizer("strips-thoughts")
    thought, plain = said(tokenizer, SaidEngine("<think>a</think>cats", "mice"))
    assert thought.unusable == "markup"
    assert plain.unusable is None


def test_in_a_choice_task_the_answer_is_the_label_in_the_text(smollm2_tokenizer):
    engine = SaidEngine("The answer is mice.", "none of them", Completion("cats, since it", False))
    answers = said(smollm2_tokenizer, engine, labels=LABELS, scorer="choice")
    assert [answer.text for answer in answers] == ["mice", "", "cats"]
    assert [answer.unusable for answer in answers] == [None, "empty", None]


def test_each_sample_has_a_seed_of_its_own(smollm2_tokenizer):
    engine = SaidEngine(*"abcd")
    answers = said(smollm2_tokenizer, engine, samples=2, temperature=0.5)
    assert [(a.question.item, a.sample) for a in answers] == [
        ("q0", 1), ("q0", 2), ("q1", 1), ("q1", 2),
    ]  # fmt: skip
    assert engine.sampling is not None
    assert engine.sampling.temperature == 0.5
    assert len(set(engine.sampling.seeds)) == 4


def test_a_seed_depends_on_no_other_question(smollm2_tokenizer):
    settings = settings_with(samples=2, temperature=1.0)
    renderer = Renderer(smollm2_tokenizer, settings.prompt)
    of_all = ask_each(renderer, settings, QUESTIONS, None, [0])
    of_last = ask_each(renderer, settings, QUESTIONS[-1:], None, [0])
    assert [one.seed for one in of_all][-2:] == [one.seed for one in of_last]
    other = ask_each(renderer, settings, QUESTIONS, None, [1])
    assert not {one.seed for one in of_all} & {one.seed for one in other}


def test_the_teacher_sees_the_column_of_the_item(smollm2_tokenizer):
    engine = SaidEngine("cats", "mice")
    context = SETTINGS.context.model_copy(update={"item": "hint"})
    said(smollm2_tokenizer, engine, context=context)
    prompts = [smollm2_tokenizer.decode(ids) for ids in engine.prompts]
    assert [prompt.count("hint") for prompt in prompts] == [1, 1]
    assert "hint 1" in prompts[1]


# --- with a real model --------------------------------------------------------------------


def test_the_log_probability_is_that_of_the_answer_in_the_teachers_context(
    answered, smollm2_tokenizer
):
    answers = answered(generation=GenerationSettings(max_new_tokens=60), temperature=1.0)
    usable = [answer for answer in answers if not answer.unusable]
    assert usable
    renderer = Renderer(smollm2_tokenizer, SETTINGS.prompt, SHOWN)
    for answer in usable:
        (rendering,) = renderer.render([answer.question.question], [answer.text])
        assert answer.logprob == pytest.approx(-sum(losses_of(rendering)), rel=1e-4)


def test_gold_answers_are_never_read(answered):
    unlabelled = [replace(question, answer=None) for question in QUESTIONS]
    scrambled = [replace(question, answer=question.question[::-1]) for question in QUESTIONS]
    for labels, scorer in ((None, "word"), (LABELS, "choice"), (LABELS, "likelihood")):
        found = [
            [(a.text, a.finished, a.tokens) for a in answered(of, labels=labels, scorer=scorer)]
            for of in (QUESTIONS, unlabelled, scrambled)
        ]
        assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_more_questions_and_other_batches_change_no_answer(answered, temperature):
    samples = 3 if temperature else 1
    alone = [answered([q], temperature=temperature, samples=samples) for q in QUESTIONS]
    engine = SETTINGS.engine.model_copy(update={"batch_size": 3})
    together = answered(temperature=temperature, samples=samples, engine=engine)
    assert [a.text for a in together] == [a.text for answers in alone for a in answers]
    if temperature:
        assert len({a.text for a in together[:3]}) > 1


def test_the_likeliest_label_is_the_answer_where_labels_are_ranked(answered, smollm2_tokenizer):
    answers = answered(labels=LABELS, scorer="likelihood")
    renderer = Renderer(smollm2_tokenizer, SETTINGS.prompt, SHOWN)
    for answer in answers:
        nats = [losses_of(one) for one in renderer.render([answer.question.question] * 3, LABELS)]
        sums = [sum(label[:-1]) for label in nats]
        assert answer.text == LABELS[sums.index(min(sums))]
        assert answer.logprob == pytest.approx(-sum(nats[sums.index(min(sums))]), rel=1e-4)
        assert answer.unusable is None


def test_a_sampled_label_has_its_probability_among_the_labels():
    losses, temperature = [1.0, 2.0, 0.5], 0.7
    drawn = Counter(choose(losses, temperature, seed) for seed in range(3000))
    weights = np.exp(-np.array(losses) / temperature)
    expected = 3000 * weights / weights.sum()
    assert chisquare([drawn[index] for index in range(3)], expected).pvalue > 0.01
    assert choose(losses, 0.0, 1) == 2


def test_a_question_that_does_not_fit_is_refused_before_weights_are_loaded(
    answered, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(answering, "open_engine", None)
    with pytest.raises(InputError, match=r"1 of 1 items exceed the context.*item long"):
        answered([Example("long", "cat " * 600, None)])
