from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from workflow_scripts.config.slices import TeacherSlice, TeacherTarget
from workflow_scripts.config.tasks import PromptSettings
from workflow_scripts.config.teachers import TargetSettings
from workflow_scripts.prompts.formats import Demonstration
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.runtime.files import read_json, write_json
from workflow_scripts.teachers.manifest import build_manifest, describe, read_header
from workflow_scripts.teachers.store import TargetStore, write_shard

LOGPROBS = torch.tensor([[-0.5, -1.5, -4.0], [-2.5, -0.25, -3.0]])
SliceOf = Callable[[TargetSettings], TeacherSlice]


def teacher_target_of(settings: TeacherSlice) -> TeacherTarget:
    return TeacherTarget(
        teacher="few-shot", system=settings.system, context=settings.context, target=settings.target
    )


def hidden_tensors(counts: list[int], dtype: torch.dtype = torch.bfloat16) -> dict[str, Tensor]:
    offsets = torch.tensor([0, *counts]).cumsum(0)
    return {"offsets": offsets, "states": torch.randn(int(offsets[-1]), 3, 4).to(dtype)}


def logit_tensors(logits: Tensor, counts: list[int], top_k: int) -> dict[str, Tensor]:
    values, indices = logits.topk(top_k)
    normalisers = [logits.logsumexp(-1), (logits / 2).logsumexp(-1)]
    return {
        "offsets": torch.tensor([0, *counts]).cumsum(0),
        "values": values,
        "indices": indices.int(),
        "logsumexp": torch.stack(normalisers, -1),
    }


@pytest.fixture
def hidden_shards(
    tmp_path: Path, model_manifest: Path, hidden_target: TargetSettings, slice_of: SliceOf
) -> list[tuple[Path, dict[str, Tensor]]]:
    """Two shards: items a, b, c with 1, 3 and 2 positions, and d with 2."""
    description = describe(slice_of(hidden_target), model_manifest, [Demonstration("one", "ones")])
    shards = []
    for number, (items, counts) in enumerate([("abc", [1, 3, 2]), ("d", [2])]):
        path = tmp_path / "target" / f"shard-000{number}.safetensors"
        tensors = hidden_tensors(counts)
        write_shard(path, list(items), tensors, description)
        shards.append((path, tensors))
    return shards


@pytest.fixture
def hidden_manifest(hidden_shards, model_manifest, hidden_target, slice_of) -> Path:
    paths = [path for path, _ in hidden_shards]
    manifest = paths[0].parent / "manifest.json"
    write_json(manifest, build_manifest(slice_of(hidden_target), model_manifest, paths))
    return manifest


# --- reading ------------------------------------------------------------------------------


def test_an_item_is_read_with_all_its_positions_and_layers(hidden_manifest, hidden_shards):
    row = TargetStore.open(hidden_manifest).read("b")
    assert torch.equal(row["states"], hidden_shards[0][1]["states"][1:4])


def test_items_of_every_shard_are_found(hidden_manifest, hidden_shards):
    row = TargetStore.open(hidden_manifest).read("d")
    assert torch.equal(row["states"], hidden_shards[1][1]["states"])


def test_states_keep_their_dtype(hidden_manifest):
    assert TargetStore.open(hidden_manifest).read("a")["states"].dtype == torch.bfloat16


def test_logits_are_read_as_written(
    tmp_path, model_manifest, logit_target, slice_of, hidden_shards
):
    tensors = logit_tensors(torch.randn(5, 20), [2, 3], top_k=7)
    shard, manifest = tmp_path / "logits" / "shard-0000.safetensors", tmp_path / "logits/m.json"
    settings = slice_of(logit_target)
    write_shard(shard, ["a", "b"], tensors, describe(settings, model_manifest, []))
    write_json(manifest, build_manifest(settings, model_manifest, [shard]))
    row = TargetStore.open(manifest).read("b")
    for name, found in row.items():
        assert torch.equal(found, tensors[name][2:5])
        assert found.dtype == tensors[name].dtype


