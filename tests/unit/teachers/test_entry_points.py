from __future__ import annotations

import signal
from dataclasses import asdict, replace
from itertools import permutations

import pytest
import torch

from tests.tiny_models import LAYERS, WIDTH
from tests.warm_python import WarmPython
from workflow_scripts.config.slices import ContextSettings
from workflow_scripts.modeling.loading import load_weights, open_model
from workflow_scripts.prompts.formats import Demonstration
from workflow_scripts.prompts.rendering import Renderer
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json, write_json
from workflow_scripts.tasks.examples import read_examples, write_examples
from workflow_scripts.teachers.manifest import read_manifest
from workflow_scripts.teachers.teacher_shard import examples_of_shard


def test_every_training_item_gets_its_states(open_target, settings, hidden_target, examples):
    store = open_target(settings, hidden_target)
    for example in examples:
        assert store.read(example.item)["states"].shape == (1, LAYERS, WIDTH)


def test_shard_n_holds_the_nth_part_of_the_examples(
    open_target, settings, hidden_target, examples, tmp_path
):
    open_target(settings, hidden_target)
    manifests = (tmp_path / f"pass-0/shard-000{n}/manifest.json" for n in (0, 1))
    items = [read_json(manifest)["items"] for manifest in manifests]
    assert items == [[e.item for e in examples[:3]], [e.item for e in examples[3:]]]


def test_the_demonstrations_change_the_target(open_target, settings, hidden_target, examples):
    few_shot = open_target(settings, hidden_target).read(examples[0].item)["states"]
    zero_shot = ContextSettings(shots=0, answers="correct", seed=0)
    alone = open_target(settings.model_copy(update={"context": zero_shot}), hidden_target)
    assert not torch.allclose(few_shot, alone.read(examples[0].item)["states"])


def test_every_training_item_gets_the_log_probabilities_of_its_labels(
    open_target, settings, label_target, examples
):
    store = open_target(settings, label_target)
    assert [store.read(example.item)["logprobs"].shape for example in examples] == [(1, 3)] * 6


def test_labels_that_begin_with_one_token_are_refused_before_anything_is_written(
    make_shard, settings, label_target, tmp_path
):
    settings = settings.model_copy(update={"labels": ("dog one", "dog two")})
    with pytest.raises(InputError, match="item item-cat: labels 'dog one' and 'dog two' begin"):
        make_shard(settings, 0, label_target)
    assert not (tmp_path / "pass-0").exists()


@pytest.mark.parametrize("shards", [1, 2, 4, 5, 6])
def test_shards_are_of_equal_size(examples, task, shards):
    parts = [examples_of_shard(task / "train.parquet", n, shards) for n in range(shards)]
    assert [example for part in parts for example in part] == examples
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_more_shards_than_examples_are_refused(task):
    with pytest.raises(InputError, match="6 examples are too few for 7 shards"):
        examples_of_shard(task / "train.parquet", 6, 7)


# --- contexts -----------------------------------------------------------------------------


def test_the_system_text_of_a_teacher_changes_its_target(
    open_target, settings, hidden_target, examples
):
    plain, own, same = (
        open_target(settings.model_copy(update={"system": system}), hidden_target).read(
            examples[0].item
        )["states"]
        for system in (None, "Be brief.", "Answer.")
    )
    assert not torch.allclose(plain, own)
    assert torch.equal(plain, same)


@pytest.fixture
def documented(task, examples):
    """Every item has a hint of its own, the demonstrations too."""
    hinted = [replace(e, columns={"hint": f"It is a {e.question}."}) for e in examples]
    write_examples(task / "train.parquet", hinted)
    pool = task / "demonstrations.parquet"
    shown = [replace(e, columns={"hint": f"A {e.question}."}) for e in read_examples(pool)]
    write_examples(pool, shown)
    return hinted, shown


def test_a_teacher_reads_the_item_s_column_before_its_question(
    open_target, settings, logit_target, documented, smollm2_tokenizer, model_manifest
):
    context = settings.context.model_copy(update={"item": "hint"})
    store = open_target(settings.model_copy(update={"context": context}), logit_target)
    hinted, _ = documented
    pool = [
        Demonstration("apple", "apples", "A apple."),
        Demonstration("mouse", "mice", "A mouse."),
    ]
    shown = {d.question: d for d in pool}
    order = [shown[d["question"]] for d in store.teacher.demonstrations]
    assert [asdict(d) for d in order] == list(store.teacher.demonstrations)
    model = load_weights(open_model(model_manifest))
    renderer = Renderer(smollm2_tokenizer, settings.prompt, order)
    for example in hinted:
        (rendering,) = renderer.render(
            [example.question], [example.answer], [example.columns["hint"]]
        )
        with torch.no_grad():
            logits = model(torch.tensor([rendering.ids])).logits[0]
        expected = logits[rendering.prompt : -1].topk(7).values
        torch.testing.assert_close(store.read(example.item)["values"], expected)


