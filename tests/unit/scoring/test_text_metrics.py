from __future__ import annotations

from collections.abc import Callable

import pytest

from workflow_scripts.runtime.errors import InputError
from workflow_scripts.scoring.answers import Completion, Score
from workflow_scripts.scoring.text_metrics import (
    score_bleu,
    score_coverage,
    score_rouge,
    score_span,
)
from workflow_scripts.tasks.examples import Example

Metric = Callable[[Completion, Example], Score]
SENTENCE = "A dog runs over the green field."


def about(*references: str) -> Example:
    return Example("item", "question", references[0], references)


def test_without_references_the_answer_is_what_a_text_is_compared_with() -> None:
    example = Example("item", "question", "the Eiffel Tower")
    assert score_span(Completion("Eiffel Tower"), example).strict == 1


@pytest.mark.parametrize("text", ["The Eiffel Tower!", " eiffel  tower\n", "an Eiffel tower"])
def test_a_span_matches_whatever_its_case_punctuation_and_articles(text: str) -> None:
    score = score_span(Completion(text), about("the Eiffel Tower"))
    assert (score.strict, score.flexible) == (1, 1)


def test_a_span_that_holds_the_answer_and_more_matches_in_part() -> None:
    score = score_span(Completion("in Paris, at the Eiffel Tower"), about("Eiffel Tower"))
    # 2 of its 5 words, both words of the answer
    assert (score.strict, score.flexible) == (0, pytest.approx(4 / 7))


def test_an_empty_span_matches_nothing() -> None:
    score = score_span(Completion(" "), about("Eiffel Tower"))
    assert (score.strict, score.flexible) == (0, 0)


@pytest.mark.parametrize("score", [score_span, score_rouge, score_bleu])
def test_the_best_reference_counts(score: Metric) -> None:
    completion, wrong = Completion("A dog runs across the field."), "Nobody is here."
    scores = [score(completion, about(*own)).flexible for own in ([wrong], [SENTENCE])]
    assert scores[0] < scores[1]
    assert score(completion, about(wrong, SENTENCE)).flexible == pytest.approx(scores[1])


@pytest.mark.parametrize("score", [score_span, score_rouge, score_bleu])
def test_a_text_that_is_a_reference_scores_1_and_no_more(score: Metric) -> None:
    scored = score(Completion(f"{SENTENCE}\n"), about("Nobody is here.", SENTENCE))
    assert (scored.strict, scored.flexible) == (pytest.approx(1), pytest.approx(1))
    assert max(scored.strict, scored.flexible) <= 1


@pytest.mark.parametrize("score", [score_span, score_rouge, score_bleu])
def test_an_empty_text_scores_0(score: Metric) -> None:
    scored = score(Completion("\n"), about(SENTENCE))
    assert (scored.strict, scored.flexible) == (0, 0)


def test_rouge_l_minds_the_order_of_words_and_rouge_1_does_not() -> None:
    score = score_rouge(Completion("field green the over runs dog a"), about(SENTENCE))
    assert (score.strict, score.flexible) == (pytest.approx(1 / 7), 1)


def test_bleu_counts_the_n_grams_of_all_references_together() -> None:
    halves = about("a dog runs over", "over the green field")
    completion = Completion("a dog runs over the green field")
    one_by_one = [score_bleu(completion, about(half)).strict for half in halves.references]
    assert score_bleu(completion, halves).strict > max(one_by_one)


def test_coverage_is_the_share_of_concepts_by_form_and_by_stem() -> None:
    score = score_coverage(Completion("A DOG runs over fields."), about("dog", "run", "field", "x"))
    assert (score.strict, score.flexible) == (0.25, 0.75)


def test_a_concept_of_several_words_stands_together() -> None:
    example = about("ice cream")
    score = score_coverage(Completion("Two ice creams"), example)
    assert (score.strict, score.flexible) == (0, 1)
    assert score_coverage(Completion("cream on ice"), example).flexible == 0


def test_a_concept_inside_another_word_is_not_covered() -> None:
    assert score_coverage(Completion("a dogma"), about("dog")).flexible == 0


def test_coverage_of_an_item_without_references_is_refused() -> None:
    with pytest.raises(InputError, match="item one: has no references"):
        score_coverage(Completion("a dog"), Example("one", "question", "answer"))