@pytest.fixture
def label_manifest(tmp_path, model_manifest, label_target, slice_of) -> Path:
    """Two items, of three labels each."""
    shard, manifest = tmp_path / "labels" / "shard-0000.safetensors", tmp_path / "labels/m.json"
    settings = slice_of(label_target)
    tensors = {"offsets": torch.arange(3), "logprobs": LOGPROBS}
    write_shard(shard, ["a", "b"], tensors, describe(settings, model_manifest, []))
    write_json(manifest, build_manifest(settings, model_manifest, [shard]))
    return manifest


def test_an_items_labels_are_read_as_written(label_manifest):
    row = TargetStore.open(label_manifest).read("b")
    assert torch.equal(row["logprobs"], LOGPROBS[1:])


def test_the_manifest_of_a_label_target_says_its_labels(label_manifest, slice_of, label_target):
    assert read_json(label_manifest)["labels"] == list(slice_of(label_target).labels)


def test_the_labels_that_a_run_expects_are_accepted(
    label_manifest, label_target, model_manifest, slice_of
):
    settings = slice_of(label_target)
    TargetStore.open(label_manifest).refuse_other(
        teacher_target_of(settings), settings.prompt, settings.labels, model_manifest
    )


def test_labels_in_another_order_are_refused(
    label_manifest, label_target, model_manifest, slice_of
):
    settings = slice_of(label_target)
    with pytest.raises(InputError, match="made with another labels"):
        TargetStore.open(label_manifest).refuse_other(
            teacher_target_of(settings), settings.prompt, settings.labels[::-1], model_manifest
        )


def test_other_targets_do_not_depend_on_the_tasks_labels(
    hidden_manifest, hidden_target, model_manifest, slice_of
):
    settings = slice_of(hidden_target)
    TargetStore.open(hidden_manifest).refuse_other(
        teacher_target_of(settings), settings.prompt, ("yes", "no"), model_manifest
    )


def test_an_item_that_the_teacher_never_saw_is_refused(hidden_manifest):
    with pytest.raises(InputError, match=r"manifest\.json: holds no item z; delete"):
        TargetStore.open(hidden_manifest).read("z")


def test_the_same_target_is_written_as_the_same_bytes(tmp_path, hidden_shards):
    path, tensors = hidden_shards[0]
    again = tmp_path / "again.safetensors"
    write_shard(again, list("abc"), tensors, read_header(path).description)
    assert again.read_bytes() == path.read_bytes()


# --- what is refused ----------------------------------------------------------------------


def test_a_missing_shard_is_refused(hidden_manifest, hidden_shards):
    hidden_shards[1][0].unlink()
    with pytest.raises(InputError, match=r"shard-0001\.safetensors: no such file"):
        TargetStore.open(hidden_manifest)


def test_a_shard_cut_short_is_refused(hidden_manifest, hidden_shards):
    shard = hidden_shards[0][0]
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"shard-0000\.safetensors: damaged .*delete it and rerun"):
        TargetStore.open(hidden_manifest)


def test_an_empty_shard_is_refused(hidden_manifest, hidden_shards):
    hidden_shards[0][0].write_bytes(b"")
    with pytest.raises(InputError, match=r"shard-0000\.safetensors: damaged"):
        TargetStore.open(hidden_manifest)


def test_a_shard_with_one_changed_number_is_refused(hidden_manifest, hidden_shards):
    shard = hidden_shards[0][0]
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    with pytest.raises(InputError, match="not the file that its manifest lists"):
        TargetStore.open(hidden_manifest)


def test_a_manifest_of_something_else_is_refused(tmp_path):
    write_json(tmp_path / "manifest.json", {"steps": [1, 2]})
    with pytest.raises(InputError, match="not the manifest of a target; delete it and rerun"):
        TargetStore.open(tmp_path / "manifest.json")


