from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from resources.tasks.nli import make

FOLDER = Path(make.__file__).parent
# what may stand before or after a clause inside its premise
BOUNDARIES = {",", ".", "and", "or", "that", "because", "if", "although", "unless"}
BOUNDARIES |= {word.split()[-1] for word in make.LEXICON["surely"] + make.LEXICON["perhaps"]}


def shipped(name: str) -> list[make.Row]:
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def of(heuristic: str) -> list[make.Row]:
    return [row for row in shipped("nli-heuristics.jsonl") if row["heuristic"] == heuristic]


def tokens(sentence: str) -> list[str]:
    """Words and marks in lower case."""
    return re.findall(r"\w+|[,.]", sentence.lower())


def words(sentence: str) -> list[str]:
    return [token for token in tokens(sentence) if token not in ",."]


def place(part: list[str], whole: list[str]) -> int | None:
    """Where `part` begins as a contiguous subsequence of `whole`."""
    starts = range(len(whole) - len(part) + 1)
    return next((n for n in starts if whole[n : n + len(part)] == part), None)


def test_the_seed_makes_exactly_the_shipped_files() -> None:
    assert make.in_domain() == shipped("nli.jsonl")
    assert make.heuristics() == shipped("nli-heuristics.jsonl")


def test_another_seed_makes_other_rows() -> None:
    premises = {row["premise"] for row in shipped("nli.jsonl")}
    assert {row["premise"] for row in make.in_domain(seed=1)} - premises


def test_in_domain_rows_are_balanced_over_cases_and_labels() -> None:
    counts = Counter((row["case"], row["label"]) for row in shipped("nli.jsonl"))
    assert counts == {
        (case, label): 18
        for case in make.IN_DOMAIN
        for label in ("entailment", "contradiction", "neutral")
    }


def test_heuristics_are_balanced_over_cases_and_labels() -> None:
    rows = shipped("nli-heuristics.jsonl")
    assert Counter((row["heuristic"], row["case"], row["label"]) for row in rows) == {
        (heuristic, case, label): 20
        for heuristic, cases in make.HEURISTICS.items()
        for case in cases
        for label in ("entailment", "non-entailment")
    }


def test_no_pair_and_no_id_repeats_in_either_file() -> None:
    rows = shipped("nli.jsonl") + shipped("nli-heuristics.jsonl")
    assert len({(row["premise"], row["hypothesis"]) for row in rows}) == len(rows)
    assert len({row["id"] for row in rows}) == len(rows)


@pytest.mark.parametrize("name", ["nli.jsonl", "nli-heuristics.jsonl"])
def test_sentences_are_filled_and_end_in_a_full_stop(name: str) -> None:
    sentence = re.compile(r"[A-Z][A-Za-z]*(,? [A-Za-z]+)+\.")
    for row in shipped(name):
        assert sentence.fullmatch(row["premise"]), row
        assert sentence.fullmatch(row["hypothesis"]), row


def test_in_domain_a_hypothesis_of_the_premises_words_is_mostly_entailed() -> None:
    labels = Counter(
        row["label"]
        for row in shipped("nli.jsonl")
        if set(words(row["hypothesis"])) <= set(words(row["premise"]))
    )
    assert labels == {"entailment": 116, "contradiction": 12, "neutral": 17}


def test_lexical_overlap_takes_every_word_from_the_premise_in_another_order() -> None:
    for row in of("lexical_overlap"):
        premise, hypothesis = words(row["premise"]), words(row["hypothesis"])
        assert set(hypothesis) <= set(premise), row
        assert place(hypothesis, premise) is None, row


def test_subsequence_is_contiguous_in_the_premise() -> None:
    for row in of("subsequence"):
        assert place(words(row["hypothesis"]), words(row["premise"])) is not None, row


def test_constituent_is_contiguous_between_boundaries_of_a_clause() -> None:
    for row in of("constituent"):
        clause, premise = tokens(row["hypothesis"])[:-1], tokens(row["premise"])
        start = place(clause, premise)
        assert start is not None, row
        assert start == 0 or premise[start - 1] in BOUNDARIES, row
        assert premise[start + len(clause)] in BOUNDARIES, row


def test_slots_of_one_word_class_get_different_words() -> None:
    grammar = "{role} met {role2}\n+ {role2} was there"
    rows = make._rows(grammar, {"+": "entailment"}, 50, make.Random(0))
    assert all(len(set(re.findall(r"[Tt]he (\w+)", row["premise"]))) == 2 for row in rows)
