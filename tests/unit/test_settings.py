"""The config: what is refused and how, what is derived, what each rule's slice holds."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from workflow_scripts.errors import InputError
from workflow_scripts.settings import Experiment, RunSlice, load_experiment

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
    experiment = load_experiment(config)
    assert experiment.signals_of("early") == experiment.signals_of("layerwise")


def test_a_temperature_makes_another_signal(config):
    config["conditions"]["answer-kl"]["terms"][1]["temperature"] = 1
    experiment = load_experiment(config)
    assert experiment.signals_of("answer-kl") == ["logits-answer-top256-t1"]
    assert experiment.signals_of("answer-kl-zero-shot") == ["logits-answer-top256-t2"]


def test_a_conditions_own_adapter_goes_before_the_shared_one(config):
    config["conditions"]["sft"]["adapter"] = {"rank": 4}
    experiment = load_experiment(config)
    assert experiment.run_slice("plural", "sft", 0).adapter.rank == 4
    assert experiment.run_slice("plural", "layerwise", 0).adapter.rank == 16


def test_a_run_slice_survives_json(config):
    settings = load_experiment(config).run_slice("plural", "layerwise", 3)
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
