from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from workflow_scripts.config.tasks import GenerationSettings
from workflow_scripts.engines.journal import AnswerJournal
from workflow_scripts.engines.journaled_engine import JournaledEngine, identities_of
from workflow_scripts.engines.protocol import Completed, Completion, Sampling, in_order
from workflow_scripts.prompts.rendering import Rendering

GENERATION = GenerationSettings(max_new_tokens=4)
PROMPTS = [[5, 6, 7], [5, 6, 8], [5, 6, 9]]
RENDERINGS = [Rendering(ids=(1, 2, token), question=0, query=0, prompt=1) for token in (3, 7)]


class WordyEngine:
    """Says `<checkpoint>:<last prompt token>`, the last first; a loss is a seventh of a token."""

    def __init__(self, lifetime: int) -> None:
        """lifetime: answers until it dies."""
        self._left = lifetime
        self.asked: list[tuple[Sequence[int], str | None]] = []

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        generation: GenerationSettings,
        checkpoints: Sequence[str | None],
        sampling: Sampling | None = None,
    ) -> Iterator[tuple[int, Completion]]:
        for index, ids, name in self._backwards(prompts, checkpoints):
            drawn = "" if sampling is None else f":{sampling.seeds[index]}"
            yield index, Completion(f"{name}:{ids[-1]}{drawn}", ids[-1] != 8)

    def token_losses(
        self, renderings: Sequence[Rendering], checkpoints: Sequence[str | None]
    ) -> Iterator[tuple[int, list[float]]]:
        of_all = [rendering.ids for rendering in renderings]
        for index, ids, _ in self._backwards(of_all, checkpoints):
            yield index, [ids[-1] / 7]

    def _backwards(
        self, sequences: Sequence[Sequence[int]], checkpoints: Sequence[str | None]
    ) -> Iterator[tuple[int, Sequence[int], str | None]]:
        for index in reversed(range(len(sequences))):
            if self._left == 0:
                raise KeyboardInterrupt
            self._left -= 1
            self.asked.append((sequences[index], checkpoints[index]))
            yield index, sequences[index], checkpoints[index]


@pytest.fixture
def start(tmp_path: Path):
    """Asks an engine of a job's next start; returns the answers and what the engine was asked."""

    def ask(
        prompts: Sequence[Sequence[int]],
        names: Sequence[str | None],
        generation: GenerationSettings = GENERATION,
        lifetime: int = 100,
        renderings: Sequence[Rendering] = (),
        sampling: Sampling | None = None,
    ):
        engine = WordyEngine(lifetime)
        with closing(AnswerJournal(tmp_path / "answers.jsonl")) as journal:
            journaled = JournaledEngine(engine, journal, {None: "base", "one": "1", "two": "2"})
            try:
                completions = in_order(journaled.generate(prompts, generation, names, sampling))
                losses = in_order(journaled.token_losses(renderings, [None] * len(renderings)))
            except KeyboardInterrupt:
                return None, engine.asked
        return completions + losses, engine.asked

    return ask


def texts(answers: Sequence[Completion]) -> list[str]:
    return [answer.text for answer in answers]


def test_answers_are_in_the_order_of_the_questions(start):
    answers, _ = start(PROMPTS, [None, "one", "two"])
    assert texts(answers) == ["None:7", "one:8", "two:9"]


def test_the_next_start_asks_only_for_what_is_missing(start):
    assert start(PROMPTS, [None] * 3, lifetime=2) == (None, [([5, 6, 9], None), ([5, 6, 8], None)])
    answers, asked = start(PROMPTS, [None] * 3)
    assert texts(answers) == ["None:7", "None:8", "None:9"]
    assert asked == [([5, 6, 7], None)]


def test_kept_losses_are_the_same_numbers(start):
    first = start([], [], renderings=RENDERINGS)
    again = start([], [], renderings=RENDERINGS)
    assert first[0] == again[0] == [[3 / 7], [1.0]]
    assert again[1] == []


def test_a_start_that_continues_says_how_much_is_kept(start, capsys: pytest.CaptureFixture[str]):
    start(PROMPTS, [None] * 3, lifetime=2)
    assert capsys.readouterr().out == ""
    start(PROMPTS, [None] * 3)
    assert capsys.readouterr().out == "generation: 2 of 3 answers are kept from before\n"


def test_equal_requests_are_asked_once(start):
    answers, asked = start([PROMPTS[0], PROMPTS[1], PROMPTS[0]], [None] * 3)
    assert texts(answers) == ["None:7", "None:8", "None:7"]
    assert len(asked) == 2


def test_other_checkpoints_and_settings_ask_again(start):
    start(PROMPTS[:1], ["one"])
    assert start(PROMPTS[:1], ["two"])[1] == [(PROMPTS[0], "two")]
    other = GenerationSettings(max_new_tokens=5)
    assert start(PROMPTS[:1], ["one"], generation=other)[1] == [(PROMPTS[0], "one")]


def test_a_kept_answer_still_says_whether_it_was_cut(start):
    first, _ = start(PROMPTS, [None] * 3)
    again, asked = start(PROMPTS, [None] * 3)
    assert [answer.finished for answer in again] == [True, False, True]
    assert again == first
    assert asked == []