def test_an_item_without_the_column_is_refused(make_shard, settings, hidden_target):
    context = settings.context.model_copy(update={"shots": 0, "item": "hint"})
    with pytest.raises(InputError, match="item item-cat has no column 'hint'"):
        make_shard(settings.model_copy(update={"context": context}), 0, hidden_target)


# --- unlabelled items ---------------------------------------------------------------------


def test_a_target_before_the_answer_needs_no_answers(
    open_target, settings, hidden_target, task, examples
):
    store = open_target(settings, hidden_target)
    labelled = {e.item: store.read(e.item)["states"] for e in examples}
    write_examples(task / "train.parquet", [replace(e, answer=None) for e in examples])
    store = open_target(settings, hidden_target)
    for example in examples:
        assert torch.equal(store.read(example.item)["states"], labelled[example.item])


def test_a_target_at_the_answer_refuses_an_item_without_one(
    make_shard, settings, hidden_target, logit_target, task, examples, tmp_path
):
    write_examples(task / "train.parquet", [*examples[:1], replace(examples[1], answer=None)])
    message = "item item-box has no answer, at which target logits-answer-top7-t2 is read"
    with pytest.raises(InputError, match=message):
        make_shard(settings.model_copy(update={"shards": 1}), 0, hidden_target, logit_target)
    assert not (tmp_path / "pass-0").exists()


def test_a_conversation_longer_than_the_context_is_refused_before_anything_is_written(
    make_shard, settings, hidden_target, model_manifest, tmp_path
):
    write_json(model_manifest, read_json(model_manifest) | {"context_length": 40})
    with pytest.raises(InputError, match="items exceed the context window of 40 tokens"):
        make_shard(settings, 0, hidden_target)
    assert not (tmp_path / "pass-0").exists()


KILLED_WHILE_WRITING = """
import os, signal, sys
from workflow_scripts.teachers import store, teacher_shard
save = store.save_file

def save_half(tensors, path):
    save(tensors, path)
    os.truncate(path, os.path.getsize(path) // 2)
    os.kill(os.getpid(), signal.SIGKILL)

store.save_file = save_half
from workflow_scripts.runtime.cli import run_program
run_program(teacher_shard.main)
"""


def test_a_shard_that_is_killed_leaves_no_shard_and_the_others_alone(
    make_shard, told, settings, hidden_target
):
    first = make_shard(settings, 0, hidden_target)
    before = first.read_bytes(), first.stat().st_mtime_ns
    arguments = told(settings, [hidden_target], 1)
    arguments["settings"] = settings.model_dump_json()
    arguments["targets"] = f"[{hidden_target.model_dump_json()}]"
    command = [str(word) for name, value in arguments.items() for word in (f"--{name}", value)]
    assert WarmPython(["-c", KILLED_WHILE_WRITING, *command]).wait() == -signal.SIGKILL
    assert not arguments["manifest"].parent.exists()
    assert (first.read_bytes(), first.stat().st_mtime_ns) == before
    made = read_manifest(make_shard(settings, 1, hidden_target))
    assert made.items == ("item-city", "item-dog", "item-knife")


# --- several targets ----------------------------------------------------------------------


def test_a_shard_holds_every_target_of_its_pass_and_the_pass_says_which(
    make_shard, settings, hidden_target, logit_target, label_target
):
    manifest = make_shard(settings, 0, hidden_target, logit_target, label_target)
    names = ["hidden-block-query", "labels", "logits-answer-top7-t2"]
    assert sorted(read_manifest(manifest).targets) == names
    assert sorted(path.stem for path in manifest.parent.glob("*.safetensors")) == names
    assert read_json(manifest.parents[1] / "targets.json") == names


def test_targets_of_one_pass_are_those_of_a_pass_each(
    open_target, settings, hidden_target, logit_target, label_target, examples
):
    """Other lengths are padded together, so they agree up to rounding."""
    for first, *others in permutations([hidden_target, logit_target, label_target], 3):
        store = open_target(settings, first, *others)
        together = {example.item: store.read(example.item) for example in examples}
        alone = open_target(settings, first)
        for item, fields in together.items():
            torch.testing.assert_close(fields, alone.read(item))


def test_a_shard_that_is_made_again_forgets_what_is_not_read_any_more(
    make_shard, settings, hidden_target, logit_target
):
    make_shard(settings, 0, hidden_target, logit_target)
    manifest = make_shard(settings, 0, hidden_target)
    assert [path.stem for path in manifest.parent.glob("*.safetensors")] == ["hidden-block-query"]
    assert read_json(manifest.parents[1] / "targets.json") == ["hidden-block-query"]


def test_labels_that_begin_with_one_token_matter_to_a_target_of_labels_alone(
    open_target, settings, hidden_target
):
    settings = settings.model_copy(update={"labels": ("dog one", "dog two")})
    assert open_target(settings, hidden_target)
