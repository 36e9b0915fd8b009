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
from workflow_scripts.teachers.manifest import describe_teacher, mass_by_kind, read_manifest
from workflow_scripts.teachers.store import TargetStore, write_shard
from workflow_scripts.teachers.targets import target_name

LOGPROBS = torch.tensor([[-0.5, -1.5, -4.0], [-2.5, -0.25, -3.0]])
NAME = "hidden-block-query"
Write = Callable[..., Path]


@pytest.fixture
def target_of(settings: TeacherSlice):
    """The target as a run reads it."""

    def read(target: TargetSettings) -> TeacherTarget:
        return TeacherTarget(
            teacher="few-shot", system=None, context=settings.context, target=target
        )

    return read


@pytest.fixture
def write(tmp_path: Path, settings: TeacherSlice, model_manifest: Path) -> Write:
    """Writes a shard of some targets and their tensors; returns its manifest."""

    def make(
        number: int,
        items: str,
        *targets: tuple[TargetSettings, dict[str, Tensor]],
        shards: int = 1,
        shown: str = "one",
        settings: TeacherSlice = settings,
    ) -> Path:
        folder = tmp_path / "pass-0" / f"shard-{number:04d}"
        teacher = describe_teacher(settings, model_manifest, [Demonstration(shown, "ones")])
        write_shard(folder, (number, shards), list(items), teacher, targets, settings.labels or ())
        return folder / "manifest.json"

    return make


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
def hidden(write: Write, hidden_target: TargetSettings) -> list[dict[str, Tensor]]:
    """The tensors of two shards: items a, b, c with 1, 3 and 2 positions, and d with 2."""
    tensors = [hidden_tensors([1, 3, 2]), hidden_tensors([2])]
    for number, (items, own) in enumerate(zip(["abc", "d"], tensors, strict=True)):
        write(number, items, (hidden_target, own), shards=2)
    return tensors


@pytest.fixture
def manifests(hidden, tmp_path: Path) -> list[Path]:
    return [tmp_path / f"pass-0/shard-000{number}/manifest.json" for number in (0, 1)]


@pytest.fixture
def store(manifests) -> TargetStore:
    return TargetStore.open(manifests, NAME)


# --- reading ------------------------------------------------------------------------------


def test_an_item_is_read_with_all_its_positions_and_layers(store, hidden):
    assert torch.equal(store.read("b")["states"], hidden[0]["states"][1:4])


def test_items_of_every_shard_are_found(store, hidden):
    assert torch.equal(store.read("d")["states"], hidden[1]["states"])


def test_states_keep_their_dtype(store):
    assert store.read("a")["states"].dtype == torch.bfloat16


def test_logits_are_read_as_written(write, logit_target):
    tensors = logit_tensors(torch.randn(5, 20), [2, 3], top_k=7)
    manifest = write(0, "ab", (logit_target, tensors))
    row = TargetStore.open([manifest], target_name(logit_target)).read("b")
    for name, found in row.items():
        assert torch.equal(found, tensors[name][2:5])
        assert found.dtype == tensors[name].dtype


@pytest.fixture
def of_labels(write, label_target) -> TargetStore:
    """Two items, of three labels each."""
    manifest = write(0, "ab", (label_target, {"offsets": torch.arange(3), "logprobs": LOGPROBS}))
    return TargetStore.open([manifest], "labels")


def test_an_items_labels_are_read_as_written(of_labels):
    assert torch.equal(of_labels.read("b")["logprobs"], LOGPROBS[1:])


def test_the_labels_that_a_run_expects_are_accepted(
    of_labels, label_target, model_manifest, settings, target_of
):
    of_labels.refuse_other(
        target_of(label_target), settings.prompt, settings.labels, model_manifest
    )


def test_labels_in_another_order_are_refused(
    of_labels, label_target, model_manifest, settings, target_of
):
    with pytest.raises(InputError, match="made with another labels"):
        of_labels.refuse_other(
            target_of(label_target), settings.prompt, settings.labels[::-1], model_manifest
        )


def test_other_targets_do_not_depend_on_the_tasks_labels(
    store, hidden_target, model_manifest, settings, target_of
):
    store.refuse_other(target_of(hidden_target), settings.prompt, ("yes", "no"), model_manifest)


def test_an_item_that_the_teacher_never_saw_is_refused(store):
    with pytest.raises(InputError, match="pass-0: holds no item z; delete"):
        store.read("z")


def test_the_same_target_is_written_as_the_same_bytes(manifests, write, hidden, hidden_target):
    file = manifests[0].with_name(f"{NAME}.safetensors")
    before = file.read_bytes(), manifests[0].read_bytes()
    write(0, "abc", (hidden_target, hidden[0]), shards=2)
    assert (file.read_bytes(), manifests[0].read_bytes()) == before


