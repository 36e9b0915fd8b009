from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
import torch

from tests.tiny_models import LAYERS, WIDTH
from tests.warm_python import WarmPython
from workflow_scripts.config.slices import ContextSettings
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.modeling.loading import load_weights, open_model
from workflow_scripts.prompts.formats import Demonstration
from workflow_scripts.prompts.rendering import Renderer
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json, write_json
from workflow_scripts.tasks.examples import read_examples, write_examples
from workflow_scripts.teachers.store import read_header
from workflow_scripts.teachers.teacher_shard import examples_of_shard


def test_every_training_item_gets_its_states(open_target, slice_of, hidden_target, examples):
    store = open_target(slice_of(hidden_target))
    for example in examples:
        assert store.read(example.item)["states"].shape == (1, LAYERS, WIDTH)


def test_shard_n_holds_the_nth_part_of_the_examples(
    open_target, slice_of, hidden_target, examples, tmp_path
):
    open_target(slice_of(hidden_target))
    shards = read_json(tmp_path / "target" / "manifest.json")["shards"]
    items = [shard["items"] for shard in shards.values()]
    assert items == [[e.item for e in examples[:3]], [e.item for e in examples[3:]]]


def test_the_demonstrations_change_the_target(open_target, slice_of, hidden_target, examples):
    settings = slice_of(hidden_target)
    few_shot = open_target(settings).read(examples[0].item)["states"]
    zero_shot = ContextSettings(shots=0, answers="correct", seed=0)
    alone = open_target(settings.model_copy(update={"context": zero_shot}))
    assert not torch.allclose(few_shot, alone.read(examples[0].item)["states"])


def test_every_training_item_gets_the_log_probabilities_of_its_labels(
    open_target, slice_of, label_target, examples
):
    store = open_target(slice_of(label_target))
    assert [store.read(example.item)["logprobs"].shape for example in examples] == [(1, 3)] * 6


def test_labels_that_begin_with_one_token_are_refused_before_anything_is_written(
    make_shard, slice_of, label_target, tmp_path
):
    settings = slice_of(label_target).model_copy(update={"labels": ("dog one", "dog two")})
    with pytest.raises(InputError, match="item item-cat: labels 'dog one' and 'dog two' begin"):
        make_shard(settings, 0)
    assert not (tmp_path / "target").exists()


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
    open_target, slice_of, hidden_target, examples
):
    settings = slice_of(hidden_target)
    plain, own, same = (
        open_target(settings.model_copy(update={"system": system})).read(examples[0].item)["states"]
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
    open_target, slice_of, logit_target, documented, smollm2_tokenizer, model_manifest
):
    settings = slice_of(logit_target)
    context = settings.context.model_copy(update={"item": "hint"})
    store = open_target(settings.model_copy(update={"context": context}))
    hinted, _ = documented
    pool = [
        Demonstration("apple", "apples", "A apple."),
        Demonstration("mouse", "mice", "A mouse."),
    ]
    shown = {d.question: d for d in pool}
    order = [shown[d["question"]] for d in store.description["demonstrations"]]
    assert [asdict(d) for d in order] == store.description["demonstrations"]
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


def test_an_item_without_the_column_is_refused(make_shard, slice_of, hidden_target):
    settings = slice_of(hidden_target)
    context = settings.context.model_copy(update={"shots": 0, "item": "hint"})
    with pytest.raises(InputError, match="item item-cat has no column 'hint'"):
        make_shard(settings.model_copy(update={"context": context}), 0)


# --- unlabelled items ---------------------------------------------------------------------


def test_a_target_before_the_answer_needs_no_answers(
    open_target, slice_of, hidden_target, task, examples
):
    settings = slice_of(hidden_target)
    labelled = {e.item: open_target(settings).read(e.item)["states"] for e in examples}
    write_examples(task / "train.parquet", [replace(e, answer=None) for e in examples])
    store = open_target(settings)
    for example in examples:
        assert torch.equal(store.read(example.item)["states"], labelled[example.item])


def test_a_target_at_the_answer_refuses_an_item_without_one(
    make_shard, slice_of, logit_target, task, examples, tmp_path
):
    write_examples(task / "train.parquet", [*examples[:1], replace(examples[1], answer=None)])
    message = "item item-box has no answer, at which target logits-answer-top7-t2 is read"
    with pytest.raises(InputError, match=message):
        make_shard(slice_of(logit_target).model_copy(update={"shards": 1}), 0)
    assert not (tmp_path / "target").exists()


def test_a_conversation_longer_than_the_context_is_refused_before_anything_is_written(
    make_shard, slice_of, hidden_target, model_manifest, tmp_path
):
    write_json(model_manifest, read_json(model_manifest) | {"context_length": 40})
    with pytest.raises(InputError, match="items exceed the context window of 40 tokens"):
        make_shard(slice_of(hidden_target), 0)
    assert not (tmp_path / "target").exists()


KILLED_WHILE_WRITING = """
import os, signal, sys
from workflow_scripts.teachers import store, teacher_shard
save = store.save_file

def save_half(tensors, path, metadata):
    save(tensors, path, metadata)
    os.truncate(path, os.path.getsize(path) // 2)
    os.kill(os.getpid(), signal.SIGKILL)

store.save_file = save_half
from workflow_scripts.runtime.cli import run_program
run_program(teacher_shard.main)
"""


def test_a_shard_that_is_killed_leaves_no_shard_and_the_others_alone(
    make_shard, told, slice_of, hidden_target
):
    settings = slice_of(hidden_target)
    first = make_shard(settings, 0)
    before = first.read_bytes(), first.stat().st_mtime_ns
    arguments = told(settings, 1)
    arguments["settings"] = settings.model_dump_json()
    command = [str(word) for name, value in arguments.items() for word in (f"--{name}", value)]
    assert WarmPython(["-c", KILLED_WHILE_WRITING, *command]).wait() == -signal.SIGKILL
    assert not arguments["tensors"].exists()
    assert (first.read_bytes(), first.stat().st_mtime_ns) == before
    assert read_header(make_shard(settings, 1)).items == ["item-city", "item-dog", "item-knife"]


def test_the_manifest_is_written_without_torch(
    make_shard, slice_of, model_manifest, tmp_path, logit_target: TargetSettings
):
    settings = slice_of(logit_target)
    shards = [make_shard(settings, 0), make_shard(settings, 1)]
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "from workflow_scripts.runtime.cli import run_program\n"
        "from workflow_scripts.teachers.teacher_manifest import main; run_program(main)"
    )
    arguments = ["--settings", settings.model_dump_json(), "--model", model_manifest]
    arguments += ["--shards", *shards, "--manifest", tmp_path / "target" / "manifest.json"]
    subprocess.run([sys.executable, "-c", script, *map(str, arguments)], check=True)
    assert read_json(tmp_path / "target" / "manifest.json")["items"] == 6