def test_the_target_that_a_run_expects_is_accepted(
    hidden_manifest, hidden_target, model_manifest, slice_of
):
    store = TargetStore.open(hidden_manifest)
    assert store.target == hidden_target
    settings = slice_of(hidden_target)
    store.refuse_other(teacher_target_of(settings), settings.prompt, None, model_manifest)


def test_another_target_is_refused(hidden_manifest, logit_target, model_manifest, slice_of):
    settings = slice_of(logit_target)
    with pytest.raises(InputError, match=r"manifest\.json: made with another target; delete"):
        TargetStore.open(hidden_manifest).refuse_other(
            teacher_target_of(settings), settings.prompt, None, model_manifest
        )


@pytest.mark.parametrize("change", [{"answers": "shuffled"}, {"skip": 1}, {"item": "hint"}])
def test_another_context_is_refused(
    hidden_manifest, hidden_target, model_manifest, slice_of, change
):
    settings = slice_of(hidden_target)
    other = settings.context.model_copy(update=change)
    with pytest.raises(InputError, match="made with another context"):
        TargetStore.open(hidden_manifest).refuse_other(
            teacher_target_of(settings.model_copy(update={"context": other})),
            settings.prompt,
            None,
            model_manifest,
        )


def test_another_system_text_of_the_teacher_is_refused(
    hidden_manifest, hidden_target, model_manifest, slice_of
):
    settings = slice_of(hidden_target)
    with pytest.raises(InputError, match="made with another system"):
        TargetStore.open(hidden_manifest).refuse_other(
            teacher_target_of(settings.model_copy(update={"system": "Be brief."})),
            settings.prompt,
            None,
            model_manifest,
        )


def test_another_prompt_is_refused(hidden_manifest, hidden_target, model_manifest, slice_of):
    with pytest.raises(InputError, match="made with another prompt"):
        TargetStore.open(hidden_manifest).refuse_other(
            teacher_target_of(slice_of(hidden_target)),
            PromptSettings(system="Think."),
            None,
            model_manifest,
        )


def test_another_model_is_refused(hidden_manifest, hidden_target, model_manifest, slice_of):
    write_json(model_manifest, read_json(model_manifest) | {"revision": "other"})
    with pytest.raises(InputError, match="made with another model_sha256"):
        TargetStore.open(hidden_manifest).refuse_other(
            teacher_target_of(slice_of(hidden_target)),
            slice_of(hidden_target).prompt,
            None,
            model_manifest,
        )


# --- the manifest -------------------------------------------------------------------------


def test_the_manifest_says_what_the_target_depends_on(hidden_manifest, model_manifest):
    manifest = read_json(hidden_manifest)
    assert manifest["final_norm"] == "before"
    context = {"shots": 2, "answers": "correct", "seed": 0, "balanced": False}
    assert manifest["context"] == context | {"skip": 0, "item": None}
    assert manifest["system"] is None
    assert manifest["demonstrations"] == [{"question": "one", "answer": "ones", "before": None}]
    assert manifest["target"]["site"] == "block"
    assert manifest["vocabulary_sha256"] == read_json(model_manifest)["vocabulary_sha256"]
    assert (manifest["items"], manifest["positions"]) == (4, 8)
    assert manifest["shards"]["shard-0001.safetensors"]["items"] == ["d"]


@pytest.fixture
def mass_of(tmp_path, model_manifest, slice_of):
    """`mass` in the manifest of a target whose shards hold these logits and positions per item."""

    def make(target: TargetSettings, *content: tuple[Tensor, list[int]]):
        settings = slice_of(target)
        description = describe(settings, model_manifest, [])
        shards = []
        for number, (logits, counts) in enumerate(content):
            shards.append(tmp_path / f"shard-{number:04d}.safetensors")
            items = [f"{number}-{index}" for index in range(len(counts))]
            write_shard(shards[-1], items, logit_tensors(logits, counts, top_k=7), description)
        return build_manifest(settings, model_manifest, shards)["mass"]

    return make