# --- several targets ----------------------------------------------------------------------


@pytest.fixture
def shared(write, hidden_target, logit_target) -> Path:
    """The manifest of one shard with two targets."""
    logits = logit_tensors(torch.randn(5, 20), [2, 3], top_k=7)
    return write(0, "ab", (hidden_target, hidden_tensors([1, 1])), (logit_target, logits))


def test_what_happens_to_one_target_of_a_shard_does_not_matter_to_another(shared, logit_target):
    """Neither is it read: a checksum takes a second per gigabyte."""
    shared.with_name(f"{NAME}.safetensors").unlink()
    assert TargetStore.open([shared], target_name(logit_target)).read("a")
    with pytest.raises(InputError, match=rf"{NAME}\.safetensors: no such file; delete .*manifest"):
        TargetStore.open([shared], NAME)


def test_a_target_that_the_pass_did_not_read_is_refused(manifests):
    with pytest.raises(
        InputError, match=r"manifest\.json: holds no target labels; delete .*pass-0"
    ):
        TargetStore.open(manifests, "labels")


# --- what is refused ----------------------------------------------------------------------


def test_a_missing_manifest_is_refused(manifests):
    manifests[1].unlink()
    with pytest.raises(InputError, match=r"shard-0001/manifest\.json: no such file"):
        TargetStore.open(manifests, NAME)


def test_a_missing_shard_is_refused(manifests):
    with pytest.raises(InputError, match="belongs to 2 shards, but 1 or others are given"):
        TargetStore.open(manifests[:1], NAME)


@pytest.mark.parametrize("damage", ["cut short", "emptied", "with one changed number"])
def test_a_damaged_file_is_refused(manifests, damage):
    file = manifests[0].with_name(f"{NAME}.safetensors")
    content = file.read_bytes()
    changed = {
        "cut short": content[:-10],
        "emptied": b"",
        "with one changed number": content[:-1] + bytes([content[-1] ^ 1]),
    }
    file.write_bytes(changed[damage])
    message = rf"shard-0000/{NAME}\.safetensors: damaged, or not the file that its manifest lists; "
    with pytest.raises(InputError, match=message + "delete .*manifest.json and rerun"):
        TargetStore.open(manifests, NAME)


def test_an_edited_manifest_is_refused(manifests):
    manifests[0].write_text(manifests[0].read_text().replace('"a"', '"e"'))
    with pytest.raises(InputError, match=r"manifest\.json: not as it was written"):
        TargetStore.open(manifests, NAME)


def test_a_manifest_of_something_else_is_refused(tmp_path):
    write_json(tmp_path / "manifest.json", {"steps": [1, 2]})
    with pytest.raises(InputError, match="not the manifest of a teacher's shard; delete it and"):
        TargetStore.open([tmp_path / "manifest.json"], NAME)


def test_the_target_that_a_run_expects_is_accepted(
    store, hidden_target, model_manifest, settings, target_of
):
    assert store.target == hidden_target
    store.refuse_other(target_of(hidden_target), settings.prompt, None, model_manifest)


def test_another_target_is_refused(store, logit_target, model_manifest, settings, target_of):
    with pytest.raises(InputError, match=r"manifest\.json: made with another target; delete"):
        store.refuse_other(target_of(logit_target), settings.prompt, None, model_manifest)


@pytest.mark.parametrize("change", [{"answers": "shuffled"}, {"skip": 1}, {"item": "hint"}])
def test_another_context_is_refused(
    store, hidden_target, model_manifest, settings, target_of, change
):
    read = target_of(hidden_target)
    other = read.model_copy(update={"context": read.context.model_copy(update=change)})
    with pytest.raises(InputError, match="made with another context"):
        store.refuse_other(other, settings.prompt, None, model_manifest)


def test_another_system_text_of_the_teacher_is_refused(
    store, hidden_target, model_manifest, settings, target_of
):
    other = target_of(hidden_target).model_copy(update={"system": "Be brief."})
    with pytest.raises(InputError, match="made with another system"):
        store.refuse_other(other, settings.prompt, None, model_manifest)


def test_another_prompt_is_refused(store, hidden_target, model_manifest, target_of):
    with pytest.raises(InputError, match="made with another prompt"):
        store.refuse_other(
            target_of(hidden_target), PromptSettings(system="Think."), None, model_manifest
        )