def test_each_seed_and_temperature_is_another_request(start):
    drawn = Sampling(1.0, (4, 5, 4))
    answers, asked = start([PROMPTS[0]] * 3, [None] * 3, sampling=drawn)
    assert texts(answers) == ["None:7:4", "None:7:5", "None:7:4"]
    assert len(asked) == 2
    assert start([PROMPTS[0]] * 3, [None] * 3, sampling=drawn)[1] == []
    assert len(start(PROMPTS[:1], [None], sampling=Sampling(0.5, (4,)))[1]) == 1
    assert len(start(PROMPTS[:1], [None])[1]) == 1


def test_an_interrupted_sample_asks_for_the_rest_with_their_own_seeds(start):
    drawn = Sampling(1.0, (4, 5, 6))
    assert start(PROMPTS, [None] * 3, lifetime=2, sampling=drawn)[0] is None
    answers, asked = start(PROMPTS, [None] * 3, sampling=drawn)
    assert texts(answers) == ["None:7:4", "None:8:5", "None:9:6"]
    assert len(asked) == 1


def test_where_the_answer_begins_is_part_of_a_reading(start):
    start([], [], renderings=RENDERINGS[:1])
    later = replace(RENDERINGS[0], prompt=0)
    assert len(start([], [], renderings=[later])[1]) == 1


# --- who answers ---------------------------------------------------------------------------


def test_equal_files_are_one_identity_whatever_their_name_and_place(local_model, adapter):
    model, folder = local_model("llama"), adapter("llama", 1)
    before = identities_of("vllm", model, {"step-1": folder})
    moved = folder.rename(folder.with_name("moved"))
    after = identities_of("vllm", model, {"other": moved})
    assert before == {None: after[None], "step-1": after["other"]}


def test_another_engine_model_or_checkpoint_is_another_identity(local_model, adapter):
    model, folder = local_model("llama"), adapter("llama", 1)
    identities = [
        *identities_of("vllm", model, {"step-1": folder}).values(),
        *identities_of("transformers", model, {"step-1": folder}).values(),
        *identities_of("vllm", replace(model, manifest_sha256="1" * 64), {"a": folder}).values(),
        identities_of("vllm", model, {"step-1": adapter("llama", 2)})["step-1"],
    ]
    config = folder / "adapter_config.json"
    config.write_text(config.read_text().replace('"lora_alpha": 8', '"lora_alpha": 16'))
    identities.append(identities_of("vllm", model, {"step-1": folder})["step-1"])
    assert len(set(identities)) == len(identities)


def test_the_part_that_is_asked_anew_is_of_all_requests(tmp_path: Path):
    """Two of three completions are kept from before and neither of two losses."""

    def journaled(journal: AnswerJournal, lifetime: int) -> JournaledEngine:
        return JournaledEngine(WordyEngine(lifetime), journal, {None: "base"})

    def run(engine: JournaledEngine) -> float:
        in_order(engine.generate(PROMPTS, GENERATION, [None] * 3))
        in_order(engine.token_losses(RENDERINGS, [None] * 2))
        return engine.asked_anew

    with closing(AnswerJournal(tmp_path / "first.jsonl")) as journal:
        assert run(journaled(journal, 100)) == 1
    path = tmp_path / "answers.jsonl"
    with closing(AnswerJournal(path)) as journal, pytest.raises(KeyboardInterrupt):
        run(journaled(journal, 2))
    with closing(AnswerJournal(path)) as journal:
        assert run(journaled(journal, 100)) == pytest.approx(3 / 5)


class OnceEngine(WordyEngine):
    """Also says both at once."""

    reads_prompts_once = True

    def complete(
        self,
        questions: Sequence[Sequence[Rendering]],
        generation: GenerationSettings,
        checkpoints: Sequence[str | None],
    ) -> Iterator[tuple[int, Completed]]:
        prompts = [question[0].prompt_ids for question in questions]
        for index, ids, name in self._backwards(prompts, checkpoints):
            losses = [[one.ids[-1] / 7] for one in questions[index]]
            yield index, Completed(Completion(f"{name}:{ids[-1]}", True), losses)


@pytest.mark.parametrize("kind", [WordyEngine, OnceEngine])
def test_completions_with_losses_survive_a_killed_job(kind, tmp_path: Path):
    questions = [
        [Rendering((1, last, answer), question=0, query=0, prompt=1) for answer in (3, 7)]
        for last in (5, 6, 9)
    ]
    found = None
    for lifetime in (2, 100):
        engine = kind(lifetime)
        with closing(AnswerJournal(tmp_path / "answers.jsonl")) as journal:
            start = JournaledEngine(engine, journal, {None: "base", "one": "1"})
            with suppress(KeyboardInterrupt):
                found = start.complete(questions, GENERATION, [None, "one", None])
    assert found is not None
    assert [one.completion.text for one in found] == ["None:5", "one:6", "None:9"]
    assert [one.losses for one in found] == [[[3 / 7], [1.0]]] * 3
    # two of the answers were kept
    assert len(engine.asked) == (1 if kind is OnceEngine else 1 + 6)
    assert (engine.asked[0][0][-1], engine.asked[0][1]) == (5, None)
