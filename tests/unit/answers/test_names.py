"""Names of the ways in which answers are generated and kept."""

from __future__ import annotations

from workflow_scripts.answers.names import generated_name, kept_name, kind_of
from workflow_scripts.config.answers import AnswerSettings, KeptAnswers


def test_names_of_folders_tell_answers_apart():
    sampled = AnswerSettings(by="teacher", samples=4, temperature=0.7)
    keep = KeptAnswers(min_agreement=0.5, min_logprob=-1, surest=0.25, max_unusable=0.2)
    assert generated_name(AnswerSettings(by="teacher")) == "greedy"
    assert generated_name(sampled) == "4-samples-t0.7"
    assert kept_name(KeptAnswers()) == "all"
    assert kept_name(keep) == "agreement=0.5_logprob=-1_surest=0.25_max_unusable=0.2"


def test_a_kind_names_the_filter_where_there_is_one():
    keep = KeptAnswers(min_agreement=0.5)
    sampled = AnswerSettings(by="teacher", samples=8, temperature=0.7, keep=keep)
    assert kind_of(AnswerSettings(by="teacher")) == "greedy"
    assert kind_of(sampled) == "8-samples-t0.7, agreement=0.5"


def test_numbers_that_differ_in_the_last_digit_are_two_folders():
    samples = [AnswerSettings(by="teacher", temperature=t) for t in (0.3, 0.1 + 0.2)]
    assert len(set(map(generated_name, samples))) == 2
    kept = [KeptAnswers(surest=share) for share in (0.3, 0.1 + 0.2)]
    assert len(set(map(kept_name, kept))) == 2