def test_another_model_is_refused(store, hidden_target, model_manifest, settings, target_of):
    write_json(model_manifest, read_json(model_manifest) | {"revision": "other"})
    with pytest.raises(InputError, match="made with another model"):
        store.refuse_other(target_of(hidden_target), settings.prompt, None, model_manifest)


def test_a_shard_of_other_settings_is_refused(manifests, write, hidden, hidden_target, settings):
    other = settings.model_copy(update={"prompt": PromptSettings(system="Think.")})
    write(1, "d", (hidden_target, hidden[1]), shards=2, settings=other)
    with pytest.raises(InputError, match=r"shard-0001/manifest\.json: made with another prompt"):
        TargetStore.open(manifests, NAME)


def test_shards_with_different_demonstrations_are_refused(manifests, write, hidden, hidden_target):
    write(1, "d", (hidden_target, hidden[1]), shards=2, shown="another")
    with pytest.raises(InputError, match="made with another demonstrations"):
        TargetStore.open(manifests, NAME)


def test_an_item_in_two_shards_is_refused(manifests, write, hidden, hidden_target):
    write(1, "b", (hidden_target, hidden[1]), shards=2)
    with pytest.raises(InputError, match="shard-0001: item b is also in shard-0000; delete both"):
        TargetStore.open(manifests, NAME)


# --- the manifest -------------------------------------------------------------------------


def test_the_manifest_says_what_the_targets_depend_on(manifests, model_manifest):
    manifest = read_manifest(manifests[1])
    teacher = manifest.teacher.model_dump(mode="json")
    context = {"shots": 2, "answers": "correct", "seed": 0, "balanced": False}
    assert teacher["context"] == context | {"skip": 0, "item": None}
    assert teacher["system"] is None
    assert teacher["demonstrations"] == [{"question": "one", "answer": "ones", "before": None}]
    vocabulary = read_json(model_manifest)["vocabulary_sha256"]
    assert teacher["model"]["vocabulary_sha256"] == vocabulary
    described = manifest.targets[NAME]
    assert (described.target.site, described.final_norm, described.labels) == (
        "block",
        "before",
        None,
    )
    assert (manifest.items, described.positions) == (("d",), 2)
    assert (manifest.shard, manifest.shards) == (1, 2)


def logits_with_mass(masses: list[float]) -> Tensor:
    """Logits whose seven largest of twenty probabilities add up to these masses."""
    rows = torch.tensor(masses, dtype=torch.float64)[:, None]
    return torch.cat([(rows / 7).expand(-1, 7), ((1 - rows) / 13).expand(-1, 13)], 1).log().float()


def test_the_manifest_says_how_much_probability_the_top_k_hold(logit_target):
    logits = torch.randn(5, 20)
    mass = mass_by_kind(logit_target, logit_tensors(logits, [2, 3], top_k=7))["all"]
    expected = logits.softmax(-1).topk(7).values.sum(-1)
    assert mass.positions == 5
    assert mass.mean == pytest.approx(expected.mean().item(), rel=1e-5)
    assert mass.min == pytest.approx(expected.min().item(), rel=1e-5)


def test_the_manifest_says_at_how_many_positions_the_top_k_hold_nearly_all(logit_target):
    logits = logits_with_mass([0.9995, 0.5, 0.9985, 0.9999])
    mass = mass_by_kind(logit_target, logit_tensors(logits, [4], top_k=7))
    assert mass["all"].share_above_999 == 0.5


def test_an_answers_mass_is_split_into_first_later_and_end_token(logit_target):
    """Items of two, four and one tokens; the last is an empty answer."""
    logits = logits_with_mass([0.6, 0.9, 0.7, 0.75, 0.85, 0.91, 0.92])
    mass = mass_by_kind(logit_target, logit_tensors(logits, [2, 4, 1], top_k=7))
    assert {kind: summary.positions for kind, summary in mass.items()} == {
        "all": 7,
        "first": 2,
        "later": 2,
        "end": 3,
    }
    means = {kind: summary.mean for kind, summary in mass.items() if kind != "all"}
    assert means == pytest.approx({"first": 0.65, "later": 0.8, "end": 0.91}, rel=1e-5)


def test_a_kind_without_positions_is_left_out(logit_target):
    tensors = logit_tensors(torch.randn(4, 20), [2, 2], top_k=7)
    assert set(mass_by_kind(logit_target, tensors)) == {"all", "first", "end"}


def test_other_positions_are_not_split(logit_target):
    prompt = logit_target.model_copy(update={"position": "prompt"})
    tensors = logit_tensors(torch.randn(2, 20), [1, 1], top_k=7)
    assert set(mass_by_kind(prompt, tensors)) == {"all"}
