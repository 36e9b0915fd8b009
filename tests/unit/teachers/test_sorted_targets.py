"""What a teacher leaves for students with another tokenizer: of causal and encoder-decoder models.

Each passes the entry points and is read back by item. Passes are in float64, where neither batches
nor padding change what can be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tests.tiny_models import ENCODER_DECODERS, VOCABULARY, save_tiny_model, tiny_model
from tests.unit.teachers.conftest import LABELS
from workflow_scripts.config.slices import TeacherTarget
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.prompts.formats import Demonstration
from workflow_scripts.prompts.rendering import (
    RENDERERS,
    Rendering,
)
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json, write_json
from workflow_scripts.tasks.examples import Example, write_examples
from workflow_scripts.teachers.manifest import read_manifest
from workflow_scripts.teachers.targets import target_name
from workflow_scripts.teachers.teacher_pass import run_teacher_pass
from workflow_scripts.teachers.teacher_shard import refuse_unknown

# encoder-decoder → what its decoder reads before an answer
PREFIXES = {"bart": (2, 0), "mt5": (0,), "t5": (0,), "t5gemma": (2,)}
TEMPERATURE = 1.5
SHOWN = [Demonstration("apple", "apples"), Demonstration("mouse", "mice")]


@dataclass(frozen=True)
class Teacher:
    """A tiny model with its tokenizer."""

    family: str
    tokenizer: PreTrainedTokenizerBase

    @property
    def model(self) -> PreTrainedModel:
        return tiny_model(self.family, torch.float64)

    def renderings(self, prompt, examples, answers=None) -> list[Rendering]:
        kind = "encoder-decoder" if self.family in ENCODER_DECODERS else "causal"
        return RENDERERS[kind](self.tokenizer, prompt, SHOWN).render(
            [example.question for example in examples],
            answers or [example.answer for example in examples],
        )

    def answer_logits(self, rendering: Rendering) -> Tensor:
        """(answer tokens, vocabulary) float32, by a plain pass: no batch, cache or padding."""
        answer = rendering.answer_ids
        with torch.no_grad():
            if rendering.encoded:
                prompt = torch.tensor([rendering.prompt_ids])
                prefix = PREFIXES[self.family]
                decoded = torch.tensor([[*prefix, *answer[:-1]]])
                logits = self.model(prompt, decoder_input_ids=decoded, use_cache=False).logits[0]
                return logits[len(prefix) - 1 :].float()
            logits = self.model(torch.tensor([rendering.ids])).logits[0]
            return logits[-len(answer) - 1 : -1].float()


@pytest.fixture(params=[*PREFIXES, "gpt2"])
def teacher(request, base_tokenizer, encoder_decoder_tokenizers) -> Teacher:
    family = request.param
    return Teacher(family, encoder_decoder_tokenizers.get(family, base_tokenizer))


@pytest.fixture
def t5(t5_tokenizer) -> Teacher:
    return Teacher("t5", t5_tokenizer)


@pytest.fixture
def model_manifest(tmp_path: Path, teacher: Teacher) -> Path:
    folder = tmp_path / "models" / "tiny"
    manifest = save_tiny_model(teacher.family, teacher.tokenizer, folder)
    write_json(manifest, read_json(manifest) | {"dtype": "float64"})
    return manifest


@pytest.fixture
def examples() -> list[Example]:
    nouns = {"cat": "cats", "a box or a city": "boxes or cities", "child": "children"}
    nouns |= {"dog": "dogs", "knife": "", "mouse": "mice and many dogs " * 9 + "cat"}
    return [Example(f"item-{one}", one, many) for one, many in nouns.items()]


def sorted_target(top_k) -> TargetSettings:
    return TargetSettings(kind="sorted", position="answer", top_k=top_k, temperature=TEMPERATURE)


@pytest.mark.parametrize("top_k", [7, "all"])
def test_every_item_is_read_back_as_a_plain_pass_says(
    open_target, settings, teacher, examples, top_k
):
    store = open_target(settings, sorted_target(top_k))
    renderings = teacher.renderings(settings.prompt, examples)
    for example, rendering in zip(examples, renderings, strict=True):
        row, logits = store.read(example.item), teacher.answer_logits(rendering)
        kept = VOCABULARY if top_k == "all" else top_k
        ranked = logits.sort(descending=True).values[:, :kept]
        torch.testing.assert_close(row["values"], ranked)
        over_all = torch.stack([logits.logsumexp(-1), (logits / TEMPERATURE).logsumexp(-1)], -1)
        torch.testing.assert_close(row["logsumexp"], over_all)
        assert tuple(row["boundaries"].tolist()) == rendering.boundaries
        assert set(row["vocabulary"].tolist()) == {VOCABULARY}


def test_whole_rows_hold_all_the_probability(open_target, settings, teacher, examples):
    row = open_target(settings, sorted_target("all")).read(examples[0].item)
    for normaliser, temperature in zip(row["logsumexp"].T, (1.0, TEMPERATURE), strict=True):
        mass = (row["values"] / temperature - normaliser[:, None]).exp().sum(-1)
        torch.testing.assert_close(mass, torch.ones(len(mass)))


@pytest.mark.parametrize("top_k", [7, "all"])
def test_the_manifest_says_what_the_kept_logits_hold(make_shard, settings, top_k):
    target = sorted_target(top_k)
    mass = read_manifest(make_shard(settings, 0, target)).targets[target_name(target)].mass
    assert mass["end"].positions == 3
    assert mass["all"].min == 1 if top_k == "all" else 0 < mass["all"].min < 1


def test_the_target_that_a_run_expects_is_accepted(open_target, settings, model_manifest):
    target = sorted_target(7)
    read = TeacherTarget(teacher="few-shot", system=None, context=settings.context, target=target)
    store = open_target(settings, target)
    store.refuse_other(read, settings.prompt, None, model_manifest)
    other = read.model_copy(update={"target": sorted_target("all")})
    with pytest.raises(InputError, match="made with another target"):
        store.refuse_other(other, settings.prompt, None, model_manifest)


def test_every_item_gets_the_log_probabilities_of_its_labels(
    open_target, settings, label_target, teacher, examples, task
):
    labelled = [Example(e.item, e.question, "cats") for e in examples]
    write_examples(task / "train.parquet", labelled)
    store = open_target(settings, label_target)
    for example in labelled:
        renderings = teacher.renderings(settings.prompt, [example] * len(LABELS), LABELS)
        first = [rendering.answer_ids[0] for rendering in renderings]
        row = store.read(example.item)
        expected = teacher.answer_logits(renderings[0])[0].log_softmax(-1)[first]
        torch.testing.assert_close(row["logprobs"][0], expected)


@pytest.mark.parametrize("batch_size", [1, 2, 6])
def test_rows_are_in_the_order_of_the_items_whatever_the_batch(
    teacher, examples, settings, batch_size
):
    target = sorted_target(3)
    renderings = teacher.renderings(settings.prompt, examples)
    (found,) = run_teacher_pass(teacher.model, renderings, [target], batch_size)
    (backwards,) = run_teacher_pass(teacher.model, renderings[::-1], [target], batch_size)
    for name in ("values", "logsumexp", "boundaries"):
        rows = found[name].split(found["offsets"].diff().tolist())
        turned = backwards[name].split(backwards["offsets"].diff().tolist())
        torch.testing.assert_close(torch.cat(rows), torch.cat(turned[::-1]))


def test_logits_of_a_half_precision_model_are_kept_in_float32(teacher, examples, settings):
    target = sorted_target("all")
    renderings = teacher.renderings(settings.prompt, examples)
    (found,) = run_teacher_pass(teacher.model.bfloat16(), renderings, [target], 4)
    assert found["values"].dtype == found["logsumexp"].dtype == torch.float32
    assert found["boundaries"].dtype == found["vocabulary"].dtype == torch.int32


def test_more_logits_than_the_vocabulary_holds_are_refused(teacher, examples, settings):
    target = sorted_target(VOCABULARY + 1)
    renderings = teacher.renderings(settings.prompt, examples)
    with pytest.raises(InputError, match="top_k is 401, but the model's vocabulary has 400"):
        run_teacher_pass(teacher.model, renderings, [target], 4)


# --- characters that the tokenizer does not know ------------------------------------------


@pytest.fixture
def foreign(examples: list[Example]) -> list[Example]:
    """Two of six answers hold such characters, the second of them in two places."""
    return [
        *examples[:4],
        Example("item-日", "日", "日本"),
        Example("item-ñ", "n", "two ñ and ñ"),
    ]


def test_answers_that_the_tokenizer_does_not_know_are_refused(t5, foreign, settings):
    renderings = t5.renderings(settings.prompt, foreign)
    message = (
        r"2 of 6 answers contain characters that the teacher's tokenizer does not know \(3 unknown "
        r"tokens; the first is in item item-日: '日本'\); leave such items out, or raise"
    )
    with pytest.raises(InputError, match=message):
        refuse_unknown(renderings, foreign, t5.tokenizer, max_unknown=0.3)


def test_as_many_such_answers_as_may_be_are_accepted(t5, foreign, settings):
    renderings = t5.renderings(settings.prompt, foreign)
    refuse_unknown(renderings, foreign, t5.tokenizer, max_unknown=2 / 6)


def test_a_byte_level_tokenizer_knows_every_answer(base_tokenizer, foreign, settings):
    teacher = Teacher("gpt2", base_tokenizer)
    renderings = teacher.renderings(settings.prompt, foreign)
    for unknown in (None, base_tokenizer.eos_token):
        base_tokenizer.unk_token = unknown  # GPT-2's is the end token
        refuse_unknown(renderings, foreign, base_tokenizer, max_unknown=0)
    base_tokenizer.unk_token = None


@pytest.mark.parametrize("teacher", ["t5"], indirect=True)
def test_nothing_is_written_of_answers_that_are_not_known(
    make_shard, settings, task, foreign, tmp_path
):
    write_examples(task / "train.parquet", foreign)
    with pytest.raises(InputError, match="2 of 3 answers"):
        make_shard(settings, 1, sorted_target(7))
    assert not (tmp_path / "target").exists()
