"""The config: what is refused and how, what is derived, what each rule's slice holds."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from workflow_scripts.config.slices import RunSlice
from workflow_scripts.config.training import TrainingSettings
from workflow_scripts.errors import InputError
from workflow_scripts.experiment import Experiment, load_experiment
from workflow_scripts.labels import labels_of
from workflow_scripts.recipes import in_steps, signals_of
from workflow_scripts.tasks.patterns import PATTERNS
from workflow_scripts.terms import reading_name, readings_of
from workflow_scripts.training.micro_batches import share_of

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "config/config.yaml").read_text())


def refusal(config: dict[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        load_experiment(config)
    return str(caught.value)


@pytest.fixture
def nli(config: dict[str, Any]) -> dict[str, Any]:
    """The default with a task of two labels, which a larger model teaches."""
    model, task = config["models"]["smollm2-135m"], config["tasks"]["plural"]
    config["models"] = {"student": model, "larger": copy.deepcopy(model)}
    config["students"] = ["student"]
    task["data"] |= {"pattern": "minimal", "verbalizers": {"0": "Yes", "1": "No"}}
    config["teachers"] = {"larger": {"model": "larger", "shots": 8}, "self": {"shots": 8}}
    config["conditions"] = {
        "pbft": {"terms": [{"objective": "label_cross_entropy"}]},
        "distil": {
            "teacher": "larger",
            "terms": [
                {"objective": "label_cross_entropy"},
                {"objective": "label_kl", "weight": 2.0},
            ],
        },
    }
    return config


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
    assert refusal(config) == (
        "conditions.sft.terms.0: there is no objective 'cross-entropy'; valid here: cross_entropy"
    )


# --- what a hurried user types --------------------------------------------------------------------

KEYS = "must hold keys with values (`key: value`)"
LIST = "must be a list (`[one, another]`)"
TRUTH = "must be text; to YAML, yes, no, on, off, true and false are text in quotes only"
NULL = "must be text; to YAML, null and ~ are text in quotes only (given: nothing)"
TYPED = {
    # nothing, or the wrong thing, where a section belongs
    "models: null": f"models: {KEYS} (given: nothing)",
    "models: [{source: x}]": f"models: {KEYS}",
    "models: {a: hub:x/y}": f"models.a: {KEYS} (given: 'hub:x/y')",
    "conditions: null": f"conditions: {KEYS} (given: nothing)",
    "conditions: {sft: null}": f"conditions.sft: {KEYS} (given: nothing)",
    "conditions: {sft: {terms: [cross_entropy]}}": f"conditions.sft.terms.0: {KEYS} "
    "(given: 'cross_entropy')",
    "conditions: {sft: {terms: {objective: cross_entropy}}}": f"conditions.sft.terms: {LIST}",
    "conditions: {sft: {terms: [{weight: 1}]}}": "conditions.sft.terms.0: must say its `objective`",
    "training: [1]": f"training: {KEYS}",
    "training: {adapter: lora}": f"training.adapter: {KEYS} (given: 'lora')",
    "training: {adapter: {kind: Lora}}": "training.adapter: there is no kind 'Lora'; valid here: "
    "lora",
    # a value where a list belongs
    "shots: 8": "shots: must be a list: [8] (given: 8)",
    "shots: null": f"shots: {LIST} (given: nothing)",
    "transfer: {plural: other}": "transfer.plural: must be a list: [\"other\"] (given: 'other')",
    "sweeps: {a: 1}": f"sweeps: {LIST}",
    # numbers
    "training: {learning_rate: fast}": "training.learning_rate: must be a number (given: 'fast')",
    "training: {steps: 1.5}": "training.steps: must be a whole number (given: 1.5)",
    "training: {steps: yes}": "training: `steps` must be a number, but is the truth value True",
    "resources: {training: {gpu: yes}}": "resources.training: `gpu` must be a number, but is the "
    "truth value True",
    "resources: {training: {runtime: 119s}}": "resources.training.runtime: must be a whole number "
    "of minutes, without a unit (given: '119s')",
    "resources: {training: {mem_mb: 8GB}}": "resources.training.mem_mb: must be a whole number of "
    "MB, without a unit (given: '8GB')",
    "resources: {trainig: {gpu: 1}}": "resources.trainig: must be training (given: 'trainig')",
    "teachers: {a: {shots: all}}": "teachers.a.shots: must be a whole number (given: 'all'); or "
    "must be most (given: 'all')",
    # text that YAML reads as something else
    "experiment: 2026-01-01": "experiment: must be text; put it in quotes (given: 2026-01-01)",
    "experiment: my study": "experiment: must be letters, digits and ._~=+- and begin with a "
    "letter or digit (given: 'my study')",
    "models: {135: {source: x}}": "models.135: must be text; put it in quotes (given: 135)",
    "conditions: {null: {terms: [{objective: cross_entropy}]}}": f"conditions.None: {NULL}",
    "tasks: {plural: {data: {choices: [yes, no]}}}": f"tasks.plural.data.choices.0: {TRUTH} "
    f"(given: True)\ntasks.plural.data.choices.1: {TRUTH} (given: False)",
    "tasks: {plural: {data: {verbalizers: {0: a, 1: b}}}}": "tasks.plural.data.verbalizers.0: must "
    "be text; put it in quotes (given: 0)\ntasks.plural.data.verbalizers.1: must be text; put it "
    "in quotes (given: 1)",
    # paths
    "results: ~/out": "results: `~` is not replaced here; write the path from the working "
    "directory (`../out`) or from the root (given: '~/out')",
    "results: $HOME/out": "results: '$' is not replaced in a path; write what it stands for "
    "(given: '$HOME/out')",
    "results: ''": "results: must be a path, but is empty (given: '')",
    "models: {a: {source: hf:x/y}}": "models.a.source: there is no source of the kind 'hf:'; "
    "valid: hub:…, wheel:…, scratch:…, a path (given: 'hf:x/y')",
    "models: {a: {source: ~me/y}}": "models.a.source: '~' is not replaced in a path; write what it "
    "stands for (given: '~me/y')",
    "tasks: {plural: {data: {source: https://x.org/a.jsonl}}}": "tasks.plural.data.source: there "
    "is no source of the kind 'https:'; valid: hub:…, reasoning_gym:…, a path (given: "
    "'https://x.org/a.jsonl')",
    # stops
    "tasks: {plural: {generation: {stop: ''}}}": "tasks.plural.generation.stop: must be a list: "
    "[\"\"] (given: '')",
    "tasks: {plural: {generation: {stop: ['']}}}": "tasks.plural.generation.stop: an empty text "
    "ends every answer before its first word; leave it out",
    r"tasks: {plural: {generation: {stop: ['\n']}}}": "tasks.plural.generation.stop: '\\n' is a "
    'backslash and a letter; write "\\n" in double quotes for the character that it stands for',
    r"tasks: {plural: {generation: {stop: ['\t']}}}": "tasks.plural.generation.stop: '\\t' is a "
    'backslash and a letter; write "\\t" in double quotes for the character that it stands for',
    # schedules
    "training: {scheduler: constant}": "training: `scheduler: constant` has no warm-up; write "
    "`constant_with_warmup`, or leave `warmup_steps` out",
}


def merged(config: dict[str, Any], changes: dict[Any, Any]) -> dict[str, Any]:
    """The config with what is written over it, section by section, as Snakemake merges files."""
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(config.get(key), dict)
        config[key] = merged(config[key], value) if both else value
    return config


@pytest.mark.parametrize("typed", TYPED)
def test_what_does_not_fit_is_told_in_words_of_the_file(config, typed):
    typed_over = merged(config, yaml.safe_load(typed))
    assert refusal(typed_over) == TYPED[typed]


@pytest.mark.parametrize(
    "typed",
    [
        "training: {learning_rate: 1e-4}",
        "training: {scheduler: constant, warmup_steps: 0}",
        "training: {scheduler: constant_with_warmup, warmup_steps: 0}",
        'tasks: {plural: {generation: {stop: ["\\n\\n", " ", "\\t"]}}}',
        r"tasks: {plural: {generation: {stop: ['\end{proof}', '\nabla']}}}",
        "results: ../results/",
        "results: /srv/results",
        "tasks: {plural: {data: {source: ~/items.jsonl}}}",
        "models: {smollm2-135m: {source: ~/model}}",
        'conditions: {"null": {terms: [{objective: cross_entropy}]}}',
    ],
)
def test_what_only_looks_wrong_is_right(config, typed):
    load_experiment(merged(config, yaml.safe_load(typed)))


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
    assert signals_of(conditions["early"]) == signals_of(conditions["layerwise"])


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
    config["resources"] = {"training": {"threads": 4, "mem_mb": 9000}}
    assert load_experiment(config).identity_json() == plain


# --- dtype ----------------------------------------------------------------------------------


@pytest.fixture
def with_teacher(config: dict[str, Any]) -> dict[str, Any]:
    """The default with a model that only teaches."""
    config["models"]["t5"] = {
        "source": "t5",
        "architecture": "encoder-decoder",
        "layers": 2,
        "width": 8,
    }
    config["teachers"]["t5"] = {"model": "t5", "shots": 0}
    config["conditions"]["uld"] = {"teacher": "t5", "terms": [{"objective": "uld", "weight": 0.5}]}
    return config


def test_a_dtype_is_left_to_the_job_that_fetches_where_no_job_asks_for_a_gpu(config):
    config["resources"] = {"analysis": {"gpu": 1}}
    assert load_experiment(config).model_slice("smollm2-135m").dtype == "auto"


@pytest.mark.parametrize("stage", ["icl_gap", "teachers", "training", "evaluation"])
def test_a_model_that_a_gpu_job_loads_is_in_bfloat16(stage, config):
    config["resources"] = {stage: {"gpu": 1}}
    assert load_experiment(config).model_slice("smollm2-135m").dtype == "bfloat16"


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_dtype_that_is_given_stays_where_jobs_ask_for_a_gpu(dtype, config):
    config["models"]["smollm2-135m"] |= {"dtype": dtype, "resources": {"training": {"gpu": 1}}}
    assert load_experiment(config).model_slice("smollm2-135m").dtype == dtype


@pytest.mark.parametrize(
    ("stage", "dtype"),
    [
        ("icl_gap", "bfloat16"),
        ("teachers", "bfloat16"),
        ("training", "auto"),
        ("evaluation", "auto"),
        ("pretraining", "auto"),
    ],
)
def test_a_teacher_does_not_care_for_gpus_that_only_students_use(stage, dtype, with_teacher):
    with_teacher["resources"] = {stage: {"gpu": 1}}
    assert load_experiment(with_teacher).model_slice("t5").dtype == dtype


def test_a_model_s_own_resources_decide(with_teacher):
    with_teacher["models"]["t5"]["resources"] = {"icl_gap": {"gpu": 1}}
    experiment = load_experiment(with_teacher)
    dtypes = [experiment.model_slice(name).dtype for name in ("smollm2-135m", "t5")]
    assert dtypes == ["auto", "bfloat16"]


def test_the_identity_holds_the_dtype_that_a_gpu_decides(config):
    config["resources"] = {"training": {"gpu": 1}}
    identity = json.loads(load_experiment(config).identity_json())
    assert identity["models"]["smollm2-135m"]["dtype"] == "bfloat16"


def test_an_open_dtype_takes_as_much_disk_as_the_largest_it_can_become(config):
    def states(**settings: Any) -> int | None:
        config["models"]["smollm2-135m"] = config["models"]["smollm2-135m"] | settings
        return load_experiment(config).signal_bytes(
            "smollm2-135m", "plural", "few-shot", "hidden-block-query"
        )

    left_open = states(width=576)
    assert left_open == states(dtype="float32") == 2 * states(dtype="bfloat16")
    assert states(dtype="auto", resources={"icl_gap": {"gpu": 1}}) == states(dtype="bfloat16")


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


def test_another_wording_of_a_named_pattern_makes_the_task_again(nli, monkeypatch):
    experiment = load_experiment(nli)
    before = experiment.data_slice("plural")
    assert before.pattern == PATTERNS["minimal"]
    monkeypatch.setitem(PATTERNS, "minimal", "{premise} So: {hypothesis} ?")
    assert experiment.data_slice("plural").pattern == "{premise} So: {hypothesis} ?"
    assert experiment.overflow_slice("plural").data.pattern == "{premise} So: {hypothesis} ?"


def test_comparisons_are_told_their_pairs(config):
    (family,) = load_experiment(config).family_slices("smollm2-135m", "plural")
    assert len(family.pairs) == len(family.members) * (len(family.members) - 1) / 2
    assert family.pairs[0] == (family.members[1], family.members[0])


def test_what_a_study_asks_of_a_chat_template_is_known_by_its_keys(config):
    experiment = load_experiment(config)
    assert experiment.features_asked("smollm2-135m") == {
        "system": "tasks.plural.prompt.system",
        "demonstrations": "shots",
    }
    del config["tasks"]["plural"]["prompt"]["system"]
    config["teachers"]["few-shot"]["answers"] = "none"
    config["tasks"]["plural"]["shots"] = [0, 4]
    assert load_experiment(config).features_asked("smollm2-135m") == {
        "demonstrations": "tasks.plural.shots",
        "unanswered": "teachers.few-shot.answers",
    }


def test_another_models_teacher_asks_nothing_of_a_student(config):
    config["models"]["other"] = config["models"]["smollm2-135m"]
    config["students"] = ["smollm2-135m"]
    config["teachers"]["few-shot"] |= {"answers": "none"}
    config["conditions"]["layerwise"]["models"] = ["smollm2-135m"]
    experiment = load_experiment(config)
    assert "unanswered" in experiment.features_asked("smollm2-135m")
    assert "unanswered" not in experiment.features_asked("other")


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


@pytest.fixture
def mixed(config: dict[str, Any]) -> dict[str, Any]:
    """A mixture of two tasks, evaluated on one of them and on a third."""
    plural = config["tasks"]["plural"]
    config["tasks"] |= {name: copy.deepcopy(plural) for name in ("second", "other")}
    config["tasks"]["other"]["data"]["items"]["train"] = 0
    mixture = {"source": "mixture", "mixture": {"plural": 1, "second": 1}}
    config["tasks"]["both"] = copy.deepcopy(plural) | {
        "data": mixture | {"items": plural["data"]["items"]},
        "scoring": {"scorer": "parts"},
    }
    config["transfer"] = {"both": ["other", "second"]}
    config["evaluation"] = {"transfer_shots": [0, 8]}
    return config


def test_transferred_results_are_there_after_each_number_of_demonstrations(mixed):
    results = load_experiment(mixed).results_of("smollm2-135m", "other")
    own = [name for name in results if name.startswith("sft@")]
    assert own == ["sft@both", "sft@both@8-shot"]


def test_what_a_transferred_run_was_shown_is_no_support(mixed):
    experiment = load_experiment(mixed)
    assert experiment.support("other", "sft@both@8-shot") == experiment.support("other", "sft@both")


def test_transferred_runs_are_shown_what_the_untouched_model_is(mixed):
    mixed["tasks"]["second"]["shots"] = [0, 4]
    results = load_experiment(mixed).results_of("smollm2-135m", "second")
    assert [name for name in results if name.startswith("sft@")] == ["sft@both"]


def test_some_task_must_be_evaluated_after_as_many_demonstrations(mixed):
    mixed["evaluation"]["transfer_shots"] = [0, 4]
    assert refusal(mixed) == (
        "evaluation.transfer_shots: 4 shots, but no task under `transfer` is evaluated at as many; "
        "add 4 to its `shots`"
    )


@pytest.mark.parametrize("weight", [0, -1])
def test_a_weight_of_a_mixture_must_be_positive(mixed, weight):
    mixed["tasks"]["both"]["data"]["mixture"]["second"] = weight
    assert refusal(mixed) == (
        f"tasks.both.data.mixture.second: Input should be greater than 0 (given: {weight})"
    )


def test_a_mixture_asks_all_its_tasks_in_one_way(mixed):
    mixed["tasks"]["second"]["prompt"] = {"question": "Well, {question}"}
    assert refusal(mixed) == ("tasks.second.prompt: must be that of 'both', which it is a part of")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mixture": {"plural": 1}}, "tasks.both.data: `mixture` needs two tasks or more"),
        ({"mixture": None}, "tasks.both.data: `mixture` and `source: mixture` go together"),
        (
            {"overflow": "exclude"},
            "tasks.both.data: `overflow` belongs to the tasks of the mixture, not to itself",
        ),
        (
            {"mixture": {"plural": 1, "other": 1}},
            "tasks.both.data.mixture.other: 80 items for train are taken of it, but it has 0; see "
            "tasks.other.data.items",
        ),
        (
            {"mixture": {"plural": 1, "both": 1}},
            "tasks.both.data.mixture.both: is a mixture itself; name its tasks",
        ),
        (
            {"mixture": {"plural": 1, "secnd": 1}},
            "tasks.both.data.mixture.secnd: no task named 'secnd'; valid here: second",
        ),
    ],
)
def test_a_mixture_that_cannot_be_made_is_refused(mixed, change, message):
    mixed["tasks"]["both"]["data"] |= change
    assert refusal(mixed) == message


def test_parts_of_a_mixture_are_in_its_domain_and_other_tasks_are_not(mixed):
    experiment = load_experiment(mixed)
    found = {domain.name: domain.tasks for domain in experiment.domains_of("smollm2-135m")}
    assert found == {"in": ("second",), "out": ("other",)}


def test_without_transfers_of_a_mixture_there_are_no_domains(mixed):
    mixed["transfer"] = {"plural": ["other"]}
    assert load_experiment(mixed).models_with_domains == []


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
    assert tuple(reading_name(reading) for reading in run.readings) == names
    assert readings_of(run, run.terms[1]) == names
    assert readings_of(run, run.terms[0]) == ()


def test_choice_scorers_need_choices(config):
    config["tasks"]["plural"]["scoring"]["scorer"] = "likelihood"
    assert refusal(config) == (
        "tasks.plural: scorer `likelihood` needs `data.choices` or `data.verbalizers`"
    )


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
    assert share_of(training, 4) == (2, 1)
    assert share_of(training.model_copy(update={"micro_batch_size": 1}), 4) == (1, 2)


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


def test_a_family_of_transferred_runs_is_not_about_the_task_that_trained_them(config):
    config["tasks"]["singular"] = config["tasks"]["plural"]
    config["transfer"] = {"plural": ["singular"]}
    config["families"] = {
        "shots": {"question": "?", "members": ["0-shot", "8-shot"]},
        "main": {"question": "?", "members": ["0-shot", "8-shot", "sft"]},
        "elsewhere": {"question": "?", "members": ["0-shot", "8-shot", "sft@plural"]},
    }
    families = load_experiment(config).families_of("smollm2-135m", "plural")
    assert [family.name for family in families] == ["shots", "main"]


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


# --- labels, patterns, heads and α ----------------------------------------------------------


def test_the_words_that_verbalize_are_the_labels(nli):
    assert labels_of(load_experiment(nli).tasks["plural"].data) == ("Yes", "No")


def test_choices_are_the_labels_where_nothing_is_verbalized(nli):
    data = nli["tasks"]["plural"]["data"]
    del data["verbalizers"]
    data["choices"] = ["A", "B", "C"]
    assert labels_of(load_experiment(nli).tasks["plural"].data) == ("A", "B", "C")


def test_choices_and_verbalizers_exclude_each_other(nli):
    nli["tasks"]["plural"]["data"]["choices"] = ["A", "B"]
    assert refusal(nli) == "tasks.plural.data: give `choices` or `verbalizers`, not both"


@pytest.mark.parametrize("verbalizers", [{"0": "Yes"}, {"0": "Yes", "1": "Yes"}])
def test_labels_are_two_or_more_different_words(nli, verbalizers):
    nli["tasks"]["plural"]["data"]["verbalizers"] = verbalizers
    assert refusal(nli) == ("tasks.plural.data: `verbalizers` must be two or more different labels")


def test_a_balanced_draw_needs_labels(config):
    config["tasks"]["plural"]["data"]["balanced"] = True
    assert refusal(config) == ("tasks.plural.data: `balanced` needs `choices` or `verbalizers`")


def test_a_balanced_task_shows_balanced_demonstrations(nli):
    nli["tasks"]["plural"]["data"]["balanced"] = True
    experiment = load_experiment(nli)
    assert experiment.context("plural", 4).balanced
    assert experiment.teacher_context("plural", "larger").balanced
    # without demonstrations nothing is drawn, and one signal serves balanced tasks and others
    assert not experiment.context("plural", 0).balanced


def test_a_pattern_names_columns_or_is_a_known_one(nli):
    nli["tasks"]["plural"]["data"]["pattern"] = "So {} what?"
    assert refusal(nli).startswith(
        "tasks.plural.data.pattern: must be one of minimal, gpt-3, eval-harness, or contain "
        "names of columns in braces"
    )


def test_what_overflows_is_told_by_the_most_demonstrations_that_anything_shows(nli):
    nli["teachers"]["larger"]["shots"] = 12
    assert load_experiment(nli).overflow_slice("plural").context.shots == 12
    nli["shots"] = [0, 14]
    assert load_experiment(nli).overflow_slice("plural").context.shots == 14


def test_label_terms_need_labels(config):
    config["conditions"]["sft"]["terms"] = [{"objective": "label_cross_entropy"}]
    assert refusal(config) == (
        "conditions.sft.terms.0: label_cross_entropy needs labels, but tasks.plural.data has "
        "neither `choices` nor `verbalizers`"
    )


def test_a_run_knows_the_labels_where_its_terms_read_them(nli):
    nli["conditions"]["sft"] = {"terms": [{"objective": "cross_entropy"}]}
    experiment = load_experiment(nli)
    assert experiment.run_slice("student", "plural", "pbft", 0).labels == ("Yes", "No")
    assert experiment.run_slice("student", "plural", "sft", 0).labels is None


def test_only_a_teachers_signal_of_labels_depends_on_them(nli):
    hidden = {"objective": "hidden", "weight": 1, "site": "block", "layers": "all"}
    hidden |= {"position": "query", "normalize": True, "reduction": "sum"}
    nli["conditions"]["layerwise"] = {"teacher": "self", "terms": [hidden]}
    experiment = load_experiment(nli)
    assert experiment.teacher_slice("plural", "larger", "labels").labels == ("Yes", "No")
    assert experiment.teacher_slice("plural", "self", "hidden-block-query").labels is None


def test_alpha_divides_the_loss_between_the_teacher_and_the_correct_answer(nli):
    nli["conditions"]["distil"]["alpha"] = 0.25
    terms = load_experiment(nli).run_slice("student", "plural", "distil", 0).terms
    assert [term.weight for term in terms] == [0.75, 0.5]


def test_without_alpha_the_weights_are_as_written(nli):
    terms = load_experiment(nli).run_slice("student", "plural", "distil", 0).terms
    assert [term.weight for term in terms] == [1.0, 2.0]


@pytest.mark.parametrize("alpha", [-0.1, 1.1])
def test_alpha_outside_0_to_1_is_refused(nli, alpha):
    nli["conditions"]["distil"]["alpha"] = alpha
    assert refusal(nli).startswith("conditions.distil.alpha: ")
    assert refusal(nli).endswith(f"(given: {alpha})")


@pytest.mark.parametrize("kept", [0, 1])
def test_alpha_needs_distillation_and_the_correct_answer(nli, kept):
    distil = nli["conditions"]["distil"]
    distil |= {"alpha": 0.5, "terms": [distil["terms"][kept]]}
    if kept == 0:
        del distil["teacher"]
    assert "`alpha` weighs distillation against the correct answer: give both" in refusal(nli)


def test_an_alpha_that_leaves_no_weight_is_refused(nli):
    nli["conditions"]["distil"]["alpha"] = 0
    nli["conditions"]["distil"]["terms"][0]["weight"] = 0
    assert refusal(nli) == ("conditions.distil: every term has weight 0: nothing would be trained")


def test_a_classification_head_has_no_tokens(nli):
    head = {"head": "classification", "terms": [{"objective": "cross_entropy"}]}
    nli["conditions"]["vanilla"] = head
    assert refusal(nli) == (
        "conditions.vanilla: a classification head has no tokens for cross_entropy; use "
        "label_cross_entropy or label_kl"
    )


def test_a_run_knows_its_head(nli):
    nli["conditions"]["vanilla"] = nli["conditions"]["pbft"] | {"head": "classification"}
    experiment = load_experiment(nli)
    heads = {c: experiment.run_slice("student", "plural", c, 0).head for c in ("vanilla", "pbft")}
    assert heads == {"vanilla": "classification", "pbft": "language"}


@pytest.fixture
def transferred(nli: dict[str, Any]) -> dict[str, Any]:
    """The same with a second task of the same labels in another order."""
    other = copy.deepcopy(nli["tasks"]["plural"])
    other["data"]["items"]["train"] = 0
    other["data"]["verbalizers"] = {"1": "No", "0": "Yes"}
    nli["tasks"]["other"] = other
    nli["transfer"] = {"plural": ["other"]}
    return nli


def test_a_classification_head_transfers_to_the_same_labels_only(transferred):
    load_experiment(transferred)
    transferred["conditions"]["pbft"]["head"] = "classification"
    assert refusal(transferred) == (
        "transfer.plural.0: pbft has a classification head for ('Yes', 'No'), but other has "
        "('No', 'Yes'); give both the same labels in one order"
    )


def test_bias_terms_are_an_adapter(nli):
    nli["conditions"]["pbft"]["adapter"] = {"kind": "bitfit"}
    run = load_experiment(nli).run_slice("student", "plural", "pbft", 0)
    assert run.adapter.kind == "bitfit"
    assert RunSlice.model_validate_json(run.model_dump_json()) == run


def test_an_unknown_key_of_bitfit_is_named_without_its_class(nli):
    nli["conditions"]["pbft"]["adapter"] = {"kind": "bitfit", "rank": 4}
    assert refusal(nli) == "conditions.pbft.adapter: unknown key 'rank'; valid here: kind"


# --- another model as teacher ---------------------------------------------------------------


def test_signals_lie_under_the_model_that_teaches(nli):
    self_taught = copy.deepcopy(nli["conditions"]["distil"]) | {"teacher": "self"}
    nli["conditions"]["self-distil"] = self_taught
    experiment = load_experiment(nli)
    assert experiment.teaching_model("larger", "student") == "larger"
    assert experiment.teaching_model("self", "student") == "student"
    assert experiment.signals_of("larger", "plural") == [("larger", "labels")]
    assert experiment.signals_of("student", "plural") == [("self", "labels")]


def test_students_share_the_signals_of_one_teacher(nli):
    nli["models"]["second"] = copy.deepcopy(nli["models"]["student"])
    nli["students"] = ["student", "second"]
    experiment = load_experiment(nli)
    assert experiment.signals_of("larger", "plural") == [("larger", "labels")]
    assert experiment.signals_of("second", "plural") == []


def test_an_unknown_teaching_model_is_refused_with_the_nearest(nli):
    nli["teachers"]["larger"]["model"] = "largest"
    assert refusal(nli) == "teachers.larger.model: no model named 'largest'; valid here: larger"


def test_hidden_states_of_another_model_are_refused(nli):
    hidden = {"objective": "hidden", "weight": 1, "site": "block", "layers": "all"}
    hidden |= {"position": "query", "normalize": True, "reduction": "sum"}
    nli["conditions"]["layerwise"] = {"teacher": "larger", "terms": [hidden]}
    assert refusal(nli) == (
        "conditions.layerwise.terms.0: hidden compares states of one model, but teacher 'larger' "
        "of student is larger; use logit or label terms"
    )
    nli["students"] = ["larger"]
    load_experiment(nli)


def test_the_disk_that_a_signal_needs_is_that_of_the_model_that_teaches(nli):
    logits = {"objective": "logit_kl", "weight": 1, "position": "prompt", "temperature": 1}
    nli["conditions"]["distil"]["terms"] = [logits | {"top_k": 250, "reduction": "mean"}]
    nli["models"]["larger"] |= {"layers": 24, "width": 2048}
    nli["models"]["student"]["layers"] = None
    nli["max_signal_gb"] = 0.0003
    assert "for larger/plural/larger/logits-prompt" in refusal(nli)


def test_the_labels_of_an_item_take_four_bytes_each(nli):
    nli["models"]["larger"] |= {"layers": 24, "width": 2048}
    experiment = load_experiment(nli)
    assert experiment.signal_bytes("larger", "plural", "larger", "labels") == 160 * 2 * 4


# --- support and steps ----------------------------------------------------------------------


def test_a_condition_may_train_on_the_first_items_only(nli):
    nli["conditions"]["pbft"]["train_items"] = 16
    experiment = load_experiment(nli)
    assert experiment.run_slice("student", "plural", "pbft", 0).train_items == 16
    assert experiment.run_slice("student", "plural", "distil", 0).train_items == 160


def test_no_run_trains_on_more_items_than_there_are(nli):
    nli["conditions"]["pbft"]["train_items"] = 500
    experiment = load_experiment(nli)
    assert experiment.run_slice("student", "plural", "pbft", 0).train_items == 160


def test_support_is_what_is_shown_or_trained_on(transferred):
    transferred["conditions"]["pbft"]["train_items"] = 16
    experiment = load_experiment(transferred)
    assert experiment.support("plural", "8-shot") == 8
    assert experiment.support("plural", "pbft") == 16
    assert experiment.support("plural", "distil") == 160
    assert experiment.support("other", "pbft@plural") == 16
    assert experiment.support("other", "distil@plural") == 160


def test_epochs_are_passes_over_the_items_of_a_condition(nli):
    """8 examples a step: 160 items are 20 steps, and 12 are one and a half."""
    del nli["training"]["steps"]
    nli["training"] |= {"epochs": 5, "checkpoints": [1, 5], "warmup_steps": 0.1}
    nli["conditions"]["pbft"]["train_items"] = 12
    experiment = load_experiment(nli)
    few, all_items = (experiment.training_of("student", "plural", c) for c in ("pbft", "distil"))
    assert (few.steps, few.checkpoints, few.warmup_steps) == (8, (2, 8), 1)
    assert (all_items.steps, all_items.checkpoints, all_items.warmup_steps) == (100, (20, 100), 10)


def test_epochs_that_end_in_one_step_are_one_checkpoint():
    training = TrainingSettings(epochs=4, checkpoints=(1, 2, 4), batch_size=8)
    assert in_steps(training, 2).checkpoints == (1,)
    assert in_steps(training, 4).checkpoints == (1, 2)


def test_steps_do_not_depend_on_the_items():
    training = TrainingSettings(steps=10, checkpoints=(5, 10), warmup_steps=3)
    run = in_steps(training, 2)
    assert run == in_steps(training, 500)
    assert (run.steps, run.checkpoints, run.warmup_steps) == (10, (5, 10), 3)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"epochs": 2}, "training: give either `steps` or `epochs`"),
        ({"steps": None}, "training: give either `steps` or `epochs`"),
        (
            {"steps": None, "epochs": 2, "checkpoints": [1, 3]},
            "training: checkpoint 3 lies after epoch 2",
        ),
        ({"checkpoints": [4, 2]}, "training: `checkpoints` must increase"),
        (
            {"warmup_steps": 1.5},
            "training: `warmup_steps` is a whole number of steps or below 1",
        ),
    ],
)
def test_steps_epochs_and_warmup_that_do_not_fit_are_refused(config, changed, said):
    config["training"] |= changed
    assert refusal(config) == said


# --- what a family's members differ in ------------------------------------------------------


def swept_values(config: dict[str, Any], field: str, values: list[Any], *others: str):
    """Of a swept condition, its variants and other results."""
    experiment = load_experiment(
        config | {"sweeps": [{"condition": "distil", "field": field, "values": values}]}
    )
    variants = [name for name in experiment.conditions if "~" in name]
    return experiment.swept_values(["distil", *variants, *others], "plural")


def test_a_swept_field_has_a_number_in_the_base_and_in_its_variants(nli):
    nli["conditions"]["distil"]["alpha"] = 0.5
    assert swept_values(nli, "alpha", [0.25, 0.75]) == {
        "distil": 0.5,
        "distil~alpha=0.25": 0.25,
        "distil~alpha=0.75": 0.75,
    }


def test_a_value_that_a_condition_does_not_give_is_the_shared_one(nli):
    found = swept_values(nli, "learning_rate", [1e-5], "pbft")
    assert found == {"distil": 2e-4, "distil~learning_rate=1e-05": 1e-5, "pbft": 2e-4}
    assert swept_values(nli, "adapter.rank", [4])["distil"] == 16


def test_results_that_have_no_such_field_have_no_number(nli):
    assert set(swept_values(nli, "label_kl.weight", [1.0], "pbft", "8-shot")) == {
        "distil",
        "distil~label_kl.weight=1",
    }


def test_demonstrations_count_as_items_that_were_trained_on(nli):
    assert swept_values(nli, "train_items", [8, 16], "pbft", "8-shot") == {
        "distil": 160,
        "distil~train_items=8": 8,
        "distil~train_items=16": 16,
        "pbft": 160,
        "8-shot": 8,
    }


def test_values_that_are_no_numbers_are_left_out(nli):
    assert swept_values(nli, "teacher", ["self"]) == {}


def test_results_of_several_swept_fields_have_no_common_number(nli):
    sweeps = [
        {"condition": "distil", "field": field, "values": [value]}
        for field, value in (("learning_rate", 1e-5), ("train_items", 8))
    ]
    experiment = load_experiment(nli | {"sweeps": sweeps})
    assert experiment.swept_values(list(experiment.conditions), "plural") == {}
    assert experiment.swept_values(["distil", "pbft"], "plural") == {}


# --- what there is to draw and to tell ----------------------------------------------------------


def figures_of(config: dict[str, Any], *members: str) -> list[str]:
    """Of a family that asks for figures by value."""
    family = {
        "question": "?",
        "members": list(members),
        "figures": ["standings", "accuracy_by_value", "memory_by_value"],
    }
    experiment = load_experiment(
        config
        | {
            "sweeps": [{"condition": "distil", "field": "alpha", "values": [0.25, 0.75]}],
            "families": {"alpha": family},
        }
    )
    model = next(iter(experiment.models))
    (found,) = experiment.families_of(model, "plural")
    return list(experiment.figures_of(model, "plural", found))


def test_a_figure_by_value_needs_two_members_with_numbers(nli):
    nli["conditions"]["distil"]["alpha"] = 0.5
    assert figures_of(nli, "0-shot", "distil~alpha=0.25") == ["standings"]
    assert figures_of(nli, "distil", "distil~alpha=0.25") == [
        "standings",
        "accuracy_by_value",
        "memory_by_value",
    ]


def test_choice_tasks_are_those_answered_with_a_label(nli):
    scoring = nli["tasks"]["plural"]["scoring"]
    for scorer, found in (("likelihood", ["plural"]), ("choice", ["plural"]), ("word", [])):
        scoring["scorer"] = scorer
        assert [name for name in load_experiment(nli).choice_tasks if name == "plural"] == found
