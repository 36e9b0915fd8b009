from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from tests.unit.pretraining.conftest import EXAMPLES, PROMPTS, make, slice_of
from workflow_scripts.modeling.loading import load_tokenizer, load_weights, open_model
from workflow_scripts.models import precision
from workflow_scripts.pretraining import pretrain as entry_point
from workflow_scripts.pretraining.kinds import KINDS
from workflow_scripts.pretraining.run import pretrain
from workflow_scripts.prompts.rendering import RENDERERS
from workflow_scripts.runtime.checksums import sha256_of
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tasks.examples import write_examples


def weights_sha256(model):
    return sha256_of(model.folder / "model.safetensors")


def mean_answer_loss(model):
    """Nats per token of the first task's answers."""
    renderer = RENDERERS[model.architecture](load_tokenizer(model), PROMPTS["plurals"])
    examples = EXAMPLES["plurals"]
    renderings = renderer.render([e.question for e in examples], [e.answer for e in examples])
    with torch.no_grad():
        return load_weights(model)(**KINDS[model.source].batch(renderings)).loss.item()


def test_the_manifest_says_what_was_asked_for(model, source):
    assert (model.source, model.layers, model.width) == (source, 1, 32)
    assert model.context_length == 64
    assert model.vocabulary == len(load_tokenizer(model)) <= 300


def test_the_manifest_counts_the_weights(model):
    assert load_weights(model).num_parameters() == model.parameters


def test_the_tokenizer_is_read_as_it_was_trained(model):
    stored = Tokenizer.from_file(str(model.folder / "tokenizer.json"))
    shown = "Plural of cat?\nAnswer: 12"
    assert load_tokenizer(model)(shown)["input_ids"] == stored.encode(shown).ids


@pytest.mark.parametrize("native", [True, False])
def test_an_open_dtype_is_what_the_cpu_is_quick_in(native, source, tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "cpu_multiplies_bfloat16", lambda: native)
    settings = slice_of(source, steps=1)
    left_open = settings.model.model_copy(update={"dtype": "auto"})
    pretrain(settings.model_copy(update={"model": left_open}), EXAMPLES, tmp_path / "tiny")
    model = open_model(tmp_path / "tiny/manifest.json")
    assert model.dtype == ("bfloat16" if native else "float32")
    stored = load_file(model.folder / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {getattr(torch, model.dtype)}


def test_there_is_no_chat_template(model):
    assert load_tokenizer(model).chat_template is None


def test_the_same_settings_make_the_same_model(model, source, tmp_path):
    again = make(source, tmp_path / "again")
    assert weights_sha256(again) == weights_sha256(model)
    assert again.vocabulary_sha256 == model.vocabulary_sha256


def test_another_seed_makes_another_model(model, source, tmp_path):
    assert weights_sha256(make(source, tmp_path / "other", seed=1)) != weights_sha256(model)


def test_a_model_learns_the_answers(model, source, tmp_path):
    taught = make(source, tmp_path / "taught", steps=60)
    assert mean_answer_loss(taught) < mean_answer_loss(model) / 4


def test_an_example_that_does_not_fit_is_refused_and_leaves_no_folder(source, tmp_path):
    with pytest.raises(InputError, match="exceed the context window of 4 tokens"):
        pretrain(slice_of(source, context=4), EXAMPLES, tmp_path / "tiny")
    assert list(tmp_path.iterdir()) == []


def test_the_entry_point_reads_the_examples_of_each_prompt(source, model, tmp_path):
    for task, examples in EXAMPLES.items():
        write_examples(tmp_path / f"{task}.parquet", examples)
    files = [tmp_path / f"{task}.parquet" for task in PROMPTS]
    manifest = tmp_path / "tiny/manifest.json"
    entry_point.main(slice_of(source), files, manifest)
    assert sha256_of(manifest) == sha256_of(model.folder / "manifest.json")