def logits_with_mass(masses: list[float]) -> Tensor:
    """Logits whose seven largest of twenty probabilities add up to these masses."""
    rows = torch.tensor(masses, dtype=torch.float64)[:, None]
    return torch.cat([(rows / 7).expand(-1, 7), ((1 - rows) / 13).expand(-1, 13)], 1).log().float()


def test_the_manifest_says_how_much_probability_the_top_k_hold(mass_of, logit_target):
    logits = torch.randn(5, 20)
    mass = mass_of(logit_target, (logits[:2], [2]), (logits[2:], [3]))["all"]
    expected = logits.softmax(-1).topk(7).values.sum(-1)
    assert mass["positions"] == 5
    assert mass["mean"] == pytest.approx(expected.mean().item(), rel=1e-5)
    assert mass["min"] == pytest.approx(expected.min().item(), rel=1e-5)


def test_the_manifest_says_at_how_many_positions_the_top_k_hold_nearly_all(mass_of, logit_target):
    logits = logits_with_mass([0.9995, 0.5, 0.9985, 0.9999])
    assert mass_of(logit_target, (logits, [4]))["all"]["share_above_999"] == 0.5


def test_an_answers_mass_is_split_into_first_later_and_end_token(mass_of, logit_target):
    """Items of two, four and one tokens in two shards; the last is an empty answer."""
    one = logits_with_mass([0.6, 0.9, 0.7, 0.75, 0.85, 0.91])
    other = logits_with_mass([0.92])
    mass = mass_of(logit_target, (one, [2, 4]), (other, [1]))
    assert {kind: summary["positions"] for kind, summary in mass.items()} == {
        "all": 7,
        "first": 2,
        "later": 2,
        "end": 3,
    }
    means = {kind: summary["mean"] for kind, summary in mass.items() if kind != "all"}
    assert means == pytest.approx({"first": 0.65, "later": 0.8, "end": 0.91}, rel=1e-5)


def test_a_kind_without_positions_is_left_out(mass_of, logit_target):
    assert set(mass_of(logit_target, (torch.randn(4, 20), [2, 2]))) == {"all", "first", "end"}


def test_other_positions_are_not_split(mass_of, logit_target):
    prompt = logit_target.model_copy(update={"position": "prompt"})
    assert set(mass_of(prompt, (torch.randn(2, 20), [1, 1]))) == {"all"}


def test_a_shard_of_other_settings_is_refused(
    hidden_shards, hidden_target, model_manifest, slice_of
):
    other = slice_of(hidden_target).model_copy(update={"prompt": PromptSettings(system="Think.")})
    path, tensors = hidden_shards[1]
    write_shard(path, ["d"], tensors, describe(other, model_manifest, []))
    with pytest.raises(InputError, match=r"shard-0001\.safetensors: made with another prompt"):
        build_manifest(slice_of(hidden_target), model_manifest, [p for p, _ in hidden_shards])


def test_shards_with_different_demonstrations_are_refused(
    hidden_shards, hidden_target, model_manifest, slice_of
):
    path, tensors = hidden_shards[1]
    write_shard(path, ["d"], tensors, describe(slice_of(hidden_target), model_manifest, []))
    with pytest.raises(InputError, match="made with another demonstrations"):
        build_manifest(slice_of(hidden_target), model_manifest, [p for p, _ in hidden_shards])


def test_an_item_in_two_shards_is_refused(hidden_shards, hidden_target, model_manifest, slice_of):
    path, tensors = hidden_shards[1]
    settings = slice_of(hidden_target)
    write_shard(path, ["b"], tensors, read_header(path).description)
    with pytest.raises(InputError, match=r"item b is also in shard-0000\.safetensors"):
        build_manifest(settings, model_manifest, [p for p, _ in hidden_shards])
