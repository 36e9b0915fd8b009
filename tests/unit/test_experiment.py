"""The config: what is refused and how, what is derived, what each rule's slice holds."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from workflow_scripts.errors import InputError
from workflow_scripts.experiment import Experiment, load_experiment
from workflow_scripts.settings import RunSlice

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "config/config.yaml").read_text())


def refusal(config: dict[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        load_experiment(config)
    return str(caught.value)


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("**/*.yaml")), ids=lambda p: p.name)
def test_every_shipped_config_is_valid(path):
    load_experiment(yaml.safe_load(path.read_text()))


def test_the_second_shipped_task_is_one_line_away():
    text = (ROOT / "config/config.yaml").read_text().replace("# number-words:", "number-words:")
    experiment = load_experiment(yaml.safe_load(text))
    source = experiment.tasks["number-words"].data.source
    assert source == "resources/tasks/number-words.jsonl"
    assert (ROOT / source).exists()


def test_the_embedded_default_has_the_promised_conditions(config):
    experiment = load_experiment(config)
    assert list(experiment.conditions) == [
        "sft",
        "layerwise",
        "logit-kl",
        "answer-kl",
        "answer-kl-zero-shot",
    ]
    assert experiment.conditions["answer-kl-zero-shot"].teacher == "zero-shot"


def test_an_unknown_key_names_its_place_and_the_nearest_valid_key(config):
    config["conditions"]["layerwise"]["terms"][1]["weigth"] = 1
    assert refusal(config) == (
        "conditions.layerwise.terms.1: unknown key 'weigth'; valid here: weight"
    )


def test_an_unknown_objective_is_refused_with_the_valid_ones(config):
    config["conditions"]["sft"]["terms"][0]["objective"] = "cross-entropy"
    message = refusal(config)
    assert message.startswith("conditions.sft.terms.0: ")
    assert "'cross_entropy'" in message


def test_a_missing_key_is_named(config):
    del config["conditions"]["layerwise"]["terms"][1]["reduction"]
    assert refusal(config) == "conditions.layerwise.terms.1.reduction: is required"


def test_problems_in_several_places_are_all_told(config):
    config["training"]["steps"] = 0
    config["evaluation"] = {"batch_size": 0}
    assert len(refusal(config).splitlines()) == 2


def test_a_distillation_term_needs_a_teacher(config):
    del config["conditions"]["layerwise"]["teacher"]
    assert refusal(config) == "conditions.layerwise: term hidden needs a `teacher`"


def test_a_term_cannot_be_there_twice(config):
    config["conditions"]["sft"]["terms"] *= 2
    assert "same term twice: cross_entropy" in refusal(config)


def test_zero_shots_are_required(config):
    config["shots"] = [8]
    assert refusal(config).startswith("shots: must contain 0")


def test_a_checkpoint_after_the_last_step_is_refused(config):
    config["training"]["checkpoints"] = [10, 50]
    assert refusal(config) == "training: checkpoint 50 lies after step 40"


def test_hub_sources_must_be_pinned(config):
    config["models"]["smollm2-135m"] = {"source": "hub:some/model"}
    assert "needs `revision`" in refusal(config)


def test_not_a_number_is_no_weight(config):
    config["conditions"]["layerwise"]["terms"][1]["weight"] = float("nan")
    assert refusal(config).startswith("conditions.layerwise.terms.1.weight: ")


def test_parts_are_known_from_the_config(config):
    config["teacher_pass"] = {"part_size": 50}
    assert load_experiment(config).parts("plural") == ["0000", "0001", "0002", "0003"]


def test_conditions_that_read_the_same_signal_share_it(config):
    again = copy.deepcopy(config["conditions"]["layerwise"])
    again["terms"][1] |= {"layers": "early", "weight": 2.0}
    config["conditions"]["early"] = again
    conditions = load_experiment(config).conditions
    assert conditions["early"].readings == conditions["layerwise"].readings


def test_a_temperature_makes_another_signal(config):
    config["conditions"]["answer-kl"]["terms"][1]["temperature"] = 1
    assert load_experiment(config).signals_of("smollm2-135m", "plural") == [
        ("few-shot", "hidden-block-query"),
        ("few-shot", "logits-prompt-top256-t2"),
        ("few-shot", "logits-answer-top256-t1"),
        ("zero-shot", "logits-answer-top256-t2"),
    ]


def test_a_conditions_own_adapter_goes_before_the_shared_one(config):
    config["conditions"]["sft"]["adapter"] = {"rank": 4}
    experiment = load_experiment(config)
    assert experiment.run_slice("smollm2-135m", "plural", "sft", 0).adapter.rank == 4
    assert experiment.run_slice("smollm2-135m", "plural", "layerwise", 0).adapter.rank == 16


def test_a_run_slice_survives_json(config):
    settings = load_experiment(config).run_slice("smollm2-135m", "plural", "layerwise", 3)
    assert RunSlice.model_validate_json(settings.model_dump_json()) == settings


def test_labels_and_resources_are_no_part_of_the_identity(config):
    plain = load_experiment(config).identity_json()
    config["models"]["smollm2-135m"]["label"] = "other"
    config["conditions"]["sft"]["label"] = "other"
    config["resources"] = {"training": {"gpu": 1}}
    assert load_experiment(config).identity_json() == plain


def test_no_home_folder_reaches_the_identity(config):
    folder = Path.home() / "models" / "mine"
    config["models"]["smollm2-135m"] = {"source": str(folder)}
    identity = load_experiment(config).identity_json()
    assert str(Path.home()) not in identity
    assert "~/models/mine" in identity


def test_defaults_are_written_back(config):
    written = load_experiment(config).model_dump(mode="json")
    assert written["analysis"]["confidence"] == 0.95
    assert load_experiment(written) == load_experiment(config)
    assert Experiment.model_validate(written).seeds == (0,)


# --- models, tasks and conditions that do not meet ------------------------------------------


def test_a_model_that_is_no_student_is_only_in_the_gap(config):
    config["models"]["other"] = {"source": "some/folder"}
    config["students"] = ["smollm2-135m"]
    experiment = load_experiment(config)
    assert experiment.conditions_of("other", "plural") == []
    assert experiment.signals_of("other", "plural") == []


def test_an_unknown_student_is_refused(config):
    config["students"] = ["smollm"]
    assert refusal(config) == "students.0: no model named 'smollm'; valid here: smollm2-135m"


def test_an_experiment_may_measure_gaps_only(config):
    del config["conditions"], config["training"], config["teachers"]
    assert load_experiment(config).conditions_of("smollm2-135m", "plural") == []


def test_conditions_need_training_settings(config):
    del config["training"]
    assert refusal(config) == "training: is required where there are conditions"


def test_conditions_need_a_task_to_train_on(config):
    config["tasks"]["plural"]["data"]["items"]["train"] = 0
    assert refusal(config).startswith("tasks: none has `data.items.train` above 0")


def test_a_condition_may_train_some_students_only(config):
    config["models"]["other"] = {"source": "some/folder"}
    config["conditions"]["sft"]["models"] = ["other"]
    experiment = load_experiment(config)
    assert "sft" not in experiment.conditions_of("smollm2-135m", "plural")
    assert "sft" in experiment.conditions_of("other", "plural")


def test_a_teacher_may_show_as_many_demonstrations_as_the_task_has_shots(config):
    config["teachers"]["few-shot"]["shots"] = "most"
    config["tasks"]["plural"]["shots"] = [0, 3]
    assert load_experiment(config).teacher_context("plural", "few-shot").shots == 3


def test_what_a_models_size_asks_for_goes_before_the_shared_settings(config):
    config["models"]["smollm2-135m"] |= {"micro_batch_size": 2, "gradient_checkpointing": True}
    config["models"]["smollm2-135m"]["resources"] = {"training": {"gpu": 2}}
    experiment = load_experiment(config)
    training = experiment.run_slice("smollm2-135m", "plural", "sft", 0).training
    assert (training.micro_batch_size, training.gradient_checkpointing) == (2, True)
    assert experiment.resources_of("training", "smollm2-135m").gpu == 2
    assert experiment.resources_of("training").gpu == 0


def test_a_models_memory_and_engine_do_not_fetch_it_again(config):
    plain = load_experiment(config).model_slice("smollm2-135m")
    config["models"]["smollm2-135m"] |= {"engine": "transformers", "micro_batch_size": 2}
    assert load_experiment(config).model_slice("smollm2-135m") == plain


def test_a_condition_may_have_its_own_learning_rate(config):
    config["conditions"]["sft"]["learning_rate"] = 1e-5
    experiment = load_experiment(config)
    assert experiment.run_slice("smollm2-135m", "plural", "sft", 0).training.learning_rate == 1e-5


@pytest.mark.parametrize(
    ("kept", "checkpoints"),
    [((), (2, 4)), ((4,), (2, 4)), ((3,), (2, 3, 4)), ((3, 12), (2, 3, 4))],
)
def test_a_run_keeps_the_checkpoints_that_lie_on_disk_up_to_its_last_step(
    config, kept, checkpoints
):
    config["training"] |= {"steps": 8, "checkpoints": [2, 4]}
    run = load_experiment(config).run_slice("smollm2-135m", "plural", "sft", 0, kept)
    assert run.training.checkpoints == checkpoints


def test_transfer_pairs_runs_with_other_tasks(config):
    config["tasks"]["other"] = copy.deepcopy(config["tasks"]["plural"])
    config["tasks"]["other"]["data"]["items"]["train"] = 0
    config["transfer"] = {"plural": ["other"]}
    experiment = load_experiment(config)
    assert experiment.transfers_to("smollm2-135m", "other") == [
        ("plural", condition) for condition in experiment.conditions
    ]
    assert experiment.transfers_to("smollm2-135m", "plural") == []


def test_nothing_transfers_from_a_task_without_training(config):
    config["tasks"]["other"] = copy.deepcopy(config["tasks"]["plural"])
    config["tasks"]["other"]["data"]["items"]["train"] = 0
    config["transfer"] = {"other": ["plural"]}
    assert refusal(config).startswith("transfer.other: nothing is trained on other")


def test_a_shift_starts_from_a_teacher_without_demonstrations(config):
    term = config["conditions"]["layerwise"]["terms"][1]
    term |= {"objective": "delta_hidden", "reference": "few-shot"}
    assert refusal(config) == (
        "conditions.layerwise.terms.1.reference: 'few-shot' must be a teacher without "
        "demonstrations"
    )


def test_a_shift_reads_the_reference_too(config):
    term = config["conditions"]["layerwise"]["terms"][1]
    term |= {"objective": "delta_hidden", "reference": "zero-shot"}
    run = load_experiment(config).run_slice("smollm2-135m", "plural", "layerwise", 0)
    names = ("few-shot/hidden-block-query", "zero-shot/hidden-block-query")
    assert tuple(reading.name for reading in run.readings) == names
    assert run.readings_of(run.terms[1]) == names
    assert run.readings_of(run.terms[0]) == ()


def test_choice_scorers_need_choices(config):
    config["tasks"]["plural"]["scoring"]["scorer"] = "likelihood"
    assert refusal(config) == "tasks.plural: scorer `likelihood` needs `data.choices`"


def test_an_adapter_of_unknown_kind_is_refused(config):
    config["training"]["adapter"] = {"kind": "lorra"}
    assert refusal(config).startswith("training.adapter: ")


def test_a_batch_that_the_training_gpus_cannot_share_is_refused(config):
    config["resources"] = {"training": {"gpu": 3}}
    assert refusal(config) == (
        "training.batch_size: the 8 examples of a step are no multiple of 3 GPUs, "
        "which train smollm2-135m"
    )


def test_micro_batches_that_the_training_gpus_cannot_share_are_refused(config):
    config["models"]["smollm2-135m"] |= {
        "micro_batch_size": 8,
        "resources": {"training": {"gpu": 2}},
    }
    assert refusal(config) == (
        "models.smollm2-135m.micro_batch_size: the 8 examples of a step are no multiple of "
        "2 GPUs × 8 in a forward pass, which train smollm2-135m"
    )


def test_each_gpu_gets_its_share_of_a_batch_at_once_unless_told(config):
    training = load_experiment(config).training
    assert training.share_of(4) == (2, 1)
    assert training.model_copy(update={"micro_batch_size": 1}).share_of(4) == (1, 2)


def test_a_family_of_an_unknown_result_is_refused(config):
    config["families"] = {"main": {"question": "?", "members": ["sft", "layerwize"]}}
    assert refusal(config) == (
        "families.main.members: no result named 'layerwize'; valid here: layerwise"
    )


def test_a_drift_figure_without_representations_is_refused(config):
    members = ["sft", "layerwise"]
    config["families"] = {"main": {"question": "?", "members": members, "figures": ["drift"]}}
    assert "need `representations`" in refusal(config)
    config["representations"] = {}
    assert load_experiment(config).families_of("smollm2-135m", "plural")


def test_questions_and_texts_of_families_are_no_part_of_the_identity(config):
    config["families"] = {"main": {"question": "?", "members": ["sft", "layerwise"]}}
    plain = load_experiment(config).identity_json()
    texts = {"sft": "fine-tuning", "layerwise": "states"}
    config["families"] = {"main": {"question": "Which?", "members": texts}}
    assert load_experiment(config).identity_json() == plain


def test_a_family_keeps_the_members_that_a_model_has(config):
    config["models"]["other"] = config["models"]["smollm2-135m"]
    config["students"] = ["smollm2-135m"]
    config["families"] = {
        "main": {"question": "?", "members": ["0-shot", "8-shot", "sft"]},
        "trained": {"question": "?", "members": ["sft", "layerwise"]},
    }
    experiment = load_experiment(config)
    assert [family.members for family in experiment.families_of("other", "plural")] == [
        ("0-shot", "8-shot")
    ]


def test_the_run_that_is_evaluated_twice_is_the_baseline_or_the_first(config):
    assert load_experiment(config).repeated_condition("smollm2-135m", "plural") == "sft"
    config["analysis"] = {"baseline": "none"}
    config["conditions"] = dict(reversed(config["conditions"].items()))
    first = next(iter(config["conditions"]))
    assert load_experiment(config).repeated_condition("smollm2-135m", "plural") == first


def test_signals_that_need_more_disk_than_allowed_are_refused_with_the_number(config):
    """160 items of at most 12 tokens, 256 logits with index each and two normalisers: 4 MB."""
    config["models"]["smollm2-135m"] |= {"layers": 30, "width": 576}
    config["max_signal_gb"] = 0.004
    said = refusal(config)
    assert said.startswith("max_signal_gb: the signals may need 0.0 GB of disk, more than 0.004, ")
    assert "for smollm2-135m/plural/few-shot/" in said


def test_states_of_every_answer_token_are_refused_before_anything_runs():
    config = yaml.safe_load((ROOT / "config/experiments/qwen3-gsm8k.yaml").read_text())
    hidden = config["conditions"]["layerwise"]["terms"][1]
    config["conditions"]["whole-answer"] = {
        "teacher": "few-shot",
        "terms": [config["conditions"]["sft"]["terms"][0], hidden | {"position": "answer"}],
    }
    assert re.search(r"may need 1,824.4 GB of disk, more than 500, 1,087.2 GB for", refusal(config))


def test_the_limit_on_disk_is_no_part_of_what_results_depend_on(config):
    before = load_experiment(config).identity_json()
    config["max_signal_gb"] = 9
    assert load_experiment(config).identity_json() == before


def test_states_are_measured_of_the_conditions_that_a_figure_shows_by_layer(config):
    assert load_experiment(config).represented_conditions("smollm2-135m", "plural") == []
    config["representations"] = {}
    everything = load_experiment(config).represented_conditions("smollm2-135m", "plural")
    assert everything == list(config["conditions"])
    config["families"] = {
        "main": {"question": "?", "members": ["sft", "answer-kl"]},
        "states": {"question": "?", "members": ["8-shot", "layerwise"], "figures": ["drift"]},
    }
    some = load_experiment(config).represented_conditions("smollm2-135m", "plural")
    assert some == ["sft", "layerwise"]
